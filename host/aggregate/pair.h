/* pair.h - a sum as two doubles, the nearest one and the rest: exact as long as what is left of an addition is 0. */
#ifndef TM_AGGREGATE_PAIR_H
#define TM_AGGREGATE_PAIR_H

#include <math.h>

/* v more in the pair at `sum`, h and l of aggregates/numbers.lua: what the pair cannot hold of it; NaN, with nothing done: it is too
 * large for a pair. */
static inline double tm_pair_add(double *sum, double v) {
  double h = sum[0], t = h + v;
  if (!(fabs(t) < 0x1p1000)) return (double)NAN;
  double b = t - h, d = (h - (t - b)) + (v - b), l = sum[1], u = l + d;
  double c = u - l, y = t + u;
  sum[1] = u - (y - t);
  sum[0] = y;
  return (l - (u - c)) + (d - c);
}

#endif
