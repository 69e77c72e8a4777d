/* time.c - points in time: ISO 8601 texts, and numbers of seconds, milliseconds, micro- or nanoseconds, as milliseconds.
 *
 * Numbers are taken from their digits, not from a double: 1.001 seconds are 1001 ms, and nanoseconds of today, which no
 * double holds, lose nothing. What is finer than a millisecond is cut off downwards, also before 1970. Texts are bounded by
 * len; nothing behind them is read. */
#include <math.h>

#include "cell.h"
#include "msgpack_bytes.h"
#include "packed.h"

static const double NOWHEN = NAN;

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* ---- ISO 8601 ---- */

/* A reader of one text; `ok` is 0 from the first byte on that does not fit. */
struct reader {
  const char *p;
  const char *end;
  int ok;
};

/* the number that exactly n digits give, within [min, max] */
static int fixed(struct reader *r, int n, int min, int max) {
  int v = 0;
  if (r->end - r->p < n) r->ok = 0;
  for (int i = 0; r->ok && i < n; i++) {
    if (!is_digit(r->p[i])) r->ok = 0;
    v = v * 10 + (r->p[i] - '0');
  }
  if (v < min || v > max) r->ok = 0;
  if (r->ok) r->p += n;
  return v;
}

/* passes over c if it comes next */
static int next_is(struct reader *r, char c) {
  if (!r->ok || r->p == r->end || *r->p != c) return 0;
  r->p++;
  return 1;
}

static int is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/* days from 1970-01-01 to the first of January */
static int days_before_year(int year) {
  int y = year - 1;
  return y * 365 + (y >= 0 ? y / 4 - y / 100 + y / 400 : -1) - 719162;
}

/* the date as days since 1970 */
static int date(struct reader *r) {
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  int year = fixed(r, 4, 0, 9999);
  if (!next_is(r, '-')) r->ok = 0;
  int month = fixed(r, 2, 1, 12);
  if (!next_is(r, '-')) r->ok = 0;
  if (!r->ok || month < 1 || month > 12) return 0;
  int leap = is_leap(year), day = fixed(r, 2, 1, lengths[month - 1] + (month == 2 && leap));
  return days_before_year(year) + before[month - 1] + (month > 2 && leap) + day - 1;
}

/* Behind the date: milliseconds of the day; 24:00[:00[.0]] is its end, :60 a leap second, which is the minute's end. */
static int32_t time_of_day(struct reader *r) {
  int hour = fixed(r, 2, 0, 24);
  if (!next_is(r, ':')) r->ok = 0;
  int minute = fixed(r, 2, 0, 59), second = 0, millis = 0, rest = 0;
  if (next_is(r, ':')) {
    second = fixed(r, 2, 0, 60);
    if (next_is(r, '.') || next_is(r, ',')) {
      int n = 0;
      for (; r->p < r->end && is_digit(*r->p); r->p++, n++) {
        int digit = *r->p - '0';
        if (n < 3) millis = millis * 10 + digit;
        rest |= digit;
      }
      if (n == 0) r->ok = 0;
      for (; n < 3; n++) millis *= 10;
    }
  }
  if (hour == 24 && (minute != 0 || second != 0 || rest != 0)) r->ok = 0;
  return ((hour * 60 + minute) * 60 + second) * 1000 + millis;
}

/* Z, +hh, +hhmm, +hh:mm or nothing: minutes ahead of UTC */
static int zone(struct reader *r) {
  if (r->p == r->end) return 0;
  if (next_is(r, 'Z') || next_is(r, 'z')) return 0;
  int sign = next_is(r, '+') ? 1 : -1;
  if (sign < 0 && !next_is(r, '-')) r->ok = 0;
  int minutes = fixed(r, 2, 0, 23) * 60;
  if (r->ok && r->p < r->end) {
    (void)next_is(r, ':');
    minutes += fixed(r, 2, 0, 59);
  }
  return sign * minutes;
}

static double iso8601(const char *text, int32_t len) {
  struct reader r = {text, text + len, 1};
  int64_t ms = date(&r) * INT64_C(86400000);
  if (r.ok && r.p < r.end) {
    if (!next_is(&r, 'T') && !next_is(&r, 't') && !next_is(&r, ' ')) r.ok = 0;
    if (r.ok) ms += time_of_day(&r);
    if (r.ok) ms -= zone(&r) * INT64_C(60000);
  }
  return r.ok && r.p == r.end ? (double)ms : NOWHEN;
}

int32_t tm_ffi_text_iso8601(const char *text, int32_t len) { return !isnan(iso8601(text, len)); }

/* ---- numbers ---- */

enum { WHEN_MAX_DIGITS = 16 };
static const double WHEN_MAX = 9007199254740992.0;

/* powers of ten from the unit to milliseconds */
static const int shifts[] = {[TM_TIME_S] = 3, [TM_TIME_MS] = 0, [TM_TIME_US] = -3, [TM_TIME_NS] = -6};

/* The end of the digits from p on; *n their number. */
static const char *digits(const char *p, const char *end, int32_t *n) {
  const char *from = p;
  while (p < end && is_digit(*p)) p++;
  *n = (int32_t)(p - from);
  return p;
}

/* The exponent behind e or E, bounded; 0 and *ok = 0 if it is none. */
static int32_t exponent(const char *p, const char *end, int *ok) {
  int negative = p < end && *p == '-', v = 0;
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (p == end) *ok = 0;
  for (; p < end; p++) {
    if (!is_digit(*p)) *ok = 0;
    else if (v < 100000) v = v * 10 + (*p - '0');
  }
  return negative ? -v : v;
}

