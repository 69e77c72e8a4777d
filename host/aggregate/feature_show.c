/* feature_show.c - results read off what is kept, into columns.
 *
 * A sum or mean is rounded once; a deviation comes from exact sums too, and is right but for its last place or two, where two doubles
 * tell it, else rounded once. The distance of two places is the haversine formula on a sphere of the Earth's mean radius (IUGG), as
 * tm.geo.km has it. */
#include <math.h>

#include "../base/err.h"
#include "exact.h"
#include "feature.h"

static const double DIAMETER_KM = 2 * 6371.0088;
static const double RADIANS = 3.14159265358979323846 / 180;
static const double HOUR_MS = 3600000;

static double km_between(double lat1, double lon1, double lat2, double lon2) {
  double a = sin((lat2 - lat1) * RADIANS / 2), b = sin((lon2 - lon1) * RADIANS / 2);
  double root = sqrt(a * a + cos(lat1 * RADIANS) * cos(lat2 * RADIANS) * b * b);
  return DIAMETER_KM * asin(root < 1 ? root : 1);
}

/* ---- sums ---- */

static double total_of(const struct tm_feature_at *a, const struct tm_feature_show *s, const double *num) {
  struct tm_wide sum;
  double h = num[1], l = num[2];
  if (h == h) return s->scale == 1 ? h : tm_exact_ratio(h, l, s->scale);
  tm_feature_anew(a, a->p->sums + s->sum, s->window, &sum, NULL);
  return tm_exact_wide_ratio(&sum, s->scale);
}

static double mean_of(const struct tm_feature_at *a, const struct tm_feature_show *s, const double *num) {
  struct tm_wide sum;
  if (num[1] == num[1]) return tm_exact_ratio(num[1], num[2], num[0] * s->scale);
  tm_feature_anew(a, a->p->sums + s->sum, s->window, &sum, NULL);
  return tm_exact_wide_ratio(&sum, num[0] * s->scale);
}

/* n * squares - sum^2 as a pair of doubles, which has some 100 bits; NaN where so much cancels that they are not enough */
static double spread_of(const double *num) {
  double n = num[0], h = num[1], l = num[2], g = num[3] + num[4], m = (num[4] - (g - num[3])) + num[5];
  double p = h * h, e = fma(h, h, -p) + 2 * h * l, q = n * g, f = fma(n, g, -q) + n * m;
  double d = q - p, b = d - q, rest = (q - (d - b)) - (p + b);
  double spread = d + (rest + (f - e));
  if (spread == 0 && rest == 0 && f == 0 && e == 0) return 0;
  return spread > 1e-9 * q && q < 1e300 && p > 1e-250 ? spread : (double)NAN;
}

/* Are all values of a window the same? */
static int all_equal(const struct tm_feature_at *a, const struct tm_feature_show *s) {
  double first = (double)NAN;
  if (a->r->kind == TM_FEATURE_STEPS) return 0;
  for (uint32_t i = a->lo[s->window]; i < a->hi; i++) {
    const uint64_t *e = tm_feature_entry(a, i);
    if (!tm_feature_counts(a, e, s->cell, s->mask)) continue;
    double v = tm_feature_double(e, s->cell);
    if (first == first && v != first) return 0;
    first = v;
  }
  return 1;
}

/* the sample's, of n > 1 values; NaN: it cannot be told */
static double deviation_of(const struct tm_feature_at *a, const struct tm_feature_show *s, const double *num) {
  struct tm_wide sum, squares;
  double n = num[0], pairs = n * (n - 1), by = pairs * s->scale * s->scale;
  double spread = num[1] == num[1] && num[3] == num[3] ? spread_of(num) : (double)NAN;
  if (spread == spread) return sqrt(spread / pairs) / s->scale;
  if (all_equal(a, s)) return 0;
  if (!tm_feature_anew(a, a->p->sums + s->sum, s->window, &sum, &squares)) return (double)NAN;
  tm_wide_settle(&sum);
  tm_wide_settle(&squares);
  tm_wide_times(&squares, (uint64_t)n);
  tm_wide_minus_square(&squares, &sum);
  tm_wide_settle(&squares);
  return by < 0x1p95 ? tm_wide_ratio(&squares, (unsigned __int128)by, 1) : sqrt(tm_wide_round(&squares) / pairs) / s->scale;
}

/* ---- entries ---- */

/* the last that counts in [lo, hi), or NULL */
static const uint64_t *last_of(const struct tm_feature_at *a, const struct tm_feature_show *s, uint32_t lo, uint32_t hi) {
  for (; hi > lo; hi--) {
    const uint64_t *e = tm_feature_entry(a, hi - 1);
    if (tm_feature_counts(a, e, s->cell, s->mask)) return e;
  }
  return NULL;
}

