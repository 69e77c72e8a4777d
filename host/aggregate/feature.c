/* feature.c - many values of a key over windows (t - size, t] of several sizes, from one ring of entries.
 *
 *   ring     | entry | entry | entry | entry | entry | entry |      by time, then arrival
 *                      ^ lo, a day      ^ lo, a minute        ^ hi: all of them
 *
 * Windows stand at the newest event of the key. One that is not before any other takes its results there: what is too old leaves, the
 * results that are without it are read, it comes in, the others are read. One that is out of order, or late, has its windows added up
 * aside, from the entries they hold, and then comes into those that stand, where they reach back to it. So in order an event is taken in
 * once and given back once; out of order it costs as much as its windows hold.
 * What is not after the watermark - longest is cut off. A window of an event that is later than that ends there, so that results depend
 * on watermarks and not on when something was cut; the event itself always counts for itself.
 *
 * A ring of steps has an entry for each step of time (end - step, end] with events. Its windows reach back to a step's end: to
 * floor((T - size) / step) * step, T the newest time of the key. */
#include "feature.h"

#include <math.h>

#include "../base/err.h"
#include "sweep.h"

static struct tm_feature_at at_of(struct tm_features *p, struct tm_state *s, void *record, const struct tm_feature_ring *r) {
  struct tm_table *t = tm_table_of(s);
  double *num = record;
  struct tm_series x = tm_series_of(t, record, r->field);
  uint32_t hi = x.ref->n;
  return (struct tm_feature_at){.p = p, .s = s, .t = t, .record = record, .r = r, .x = x, .num = num,
                                .lo = (uint32_t *)(void *)(num + r->at), .hi = hi};
}

/* Is an entry too old for window k of a time? */
static int is_old(const struct tm_feature_ring *r, int32_t k, double entry, double from) {
  if (r->kind == TM_FEATURE_STEPS) return entry <= floor((from - r->windows[k].size) / r->step) * r->step;
  return from - entry >= r->windows[k].size;
}

/* What is too old at that time leaves the windows as they stand. */
static void advance(const struct tm_feature_at *a, double from) {
  for (int32_t k = 0; k < a->r->windows_n; k++) {
    uint32_t lo = a->lo[k], old = lo;
    while (lo < a->hi && is_old(a->r, k, tm_feature_time(a, lo), from)) lo++;
    if (lo == old) continue;
    a->lo[k] = lo;
    if (lo == a->hi) tm_feature_clear(a, k);
    else tm_feature_leave(a, k, old);
  }
}

/* The first n entries go, which no window holds. */
static int32_t cut(const struct tm_feature_at *a, uint32_t n) {
  if (n == 0) return 0;
  if (tm_series_cut(&a->x, n) != 0) return TM_STATE_NO_MEMORY;
  for (int32_t k = 0; k < a->r->windows_n; k++) a->lo[k] = a->lo[k] > n ? a->lo[k] - n : 0;
  return 0;
}

static int32_t cut_old(const struct tm_feature_at *a) {
  uint32_t least = a->x.ref->n, n = 0;
  for (int32_t k = 0; k < a->r->windows_n; k++) {
    if (a->lo[k] < least) least = a->lo[k];
  }
  double longest = a->r->longest + a->r->step;
  while (n < least && a->watermark - tm_feature_time(a, n) >= longest) n++;
  return cut(a, n);
}

/* Room for one more entry where a key has all it may have. */
static int32_t make_room(struct tm_feature_at *a) {
  if (a->x.ref->n < (uint32_t)a->r->max) return 0;
  if (a->r->on_full == TM_ON_FULL_REFUSE) return TM_STATE_FULL;
  if (a->r->on_full == TM_ON_FULL_STOP) return TM_STATE_STOP;
  for (int32_t k = 0; k < a->r->windows_n; k++) {
    if (a->lo[k] > 0) continue;
    a->lo[k] = 1;
    if (a->hi == 1) tm_feature_clear(a, k);
    else tm_feature_leave(a, k, 0);
  }
  int32_t code = cut(a, 1);
  a->hi = a->x.ref->n;
  return code;
}

/* ---- entries ---- */

/* the place behind all entries that are not after x */
static uint32_t place_of(const struct tm_feature_at *a, double x) {
  uint32_t i = a->x.ref->n;
  while (i > 0 && tm_feature_time(a, i - 1) > x) i--;
  return i;
}

static uint64_t *entry_new(const struct tm_feature_at *a, uint32_t place, double t, uint32_t flags) {
  union tm_tagged as = {.num = t};
  uint64_t *e = tm_series_insert(&a->x, place);
  if (e == NULL) return NULL;
  e[0] = as.bits;
  for (uint32_t i = 1; i < a->x.size / TM_CELL_BYTES; i++) e[i] = 0;
  as.num = flags;
  if (a->r->flags > 0) e[a->r->flags] = as.bits;
  return e;
}

