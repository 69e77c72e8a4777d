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

/* keys looked at for a new key, and how many other events it takes for one */
enum { SWEEP_NEW = 2, SWEEP_REST = 8 };

struct tm_slider tm_slider_of(struct tm_slide *p, struct tm_state *s, const void *record) {
  struct tm_table *t = tm_table_of(s);
  void *r = (void *)(uintptr_t)record;
  return (struct tm_slider){p, s, t, r, r, tm_series_of(t, r, p->series)};
}

/* How many entries are not after x - size, looked for from `near` on. The difference of two times is exact where it matters. */
static uint32_t upto(const struct tm_slider *w, double x, double size, uint32_t near) {
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
    if (a->window != k) continue;
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
  double *st = tm_slider_state(w);
  uint32_t hi = (uint32_t)st[TM_SLIDE_HI];
  for (int32_t k = 0; k < w->p->windows_n; k++) {
    uint32_t lo = (uint32_t)st[TM_SLIDE_LO + k], lo2 = upto(w, from, w->p->sizes[k], lo);
    if (lo2 > hi2) lo2 = hi2;
    int32_t code = window_move(w, k, lo, hi, lo2, hi2);
    if (code != 0) return code;
    st[TM_SLIDE_LO + k] = lo2;
  }
  st[TM_SLIDE_HI] = hi2;
  return 0;
}

/* MIN and MAX see what is not after the watermark */
static int32_t settle(const struct tm_slider *w, uint32_t to, double watermark) {
  double *st = tm_slider_state(w);
  uint32_t from = (uint32_t)st[TM_SLIDE_SETTLED];
  if (to <= from) return 0;
  for (int32_t i = 0; i < w->p->parts_n; i++) {
    int32_t code = tm_part_settle(w, w->p->parts + i, from, to, watermark);
    if (code != 0) return code;
  }
  st[TM_SLIDE_SETTLED] = to;
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
  tm_slider_state(w)[TM_SLIDE_SETTLED] = 0;
  return 0;
}

/* The first n entries go, which no window holds. */
static int32_t cut(const struct tm_slider *w, uint32_t n) {
  double *st = tm_slider_state(w);
  if (n == 0) return 0;
  if (tm_series_cut(&w->series, n) != 0) return TM_STATE_NO_MEMORY;
  for (int32_t i = TM_SLIDE_HI; i < TM_SLIDE_LO + w->p->windows_n; i++) st[i] = st[i] > n ? st[i] - n : 0;
  for (int32_t i = 0; i < w->p->parts_n; i++) tm_part_moved(w, w->p->parts + i, n);
  return 0;
}

/* how many entries no window holds or will ask for behind the watermark */
static uint32_t old_ones(const struct tm_slider *w, double watermark) {
  const double *st = tm_slider_state(w);
  uint32_t least = w->series.ref->n, n = 0;
  for (int32_t k = 0; k < w->p->windows_n; k++) {
    if (st[TM_SLIDE_LO + k] < least) least = (uint32_t)st[TM_SLIDE_LO + k];
  }
  while (n < least && watermark - tm_slider_time(w, n) >= w->p->longest) n++;
  return n;
}

/* Room for one more entry where a key has all it may have. */
static int32_t full_handle(const struct tm_slider *w) {
  const double *st = tm_slider_state(w);
  if (w->p->max == 0 || w->series.ref->n < (uint32_t)w->p->max) return w->series.ref->n < TM_ELEMENTS_MAX ? 0 : TM_STATE_TOO_LONG;
  if (w->p->on_full == TM_ON_FULL_REFUSE) return TM_STATE_FULL;
  if (w->p->on_full == TM_ON_FULL_STOP) return TM_STATE_STOP;
  /* windows let go of it first; where they stand before its place it was never theirs */
  for (int32_t k = 0; k < w->p->windows_n; k++) {
    if (st[TM_SLIDE_LO + k] > 0 || st[TM_SLIDE_HI] == 0) continue;
    int32_t code = window_move(w, k, 0, (uint32_t)st[TM_SLIDE_HI], 1, (uint32_t)st[TM_SLIDE_HI]);
    if (code != 0) return code;
    tm_slider_state(w)[TM_SLIDE_LO + k] = 1;
  }
  /* of several at its time it is not known which one MIN or MAX have kept */
  int32_t code = w->series.ref->n > 1 && tm_slider_time(w, 0) == tm_slider_time(w, 1) ? unsettle(w) : 0;
  return code == 0 ? cut(w, 1) : code;
}

