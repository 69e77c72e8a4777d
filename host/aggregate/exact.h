/* exact.h - sums at hand divided once, for those who keep no text of them. */
#ifndef TM_AGGREGATE_EXACT_H
#define TM_AGGREGATE_EXACT_H

#include "wide.h"

/* (h + l) / by, rounded once; h is the nearest double of both, by a whole number above 0 */
double tm_exact_ratio(double h, double l, double by);
/* the same of a sum that is not settled yet */
double tm_exact_wide_ratio(struct tm_wide *w, double by);

#endif