/* [-]digits[.digits][e[+-]digits] times ten to `shift`, rounded down. */
static double number(const char *text, int32_t len, int32_t shift) {
  const char *end = text + len, *p = text + (len > 0 && text[0] == '-'), *whole = p, *part = NULL;
  int negative = p != text, ok = 1;
  int32_t whole_n, part_n = 0;
  p = digits(p, end, &whole_n);
  if (whole_n == 0) return NOWHEN;
  if (p < end && *p == '.') {
    part = p + 1;
    p = digits(part, end, &part_n);
    if (part_n == 0) return NOWHEN;
  }
  if (p < end && (*p == 'e' || *p == 'E')) shift += exponent(p + 1, end, &ok);
  else if (p != end) return NOWHEN;
  if (!ok) return NOWHEN;
  /* the digits in front of the point once it is moved, and whether any behind it is not zero */
  int64_t v = 0;
  int32_t taken = 0, rest = 0;
  for (int32_t i = 0; i < whole_n + part_n; i++) {
    int digit = (i < whole_n ? whole[i] : part[i - whole_n]) - '0';
    if (i >= whole_n + shift) rest |= digit;
    else if (taken > 0 || digit != 0) {
      v = v * 10 + digit;
      if (++taken > WHEN_MAX_DIGITS) return NOWHEN;
    }
  }
  for (int32_t i = part_n; v != 0 && i < shift; i++) {
    v *= 10;
    if (++taken > WHEN_MAX_DIGITS) return NOWHEN;
  }
  int64_t ms = negative ? -(v + (rest != 0)) : v;
  return ms <= (int64_t)WHEN_MAX && ms >= -(int64_t)WHEN_MAX ? (double)ms : NOWHEN;
}

double tm_ffi_time_text(const char *text, int32_t len, int32_t unit) {
  return unit == TM_TIME_ISO8601 ? iso8601(text, len) : number(text, len, shifts[unit]);
}

/* ---- columns ---- */

/* A whole number of the unit. */
static inline double whole(double num, int32_t unit) {
  if (unit == TM_TIME_MS) return num + 0.0;   /* no -0 */
  if (unit == TM_TIME_S) return fabs(num) <= WHEN_MAX / 1000 ? num * 1000 : NOWHEN;
  int64_t v = (int64_t)num, by = unit == TM_TIME_US ? 1000 : 1000000, ms = v / by;
  return (double)(ms - (v % by < 0));
}

/* A timestamp of msgpack says itself what it counts; other opaque values have no time. */
static double timestamp(const struct tm_batch *b, const struct tm_cell *c) {
  struct tm_msgpack_head h;
  int64_t seconds;
  uint32_t ns;
  int32_t len;
  if (b->format != TM_FORMAT_MSGPACK) return NOWHEN;
  const char *p = tm_cell_packed(b, c, &len);
  if (!tm_msgpack_head_read(p, len, &h) || h.type != TM_MSGPACK_EXT || p[h.len - 1] != TM_EXT_TIMESTAMP || !tm_msgpack_time_read(p + h.len, h.count, &seconds, &ns))
    return NOWHEN;
  uint32_t part = ns / 1000000;
  double ms = (double)seconds * 1000 + part;
  return fabs(ms) <= WHEN_MAX ? ms : NOWHEN;
}

static double time_of(const struct tm_batch *b, const struct tm_cell *c, int32_t unit) {
  int kind = tm_cell_kind(c), is_text = b->format == TM_FORMAT_JSON;
  if (kind == TM_KIND_NUMBER && unit != TM_TIME_ISO8601) {
    /* 16 bytes are an integer or at most 15 digits: what has a fraction is no whole double */
    int exact = !is_text || tm_cell_len(c) <= 16;
    if (exact && fabs(c->num) <= WHEN_MAX && (double)(int64_t)c->num == c->num) return whole(c->num, unit);
  } else if (kind == TM_KIND_STRING) {
    is_text = 1;
  } else if (kind == TM_KIND_OPAQUE) {
    return timestamp(b, c);
  } else if (kind != TM_KIND_BIGINT || unit == TM_TIME_ISO8601) {
    return NOWHEN;
  }
  if (!is_text || (kind != TM_KIND_STRING && unit == TM_TIME_ISO8601)) return NOWHEN;
  return tm_ffi_time_text(b->raw + c->off, tm_cell_len(c), unit);
}

int32_t tm_ffi_time_column(const struct tm_batch *b, const struct tm_cell *cells, int32_t unit, double *times) {
  int32_t without = 0;
  for (int32_t row = 0; row < b->rows; row++) {
    times[row] = time_of(b, cells + row, unit);
    without += isnan(times[row]) && b->status[row] == TM_LINE_OK;
  }
  return without;
}

void tm_ffi_time_highest(const double *times, int32_t rows, double from, double limit, double *highest) {
  for (int32_t row = 0; row < rows; row++) {
    highest[row] = from;
    if (times[row] > from && times[row] <= limit) from = times[row];
  }
  highest[rows] = from;
}

int32_t tm_ffi_time_trip(const double *highest, int32_t first, int32_t last, double trip) {
  while (first <= last && highest[first + 1] < trip) first++;
  return first;
}
