/* slide.h - what slide.c (which entries a window holds), slide_part.c (what an aggregate makes of them), slide_plain.c (counts, sums
 * and means alone) and turns.c (events that wait until it is their turn) share. */
#ifndef TM_AGGREGATE_SLIDE_H
#define TM_AGGREGATE_SLIDE_H

#include "../state/series.h"
#include "pair.h"

/* Of the record, at double tm_slide.at: window k holds entries [lo[k], hi) of the series. Where there are MIN and MAX those before
 * `settled`, behind the last lo, have been seen by them. */
struct tm_slide_marks {
  double newest;                  /* the time of the last entry; where there is none, of one that was, or 0 */
  uint32_t hi;
  uint32_t lo[];
};
/* Of the record of a step whose windows move over all keys, there: how many entries the key has, and what they name it by. */
enum { TM_MOVING_ENTRIES = 0, TM_MOVING_NUMBER = 1 };

/* A record at work. */
struct tm_slider {
  struct tm_slide *p;
  struct tm_state *s;
  struct tm_table *t;
  void *record;
  double *num;                    /* the record's doubles */
  struct tm_slide_marks *marks;   /* the record's */
  struct tm_series series;
};

static inline const uint64_t *tm_slider_entry(const struct tm_slider *w, uint32_t i) {
  return tm_series_at(&w->series, i);
}
static inline uint32_t *tm_slider_settled(const struct tm_slider *w) { return w->marks->lo + w->p->windows_n; }
static inline double tm_slider_time(const struct tm_slider *w, uint32_t i) {
  return ((const union tm_tagged *)(const void *)tm_slider_entry(w, i))->num;
}
struct tm_slider tm_slider_of(struct tm_slide *p, struct tm_state *s, const void *record);
/* The event at hand, which is not before any other, becomes the last entry, and all windows are its own: 0 or a code. */
int32_t tm_slider_turn(struct tm_slider *w, double t);
/* how many entries are not after x - size, looked for from `near` on */
uint32_t tm_slider_upto(const struct tm_slider *w, double x, double size, uint32_t near);
/* The event at hand, at t, becomes an entry before place i: 0 or a code. */
int32_t tm_slider_insert(const struct tm_slider *w, uint32_t i, double t);

/* slide_plain.c: the event at hand, at t, comes in, and has its results: 1, or 0 where it has yet to be taken in, by moving the
 * windows; or a code. */
int32_t tm_plain_add(const struct tm_slider *w, double t, double watermark);
/* the results of the windows as they stand */
void tm_plain_look(const struct tm_slider *w);

/* Entries [from, to) come into the window of a part, or leave it at its beginning (from first to last) or at its end (from
 * last to first): 0 or a code. */
int32_t tm_part_add(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t from, uint32_t to);
int32_t tm_part_leave_front(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t from, uint32_t to);
int32_t tm_part_leave_back(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t from, uint32_t to);
/* An entry more (sign 1) or less (-1) in a part that is numbers alone, COUNT SUM MEAN VARIANCE QUANTILE: 0 or a code. */
int32_t tm_part_change(const struct tm_slider *w, const struct tm_slide_part *a, const uint64_t *entry, int sign);
/* its window is empty */
int32_t tm_part_empty(const struct tm_slider *w, const struct tm_slide_part *a);
/* n entries have gone in front of all windows, and their number is another one */
void tm_part_moved(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t n);
/* MIN, MAX: entries [from, to) are settled: nothing is expected before the last of them. */
int32_t tm_part_settle(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t from, uint32_t to, double watermark);
/* The value of MIN MAX FIRST LAST over entries [lo, hi): 0 or TYPE. */
int32_t tm_part_look(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t lo, uint32_t hi, struct tm_value *out);

/* v more in the pair at `sum` and the text of `field`: 0 or a code. spill: what tm_pair_add could not do of it. */
int32_t tm_part_spill(const struct tm_slider *w, double *sum, int32_t field, double v, double rest);
static inline int32_t tm_part_sum(const struct tm_slider *w, double *sum, int32_t field, double v) {
  double rest = tm_pair_add(sum, v);
  return rest == 0 ? 0 : tm_part_spill(w, sum, field, v, rest);
}

#endif
