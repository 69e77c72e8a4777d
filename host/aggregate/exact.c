/* exact.c - sums that do not depend on the order: what two doubles of a record cannot hold of a sum, in a text.
 *
 *   text | first digit, int16 | digits, uint16, and 0x8000: negative | digits, uint32 each |      units as in wide.h
 *
 * The loop adds to a pair h, l: h is their sum rounded, l the rest, so that the pair is exact and one value has one pair.
 * What an addition would lose of that goes here, and the sum is h + l + the text's value, exactly. A text of value 0 has no
 * bytes. Results are rounded once. */
#include <math.h>

#include "edit.h"
#include "exact.h"

enum { HEAD = 4, NEGATIVE = 0x8000 };

static void load(struct tm_wide *w, const char *text, uint32_t len) {
  uint16_t n;
  int16_t first;
  if (len < HEAD) return;
  memcpy(&first, text, sizeof first);
  memcpy(&n, text + 2, sizeof n);
  int count = n & (NEGATIVE - 1);
  for (int i = 0; i < count; i++) {
    uint32_t d;
    memcpy(&d, text + HEAD + 4 * i, sizeof d);
    w->d[first + i] += n & NEGATIVE ? -(int64_t)d : (int64_t)d;
  }
  if (first < w->lo) w->lo = first;
  if (first + count > w->hi) w->hi = first + count;
}

static void store(struct tm_edit *e, struct tm_wide *w) {
  int negative = tm_wide_settle(w), n = w->hi - w->lo;
  uint32_t size = n > 0 ? (uint32_t)(HEAD + 4 * n) : 0;
  int failed = size == e->len ? tm_edit_keep(e, e->p, size) : tm_edit_resize(e, size, 0);
  if (failed || size == 0) return;
  int16_t first = (int16_t)w->lo;
  uint16_t count = (uint16_t)(n | (negative ? NEGATIVE : 0));
  memcpy(e->p, &first, sizeof first);
  memcpy(e->p + 2, &count, sizeof count);
  for (int i = 0; i < n; i++) {
    uint32_t d = (uint32_t)w->d[w->lo + i];
    memcpy(e->p + HEAD + 4 * i, &d, sizeof d);
  }
}

/* The value of a field begins to change: w holds it. */
static int begin(struct tm_edit *e, struct tm_wide *w, struct tm_state *s, void *record, int32_t field) {
  if (tm_edit_begin(e, s, record, field) != 0) return -1;
  tm_wide_zero(w);
  load(w, e->p, e->len);
  return 0;
}

int32_t tm_ffi_exact_add(struct tm_state *s, void *record, int32_t field, double v, double w) {
  struct tm_edit e;
  struct tm_wide sum;
  if (begin(&e, &sum, s, record, field) == 0) {
    tm_wide_add(&sum, v);
    tm_wide_add(&sum, w);
    store(&e, &sum);
  }
  return tm_edit_end(&e);
}

int32_t tm_ffi_exact_add_square(struct tm_state *s, void *record, int32_t field, double hi, double lo, double sign) {
  struct tm_edit e;
  struct tm_wide sum;
  if (begin(&e, &sum, s, record, field) == 0) {
    tm_wide_add_square(&sum, hi, lo, sign);
    store(&e, &sum);
  }
  return tm_edit_end(&e);
}

int32_t tm_ffi_exact_merge(struct tm_state *s, void *record, int32_t field, struct tm_state *s2, const void *record2) {
  struct tm_edit e;
  struct tm_wide sum;
  uint32_t len;
  const char *text = tm_edit_text(s2, record2, field, &len);
  if (len == 0) return TM_STATE_OK;
  if (begin(&e, &sum, s, record, field) == 0) {
    load(&sum, text, len);
    store(&e, &sum);
  }
  return tm_edit_end(&e);
}

/* All of a sum, settled: 1 if it is negative. */
static int whole(struct tm_wide *w, struct tm_state *s, const void *record, int32_t field, double h, double l) {
  uint32_t len;
  const char *text = tm_edit_text(s, record, field, &len);
  tm_wide_zero(w);
  load(w, text, len);
  tm_wide_add(w, h);
  tm_wide_add(w, l);
  return tm_wide_settle(w);
}

