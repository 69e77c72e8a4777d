/* flow.c - moving rows (flow.h).
 *
 * Pipelines run in the order of the plan (one that feeds another comes first), each over as much of the batch as its
 * outs have room for. Rows of several pipelines for one sink are merged by the slot of the root batch they came
 * from, then by the order of pipelines: event by event, as if the pipelines had been run on one event at a time. */
#include "flow.h"

#include <stdio.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "../codec/json.h"
#include "../codec/out.h"
#include "script.h"

enum { MERGE_BYTES = 256 * 1024 };

static int drain(struct tm_flows *f, struct tm_source *s, struct tm_err *err);

/* ---- batches ---- */

static const char *bad_code(int status) {
  switch (status) {
    case TM_LINE_NOT_OBJECT: return "not-object";
    case TM_LINE_TOO_DEEP: return "too-deep";
    case TM_LINE_TOO_LONG: return "too-long";
    default: return "syntax";
  }
}

static void explain(const struct tm_flows *f, const struct tm_batch *b, int32_t row, char *why, int32_t size) {
  switch (b->status[row]) {
    case TM_LINE_NOT_OBJECT: snprintf(why, (size_t)size, "not an object: an event is a JSON object on one line"); break;
    case TM_LINE_TOO_LONG: snprintf(why, (size_t)size, "longer than %d bytes (--max-event)", f->max_event); break;
    default: tm_json_explain(b->raw + b->off[row], b->len[row], why, size);
  }
}

static double rows_made(const struct tm_pipeline *p) {
  double n = p->tally->events;
  for (int32_t i = 0; i < p->outs_n; i++)
    if (p->out_sinks[i]->kind == TM_SINK_DISCARD) n += p->outs[i]->rows;
  return n;
}

/* root: outs start a new count of slots; a link's batches go on within the root's */
static void begin(struct tm_flows *f, struct tm_source *s, int root) {
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    struct tm_pipeline *p = f->pipelines[i];
    if (p->source != s) continue;
    p->state->next = 0;
    p->passed = p->failed = 0;
    p->with_rows = rows_made(p);
    p->tally->event = -1;
    for (int32_t k = 0; k < p->outs_n; k++) p->outs[k]->event = -1;
  }
  if (root) {
    f->root = s;
    f->shared->batch_serial++;
    f->shared->counters.batches++;
    f->shared->counters.events_in += (uint64_t)(s->batch->rows - s->batch->bad);
    f->shared->counters.lines_bad += (uint64_t)s->batch->bad;
  }
  tm_script_batch_begin(f->script, s, s->last_rows);
}

void tm_flow_begin(struct tm_flows *f, struct tm_source *source) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_outlet *o = f->outlets[i];
    for (int32_t w = 0; w < o->writers_n; w++) {
      TM_ASSERT(o->writers_n == 1 || o->writers[w].out->buf.len == 0);
      o->writers[w].out->event = -1;
      o->writers[w].out->events_n = 0;
    }
    if (o->out != NULL) o->out->events_n = 0;
  }
  begin(f, source, 1);
}

static void pipeline_done(struct tm_flows *f, struct tm_pipeline *p) {
  double dropped = p->passed - p->failed - (rows_made(p) - p->with_rows);
  if (dropped > 0) f->shared->counters.events_dropped += (uint64_t)dropped;
  p->passed = p->failed = 0;
  p->with_rows = rows_made(p);
}

static int has_room(const struct tm_pipeline *p) {
  for (int32_t i = 0; i < p->outs_n; i++)
    if (p->outs[i]->buf.len > p->outs[i]->soft) return 0;
  return 1;
}

/* Runs p until the batch is passed or its outs are full. */
static void run(struct tm_flows *f, struct tm_pipeline *p) {
  const struct tm_batch *b = p->source->batch;
  while (p->state->next < b->rows && has_room(p)) {
    int32_t first = p->state->next;
    if (b->status[first] != TM_LINE_OK) {
      char why[256];
      explain(f, b, first, why, sizeof why);
      tm_script_bad_line(f->script, p, first, bad_code(b->status[first]), why);
      p->state->next = first + 1;
      continue;
    }
    int32_t last = b->rows - 1;
    if (b->bad > 0) {
      last = first;
      while (last + 1 < b->rows && b->status[last + 1] == TM_LINE_OK) last++;
    }
    int failed;
    f->shared->flow.stop = 0;
    int32_t next = tm_script_run(f->script, p, first, last, &failed);
    p->passed += next - first;
    p->failed += failed;
  }
  if (p->state->next >= b->rows) pipeline_done(f, p);
}

