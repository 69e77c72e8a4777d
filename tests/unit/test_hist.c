/* test_hist.c - base/hist against exact quantiles of the same values, sorted.
 *
 * The reference is the definition: the value at rank ceil(q n) of the sorted list. The histogram may differ from it by
 * one bucket, 6.25 % of the value; exact below 16. Values come from a fixed generator (splitmix64). */
#include <math.h>
#include <stdint.h>

#include "../../host/base/hist.h"
#include "unit.h"

enum { N = 20000 };

static uint64_t state = 42;

static uint64_t random_next(void) {
  uint64_t z = (state += 0x9E3779B97F4A7C15u);

  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static int compare(const void *a, const void *b) {
  uint64_t x, y;

  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return x < y ? -1 : x > y;
}

static void quantiles_check(const char *name, uint64_t *values, int n) {
  static const double qs[] = { 0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1 };
  static struct tm_hist h;
  double sum = 0;
  size_t i;
  int k;

  memset(&h, 0, sizeof h);
  for (k = 0; k < n; k++) {
    tm_hist_record(&h, values[k], 1);
    sum += (double)values[k];
  }
  qsort(values, (size_t)n, sizeof values[0], compare);
  CHECK(h.count == (uint64_t)n && h.min == values[0] && h.max == values[n - 1], "%s: count, min, max", name);
  CHECK(fabs(tm_hist_mean(&h) - sum / n) <= fabs(sum / n) * 1e-9, "%s: mean %g", name, tm_hist_mean(&h));
  for (i = 0; i < sizeof qs / sizeof qs[0]; i++) {
    int rank = (int)ceil(qs[i] * n);
    double exact = (double)values[rank < 1 ? 0 : rank - 1], got = (double)tm_hist_quantile(&h, qs[i]);

    CHECK(exact < 16 ? got == exact : fabs(got - exact) <= exact * 0.0625, "%s: q %g is %.0f, exactly %.0f", name,
          qs[i], got, exact);
  }
}

static void distributions(void) {
  static uint64_t v[N];
  int i, bits;

  for (i = 0; i < N; i++) v[i] = (uint64_t)i % 16;
  quantiles_check("small", v, N);
  for (i = 0; i < N; i++) v[i] = random_next() % 1000000;
  quantiles_check("uniform", v, N);
  for (i = 0; i < N; i++) v[i] = random_next() >> (random_next() % 64);
  quantiles_check("all magnitudes", v, N);
  for (i = 0; i < N; i++) v[i] = (uint64_t)(-log((double)(random_next() >> 11) / 9007199254740992.0 + 1e-18) * 50000);
  quantiles_check("exponential", v, N);
  for (i = 0; i < N; i++) v[i] = i < N - 3 ? 40000 : 900000000;
  quantiles_check("three outliers", v, N);
  for (bits = 0; bits < 64; bits++) {
    v[0] = (uint64_t)1 << bits;
    v[1] = v[0] - 1;
    v[2] = v[0] + 1;
    quantiles_check("powers of two", v, 3);
  }
  v[0] = UINT64_MAX;
  quantiles_check("largest", v, 1);
}

/* Every bucket is met, in order, and no wider than a sixteenth of its low end. */
static void buckets(void) {
  int shift, sub, last = -1;
  uint64_t low, high;

  for (low = 0; low < TM_HIST_SUB; low++) CHECK(tm_hist_bucket(low) == ++last, "bucket of %d", (int)low);
  for (shift = 0; shift < 60; shift++) {
    for (sub = TM_HIST_SUB; sub < 2 * TM_HIST_SUB; sub++) {
      low = (uint64_t)sub << shift;
      high = low + (((uint64_t)1 << shift) - 1);
      last++;
      CHECK(tm_hist_bucket(low) == last && tm_hist_bucket(high) == last, "bucket %d, low %llu", last,
            (unsigned long long)low);
    }
  }
  CHECK(last == 975 && last < TM_HIST_BUCKETS && tm_hist_bucket(UINT64_MAX) == last, "last bucket %d", last);
}

static void edges(void) {
  static struct tm_hist h, many;
  int i;

  CHECK(tm_hist_quantile(&h, 0.5) == 0 && tm_hist_mean(&h) == 0, "empty");
  tm_hist_record(&h, 7, 0);
  CHECK(h.count == 0 && tm_hist_quantile(&h, 1) == 0, "a count of 0 records nothing");
  tm_hist_record(&h, 1000, 3);
  for (i = 0; i < 3; i++) tm_hist_record(&many, 1000, 1);
  CHECK(memcmp(&h, &many, sizeof h) == 0, "3 at once are 3 times 1");
  CHECK(tm_hist_quantile(&h, -1) == 1000 && tm_hist_quantile(&h, 2) == 1000, "q is clipped, one value is exact");
  tm_hist_record(&h, 0, 1);
  CHECK(h.min == 0 && tm_hist_quantile(&h, 0.25) == 0, "zero counts");
}

int main(void) {
  buckets();
  edges();
  distributions();
  return unit_end("hist");
}