double tm_ffi_exact_sum(struct tm_state *s, const void *record, int32_t field, double h, double l) {
  struct tm_wide w;
  int negative = whole(&w, s, record, field, h, l);
  double v = tm_wide_round(&w);
  return negative ? -v : v;
}

int32_t tm_ffi_exact_digits(struct tm_state *s, const void *record, int32_t field, double h, double l, int32_t places, char *out) {
  enum { DIGITS = 40 };
  struct tm_wide w;
  unsigned __int128 v;
  char digits[DIGITS];
  int n = 0, len = 0;
  int negative = whole(&w, s, record, field, h, l);
  if (!tm_wide_integer(&w, &v)) return 0;
  for (; v != 0 || n <= places; v /= 10) digits[n++] = (char)('0' + (int)(v % 10));
  int from = 0;   /* zeros at the end of the fraction are not written */
  while (from < places && digits[from] == '0') from++;
  if (negative) out[len++] = '-';
  for (int i = n - 1; i >= from; i--) {
    if (i == places - 1) out[len++] = '.';
    out[len++] = digits[i];
  }
  return len;
}

/* h + l over `by`, rounded once; NaN where two doubles do not tell. */
static double quick_mean(double h, double l, double by) {
  double q = h / by, c = (fma(-q, by, h) + l) / by;
  double r = q + c, rest = c - (r - q);
  double ulp = nextafter(fabs(r), INFINITY) - fabs(r);
  /* c is known to some 2^-50 of itself, and it is at most an ulp or two of q */
  return fabs(r) > 1e-250 && fabs(rest) < 0.4999 * ulp && fabs(r) < 1e300 ? r : (double)NAN;
}

double tm_exact_ratio(double h, double l, double by) {
  struct tm_wide w;
  if (by < 0x1p53) {
    double quick = l == 0 && fabs(h) < 0x1p53 ? h / by : quick_mean(h, l, by);
    if (quick == quick) return quick;
  }
  tm_wide_zero(&w);
  tm_wide_add(&w, h);
  tm_wide_add(&w, l);
  return tm_exact_wide_ratio(&w, by);
}

double tm_exact_wide_ratio(struct tm_wide *w, double by) {
  int negative = tm_wide_settle(w);
  double v = by < 0x1p95 ? tm_wide_ratio(w, (unsigned __int128)by, 0) : tm_wide_round(w) / by;
  return negative ? -v : v;
}

double tm_ffi_exact_mean(struct tm_state *s, const void *record, int32_t field, double h, double l, double n, double scale) {
  struct tm_wide w;
  uint32_t len;
  tm_edit_text(s, record, field, &len);
  if (len == 0 && n * scale < 0x1p53) {
    double quick = quick_mean(h, l, n * scale);
    if (quick == quick) return quick;
  }
  int negative = whole(&w, s, record, field, h, l);
  unsigned __int128 by = (unsigned __int128)n * (unsigned __int128)scale;
  double v = by >> 96 == 0 ? tm_wide_ratio(&w, by, 0) : tm_wide_round(&w) / n / scale;
  return negative ? -v : v;
}

double tm_ffi_exact_variance(struct tm_state *s, const void *record, const int32_t *fields, const double *sums, double n, double scale,
                             int32_t root) {
  struct tm_wide sum, squares;
  whole(&sum, s, record, fields[0], sums[0], sums[1]);
  whole(&squares, s, record, fields[1], sums[2], sums[3]);
  tm_wide_times(&squares, (uint64_t)n);
  tm_wide_minus_square(&squares, &sum);
  tm_wide_settle(&squares);
  double pairs = n * (n - 1), by = pairs * scale * scale;
  if (by < 0x1p95) {
    unsigned __int128 whole_by = (unsigned __int128)n * (unsigned __int128)(n - 1) * (unsigned __int128)scale * (unsigned __int128)scale;
    return tm_wide_ratio(&squares, whole_by, root);
  }
  double v = tm_wide_round(&squares) / pairs / scale / scale;
  return root ? sqrt(v) : v;
}
