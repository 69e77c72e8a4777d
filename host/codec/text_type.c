/* text_type.c - is a text an int64, a decimal, a point in time? For :schema, which asks it of every event.
 *
 * Texts are bounded by len; nothing behind them is read. */
#include <limits.h>

#include "../abi_c.h"

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int32_t digits_end(const char *p, int32_t i, int32_t len) {
  while (i < len && is_digit(p[i])) i++;
  return i;
}

int32_t tm_ffi_text_int64(const char *text, int32_t len) {
  int32_t i = len > 0 && text[0] == '-';
  int negative = i;
  if (i == len || digits_end(text, i, len) != len) return 0;
  while (i + 1 < len && text[i] == '0') i++;
  if (len - i > 19) return 0;
  uint64_t v = 0;
  for (; i < len; i++) v = v * 10 + (uint64_t)(text[i] - '0');
  return v <= (uint64_t)INT64_MAX + (uint64_t)negative;
}

int32_t tm_ffi_text_decimals(const char *text, int32_t len) {
  int32_t first = len > 0 && text[0] == '-', i = digits_end(text, first, len), used = 0;
  if (i == first) return INT_MIN;
  if (i < len && text[i] == '.') {
    int32_t stop = digits_end(text, i + 1, len);
    if (stop == i + 1) return INT_MIN;
    for (int32_t k = i + 1; k < stop; k++)
      if (text[k] != '0') used = k - i;
    i = stop;
  }
  if (i < len && (text[i] == 'e' || text[i] == 'E')) {
    int32_t sign = 1, exponent = 0;
    i++;
    if (i < len && (text[i] == '+' || text[i] == '-')) sign = text[i++] == '-' ? -1 : 1;
    int32_t stop = digits_end(text, i, len);
    if (stop == i) return INT_MIN;
    for (; i < stop; i++)
      if (exponent < 100000) exponent = exponent * 10 + (text[i] - '0');
    used -= sign * exponent;
  }
  return i == len ? used : INT_MIN;
}

/* ---- points in time ---- */

static int days_in(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

/* the number that n digits at i give; -1 if there are fewer */
static int fixed(const char *p, int32_t i, int32_t n, int32_t len) {
  if (i + n > len || digits_end(p, i, i + n) != i + n) return -1;
  int v = 0;
  for (int32_t k = i; k < i + n; k++) v = v * 10 + (p[k] - '0');
  return v;
}

static int zone_ok(const char *p, int32_t i, int32_t len) {
  if (i == len) return 1;
  if (p[i] == 'Z' || p[i] == 'z') return i + 1 == len;
  if (p[i] != '+' && p[i] != '-') return 0;
  int h = fixed(p, i + 1, 2, len);
  if (h < 0 || h > 23) return 0;
  i += 3;
  if (i == len) return 1;
  if (p[i] == ':') i++;
  int m = fixed(p, i, 2, len);
  return m >= 0 && m <= 59 && i + 2 == len;
}

static int date_ok(const char *p, int32_t len) {
  int y = fixed(p, 0, 4, len), mo = fixed(p, 5, 2, len), d = fixed(p, 8, 2, len);
  if (y < 0 || mo < 1 || mo > 12 || p[4] != '-' || p[7] != '-') return 0;
  return d >= 1 && d <= days_in(y, mo);
}

/* from behind the date's separator; 24:00[:00[.0]] is the end of a day */
static int time_ok(const char *p, int32_t len) {
  int h = fixed(p, 11, 2, len), mi = fixed(p, 14, 2, len), rest = mi;
  if (h < 0 || h > 24 || mi < 0 || mi > 59 || p[13] != ':') return 0;
  int32_t i = 16;
  if (i < len && p[i] == ':') {
    int s = fixed(p, 17, 2, len);
    if (s < 0 || s > 60) return 0;
    i = 19;
    rest += s;
    if (i < len && (p[i] == '.' || p[i] == ',')) {
      int32_t stop = digits_end(p, i + 1, len);
      if (stop == i + 1) return 0;
      for (int32_t k = i + 1; k < stop; k++) rest += p[k] - '0';
      i = stop;
    }
  }
  return (h < 24 || rest == 0) && zone_ok(p, i, len);
}

int32_t tm_ffi_text_iso8601(const char *text, int32_t len) {
  if (!date_ok(text, len)) return 0;
  if (len == 10) return 1;
  return (text[10] == 'T' || text[10] == 't' || text[10] == ' ') && time_ok(text, len);
}
