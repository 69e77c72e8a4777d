/* feature_sum.c - what is kept of a window, changed by entries that come and leave.
 *
 * Numbers are given back exactly: a sum is a pair of doubles whose additions left nothing over. One that left something is marked (NaN)
 * and added up anew for each result, in wide integers, until its window is empty; amounts of money never are. The least and the
 * greatest value are looked for again when they leave; different values are counted when no entry behind or before them has the same. */
#include <math.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../base/err.h"
#include "feature.h"
#include "pair.h"

enum { STEP_N = 0, STEP_H, STEP_L };   /* of a source in an entry of STEPS */

/* ---- values ---- */

/* below the exponent of 1, so the cell is a number and no text */
static uint64_t as_number(uint64_t h) { return h & 0x3fffffffffffffffu; }

uint64_t tm_feature_hash(const struct tm_table *t, const struct tm_value *v) {
  if (v->kind == TM_VALUE_NUMBER) {
    double num = v->num == 0 ? 0 : v->num;
    return as_number(XXH3_64bits_withSeed(&num, sizeof num, t->log->seed ^ (uint64_t)TM_VALUE_NUMBER));
  }
  if (v->kind == TM_VALUE_NIL) return (uint64_t)TM_TAG_NIL << 48;
  uint64_t seed = t->log->seed ^ (uint64_t)v->kind;
  return as_number(v->len > 0 ? XXH3_64bits_withSeed(v->text, (size_t)v->len, seed) : XXH3_64bits_withSeed("", 0, seed));
}

int tm_feature_among(const struct tm_feature_at *a, int32_t cell, uint32_t mask, uint64_t value, uint32_t lo, uint32_t hi, uint32_t except) {
  uint32_t cells = a->x.size / TM_CELL_BYTES;
  const uint64_t *e;
  for (uint32_t n; hi > lo; hi -= n) {
    n = tm_feature_piece(a, lo, hi, &e);
    for (uint32_t j = 0; j < n; j++, e -= cells) {
      if (e[cell] == value && hi - 1 - j != except && tm_feature_counts(a, e, cell, mask)) return 1;
    }
  }
  return 0;
}

/* ---- sums ---- */

static void pair_change(double *pair, double v) {
  if (pair[0] == pair[0] && tm_pair_add(pair, v) != 0) pair[0] = (double)NAN;
}

/* x + y as the nearest double, in x, and the rest, in y */
static void two_sum(double *x, double *y) {
  double s = *x + *y, b = s - *x;
  *y = (*x - (s - b)) + (*y - b);
  *x = s;
}

/* v more in three doubles; the square of an amount has twice the digits of one. */
static void triple_change(double *sum, double v) {
  double x[4] = {sum[0], sum[1], sum[2], v};
  if (x[0] != x[0]) return;
  two_sum(x, x + 3);
  two_sum(x + 1, x + 3);
  two_sum(x + 2, x + 3);
  for (int pass = 0; pass < 3 && x[3] != 0; pass++) {
    for (int i = 3; i > 0; i--) two_sum(x + i - 1, x + i);
  }
  for (int i = 0; i < 3; i++) sum[i] = x[i];
  if (x[3] != 0) sum[0] = (double)NAN;
}

static void square_change(double *sum, double v, double sign) {
  double p = v * v;
  if (!(p < 1e300 && (p > 1e-270 || v == 0))) {
    sum[0] = (double)NAN;
    return;
  }
  double e = fma(v, v, -p);
  triple_change(sum, sign * p);
  if (e != 0) triple_change(sum, sign * e);
}

static void value_change(const struct tm_feature_sum *m, double *num, double v, double sign) {
  num[0] += sign;
  if (m->kind == TM_FEATURE_NUMBER) return;
  if (m->kind == TM_FEATURE_LEAST || m->kind == TM_FEATURE_GREATEST) {
    if (num[0] <= 1 || (m->kind == TM_FEATURE_LEAST ? v < num[1] : v > num[1])) num[1] = v;
    return;
  }
  pair_change(num + 1, sign * v);
  if (m->kind == TM_FEATURE_SQUARES) square_change(num + 3, v, sign);
}

/* all of a source in one step of time */
static void step_change(const struct tm_feature_sum *m, double *num, const uint64_t *e, double sign) {
  double n = tm_feature_double(e, m->cell + STEP_N);
  if (n == 0) return;
  if (m->kind == TM_FEATURE_LEAST || m->kind == TM_FEATURE_GREATEST) {
    double v = tm_feature_double(e, m->low);
    if (num[0] == 0 || (m->kind == TM_FEATURE_LEAST ? v < num[1] : v > num[1])) num[1] = v;
    num[0] += sign * n;
    return;
  }
  num[0] += sign * n;
  if (m->kind == TM_FEATURE_NUMBER) return;
  for (int i = 0; i < 2; i++) pair_change(num + 1, sign * tm_feature_double(e, m->cell + STEP_H + i));
  for (int i = 0; m->kind == TM_FEATURE_SQUARES && i < 3; i++) triple_change(num + 3, sign * tm_feature_double(e, m->low + i));
}

