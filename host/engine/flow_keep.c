/* flow_keep.c - what of the flows' shared memory a later process needs to take up the run between two batches (flow.h).
 *
 * Between two batches of all islands nothing is on its way: of a source there is the place it has read to and the text it has read,
 * of a sink the rows that it has not taken yet. Batches, and where in outs events begin, mean nothing then. */
#include <stdio.h>
#include <stdlib.h>

#include "../eventlog/durable.h"
#include "../eventlog/folder.h"
#include "../io/follow.h"
#include "../io/log_sink.h"
#include "../io/log_source.h"
#include "../io/turns.h"
#include "flow.h"
#include "flow_plan.h"

static void follow_keep(const struct tm_follow_state *f, struct tm_keeper *k) {
  tm_keep(k, f, offsetof(struct tm_follow_state, files));
  for (int i = 0; i < TM_FOLLOW_MAX; i++) {
    const struct tm_follow_file *file = &f->files[i];
    if (file->used) tm_keep(k, file, sizeof *file);
    else tm_keep(k, &file->used, sizeof file->used);
  }
}

static void source_keep(const struct tm_source *s, struct tm_keeper *k) {
  const struct tm_source_state *st = s->state;
  tm_keep(k, st, sizeof *st);
  if (s->ring != NULL) tm_input_ring_cut(s->ring, st->offset);
  if (s->kind == TM_SOURCE_LINK) return;
  tm_keep(k, s->buf.data + st->head, (size_t)(st->tail - st->head));
  if (s->batch->csv != NULL) tm_csv_names_keep(s->batch->csv->shared, k);
  if (s->follow_state != NULL) follow_keep(s->follow_state, k);
  if (s->turns != NULL) tm_turns_keep(s, k);
}

static void out_keep(const struct tm_out *out, struct tm_keeper *k) {
  tm_keep(k, out, sizeof *out);
  tm_keep(k, out->buf.data, (size_t)out->buf.len);
}

/* How far an end of the flows is that has a place of its own outside: kept here when an epoch is cut. */
struct end {
  struct tm_log_mark mark;           /* a sink that is an event log */
  struct tm_log_position position;   /* a source that is one */
  int64_t rows;                      /* a sink that is a table: rows handed over */
  char log[TM_EVENTLOG_PATH];        /* of an event log: its folder */
};

static struct end *end_of(struct tm_flows *f, const char *what, uint64_t key) {
  struct tm_err err;
  return tm_flow_region(f, what, key, 0, sizeof(struct end), &err);
}

static void sink_end_keep(struct tm_flows *f, int32_t i, struct tm_keeper *k) {
  const struct tm_sink *s = &f->outlets[i]->sink;
  if (s->kind != TM_SINK_LOG && s->sqlite == NULL) return;
  struct end *end = end_of(f, "sink-end", s->key);
  TM_ASSERT(end != NULL);
  if (s->kind == TM_SINK_LOG) tm_log_sink_mark(s, &end->mark);
  if (s->kind == TM_SINK_LOG && end->log[0] == '\0' && realpath(s->path, end->log) == NULL) end->log[0] = '\0';
  if (s->sqlite != NULL) {
    end->rows = tm_sqlite_sink_position(s->sqlite);
    tm_sqlite_sink_keep(s->sqlite, k);
  }
  tm_keep(k, end, sizeof *end);
}

static void source_end_keep(struct tm_flows *f, int32_t i, struct tm_keeper *k) {
  if (f->sources[i]->kind != TM_SOURCE_LOG) return;
  struct end *end = end_of(f, "source-end", f->sources[i]->key);
  TM_ASSERT(end != NULL);
  tm_log_source_position(f->sources[i], &end->position);
  tm_keep(k, end, sizeof *end);
}

static void outlet_keep(const struct tm_outlet *o, struct tm_keeper *k) {
  tm_keep(k, o->sink.state, sizeof *o->sink.state);
  for (int32_t w = 0; w < o->writers_n; w++) {
    tm_keep(k, o->writers[w].taken, sizeof *o->writers[w].taken);
    out_keep(o->writers[w].out, k);
  }
  if (o->out != NULL && o->writers_n > 1) out_keep(o->out, k);
  if (o->csv != NULL && !o->csv->given) tm_csv_names_keep(o->csv->names, k);
  if (o->sink.files != NULL) tm_files_keep(o->sink.files, k);
}

void tm_flow_keep(struct tm_flows *f, struct tm_keeper *k) {
  tm_flow_lists_keep(f, k);
  tm_plan_keep(f, k);
  for (int32_t i = 0; i < f->sources_n; i++) source_keep(f->sources[i], k);
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    tm_keep(k, f->pipelines[i]->state, sizeof *f->pipelines[i]->state);
    tm_keep(k, f->pipelines[i]->tally, sizeof *f->pipelines[i]->tally);
  }
  for (int32_t i = 0; i < f->outlets_n; i++) outlet_keep(f->outlets[i], k);
  for (int32_t i = 0; i < f->sources_n; i++) source_end_keep(f, i, k);
  for (int32_t i = 0; i < f->outlets_n; i++) sink_end_keep(f, i, k);
}

