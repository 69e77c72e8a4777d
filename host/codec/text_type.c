/* text_type.c - is a text an int64, a decimal? For :schema, which asks it of every event; of points in time see time.c.
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
