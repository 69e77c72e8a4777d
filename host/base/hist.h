/* hist.h - a log-linear histogram of durations (any unit, ns here), after HdrHistogram.
 *
 * Each power of two is cut into 16 equal buckets; values below 16 have a bucket each:
 *
 *   value   0 1 2 .. 15 | 16 17 .. 31 | 32-33 34-35 .. 62-63 | 64-67 68-71 .. 124-127 | ...
 *   bucket  0 1 2 .. 15 | 16 17 .. 31 | 32    33    .. 47    | 48    49    .. 63      | ...
 *
 * A bucket is at most 1/16 of its lower end wide, so a quantile read from it is off by at most 6.25 % (half of it,
 * as the middle is told). No pointers, no allocation: the struct lives in shared memory, all zero is the empty
 * histogram. One writer; readers may look at any time and see a state at most one record old in parts. */
#ifndef TM_BASE_HIST_H
#define TM_BASE_HIST_H

#include <stdint.h>

enum { TM_HIST_SUB = 16, TM_HIST_BUCKETS = 64 * TM_HIST_SUB };

struct tm_hist {
  uint64_t count;                     /* records */
  uint64_t min;                       /* exact; meaningless while count is 0 */
  uint64_t max;                       /* exact */
  double sum;
  uint64_t buckets[TM_HIST_BUCKETS];  /* 976 are reachable; the size is a round one */
};

/* The bucket of a value. */
static inline int tm_hist_bucket(uint64_t value)
{
  int shift;

  if (value < TM_HIST_SUB) return (int)value;
  shift = 59 - __builtin_clzll(value);  /* leaves 5 bits, the first of them 1 */
  return shift * TM_HIST_SUB + (int)(value >> shift);
}

/* Counts `value` count times. */
static inline void tm_hist_record(struct tm_hist *h, uint64_t value, uint64_t count)
{
  if (count == 0) return;
  h->buckets[tm_hist_bucket(value)] += count;
  if (h->count == 0 || value < h->min) h->min = value;
  if (value > h->max) h->max = value;
  h->sum += (double)value * (double)count;
  h->count += count;
}

/* The smallest recorded value that at least q (0..1) of the records do not exceed, within a bucket and never
 * outside min..max; 0 if there are no records. */
uint64_t tm_hist_quantile(const struct tm_hist *h, double q);
/* The mean, exact up to rounding; 0 if there are no records. */
double tm_hist_mean(const struct tm_hist *h);

#endif
