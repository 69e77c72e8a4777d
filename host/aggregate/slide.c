/* slide.c - windows (t - size, t] that are moved along the events of a key.
 *
 *   series   | entry | entry | entry | entry | entry | entry |      by time, then arrival
 *                      ^ lo of a window        ^ hi of all: behind the last event's place
 *
 * An event moves each window from where the last one left it to its own bounds, and aggregates take in or give back what that
 * passes. In order of time each entry is taken in once and given back once. An event that is out of order moves windows back and the
 * next one moves them forward again: it costs what lies between the two, and the moving of entries behind its place.
 * What is not after w - longest is cut off: no window of an event after the watermark w reaches that far. For one that comes
 * later all the same the window ends there, so that results depend on watermarks and not on when something was cut.
 * Where events wait for their turn (turns.c) they come in order of time, and each is the last entry. */
#include "slide.h"

#include <math.h>

#include "../base/err.h"
#include "sweep.h"

struct tm_slider tm_slider_of(struct tm_slide *p, struct tm_state *s, const void *record) {
  struct tm_table *t = tm_table_of(s);
  void *r = (void *)(uintptr_t)record;
  return (struct tm_slider){p, s, t, r, r, (struct tm_slide_marks *)(void *)((double *)r + p->at), tm_series_of(t, r, p->series)};
}

/* The difference of two times is exact where it matters. */
uint32_t tm_slider_upto(const struct tm_slider *w, double x, double size, uint32_t near) {
  uint32_t n = w->series.ref->n;
  while (near > 0 && !(x - tm_slider_time(w, near - 1) >= size)) near--;
  while (near < n && x - tm_slider_time(w, near) >= size) near++;
  return near;
}

/* window k from [lo, hi) to [lo2, hi2) */
static int32_t window_move(const struct tm_slider *w, int32_t k, uint32_t lo, uint32_t hi, uint32_t lo2, uint32_t hi2) {
  int apart = hi2 <= lo || lo2 >= hi;
  for (int32_t i = 0; i < w->p->parts_n; i++) {
    const struct tm_slide_part *a = w->p->parts + i;
    int32_t code = 0;
    if (a->window != k || a->kind == TM_SLIDE_EVENTS) continue;
    if (a->kind == TM_SLIDE_COUNT && a->cell == 0) {
      w->num[a->at] = hi2 > lo2 ? hi2 - lo2 : 0;
    } else if (apart) {
      if (lo < hi) code = tm_part_empty(w, a);
      if (code == 0 && lo2 < hi2) code = tm_part_add(w, a, lo2, hi2);
    } else {
      if (lo < lo2) code = tm_part_leave_front(w, a, lo, lo2);
      if (code == 0 && hi2 < hi) code = tm_part_leave_back(w, a, hi2, hi);
      if (code == 0 && lo2 < lo) code = tm_part_add(w, a, lo2, lo);
      if (code == 0 && hi < hi2) code = tm_part_add(w, a, hi, hi2);
    }
    if (code != 0) {
      w->p->wrong = i;
      return code;
    }
  }
  return 0;
}

/* All windows to the bounds of an event at t, of whose entry nothing is said yet. */
static int32_t windows_move(const struct tm_slider *w, uint32_t hi2, double from) {
  struct tm_slide_marks *m = w->marks;
  for (int32_t k = 0; k < w->p->windows_n; k++) {
    uint32_t lo = m->lo[k], lo2 = tm_slider_upto(w, from, w->p->sizes[k], lo);
    if (lo2 > hi2) lo2 = hi2;
    int32_t code = window_move(w, k, lo, m->hi, lo2, hi2);
    if (code != 0) return code;
    m->lo[k] = lo2;
  }
  m->hi = hi2;
  return 0;
}

/* MIN and MAX see what is not after the watermark */
static int32_t settle(const struct tm_slider *w, uint32_t to, double watermark) {
  uint32_t from = *tm_slider_settled(w);
  if (to <= from) return 0;
  for (int32_t i = 0; i < w->p->parts_n; i++) {
    int32_t code = tm_part_settle(w, w->p->parts + i, from, to, watermark);
    if (code != 0) return code;
  }
  *tm_slider_settled(w) = to;
  return 0;
}

/* An entry came where all was settled: the values that may still become least or greatest are found anew. */
static int32_t unsettle(const struct tm_slider *w) {
  for (int32_t i = 0; i < w->p->parts_n; i++) {
    const struct tm_slide_part *a = w->p->parts + i;
    if (a->kind != TM_SLIDE_MIN && a->kind != TM_SLIDE_MAX) continue;
    int32_t code = tm_ffi_state_empty(w->s, w->record, a->field);
    if (code < 0) return code;
  }
  *tm_slider_settled(w) = 0;
  return 0;
}

/* The first n entries go, which no window holds. */
static int32_t cut(const struct tm_slider *w, uint32_t n) {
  struct tm_slide_marks *m = w->marks;
  if (n == 0) return 0;
  if (tm_series_cut(&w->series, n) != 0) return TM_STATE_NO_MEMORY;
  m->hi = m->hi > n ? m->hi - n : 0;
  for (int32_t k = 0; k < w->p->windows_n + w->p->extremes; k++) m->lo[k] = m->lo[k] > n ? m->lo[k] - n : 0;
  if (w->p->plain) return 0;
  for (int32_t i = 0; i < w->p->parts_n; i++) tm_part_moved(w, w->p->parts + i, n);
  return 0;
}

