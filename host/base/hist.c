/* hist.c - reading struct tm_hist.
 *
 * The reader may be another process than the writer, so it never trusts `count` to fit the buckets: it adds them
 * up itself. Reading walks about a thousand words, a microsecond: for summaries, not for hot paths. */
#include "hist.h"

#include <math.h>

/* The least value of a bucket; the inverse of tm_hist_bucket. */
static uint64_t bucket_low(int i) {
  int shift = i / TM_HIST_SUB - 1;

  if (i < 2 * TM_HIST_SUB) return (uint64_t)i;
  return (uint64_t)(i % TM_HIST_SUB + TM_HIST_SUB) << shift;
}

static uint64_t bucket_width(int i) {
  return i < 2 * TM_HIST_SUB ? 1 : (uint64_t)1 << (i / TM_HIST_SUB - 1);
}

uint64_t tm_hist_quantile(const struct tm_hist *h, double q) {
  uint64_t total = 0, seen = 0, rank, value;
  double want;
  int i;

  for (i = 0; i < TM_HIST_BUCKETS; i++) total += h->buckets[i];
  if (total == 0) return 0;
  want = ceil((q < 0 ? 0 : q > 1 ? 1 : q) * (double)total);
  rank = want < 1 ? 1 : want >= (double)total ? total : (uint64_t)want;
  for (i = 0; i < TM_HIST_BUCKETS - 1; i++) {
    seen += h->buckets[i];
    if (seen >= rank) break;
  }
  value = bucket_low(i) + bucket_width(i) / 2;
  if (value < h->min) value = h->min;
  return value > h->max ? h->max : value;
}

double tm_hist_mean(const struct tm_hist *h) {
  return h->count == 0 ? 0 : h->sum / (double)h->count;
}
