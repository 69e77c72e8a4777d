/* feature.h - what feature.c (events and windows), feature_sum.c (what is kept of windows) and feature_show.c (results) share. */
#ifndef TM_AGGREGATE_FEATURE_H
#define TM_AGGREGATE_FEATURE_H

#include "../state/series.h"
#include "wide.h"

/* Of every record. */
enum { TM_FEATURE_NEWEST = 0, TM_FEATURE_THERE = 1 };

/* A ring of a record at work. Its sums are at num, and window k holds entries [lo[k], hi): those of the record, or of an event that is out
 * of order, aside. */
struct tm_feature_at {
  struct tm_features *p;
  struct tm_state *s;
  struct tm_table *t;
  void *record;
  const struct tm_feature_ring *r;
  struct tm_series x;
  double *num;
  uint32_t *lo;
  uint32_t hi;
  int32_t row;
  double time, watermark;       /* of the event, and before it */
};

static inline double tm_feature_double(const uint64_t *entry, int32_t cell) {
  union tm_tagged as = {.bits = entry[cell]};
  return as.num;
}
static inline const uint64_t *tm_feature_entry(const struct tm_feature_at *a, uint32_t i) { return tm_series_at(&a->x, i); }
static inline double tm_feature_time(const struct tm_feature_at *a, uint32_t i) { return tm_feature_double(tm_feature_entry(a, i), 0); }
/* Does an entry count, which has to have a value in a cell (0: it has not) and a flag (0: none)? */
static inline int tm_feature_counts(const struct tm_feature_at *a, const uint64_t *entry, int32_t cell, uint32_t mask) {
  if (mask != 0 && ((uint32_t)tm_feature_double(entry, a->r->flags) & mask) == 0) return 0;
  return cell == 0 || tm_tag_of(entry[cell]) != TM_TAG_NIL;
}
/* Entries of [lo, hi) that end with hi - 1 and lie in one piece: how many, at least one; *last is that of hi - 1, the others are in
 * front of it. lo < hi */
static inline uint32_t tm_feature_piece(const struct tm_feature_at *a, uint32_t lo, uint32_t hi, const uint64_t **last) {
  *last = tm_feature_entry(a, hi - 1);
  if (a->x.ref->at == TM_SERIES_INLINE) return hi - lo;
  uint32_t n = tm_deque_run(a->t, a->x.ref->at, hi - 1, a->x.size);
  return n < hi - lo ? n : hi - lo;
}

/* ---- feature_sum.c ---- */

/* 62 bits that tell values apart, as a cell that is a number; NIL stays so */
uint64_t tm_feature_hash(const struct tm_table *t, const struct tm_value *v);
/* Is the value of a cell among those of entries [lo, hi), but for entry `except`? */
int tm_feature_among(const struct tm_feature_at *a, int32_t cell, uint32_t mask, uint64_t value, uint32_t lo, uint32_t hi, uint32_t except);
/* Entry i comes into window k, whose entries there are. */
void tm_feature_enter(const struct tm_feature_at *a, int32_t k, uint32_t i);
/* Entries [from, lo[k]) have left window k at its beginning. */
void tm_feature_leave(const struct tm_feature_at *a, int32_t k, uint32_t from);
/* Window k holds nothing. */
void tm_feature_clear(const struct tm_feature_at *a, int32_t k);
/* STEPS: the values at hand come into window k, as part of an entry that is in it. */
void tm_feature_take(const struct tm_feature_at *a, int32_t k);
/* STEPS: the values at hand come to a source's cells: 1, or 0 where two doubles do not hold them, with nothing changed. */
int tm_feature_collect(const struct tm_feature_at *a, uint64_t *entry);
/* The sums of window k that two doubles do not hold, added up anew; squares may be NULL. 0: a step does not have them. */
int tm_feature_anew(const struct tm_feature_at *a, const struct tm_feature_sum *m, int32_t k, struct tm_wide *sum, struct tm_wide *squares);
/* What is kept of all events, by event. */
void tm_feature_trace(struct tm_features *p, double *num, double t);

/* ---- feature_show.c ---- */

/* Results of a ring that are with (before 0) or without the event at hand. */
void tm_feature_show(const struct tm_feature_at *a, int32_t before);
/* The same of what has no ring. */
void tm_feature_show_traces(struct tm_features *p, const double *num, double t, int32_t row, int32_t before);

#endif