static const uint64_t *first_of(const struct tm_feature_at *a, const struct tm_feature_show *s, uint32_t lo, uint32_t hi) {
  for (; lo < hi; lo++) {
    const uint64_t *e = tm_feature_entry(a, lo);
    if (tm_feature_counts(a, e, s->cell, s->mask)) return e;
  }
  return NULL;
}

static void swap(double *x, double *y) {
  double v = *x;
  *x = *y;
  *y = v;
}

/* The value at place k of n in order, by quickselect (Hoare 1961), which moves them. */
static double select_of(double *v, uint32_t n, uint32_t k) {
  uint32_t low = 0, high = n - 1, seed = n;
  while (low < high) {
    seed = seed * 1664525u + 1013904223u;
    double pivot = v[low + (seed >> 8) % (high - low + 1)];
    uint32_t i = low, j = high;
    for (;;) {
      while (v[i] < pivot) i++;
      while (v[j] > pivot) j--;
      if (i >= j) break;
      swap(v + i++, v + j--);
    }
    /* what is before i is not above the pivot, what is behind j not below it; i == j: v[i] is the pivot */
    if (i == j) {
      if (k == i) return v[k];
      if (k < i) high = i - 1;
      else low = i + 1;
    } else if (k <= j) {
      high = j;
    } else {
      low = i;
    }
  }
  return v[k];
}

static uint32_t ranks_of(const struct tm_feature_at *a, const struct tm_feature_show *s, uint32_t lo, uint32_t hi) {
  uint32_t n = 0;
  for (uint32_t i = lo; i < hi; i++) {
    const uint64_t *e = tm_feature_entry(a, i);
    if (tm_feature_counts(a, e, s->cell, s->mask)) a->p->ranks[n++] = tm_feature_double(e, s->cell);
  }
  return n;
}

/* ---- showing ---- */

static int found(double *v, double value) {
  *v = value;
  return 1;
}

static int show_last(const struct tm_feature_at *a, struct tm_feature_show *s, uint32_t lo, uint32_t hi, double *v) {
  const uint64_t *e = last_of(a, s, lo, hi);
  if (e == NULL) return 0;
  tm_tagged_get(a->t, e[s->cell], &s->value);
  int32_t kind = s->value.kind;
  if (kind == TM_VALUE_NUMBER) *v = s->value.num;
  if (kind == TM_VALUE_TRUE || kind == TM_VALUE_FALSE) *v = kind == TM_VALUE_TRUE;
  return 1;
}

/* A result of a ring: 1 with its value in *v, or 0 where there is none. */
static int result_of(const struct tm_feature_at *a, struct tm_feature_show *s, double *v) {
  const double *num = s->sum >= 0 ? a->num + a->p->sums[s->sum].at : NULL;
  uint32_t lo = a->lo[s->window], hi = a->hi, n;
  const uint64_t *e;
  switch (s->kind) {
    case TM_SHOW_EVENTS: return found(v, hi - lo);
    case TM_SHOW_N: return found(v, s->share > 0 && num[0] > s->share ? s->share : num[0]);
    case TM_SHOW_TOTAL: return num[0] > 0 && found(v, total_of(a, s, num));
    case TM_SHOW_AVERAGE: return num[0] > 0 && found(v, mean_of(a, s, num));
    case TM_SHOW_DEVIATION: return num[0] > 1 && found(v, deviation_of(a, s, num)) && *v == *v;
    case TM_SHOW_EXTREME: return num[0] > 0 && found(v, num[1] / s->scale);
    case TM_SHOW_RANK:
      n = ranks_of(a, s, lo, hi);
      return n > 0 && found(v, select_of(a->p->ranks, n, (uint32_t)(s->share * (n - 1))) / s->scale);
    case TM_SHOW_SEEN:
      if (a->p->in[s->slot].kind == TM_VALUE_NIL) return 0;
      return found(v, tm_feature_among(a, s->cell, s->mask, tm_feature_hash(a->t, a->p->in + s->slot), lo, hi, UINT32_MAX));
    case TM_SHOW_LAST: return show_last(a, s, lo, hi, v);
    case TM_SHOW_FIRST_TIME:
      e = first_of(a, s, lo, hi);
      return e != NULL && found(v, tm_feature_double(e, 0));
    default:
      e = last_of(a, s, lo, hi);
      return e != NULL && found(v, a->time - tm_feature_double(e, 0));
  }
}