/* the event at hand as an entry before place i */
static int32_t entry_insert(const struct tm_slider *w, uint32_t i, double t) {
  union tm_tagged time = {.num = t};
  uint64_t *e = tm_series_insert(&w->series, i);
  if (e == NULL) return TM_STATE_NO_MEMORY;
  e[0] = time.bits;
  for (int32_t c = 1; c < w->p->cells; c++) {
    int32_t code = tm_tagged_put(w->t, w->p->in + c, e + c);
    if (code != 0) return code;
  }
  return 0;
}

static int32_t look(const struct tm_slider *w) {
  const double *st = tm_slider_state(w);
  for (int32_t i = 0; i < w->p->parts_n; i++) {
    const struct tm_slide_part *a = w->p->parts + i;
    if (a->kind < TM_SLIDE_MIN || a->kind > TM_SLIDE_LAST) continue;
    int32_t code = tm_part_look(w, a, (uint32_t)st[TM_SLIDE_LO + a->window], (uint32_t)st[TM_SLIDE_HI], w->p->out + i);
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

/* So many keys that are of no use are there at most, about, as others: a new one pays for looking at two.
 * Looks at the next `n` keys in order of arrival, and removes those that no window can ask for any more. */
static int32_t sweep(struct tm_slider *w, int32_t n, double watermark) {
  struct tm_slide *p = w->p;
  if (p->sweep == NULL) p->sweep = tm_ffi_cursor_new(w->s);
  if (p->sweep == NULL) return TM_STATE_NO_MEMORY;
  for (; n > 0; n--) {
    void *record = tm_ffi_cursor_next(p->sweep);
    if (record == NULL) {
      if (p->sweep->done) {
        tm_ffi_cursor_free(p->sweep);
        p->sweep = NULL;
      }
      return 0;
    }
    struct tm_slider old = tm_slider_of(p, w->s, record);
    if (record == w->record || !(watermark - tm_slider_state(&old)[TM_SLIDE_NEWEST] >= p->longest)) continue;
    if (tm_ffi_state_remove(w->s, record) != 0) return TM_STATE_NO_MEMORY;
  }
  return 0;
}

/* What a new entry at t changes in what the record says of all. */
static int32_t newest(struct tm_slider *w, double t, double watermark) {
  double *st = tm_slider_state(w);
  int fresh = w->series.ref->n == 1;
  if (fresh || t > st[TM_SLIDE_NEWEST]) st[TM_SLIDE_NEWEST] = t;
  if (fresh) return sweep(w, SWEEP_NEW, watermark);
  return ++w->p->rest % SWEEP_REST == 0 ? sweep(w, 1, watermark) : 0;
}

int32_t tm_ffi_slide_add(struct tm_slide *p, struct tm_state *s, void *record, double t, double w) {
  struct tm_slider at = tm_slider_of(p, s, record);
  double *st = tm_slider_state(&at), from = t > w ? t : w;
  int32_t code = full_handle(&at);
  p->wrong = -1;
  if (code != 0) return code;
  uint32_t hi = upto(&at, t, 0, at.series.ref->n);
  code = windows_move(&at, hi, from);
  if (code == 0 && hi < (uint32_t)st[TM_SLIDE_SETTLED]) code = unsettle(&at);
  if (code == 0) code = entry_insert(&at, hi, t);
  if (code != 0) return code;
  st[TM_SLIDE_HI] = hi + 1;
  for (int32_t i = 0; i < p->parts_n && code == 0; i++) {
    code = tm_part_add(&at, p->parts + i, hi, hi + 1);
    if (code != 0) p->wrong = i;
  }
  /* one that is late is looked at by itself: the next one settles anew */
  if (code == 0 && p->extremes && t > w) code = settle(&at, upto(&at, w, 0, (uint32_t)st[TM_SLIDE_SETTLED]), w);
  if (code == 0) code = look(&at);
  if (code == 0) code = newest(&at, t, w);
  /* last of all, as what `out` refers to stays readable */
  return code == 0 ? cut(&at, old_ones(&at, w)) : code;
}

int32_t tm_slider_turn(struct tm_slider *w, double t) {
  uint32_t place = w->series.ref->n;
  int32_t code = entry_insert(w, place, t);
  if (code == 0) code = newest(w, t, t);
  if (code == 0) code = windows_move(w, place + 1, t);
  if (code == 0 && w->p->extremes) code = settle(w, place + 1, t);
  if (code == 0) code = cut(w, old_ones(w, t));
  return code == 0 ? look(w) : code;
}
