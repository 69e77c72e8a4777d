/* shadow_run.c - a candidate at work (shadow.h): batches out of the feed go through its pipelines, its decisions are compared with the
 * worker's, and what was found is told in shared memory.
 *
 * It takes one entry after the other, as the worker had them, and never asks a clock or an input for anything but its deadline: what the
 * worker did of the clock's sake comes as an entry too. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "feed.h"
#include "script.h"
#include "shadow.h"
#include "worker_own.h"

enum { TELL_EVERY_MS = 100, REST_MIN_US = 500, REST_MAX_US = 20000, OVERDUE_MAX = 20 };

struct candidate {
  struct tm_worker *w;
  struct tm_shadow *shadow;
  struct tm_source_seen seen[TM_SOURCES_MAX];  /* by source */
  struct tm_buf text, json;
  uint64_t told_ns;
  int dirty;                 /* something is not told yet */
  double overdue;            /* events that were ended by the deadline */
  char why[1024];
};

static struct tm_source *source_of(struct tm_flows *f, uint64_t key) {
  for (int32_t i = 0; i < f->sources_n; i++)
    if (f->sources[i]->key == key && f->sources[i]->kind != TM_SOURCE_LINK) return f->sources[i];
  return NULL;
}

static const char *failed(struct candidate *c, const struct tm_err *err) {
  snprintf(c->why, sizeof c->why, "%s", err->detail);
  return c->why;
}

/* ---- entries ---- */

/* What moves through goes on to its end; rows are dropped or written to files. */
static const char *drain(struct candidate *c, struct tm_source *s, const char *live, int32_t live_n) {
  struct tm_flows *f = &c->w->flows;
  struct tm_err err = {0};
  uint64_t unnoted;
  int32_t own_n;
  int rc = tm_flow_drain(f, s, 0, &err);
  if (rc < 0) return failed(c, &err);
  if (rc != TM_FLOW_DRAINED) return "a file of its outputs takes no rows";
  const char *own = tm_feed_notes(s->index, &own_n, &unnoted);
  if (own == NULL) return "no memory for its decisions";
  if (tm_script_compare(c->w->script, live, live_n, own, own_n, s->batch, tm_source_origin(s), &err) != 0) return failed(c, &err);
  return NULL;
}

static void see(struct candidate *c, const struct tm_feed_entry *e) {
  const struct tm_source_seen *inputs = tm_feed_inputs(e);
  for (int32_t i = 0; i < e->inputs_n; i++) {
    struct tm_source *s = source_of(&c->w->flows, inputs[i].key);
    if (s == NULL) continue;
    c->seen[s->index] = inputs[i];
  }
}

static const char *take_batch(struct candidate *c, const struct tm_feed_entry *e) {
  struct tm_worker *w = c->w;
  struct tm_source *s = source_of(&w->flows, e->key);
  struct tm_undo *u = &w->shared->undo;
  if (s == NULL) return NULL;  /* it reads less than the run */
  see(c, e);
  s->seen_name = e->origin;
  tm_undo_keep(u, s->state, sizeof *s->state);
  *s->state = e->state;
  if (s->state->batch_off < 0 || e->text_n > s->buf.cap - s->state->batch_off) return "a batch does not fit into its memory";
  memcpy(s->buf.data + s->state->batch_off, tm_feed_text(e), (size_t)e->text_n);
  s->batch->fields = s->fields;
  tm_source_cut_again(s);
  if (s->batch->rows != e->rows) return "a batch was read otherwise than by the run: its formats differ";
  s->state->good -= s->batch->rows - s->batch->bad;
  s->state->slots -= s->batch->rows;
  w->flows.fed = e;
  tm_flow_begin(&w->flows, s);
  w->flows.fed = NULL;
  tm_undo_done(u);
  const char *why = drain(c, s, tm_feed_entry_notes(e), e->notes_bytes);
  if (why == NULL) tm_source_batch_done(s);
  return why;
}

/* What was due by the clock. A candidate may have more of it than the run; the run's decisions are compared with the first. */
static const char *take_idle(struct candidate *c, const struct tm_feed_entry *e) {
  struct tm_worker *w = c->w;
  const char *live = tm_feed_entry_notes(e), *why = NULL;
  int32_t live_n = e->notes_bytes, part;
  double due;
  see(c, e);
  for (int n = 0; n < TM_PIPELINES_MAX && why == NULL; n++) {
    int source = tm_script_idle(w->script, e->now_ms, &part, &due);
    if (source < 0) break;
    struct tm_source *s = w->flows.sources[source];
    w->flows.fed = e;
    tm_flow_settle(&w->flows, s, part);
    w->flows.fed = NULL;
    why = drain(c, s, live, live_n);
    live_n = 0;
    tm_flow_settled(s);
  }
  return why;
}

