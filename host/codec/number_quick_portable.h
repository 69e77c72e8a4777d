/* number_quick_portable.h - short numbers in plain C, as number_quick_avx2.h reads them.
 *
 * Included by json_scan_portable.c and csv_scan_portable.c. What ends a number must stand behind it. */
#ifndef TM_CODEC_NUMBER_QUICK_PORTABLE_H
#define TM_CODEC_NUMBER_QUICK_PORTABLE_H

#include "json_scanner.h"

/* A short number without exponent. */
struct quick {
  int32_t end;      /* its length */
  int32_t digits;
  int32_t minus;    /* 0 or 1 */
  int32_t point;    /* digits behind the point */
  uint64_t m;       /* the digits as an integer, if there are at most TM_JSON_DIGITS_SAFE */
};

static inline int quick_read(const char *text, struct quick *q) {
  const char *p = text + (*text == '-'), *first = p, *dot;
  uint64_t m = 0;
  for (; (unsigned char)(*p - '0') < 10; p++) m = m * 10 + (uint64_t)(*p - '0');
  if (p == first || (*first == '0' && p - first > 1)) return 0;
  dot = p;
  q->point = 0;
  if (*p == '.') {
    for (p++; (unsigned char)(*p - '0') < 10; p++) m = m * 10 + (uint64_t)(*p - '0');
    q->point = (int32_t)(p - dot - 1);
    if (q->point == 0) return 0;
  }
  q->end = (int32_t)(p - text);
  q->minus = *text == '-';
  q->digits = (int32_t)(dot - first) + q->point;
  q->m = m;
  return 1;
}

static inline double quick_value(const char *text, const struct quick *q) {
  (void)text;
  double d = (double)(int64_t)q->m / tm_json_pow10[q->point];
  return q->minus ? -d : d;
}

#endif
