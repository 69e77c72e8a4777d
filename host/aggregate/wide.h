/* wide.h - exact arithmetic on sums of doubles and of their squares: one integer of 4,608 bits, in units of 2^-2176.
 *
 *   value = sum of d[i] * 2^(32 * i - 2176)        d[i] is zero outside [lo, hi)
 *
 * Every double is a multiple of 2^-1074 below 2^1024, so a square is one of 2^-2148 below 2^2048, and 2^64 of them fit.
 * Digits are of any size and sign while things are added; settling makes them a sign and digits of 32 bits. */
#ifndef TM_AGGREGATE_WIDE_H
#define TM_AGGREGATE_WIDE_H

#include <stdint.h>

enum { TM_WIDE_DIGITS = 144, TM_WIDE_UNIT = 68 };   /* UNIT: the digit that counts ones */

struct tm_wide {
  int32_t lo, hi;
  int64_t d[TM_WIDE_DIGITS];
};

void tm_wide_zero(struct tm_wide *w);
void tm_wide_add(struct tm_wide *w, double v);              /* v is finite */
/* adds (hi + lo)^2, or takes it away where sign is -1; both finite */
void tm_wide_add_square(struct tm_wide *w, double hi, double lo, double sign);
/* Digits of 32 bits, none at the ends zero: 1 if the value is negative (the digits are its absolute value's), else 0. */
int tm_wide_settle(struct tm_wide *w);

/* Of settled ones, which are as if positive. */
static inline int tm_wide_is_zero(const struct tm_wide *w) { return w->hi <= w->lo; }
double tm_wide_round(const struct tm_wide *w);              /* to the nearest double, ties to even; infinity beyond all */
/* The integer it is, in *out: 1, or 0 where it is none or 2^127 and beyond. */
int tm_wide_integer(const struct tm_wide *w, unsigned __int128 *out);
void tm_wide_times(struct tm_wide *w, uint64_t n);          /* n < 2^53; settled again */
void tm_wide_minus_square(struct tm_wide *w, const struct tm_wide *v);   /* w - v^2; to be settled */
/* w / by, or its square root, to the nearest double; by is below 2^96 and not 0. */
double tm_wide_ratio(const struct tm_wide *w, unsigned __int128 by, int root);

#endif
