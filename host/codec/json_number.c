/* json_number.c - JSON numbers beyond what the scanners do in passing.
 *
 * Values are correctly rounded, whatever the number of digits: up to 2^53 with a power of ten that a double holds, one
 * multiplication or division of two exact values is (Clinger, "How to read floating point numbers accurately",
 * 1990); all others go through strtod on a copy. The copy is bounded: behind 800 significant digits it
 * matters only whether any digit is not zero, since no halfway point between two doubles has more than 768.
 * strtod reads '.' because the program never leaves the "C" locale.
 * The text is valid when it comes here; nothing is checked again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_scanner.h"

enum { DIGITS_MAX = 800, EXP_MAX = 1000000 };

const double tm_json_pow10[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* m * 10^exp10, with `sticky` digits of no importance cut off behind. */
struct decimal {
  uint64_t m;              /* the first 19 significant digits */
  int64_t exp10;           /* of the digits kept in `digits` */
  int32_t n;               /* significant digits kept */
  int32_t negative;
  int32_t integer;         /* no fraction, no exponent */
  char digits[DIGITS_MAX + 1];
};

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

const char *tm_json_number_end(const char *p) {
  if (*p == '-') p++;
  if (*p == '0') {
    p++;
  } else {
    if (!is_digit(*p)) return NULL;
    while (is_digit(*p)) p++;
  }
  if (*p == '.') {
    p++;
    if (!is_digit(*p)) return NULL;
    while (is_digit(*p)) p++;
  }
  if (*p == 'e' || *p == 'E') {
    p++;
    if (*p == '+' || *p == '-') p++;
    if (!is_digit(*p)) return NULL;
    while (is_digit(*p)) p++;
  }
  return p;
}

/* Takes one digit; `unit` is 0 before the point and -1 behind it. */
static void decimal_push(struct decimal *d, char c, int unit) {
  if (d->n == 0 && c == '0') {
    d->exp10 += unit;
    return;
  }
  if (d->n < DIGITS_MAX) {
    if (d->n < 19) d->m = d->m * 10 + (uint64_t)(c - '0');
    d->digits[d->n++] = c;
    d->exp10 += unit;
  } else {
    /* Not kept: a digit that is not zero makes the last kept place odd, so that no tie is seen where none is. */
    if (c != '0') d->digits[DIGITS_MAX] = '1';
    d->exp10 += unit + 1;
  }
}

static int64_t exponent_read(const char *p, const char *end) {
  int negative = *p == '-';
  int64_t e = 0;
  if (*p == '-' || *p == '+') p++;
  for (; p < end; p++) {
    if (e < INT64_C(1000000000)) e = e * 10 + (*p - '0');
  }
  return negative ? -e : e;
}

static void decimal_read(struct decimal *d, const char *p, const char *end) {
  d->m = 0;
  d->exp10 = 0;
  d->n = 0;
  d->digits[DIGITS_MAX] = '0';
  d->negative = *p == '-';
  d->integer = 1;
  p += d->negative;
  for (; p < end && is_digit(*p); p++) decimal_push(d, *p, 0);
  if (p < end && *p == '.') {
    d->integer = 0;
    for (p++; p < end && is_digit(*p); p++) decimal_push(d, *p, -1);
  }
  if (p < end) {
    d->integer = 0;
    d->exp10 += exponent_read(p + 1, end);
  }
}

static double decimal_strtod(struct decimal *d) {
  char text[DIGITS_MAX + 32];
  int64_t e = d->exp10;
  int32_t n = d->n;
  memcpy(text, d->digits, (size_t)n);
  if (n == DIGITS_MAX) {
    text[n++] = d->digits[DIGITS_MAX];
    e--;
  }
  if (e > EXP_MAX) e = EXP_MAX;
  if (e < -EXP_MAX) e = -EXP_MAX;
  text[n++] = 'e';
  if (e < 0) text[n++] = '-';
  uint64_t u = (uint64_t)(e < 0 ? -e : e);
  for (uint64_t unit = EXP_MAX; unit > 0; unit /= 10) text[n++] = (char)('0' + u / unit % 10);
  text[n] = 0;
  return strtod(text, NULL);
}

static double decimal_value(struct decimal *d) {
  const uint64_t exact = UINT64_C(1) << 53;
  double v;
  if (d->n == 0) {
    v = 0;
  } else if (d->n <= 19 && d->m <= exact && d->exp10 >= -22 && d->exp10 <= 22) {
    v = (double)d->m;
    v = d->exp10 < 0 ? v / tm_json_pow10[-d->exp10] : v * tm_json_pow10[d->exp10];
  } else {
    v = decimal_strtod(d);
  }
  return d->negative ? -v : v;
}

void tm_json_number_cell(const char *text, int32_t len, int want, struct tm_cell *out) {
  static const uint64_t nan_bits = 0x7FF8000000000000u;
  const uint64_t exact = UINT64_C(1) << 53;
  struct decimal d;
  int32_t kind = TM_KIND_NUMBER;
  double v = 0;
  decimal_read(&d, text, text + len);
  if (d.integer) {
    /* exp10 > 0: more digits than are kept */
    if (d.n > 19 || d.m > exact || d.exp10 > 0) kind = TM_KIND_BIGINT;
  }
  /* With its leading digit below 10^308 a number is in range; only others need the value to tell. */
  if (kind == TM_KIND_NUMBER && (want || d.n + d.exp10 > 308)) {
    v = decimal_value(&d);
    if (isinf(v)) kind = TM_KIND_HUGE;
  }
  memcpy(&out->num, &nan_bits, sizeof nan_bits);
  if (want && kind == TM_KIND_NUMBER) out->num = v;
  out->tag = (int32_t)((uint32_t)len << 4 | (uint32_t)kind);
}