static const char *take_columns(struct candidate *c, const struct tm_feed_entry *e) {
  struct tm_source *s = source_of(&c->w->flows, e->key);
  if (s == NULL || s->batch->csv == NULL || s->batch->csv->given != NULL) return NULL;
  struct tm_csv_names *names = s->batch->csv->shared;
  size_t ends = (size_t)e->rows * sizeof names->ends[0];
  if (e->rows > TM_CSV_COLUMNS_MAX || ends > (size_t)e->text_n || (size_t)e->text_n - ends > TM_CSV_NAMES_BYTES) return "columns that make no sense";
  names->n = e->rows;
  memcpy(names->ends, tm_feed_text(e), ends);
  memcpy(names->text, tm_feed_text(e) + ends, (size_t)e->text_n - ends);
  s->batch->csv->names = names;
  s->batch->csv->serial += 1;
  return NULL;
}

static const char *take_over(struct candidate *c, const struct tm_feed_entry *e) {
  struct tm_source *s = source_of(&c->w->flows, e->key);
  if (s == NULL) return NULL;
  char *over = realloc((void *)(uintptr_t)s->seen_over, (size_t)e->text_n + 1);
  if (over == NULL) return "no memory for which files have ended";
  memcpy(over, tm_feed_text(e), (size_t)e->text_n);
  s->seen_over = over;
  s->seen_files = e->text_n;
  return NULL;
}

static const char *take(struct candidate *c, const struct tm_feed_entry *e) {
  switch (e->kind) {
    case TM_FEED_BATCH: return take_batch(c, e);
    case TM_FEED_IDLE: return take_idle(c, e);
    case TM_FEED_COLUMNS: return take_columns(c, e);
    case TM_FEED_OVER: return take_over(c, e);
    default: return "a batch of no kind";
  }
}

/* ---- its end ---- */

/* Events that the deadline ended: one or the other may be large, many are rules that never end. */
static double overdue_of(const struct tm_shared *s) {
  double n = 0;
  for (int32_t i = 0; i < s->failures_n; i++)
    if (strcmp(s->failures[i].code, "deadline") == 0) n += (double)s->failures[i].count;
  return n;
}

static const char *over(struct candidate *c) {
  struct tm_shared *s = c->w->shared;
  if (c->shadow->stop) return "it was discarded";
  if (s->drain || s->failed) return "its keyed state has come to the bound of --memory";
  if (overdue_of(s) < OVERDUE_MAX) return NULL;
  for (int32_t i = 0; i < s->failures_n; i++)
    if (strcmp(s->failures[i].code, "deadline") == 0)
      snprintf(c->why, sizeof c->why, "%d of its events were ended by --deadline; the first: %s", OVERDUE_MAX, s->failures[i].first);
  return c->why;
}

/* ---- telling ---- */

static const char *tell(struct candidate *c) {
  struct tm_shadow *s = c->shadow;
  struct tm_err err = {0};
  c->text.len = c->json.len = 0;
  if (tm_script_compared(c->w->script, &c->text, &c->json, &err) != 0) return failed(c, &err);
  s->edition++;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  memcpy(s->text, c->text.data, (size_t)c->text.len);
  memcpy(s->json, c->json.data, (size_t)c->json.len);
  s->text_n = c->text.len;
  s->json_n = c->json.len;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  s->edition++;
  c->dirty = 0;
  c->told_ns = c->w->io->mono_ns(c->w->io);
  return NULL;
}

const char *tm_shadow_run(struct tm_worker *w, struct tm_shadow *s) {
  static struct candidate c;
  const char *why = NULL;
  struct tm_err err = {0};
  long rest_us = REST_MIN_US;
  c = (struct candidate){.w = w, .shadow = s, .dirty = 1};
  tm_buf_init(&c.text, TM_SHADOW_TEXT);
  tm_buf_init(&c.json, TM_SHADOW_JSON);
  for (int32_t i = 0; i < w->flows.sources_n; i++) {
    struct tm_source *source = w->flows.sources[i];
    if (source->kind == TM_SOURCE_LINK) continue;
    c.seen[i] = (struct tm_source_seen){.key = source->key, .unbegun = {INFINITY, INFINITY}, .quiet_ms = -1};
    source->seen = &c.seen[i];
  }
  while (why == NULL) {
    const struct tm_feed_entry *e = tm_feed_next(s->feed);
    s->turns++;
    if (e != NULL) {
      why = take(&c, e);
      tm_feed_taken(s->feed, e);
      c.dirty = 1;
      rest_us = REST_MIN_US;
    } else {
      const struct timespec rest = {0, rest_us * 1000};
      if (tm_flow_flush(&w->flows, -1, 1, &err) != 0) why = failed(&c, &err);
      if (why == NULL && c.dirty) why = tell(&c);
      nanosleep(&rest, NULL);
      if (rest_us < REST_MAX_US) rest_us *= 2;
    }
    if (why == NULL) why = over(&c);
    if (why == NULL && c.dirty && w->io->mono_ns(w->io) - c.told_ns > (uint64_t)TELL_EVERY_MS * 1000000U) why = tell(&c);
  }
  if (c.dirty) tell(&c);
  return why;
}