/* ---- merging ---- */

static int outlet_reset(struct tm_outlet *o) {
  o->out->buf.len = 0;
  o->out->events_n = 0;
  o->out->mark = 0;
  o->out->event = -1;
  o->sink.state->sent = 0;
  return 1;
}

/* Slots of the root batch that a pipeline has wholly passed: rows from slots below this are complete. */
static int32_t passed_slots(const struct tm_flows *f, const struct tm_pipeline *p) {
  const struct tm_source *s = p->source;
  const struct tm_batch *b = s->batch;
  if (s->kind != TM_SOURCE_LINK) return s != f->root || p->state->next >= b->rows ? INT32_MAX : p->state->next;
  if (s->state->active && p->state->next < b->rows) return b->origin[p->state->next];
  const struct tm_outlet *o = NULL;
  for (int32_t i = 0; i < f->outlets_n; i++)
    if (f->outlets[i]->link == s) o = f->outlets[i];
  TM_ASSERT(o != NULL);
  if (o->out->buf.len > o->sink.state->sent) {
    int32_t at = o->sink.state->sent + (s->state->active ? s->state->batch_len : 0);
    for (int32_t i = o->out->events_n - 1; i >= 0; i--)
      if (o->out->events[i].off <= at && at < o->out->buf.len) return o->out->events[i].event;
  }
  int32_t least = INT32_MAX;
  for (int32_t w = 0; w < o->writers_n; w++) {
    int32_t n = passed_slots(f, o->writers[w].pipeline);
    if (n < least) least = n;
  }
  return least;
}

static void take_entry(struct tm_out *to, const struct tm_out *from, int32_t i) {
  int32_t off = from->events[i].off;
  int32_t end = i + 1 < from->events_n ? from->events[i + 1].off : from->buf.len;
  if (to->events_n == 0 || to->events[to->events_n - 1].event != from->events[i].event)
    to->events[to->events_n++] = (struct tm_out_event){from->events[i].event, to->buf.len};
  int rc = tm_buf_put(&to->buf, from->buf.data + off, end - off);
  TM_ASSERT(rc == 0);
}

/* Moves complete events from the writers to the merged out, as many as it has room for: 1 if any moved. */
static int merge(struct tm_flows *f, struct tm_outlet *o) {
  if (o->writers_n < 2 || o->sink.kind == TM_SINK_DISCARD) return 0;
  int32_t cursor[TM_PIPELINES_MAX];
  int32_t limit = INT32_MAX, moved = 0;
  for (int32_t w = 0; w < o->writers_n; w++) {
    int32_t n = passed_slots(f, o->writers[w].pipeline);
    if (n < limit) limit = n;
    cursor[w] = 0;
  }
  while (o->out->buf.len <= MERGE_BYTES && o->out->events_n < TM_BATCH_ROWS) {
    int32_t event = limit;
    for (int32_t w = 0; w < o->writers_n; w++) {
      const struct tm_out *out = o->writers[w].out;
      if (cursor[w] < out->events_n && out->events[cursor[w]].event < event) event = out->events[cursor[w]].event;
    }
    if (event == limit) break;
    for (int32_t w = 0; w < o->writers_n; w++) {
      struct tm_out *out = o->writers[w].out;
      if (cursor[w] < out->events_n && out->events[cursor[w]].event == event) take_entry(o->out, out, cursor[w]++);
    }
    moved = 1;
  }
  for (int32_t w = 0; w < o->writers_n; w++) {
    struct tm_out *out = o->writers[w].out;
    if (cursor[w] > 0) tm_out_consume(out, cursor[w] < out->events_n ? out->events[cursor[w]].off : out->buf.len);
  }
  return moved;
}

/* ---- sinks ---- */