/* The event at hand becomes an entry before a place: 0 or a code. */
static int32_t event_insert(const struct tm_feature_at *a, uint32_t place) {
  uint64_t *e = entry_new(a, place, a->time, a->p->flags);
  if (e == NULL) return TM_STATE_NO_MEMORY;
  for (int32_t j = 0; j < a->r->cells_n; j++) {
    const struct tm_feature_cell *c = a->r->cells + j;
    const struct tm_value *v = a->p->in + c->slot;
    if (c->hashed) {
      e[c->at] = tm_feature_hash(a->t, v);
      continue;
    }
    int32_t code = tm_tagged_put(a->t, v, e + c->at);
    if (code != 0) return code;
  }
  return 0;
}

/* An entry came before a place, and into windows as they stand, where they reach back to it. */
static void join_standing(struct tm_feature_at *a, uint32_t place, double newest) {
  double entry = tm_feature_time(a, place);
  a->hi = a->x.ref->n;
  for (int32_t k = 0; k < a->r->windows_n; k++) {
    if (place < a->lo[k] || is_old(a->r, k, entry, newest)) a->lo[k]++;
    else tm_feature_enter(a, k, place);
  }
}

/* ---- events, decisions ---- */

/* The windows of an event that is out of order or late, aside: all that lies before `place`. */
static void look_aside(const struct tm_feature_at *standing, struct tm_feature_at *a, uint32_t place) {
  double from = a->time > a->watermark ? a->time : a->watermark;
  *a = *standing;
  a->num = a->p->aside;
  a->lo = (uint32_t *)(void *)(a->p->aside + a->r->at);
  for (int32_t k = 0; k < a->r->windows_n; k++) {
    uint32_t lo = place;
    while (lo > 0 && !is_old(a->r, k, tm_feature_time(a, lo - 1), from)) lo--;
    a->lo[k] = lo;
    tm_feature_clear(a, k);
    for (uint32_t i = lo; i < place; i++) {
      a->hi = i + 1;
      tm_feature_enter(a, k, i);
    }
  }
  a->hi = place;
}

static int32_t events_in_order(struct tm_feature_at *a) {
  tm_feature_show(a, 1);
  uint32_t place = a->hi;
  int32_t code = event_insert(a, place);
  if (code != 0) return code;
  a->hi++;
  for (int32_t k = 0; k < a->r->windows_n; k++) tm_feature_enter(a, k, place);
  tm_feature_show(a, 0);
  return 0;
}

static int32_t events_out_of_order(struct tm_feature_at *a, double newest) {
  struct tm_feature_at aside = *a;
  uint32_t place = place_of(a, a->time);
  look_aside(a, &aside, place);
  tm_feature_show(&aside, 1);
  int32_t code = event_insert(a, place);
  if (code != 0) return code;
  aside.hi = place + 1;
  for (int32_t k = 0; k < a->r->windows_n; k++) tm_feature_enter(&aside, k, place);
  tm_feature_show(&aside, 0);
  join_standing(a, place, newest);
  return 0;
}

static void decisions_look(struct tm_feature_at *a, int in_order) {
  struct tm_feature_at aside = *a;
  if (!in_order) look_aside(a, &aside, place_of(a, a->time));
  tm_feature_show(&aside, 1);
  tm_feature_show(&aside, 0);
}

/* ---- steps of time ---- */

static int32_t steps_take(struct tm_feature_at *a, double newest) {
  double step = a->r->step, end = ceil(a->time / step) * step;
  tm_feature_show(a, 1);
  uint32_t place = place_of(a, end), n = a->x.ref->n;
  uint64_t *e = place > 0 && tm_feature_time(a, place - 1) == end ? tm_series_at(&a->x, place - 1) : NULL;
  if (e != NULL && tm_changes_keep(a->t->log, e, a->x.size) != 0) return TM_STATE_NO_MEMORY;
  if (e != NULL && tm_feature_collect(a, e)) {
    place--;
  } else {
    int32_t code = make_room(a);
    if (code != 0) return code;
    if (a->x.ref->n < n) place -= place > 0;
    e = entry_new(a, place, end, 0);
    if (e == NULL) return TM_STATE_NO_MEMORY;
    tm_feature_collect(a, e);
    a->hi = a->x.ref->n;
    for (int32_t k = 0; k < a->r->windows_n; k++) a->lo[k] += place < a->lo[k] || is_old(a->r, k, end, newest);
  }
  for (int32_t k = 0; k < a->r->windows_n; k++) {
    if (place >= a->lo[k]) tm_feature_take(a, k);
  }
  tm_feature_show(a, 0);
  return 0;
}