int tm_flow_waits(const struct tm_flows *f) {
  for (int32_t i = 0; i < f->sources_n; i++)
    if (f->sources[i]->ring != NULL && tm_input_ring_waits(f->sources[i]->ring)) return 1;
  for (int32_t i = 0; i < f->outlets_n; i++)
    if (f->outlets[i]->sink.kind == TM_SINK_LOG && tm_log_sink_waits(&f->outlets[i]->sink)) return 1;
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_sqlite *q = f->outlets[i]->sink.sqlite;
    if (q != NULL && tm_sqlite_sink_held_back(q) && tm_sqlite_sink_full(q)) return 1;
  }
  return 0;
}

int tm_flow_held_back(const struct tm_flows *f) {
  for (int32_t i = 0; i < f->outlets_n; i++)
    if (f->outlets[i]->sink.sqlite != NULL && tm_sqlite_sink_held_back(f->outlets[i]->sink.sqlite)) return 1;
  return 0;
}

void tm_flow_let_go(struct tm_flows *f) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_sqlite *q = f->outlets[i]->sink.sqlite;
    if (q != NULL && tm_sqlite_sink_held_back(q) && tm_sqlite_sink_full(q)) tm_sqlite_sink_allow(q, tm_sqlite_sink_position(q));
  }
}

int tm_flow_durable(struct tm_flows *f, struct tm_err *err) {
  for (int32_t i = 0; i < f->sources_n; i++)
    if (f->sources[i]->ring != NULL) tm_input_ring_release(f->sources[i]->ring);
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_sink *s = &f->outlets[i]->sink;
    if (s->kind == TM_SINK_LOG && tm_log_sink_durable(s, end_of(f, "sink-end", s->key)->mark.sequence, err) != 0) return -1;
    if (s->sqlite != NULL) tm_sqlite_sink_allow(s->sqlite, end_of(f, "sink-end", s->key)->rows);
  }
  return 0;
}

static int log_ended(void *ctx, void *region, struct tm_err *err) {
  const struct end *end = region;
  return end->log[0] == '\0' ? 0 : tm_eventlog_durable_raise(ctx, end->log, end->mark.sequence, err);
}

int tm_flow_ended(struct tm_shared *s, const struct tm_io *io, struct tm_err *err) {
  return tm_shared_each(s, "sink-end.", sizeof(struct end), log_ended, (void *)(uintptr_t)io, err);
}

int tm_flow_uncommitted(const struct tm_flows *f) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_sqlite *q = f->outlets[i]->sink.sqlite;
    if (q != NULL && tm_sqlite_sink_committed(q) < tm_sqlite_sink_position(q)) return 1;
  }
  return 0;
}

int tm_flow_sync(struct tm_flows *f, struct tm_err *err) {
  for (int32_t i = 0; i < f->outlets_n; i++)
    if (f->outlets[i]->sink.kind == TM_SINK_LOG && tm_log_sink_sync(&f->outlets[i]->sink, err) != 0) return -1;
  return 0;
}

int tm_flow_ends_back(struct tm_flows *f, struct tm_err *err) {
  for (int32_t i = 0; i < f->sources_n; i++)
    if (f->sources[i]->kind == TM_SOURCE_LOG && tm_log_source_seek(f->sources[i], &end_of(f, "source-end", f->sources[i]->key)->position, err) != 0) return -1;
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_sink *s = &f->outlets[i]->sink;
    if (s->kind == TM_SINK_LOG && tm_log_sink_truncate(s, &end_of(f, "sink-end", s->key)->mark, err) != 0) return -1;
  }
  return 0;
}

struct place { int sources; double number; };

static int place_of_source(void *ctx, void *region, struct tm_err *err) {
  const struct tm_source_state *st = region;
  struct place *p = ctx;
  (void)err;
  if (st->bytes == 0) return 0;
  p->sources++;
  p->number = st->line;
  return 0;
}

static int place_of_log(void *ctx, void *region, struct tm_err *err) {
  const struct end *end = region;
  struct place *p = ctx;
  (void)err;
  p->number = (double)end->position.sequence;
  return 0;
}

static int place_of_follow(void *ctx, void *region, struct tm_err *err) {
  struct place *p = ctx;
  (void)region;
  (void)err;
  p->sources = 2;
  return 0;
}

double tm_flow_place(struct tm_shared *s) {
  struct place p = {0, 0};
  struct tm_err err;
  tm_shared_each(s, "source.", sizeof(struct tm_source_state), place_of_source, &p, &err);
  tm_shared_each(s, "source-end.", sizeof(struct end), place_of_log, &p, &err);
  tm_shared_each(s, "follow.", 0, place_of_follow, &p, &err);
  return p.sources > 1 ? -1 : p.number;
}

void tm_flow_fresh(struct tm_flows *f) {
  f->restored = 1;
  for (int32_t i = 0; i < f->sources_n; i++) tm_source_fresh(f->sources[i]);
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_sink *s = &f->outlets[i]->sink;
    tm_sink_fresh(s);
    if (s->sqlite != NULL) tm_sqlite_sink_resume(s->sqlite);
  }
}