static int write_outlet(struct tm_flows *f, struct tm_outlet *o, int small, struct tm_err *err) {
  struct tm_out *out = o->out;
  if (out == NULL || o->sink.kind == TM_SINK_LINK || o->sink.kind == TM_SINK_DISCARD) return 0;
  int32_t waiting = out->buf.len - o->sink.state->sent;
  if (waiting == 0 || (!small && waiting < TM_SOFT)) return 0;
  if (o->sink.blocked && !small) return 0;
  while (out->buf.len > o->sink.state->sent) {
    int64_t n = tm_sink_write(&o->sink, f->io, out->buf.data, out->buf.len, err);
    if (n < 0) return -1;
    if (n == 0 && !o->sink.gone) return 0;
    if (!o->dead_only && !o->sink.gone) f->shared->counters.bytes_out += (uint64_t)n;
  }
  outlet_reset(o);
  return 0;
}

int tm_flow_flush(struct tm_flows *f, int small, struct tm_err *err) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_outlet *o = f->outlets[i];
    int moved;
    do {
      moved = merge(f, o);
      if (write_outlet(f, o, small || moved, err) != 0) return -1;
    } while (moved && o->out != NULL && o->out->buf.len == 0);
  }
  return 0;
}

int tm_flow_pending(const struct tm_flows *f) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_outlet *o = f->outlets[i];
    if (o->out == NULL || o->sink.kind == TM_SINK_LINK) continue;
    if (o->out->buf.len > o->sink.state->sent) return 1;
    for (int32_t w = 0; w < o->writers_n; w++)
      if (o->writers[w].out->buf.len > o->sink.state->sent) return 1;
  }
  return 0;
}

void tm_flow_count(struct tm_flows *f) {
  double rows = 0, dead = 0;
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    struct tm_pipeline *p = f->pipelines[i];
    for (int32_t k = 0; k < p->outs_n; k++) {
      const struct tm_out *out = p->outs[k];
      if (p->out_counts[k] == NULL) continue;
      p->out_counts[k]->rows = (uint64_t)out->rows;
      if (out->tally == NULL)
        dead += out->rows;
      else
        rows += out->rows;
    }
  }
  f->shared->counters.rows_out = (uint64_t)rows;
  f->shared->counters.rows_dead = (uint64_t)dead;
}

/* ---- links ---- */

/* Slots of the root batch behind each row of a link's batch. */
static void link_origins(const struct tm_outlet *o, struct tm_batch *b) {
  const struct tm_out *out = o->out;
  int32_t base = (int32_t)(b->raw - out->buf.data);
  int32_t entry = 0;
  for (int32_t i = 0; i < b->rows; i++) {
    while (entry + 1 < out->events_n && out->events[entry + 1].off <= base + b->off[i]) entry++;
    b->origin[i] = out->events_n > 0 ? out->events[entry].event : 0;
  }
}

static int link_next(struct tm_flows *f, struct tm_outlet *o) {
  struct tm_source *s = o->link;
  int32_t from = o->sink.state->sent, lines = 0;
  if (from >= o->out->buf.len) return 0;
  s->state->batch_len = tm_json_decode(s->batch, o->out->buf.data + from, o->out->buf.len - from, 1, TM_ROW_BYTES_MAX, &lines);
  link_origins(o, s->batch);
  s->state->active = 1;
  begin(f, s, 0);
  return 1;
}

/* Moves all rows a link holds through the pipelines behind it: as drain. */
static int drain_link(struct tm_flows *f, struct tm_outlet *o, struct tm_err *err) {
  struct tm_source *s = o->link;
  for (;;) {
    if (!s->state->active) {
      merge(f, o);
      if (!link_next(f, o)) return outlet_reset(o);
    }
    int rc = drain(f, s, err);
    if (rc != 1) return rc;
    o->sink.state->sent += s->state->batch_len;
    tm_source_batch_done(s);
    if (o->sink.state->sent >= o->out->buf.len) outlet_reset(o);
  }
}

static int feeds(const struct tm_outlet *o, const struct tm_source *s) {
  if (o->link == NULL) return 0;
  for (int32_t w = 0; w < o->writers_n; w++)
    if (o->writers[w].pipeline->source == s) return 1;
  return 0;
}