/* ---- a key ---- */

/* A key that is too old is as if it had gone, which it may have, or not yet. */
static int32_t forget(const struct tm_features *p, struct tm_state *s, void *record) {
  double *num = record;
  for (int32_t i = 0; i < p->rings_n; i++) {
    if (tm_field_ref(tm_table_of(s), record, p->rings[i].field)->at == 0) continue;
    int32_t code = tm_ffi_state_empty(s, record, p->rings[i].field);
    if (code < 0) return code;
  }
  for (int32_t i = 0; i < p->doubles; i++) num[i] = 0;
  return 0;
}

static int32_t begin(const struct tm_features *p, struct tm_state *s, void *record, double t, double w, int *is_new) {
  double *num = record;
  int32_t code = 0;
  if (num[TM_FEATURE_THERE] != 0 && w - num[TM_FEATURE_NEWEST] >= p->ttl) code = forget(p, s, record);
  *is_new = num[TM_FEATURE_THERE] == 0;
  if (*is_new) num[TM_FEATURE_NEWEST] = t;
  num[TM_FEATURE_THERE] = 1;
  return code;
}

static int32_t ring_step(struct tm_feature_at *a, int in_order, double newest) {
  int32_t code = 0;
  advance(a, newest);
  if (a->r->kind == TM_FEATURE_STEPS) {
    code = steps_take(a, newest);
  } else if (a->r->kind == TM_FEATURE_DECISIONS) {
    decisions_look(a, in_order);
  } else {
    code = make_room(a);
    if (code == 0) code = in_order ? events_in_order(a) : events_out_of_order(a, newest);
  }
  return code == 0 ? cut_old(a) : code;
}

int32_t tm_ffi_features_step(struct tm_features *p, struct tm_state *s, void *record, double t, double w, int32_t row) {
  double *num = record;
  int is_new;
  p->wrong = -1;
  int32_t code = begin(p, s, record, t, w, &is_new);
  if (code != 0) return code;
  int in_order = t >= num[TM_FEATURE_NEWEST] && t >= w;
  if (t > num[TM_FEATURE_NEWEST]) num[TM_FEATURE_NEWEST] = t;
  double newest = num[TM_FEATURE_NEWEST] > w ? num[TM_FEATURE_NEWEST] : w;
  for (int32_t i = 0; i < p->rings_n; i++) {
    struct tm_feature_at a = at_of(p, s, record, p->rings + i);
    a.time = t;
    a.watermark = w;
    a.row = row;
    code = ring_step(&a, in_order, newest);
    if (code != 0) {
      p->wrong = i;
      return code;
    }
  }
  tm_feature_show_traces(p, num, t, row, 1);
  tm_feature_trace(p, num, t);
  tm_feature_show_traces(p, num, t, row, 0);
  return tm_sweep_share(s, &p->sweep, &p->owed, record, is_new, w, p->ttl, TM_FEATURE_NEWEST);
}

int32_t tm_ffi_features_decided(struct tm_features *p, struct tm_state *s, void *record, double t, double w, uint32_t flags) {
  double *num = record;
  int is_new;
  p->wrong = -1;
  int32_t code = begin(p, s, record, t, w, &is_new);
  if (t > num[TM_FEATURE_NEWEST]) num[TM_FEATURE_NEWEST] = t;
  double newest = num[TM_FEATURE_NEWEST] > w ? num[TM_FEATURE_NEWEST] : w;
  for (int32_t i = 0; i < p->rings_n && code == 0; i++) {
    if (p->rings[i].kind != TM_FEATURE_DECISIONS) continue;
    struct tm_feature_at a = at_of(p, s, record, p->rings + i);
    a.time = t;
    a.watermark = w;
    advance(&a, newest);
    code = make_room(&a);
    if (code != 0) {
      p->wrong = i;
      return code;
    }
    uint32_t place = place_of(&a, t);
    if (entry_new(&a, place, t, flags) == NULL) return TM_STATE_NO_MEMORY;
    join_standing(&a, place, newest);
    code = cut_old(&a);
  }
  return code;
}

void tm_ffi_features_look(struct tm_features *p, struct tm_state *s, const void *record, int32_t row) {
  const double *num = record;
  for (int32_t i = 0; i < p->rings_n; i++) {
    struct tm_feature_at a = at_of(p, s, (void *)(uintptr_t)record, p->rings + i);
    a.time = num[TM_FEATURE_NEWEST];
    a.row = row;
    tm_feature_show(&a, 1);
    tm_feature_show(&a, 0);
  }
  tm_feature_show_traces(p, num, num[TM_FEATURE_NEWEST], row, 1);
  tm_feature_show_traces(p, num, num[TM_FEATURE_NEWEST], row, 0);
}
