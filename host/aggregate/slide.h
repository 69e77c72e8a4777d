/* slide.h - what slide.c (which entries a window holds), slide_part.c (what an aggregate makes of them) and turns.c (events that
 * wait until it is their turn) share. */
#ifndef TM_AGGREGATE_SLIDE_H
#define TM_AGGREGATE_SLIDE_H

#include "../state/series.h"

/* doubles of the record at tm_slide.at, then a lo for each window */
/* the same of a step whose windows move over all keys: how many entries the key has, and what they name its record by */
enum { TM_MOVING_ENTRIES = 0, TM_MOVING_NUMBER = 1 };
enum { TM_SLIDE_NEWEST = 0, TM_SLIDE_HI = 1, TM_SLIDE_SETTLED = 2, TM_SLIDE_LO = 3 };

/* A record at work. Window k holds entries [lo, hi) of the series; those before `settled` have been seen by MIN and MAX. */
struct tm_slider {
  struct tm_slide *p;
  struct tm_state *s;
  struct tm_table *t;
  void *record;
  double *num;                    /* the record's doubles */
  struct tm_series series;
};

static inline const uint64_t *tm_slider_entry(const struct tm_slider *w, uint32_t i) {
  return tm_series_at(&w->series, i);
}
static inline double tm_slider_time(const struct tm_slider *w, uint32_t i) {
  return ((const union tm_tagged *)(const void *)tm_slider_entry(w, i))->num;
}
struct tm_slider tm_slider_of(struct tm_slide *p, struct tm_state *s, const void *record);
/* The event at hand, which is not before any other, becomes the last entry, and all windows are its own: 0 or a code. */
int32_t tm_slider_turn(struct tm_slider *w, double t);
static inline double *tm_slider_state(const struct tm_slider *w) { return w->num + w->p->at; }

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

#endif