static int drain(struct tm_flows *f, struct tm_source *s, struct tm_err *err) {
  for (;;) {
    int left = 0, before = 0, after = 0;
    for (int32_t i = 0; i < f->pipelines_n; i++) {
      struct tm_pipeline *p = f->pipelines[i];
      if (p->source != s) continue;
      before += p->state->next;
      if (p->state->next < s->batch->rows) run(f, p);
      after += p->state->next;
      left |= p->state->next < s->batch->rows;
    }
    for (int32_t i = 0; i < f->outlets_n; i++) {
      struct tm_outlet *o = f->outlets[i];
      if (!feeds(o, s)) continue;
      int rc = drain_link(f, o, err);
      if (rc != 1) return rc;
    }
    if (!left) return 1;
    if (tm_flow_flush(f, after == before, err) != 0) return -1;
    int room = 0;
    for (int32_t i = 0; i < f->pipelines_n; i++) {
      struct tm_pipeline *p = f->pipelines[i];
      if (p->source == s && p->state->next < s->batch->rows) room |= has_room(p);
    }
    if (!room && after == before) return 0;
  }
}

int tm_flow_drain(struct tm_flows *f, struct tm_source *source, struct tm_err *err) {
  int rc = drain(f, source, err);
  if (rc != 1) return rc;
  /* all pipelines have passed the batch, so everything can be merged; the next batch counts slots anew */
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_outlet *o = f->outlets[i];
    if (o->sink.kind == TM_SINK_LINK) continue;
    while (merge(f, o)) {
      if (write_outlet(f, o, 1, err) != 0) return -1;
      if (o->out->buf.len > MERGE_BYTES) return 0;
    }
    for (int32_t w = 0; w < o->writers_n && o->writers_n > 1; w++)
      if (o->sink.kind != TM_SINK_DISCARD && o->writers[w].out->buf.len > 0) return 0;
  }
  return 1;
}

/* ---- events ---- */

void tm_flow_rollback(struct tm_pipeline *p, int32_t row) {
  for (int32_t i = 0; i < p->outs_n; i++) tm_out_rollback(p->outs[i], row);
  if (p->tally->event == row && row >= 0) {
    p->tally->event = -1;
    p->tally->events -= 1;
  }
}

void tm_flow_position(const struct tm_flows *f, const struct tm_pipeline *p, int32_t row, char *out, size_t out_size,
                      const char **name, double *line) {
  const struct tm_source *s = p->source;
  int32_t slot = row >= 0 && row < TM_BATCH_ROWS ? s->batch->origin[row] : 0;
  if (s->kind == TM_SOURCE_LINK && f->root != NULL) s = f->root;
  double at = s->batch->line_first + s->batch->line[slot];
  const char *from = tm_source_origin(s);
  snprintf(out, out_size, "%s:%.0f", from, at);
  if (name != NULL) *name = from;
  if (line != NULL) *line = at;
}

/* ---- after a death ---- */

void tm_flow_recover(struct tm_flows *f) {
  struct tm_shared *sh = f->shared;
  for (int32_t i = 0; i < f->sources_n; i++) {
    struct tm_source *s = f->sources[i];
    tm_source_resume(s);
    if (s->state->active && s->kind != TM_SOURCE_LINK) f->root = s;
  }
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_outlet *o = f->outlets[i];
    struct tm_source *s = o->link;
    int32_t lines = 0;
    if (s == NULL || !s->state->active) continue;
    tm_json_decode(s->batch, o->out->buf.data + o->sink.state->sent, o->out->buf.len - o->sink.state->sent, 1, TM_ROW_BYTES_MAX, &lines);
    link_origins(o, s->batch);
  }
  if (sh->death.serial == 0 || sh->death.pipeline < 0 || sh->death.pipeline >= f->pipelines_n) return;
  struct tm_pipeline *p = f->pipelines[sh->death.pipeline];
  int32_t row = sh->death.row;
  if (row < 0 || row >= p->source->batch->rows) return;
  p->state->next = row;
  tm_flow_rollback(p, row);
  if (sh->death_count < 2) return;
  tm_script_bad_line(f->script, p, row, "quarantined", "the worker died of this event twice; it is left out");
  sh->counters.quarantined++;
  p->state->next = row + 1;
}