/* how many entries no window holds or will ask for behind the watermark */
static uint32_t old_ones(const struct tm_slider *w, double watermark) {
  uint32_t least = w->series.ref->n, n = 0;
  for (int32_t k = 0; k < w->p->windows_n; k++) {
    if (w->marks->lo[k] < least) least = w->marks->lo[k];
  }
  while (n < least && watermark - tm_slider_time(w, n) >= w->p->longest) n++;
  return n;
}

/* Room for one more entry where a key has all it may have. */
static int32_t full_handle(const struct tm_slider *w) {
  struct tm_slide_marks *m = w->marks;
  if (w->p->max == 0 || w->series.ref->n < (uint32_t)w->p->max) return w->series.ref->n < TM_ELEMENTS_MAX ? 0 : TM_STATE_TOO_LONG;
  if (w->p->on_full == TM_ON_FULL_REFUSE) return TM_STATE_FULL;
  if (w->p->on_full == TM_ON_FULL_STOP) return TM_STATE_STOP;
  /* windows let go of it first; where they stand before its place it was never theirs */
  for (int32_t k = 0; k < w->p->windows_n; k++) {
    if (m->lo[k] > 0 || m->hi == 0) continue;
    int32_t code = window_move(w, k, 0, m->hi, 1, m->hi);
    if (code != 0) return code;
    m->lo[k] = 1;
  }
  /* of several at its time it is not known which one MIN or MAX have kept */
  int32_t code = w->p->extremes && w->series.ref->n > 1 && tm_slider_time(w, 0) == tm_slider_time(w, 1) ? unsettle(w) : 0;
  return code == 0 ? cut(w, 1) : code;
}

int32_t tm_slider_insert(const struct tm_slider *w, uint32_t i, double t) {
  union tm_tagged time = {.num = t};
  uint64_t *e = tm_series_insert(&w->series, i);
  if (e == NULL) return TM_STATE_NO_MEMORY;
  if (w->series.ref->n == 1 || t > w->marks->newest) w->marks->newest = t;
  e[0] = time.bits;
  for (int32_t c = 1; c < w->p->cells; c++) {
    int32_t code = tm_tagged_put(w->t, w->p->in + c, e + c);
    if (code != 0) return code;
  }
  return 0;
}

static int32_t look(const struct tm_slider *w) {
  if (w->p->plain) {
    tm_plain_look(w);
    return 0;
  }
  for (int32_t i = 0; i < w->p->parts_n; i++) {
    const struct tm_slide_part *a = w->p->parts + i;
    uint32_t lo = w->marks->lo[a->window], hi = w->marks->hi;
    if (a->kind == TM_SLIDE_EVENTS) w->p->out[i] = (struct tm_value){.num = hi > lo ? hi - lo : 0, .kind = TM_VALUE_NUMBER};
    if (a->kind < TM_SLIDE_MIN || a->kind > TM_SLIDE_LAST) continue;
    int32_t code = tm_part_look(w, a, lo, hi, w->p->out + i);
    if (code != 0) {
      w->p->wrong = i;
      return code;
    }
  }
  return 0;
}

int32_t tm_ffi_slide_look(struct tm_slide *p, struct tm_state *s, const void *record) {
  struct tm_slider w = tm_slider_of(p, s, record);
  return look(&w);
}

/* Keys that no window can ask for any more go. */
static int32_t sweep_share(const struct tm_slider *w, double watermark) {
  return tm_sweep_share(w->s, &w->p->sweep, &w->p->owed, w->record, w->series.ref->n == 1, watermark, w->p->longest, w->p->at);
}

/* The windows are moved to the event's own bounds, and it comes in. */
static int32_t take_in(const struct tm_slider *w, double t, double watermark) {
  struct tm_slide *p = w->p;
  double from = t > watermark ? t : watermark;
  uint32_t hi = tm_slider_upto(w, t, 0, w->series.ref->n);
  int32_t code = windows_move(w, hi, from);
  if (code == 0 && p->extremes && hi < *tm_slider_settled(w)) code = unsettle(w);
  if (code == 0) code = tm_slider_insert(w, hi, t);
  if (code != 0) return code;
  w->marks->hi = hi + 1;
  for (int32_t i = 0; i < p->parts_n && code == 0; i++) {
    code = tm_part_add(w, p->parts + i, hi, hi + 1);
    if (code != 0) p->wrong = i;
  }
  /* one that is late is looked at by itself: the next one settles anew */
  if (code == 0 && p->extremes && t > watermark) code = settle(w, tm_slider_upto(w, watermark, 0, *tm_slider_settled(w)), watermark);
  return code == 0 ? look(w) : code;
}

int32_t tm_ffi_slide_add(struct tm_slide *p, struct tm_state *s, void *record, double t, double w) {
  struct tm_slider at = tm_slider_of(p, s, record);
  p->wrong = -1;
  int32_t code = full_handle(&at);
  if (code != 0) return code;
  code = p->plain ? tm_plain_add(&at, t, w) : 0;
  if (code == 0) code = take_in(&at, t, w);
  if (code >= 0) code = sweep_share(&at, w);
  /* last of all, as what `out` refers to stays readable */
  return code == 0 ? cut(&at, old_ones(&at, w)) : code;
}

int32_t tm_slider_turn(struct tm_slider *w, double t) {
  uint32_t place = w->series.ref->n;
  int32_t code = tm_slider_insert(w, place, t);
  if (code == 0) code = sweep_share(w, t);
  if (code == 0) code = windows_move(w, place + 1, t);
  if (code == 0 && w->p->extremes) code = settle(w, place + 1, t);
  if (code == 0) code = cut(w, old_ones(w, t));
  return code == 0 ? look(w) : code;
}