void tm_feature_show(const struct tm_feature_at *a, int32_t before) {
  for (int32_t i = a->r->show_from; i < a->r->show_to; i++) {
    struct tm_feature_show *s = a->p->shows + i;
    if (s->before != before) continue;
    double v = 0, n = s->least;
    int known = result_of(a, s, &v);
    if (s->history == -1) n = a->hi - a->lo[s->window];
    else if (s->history >= 0) n = a->num[a->p->sums[s->history].at];
    s->number[a->row] = v;
    s->known[a->row] = (uint8_t)(!known ? TM_FEATURE_NIL : n < s->least ? TM_FEATURE_WARMING : TM_FEATURE_KNOWN);
  }
}

/* ---- what has no ring ---- */

static int show_place(const struct tm_features *p, const struct tm_feature_show *s, const double *at, double t, int32_t row, double *v) {
  const struct tm_value *lat = p->in + s->slot, *lon = p->in + s->low;
  double ms = fabs(t - at[2]);
  if (lat->kind == TM_VALUE_NIL || lon->kind == TM_VALUE_NIL || at[3] == 0 || !(ms < s->within)) return 0;
  if (s->mask != 0 && (p->flags & s->mask) == 0) return 0;
  if (s->kind == TM_SHOW_KM) return found(v, km_between(at[0], at[1], lat->num, lon->num));
  return found(v, s->kind == TM_SHOW_TRAVEL_MS ? ms : p->shows[s->over].number[row] / (ms < 1 ? 1 : ms) * HOUR_MS);
}

static int show_ratio(const struct tm_features *p, const struct tm_feature_show *s, int32_t row, double *v) {
  const struct tm_feature_show *x = p->shows + s->over, *y = p->shows + s->under;
  if (x->known[row] == TM_FEATURE_NIL || y->known[row] == TM_FEATURE_NIL || y->number[row] == 0) return TM_FEATURE_NIL;
  *v = x->number[row] / y->number[row];
  if (*v - *v != 0) return TM_FEATURE_NIL;
  return x->known[row] == TM_FEATURE_WARMING || y->known[row] == TM_FEATURE_WARMING ? TM_FEATURE_WARMING : TM_FEATURE_KNOWN;
}

static int trace_of(const struct tm_features *p, const struct tm_feature_show *s, const double *num, double t, int32_t row, double *v) {
  const double *at = s->sum >= 0 ? num + p->sums[s->sum].at : NULL;
  switch (s->kind) {
    case TM_SHOW_RATIO: return show_ratio(p, s, row, v);
    case TM_SHOW_EWMA: return at[1] > 0 && found(v, at[0] / at[1] / s->scale);
    case TM_SHOW_FIRST_EVER: return at[1] > 0 && found(v, at[0]);
    case TM_SHOW_SINCE_LATEST: return at[1] > 0 && found(v, t > at[0] ? t - at[0] : 0) && *v < s->within;
    default: return show_place(p, s, at, t, row, v);
  }
}

void tm_feature_show_traces(struct tm_features *p, const double *num, double t, int32_t row, int32_t before) {
  for (int32_t i = p->shows_from; i < p->shows_n; i++) {
    struct tm_feature_show *s = p->shows + i;
    if (s->before != before) continue;
    double v = 0;
    int known = trace_of(p, s, num, t, row, &v);
    s->number[row] = v;
    s->known[row] = (uint8_t)known;
  }
}

static struct tm_slot slot_of(const struct tm_feature_show *s, int32_t row, int32_t boolean) {
  if (s->known[row] != TM_FEATURE_KNOWN) return (struct tm_slot){.kind = TM_SLOT_NULL};
  if (s->kind == TM_SHOW_LAST && s->value.kind == TM_VALUE_STRING) {
    return (struct tm_slot){.text = s->value.text, .len = s->value.len, .kind = TM_SLOT_STRING};
  }
  if (boolean || (s->kind == TM_SHOW_LAST && s->value.kind != TM_VALUE_NUMBER)) {
    return (struct tm_slot){.kind = s->number[row] != 0 ? TM_SLOT_TRUE : TM_SLOT_FALSE};
  }
  return (struct tm_slot){.num = s->number[row], .kind = TM_SLOT_NUMBER};
}

void tm_ffi_features_write(const struct tm_features *p, struct tm_view *v, struct tm_overlay *ov, const struct tm_feature_place *places,
                           int32_t n, int32_t row) {
  for (int32_t i = 0; i < n; i++) {
    int32_t slot = places[i].slot;
    if (ov->gens[slot] != v->gen) {
      ov->gens[slot] = v->gen;
      ov->written[v->base + ++v->writes] = slot;
    }
    ov->slots[slot] = slot_of(p->shows + places[i].show, row, places[i].boolean);
  }
  v->dirty = 1;
}