static const uint64_t *sum_entry(const struct tm_feature_at *a, const struct tm_feature_sum *m, uint32_t i) {
  const uint64_t *e = tm_feature_entry(a, i);
  return a->r->kind == TM_FEATURE_STEPS || tm_feature_counts(a, e, m->cell, m->mask) ? e : NULL;
}

static void entry_change(const struct tm_feature_at *a, const struct tm_feature_sum *m, const uint64_t *e, double sign) {
  double *num = a->num + m->at;
  if (a->r->kind == TM_FEATURE_STEPS) step_change(m, num, e, sign);
  else value_change(m, num, m->cell != 0 ? tm_feature_double(e, m->cell) : 1, sign);
}

void tm_feature_enter(const struct tm_feature_at *a, int32_t k, uint32_t i) {
  const struct tm_feature_window *w = a->r->windows + k;
  for (int32_t j = w->sum_from; j < w->sum_to; j++) {
    const struct tm_feature_sum *m = a->p->sums + j;
    const uint64_t *e = sum_entry(a, m, i);
    if (e == NULL) continue;
    if (m->kind != TM_FEATURE_VALUES) entry_change(a, m, e, 1);
    else if (!tm_feature_among(a, m->cell, m->mask, e[m->cell], a->lo[k], a->hi, i)) a->num[m->at]++;
  }
}

/* the value at `best` has left: the next one */
static void extreme_find(const struct tm_feature_at *a, const struct tm_feature_sum *m, uint32_t lo) {
  struct tm_feature_sum one = *m;
  double found[2] = {0, 0};
  for (uint32_t i = lo; i < a->hi; i++) {
    const uint64_t *e = sum_entry(a, m, i);
    if (e == NULL) continue;
    if (a->r->kind == TM_FEATURE_STEPS) step_change(&one, found, e, 1);
    else value_change(&one, found, tm_feature_double(e, m->cell), 1);
  }
  a->num[m->at] = found[0];
  a->num[m->at + 1] = found[1];
}

static void extreme_leave(const struct tm_feature_at *a, const struct tm_feature_sum *m, uint32_t from, uint32_t lo) {
  double *num = a->num + m->at;
  int gone = 0;
  for (uint32_t i = from; i < lo; i++) {
    const uint64_t *e = sum_entry(a, m, i);
    if (e == NULL) continue;
    if (a->r->kind == TM_FEATURE_STEPS) {
      num[0] -= tm_feature_double(e, m->cell + STEP_N);
      gone |= tm_feature_double(e, m->low) == num[1];
    } else {
      num[0]--;
      gone |= tm_feature_double(e, m->cell) == num[1];
    }
  }
  if (gone) extreme_find(a, m, lo);
}

void tm_feature_leave(const struct tm_feature_at *a, int32_t k, uint32_t from) {
  const struct tm_feature_window *w = a->r->windows + k;
  uint32_t lo = a->lo[k];
  for (int32_t j = w->sum_from; j < w->sum_to; j++) {
    const struct tm_feature_sum *m = a->p->sums + j;
    if (m->kind == TM_FEATURE_LEAST || m->kind == TM_FEATURE_GREATEST) {
      extreme_leave(a, m, from, lo);
      continue;
    }
    for (uint32_t i = from; i < lo; i++) {
      const uint64_t *e = sum_entry(a, m, i);
      if (e == NULL) continue;
      if (m->kind != TM_FEATURE_VALUES) entry_change(a, m, e, -1);
      else if (!tm_feature_among(a, m->cell, m->mask, e[m->cell], i + 1, a->hi, UINT32_MAX)) a->num[m->at]--;
    }
  }
}

void tm_feature_clear(const struct tm_feature_at *a, int32_t k) {
  static const int doubles[] = {1, 3, 6, 2, 2, 1};
  const struct tm_feature_window *w = a->r->windows + k;
  for (int32_t j = w->sum_from; j < w->sum_to; j++) {
    const struct tm_feature_sum *m = a->p->sums + j;
    for (int i = 0; i < doubles[m->kind]; i++) a->num[m->at + i] = 0;
  }
}

/* ---- steps of time ---- */

static const struct tm_feature_cell *source_of(const struct tm_feature_ring *r, int32_t cell) {
  const struct tm_feature_cell *c = r->cells;
  while (c->at != cell) c++;
  return c;
}

/* Does the event at hand count for a source? Its value in *v; 1 where all events count. */
static int at_hand(const struct tm_features *p, const struct tm_feature_cell *c, double *v) {
  if (c->mask != 0 && (p->flags & c->mask) == 0) return 0;
  *v = 1;
  if (c->slot == 0) return 1;
  *v = p->in[c->slot].num;
  return p->in[c->slot].kind == TM_VALUE_NUMBER;
}

void tm_feature_take(const struct tm_feature_at *a, int32_t k) {
  const struct tm_feature_window *w = a->r->windows + k;
  double v;
  for (int32_t j = w->sum_from; j < w->sum_to; j++) {
    const struct tm_feature_sum *m = a->p->sums + j;
    if (at_hand(a->p, source_of(a->r, m->cell), &v)) value_change(m, a->num + m->at, v, 1);
  }
}

/* The sums of a source with one value more, in num: 1, or 0 where two or three doubles do not hold them. */
static int source_add(const struct tm_feature_cell *c, const double *entry, double v, double num[6]) {
  const struct tm_feature_sum m = {.kind = c->squares != 0 ? TM_FEATURE_SQUARES : TM_FEATURE_TOTAL};
  for (int i = 0; i < 3; i++) {
    num[i] = entry[c->at + i];
    num[3 + i] = c->squares != 0 ? entry[c->squares + i] : 0;
  }
  value_change(&m, num, v, 1);
  return num[1] == num[1] && (num[3] == num[3] || entry[c->at + STEP_N] == 0 || entry[c->squares] != entry[c->squares]);
}

int tm_feature_collect(const struct tm_feature_at *a, uint64_t *cells) {
  double *entry = (double *)(void *)cells, num[6], v;
  for (int pass = 0; pass < 2; pass++) {
    for (int32_t j = 0; j < a->r->cells_n; j++) {
      const struct tm_feature_cell *c = a->r->cells + j;
      if (!at_hand(a->p, c, &v)) continue;
      if (!source_add(c, entry, v, num)) return 0;
      if (pass == 0) continue;
      if (c->extremes != 0 && (num[0] == 1 || v < entry[c->extremes])) entry[c->extremes] = v;
      if (c->extremes != 0 && (num[0] == 1 || v > entry[c->extremes + 1])) entry[c->extremes + 1] = v;
      for (int i = 0; i < 3; i++) {
        entry[c->at + i] = num[i];
        if (c->squares != 0) entry[c->squares + i] = num[3 + i];
      }
    }
  }
  return 1;
}

/* ---- what two doubles do not hold ---- */

int tm_feature_anew(const struct tm_feature_at *a, const struct tm_feature_sum *m, int32_t k, struct tm_wide *sum, struct tm_wide *squares) {
  tm_wide_zero(sum);
  if (squares != NULL) tm_wide_zero(squares);
  for (uint32_t i = a->lo[k]; i < a->hi; i++) {
    const uint64_t *e = sum_entry(a, m, i);
    if (e == NULL) continue;
    if (a->r->kind == TM_FEATURE_STEPS) {
      const double *c = (const double *)(const void *)e;
      if (squares != NULL && c[m->low] != c[m->low]) return 0;
      tm_wide_add(sum, c[m->cell + STEP_H]);
      tm_wide_add(sum, c[m->cell + STEP_L]);
      for (int j = 0; squares != NULL && j < 3; j++) tm_wide_add(squares, c[m->low + j]);
    } else {
      double v = tm_feature_double(e, m->cell);
      tm_wide_add(sum, v);
      if (squares != NULL) tm_wide_add_square(squares, v, 0, 1);
    }
  }
  return 1;
}

/* ---- all events ---- */

static void ewma_add(const struct tm_feature_sum *m, double *num, double v, double t) {
  double f = exp2(-fabs(t - num[2]) * m->share);
  if (num[1] == 0) {
    num[0] = v;
    num[1] = 1;
    num[2] = t;
  } else if (t >= num[2]) {
    num[0] = num[0] * f + v;
    num[1] = num[1] * f + 1;
    num[2] = t;
  } else {
    num[0] += v * f;
    num[1] += f;
  }
}

void tm_feature_trace(struct tm_features *p, double *num, double t) {
  for (int32_t j = p->sums_from; j < p->sums_n; j++) {
    const struct tm_feature_sum *m = p->sums + j;
    double *at = num + m->at;
    const struct tm_value *v = p->in + m->cell;
    if ((m->mask != 0 && (p->flags & m->mask) == 0) || (m->cell != 0 && v->kind == TM_VALUE_NIL)) continue;
    switch (m->kind) {
      case TM_FEATURE_EWMA:
        ewma_add(m, at, v->num, t);
        break;
      case TM_FEATURE_FIRST:
      case TM_FEATURE_LATEST:
        if (at[1] == 0 || (m->kind == TM_FEATURE_FIRST ? t < at[0] : t > at[0])) at[0] = t;
        at[1] = 1;
        break;
      default:
        if (p->in[m->low].kind == TM_VALUE_NIL || (at[3] != 0 && t < at[2])) break;
        at[0] = v->num;
        at[1] = p->in[m->low].num;
        at[2] = t;
        at[3] = 1;
    }
  }
}
