/* flow.c - moving rows (flow.h).
 *
 * Pipelines run in the order of the plan (one that feeds another comes first), each over as much of the batch as its
 * outs have room for. A batch moves through in rounds: each takes every pipeline and link as far as it goes, then rows
 * are merged (flow_merge.c) and written. A round in which nothing moves has met a sink that takes nothing. */
#include "flow.h"

#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "../codec/format.h"
#include "../codec/out.h"
#include "../io/turns.h"
#include "feed.h"
#include "script.h"

/* Something has been done that no death takes back. */
static void moved(struct tm_flows *f) {
  f->moved = 1;
  f->shared->moves++;
}

/* ---- batches ---- */

static const char *bad_code(int status) {
  switch (status) {
    case TM_LINE_NOT_OBJECT: return "not-object";
    case TM_LINE_TOO_DEEP: return "too-deep";
    case TM_LINE_TOO_LONG: return "too-long";
    case TM_LINE_FIELDS: return "fields";
    default: return "syntax";
  }
}

static void explain(const struct tm_flows *f, const struct tm_batch *b, int32_t row, char *why, int32_t size) {
  const struct tm_format *format = tm_format_of(b);
  int status = b->status[row];
  if (status == TM_LINE_TOO_LONG) snprintf(why, (size_t)size, "longer than %d bytes (--max-event)", f->max_event);
  else if (status == TM_LINE_NOT_OBJECT && format->not_object != NULL) snprintf(why, (size_t)size, "%s", format->not_object);
  else format->explain(b, row, why, size);
}

/* Do rows of the source q come into this link? */
static int is_fed(const struct tm_flows *f, const struct tm_source *link, const struct tm_source *q) {
  const struct tm_outlet *o = f->links[link->index];
  for (int32_t w = 0; w < o->writers_n; w++) {
    const struct tm_source *s = o->writers[w].pipeline->source;
    if (s == q || (s->kind == TM_SOURCE_LINK && is_fed(f, s, q))) return 1;
  }
  return 0;
}

/* Which partition of its input the batch that begins is from, and what is known of those that are not begun: the watermark is the
 * least of all partitions'. */
static void partition(const struct tm_flows *f, const struct tm_source *s) {
  struct tm_batch *b = s->batch;
  const struct tm_source *root = tm_flow_root(f, s);
  b->part = root->index << 16 | tm_source_part(root);
  b->live = root->seen != NULL ? root->seen->live : (root->live && !root->paced) || root->follow != NULL;
  b->unbegun = tm_source_unbegun(root, 1);
  b->parts_over = 0;
  for (int32_t i = 0; i < f->sources_n; i++) {
    const struct tm_source *q = f->sources[i];
    if (q->kind == TM_SOURCE_LINK) continue;
    b->parts_over += tm_source_parts_over(q);
    if (q == root || s->kind != TM_SOURCE_LINK || !is_fed(f, s, q)) continue;
    double unbegun = tm_source_unbegun(q, 0);
    if (unbegun < b->unbegun) b->unbegun = unbegun;
  }
}

/* Its slots are none of the input's. */
static int is_pseudo(const struct tm_source *s) { return s->state->firing || s->state->settling; }

/* For control's words about a death: the batch that moves is one of s. */
static void at_work(struct tm_flows *f, const struct tm_source *s) {
  f->shared->root = s->batch;
  snprintf(f->shared->source, sizeof f->shared->source, "%s", tm_source_origin(s));
}

/* root: outs start a new count of slots; a link's batches go on within the root's. Nothing of this counts until the
 * batch is at hand, but for what is kept here. */
static void begin(struct tm_flows *f, struct tm_source *s, int root) {
  struct tm_shared *sh = f->shared;
  double now = f->fed != NULL ? f->fed->now_ms : (double)f->io->real_ms(f->io);
  s->batch->received_ms = root ? now : tm_flow_root(f, s)->batch->received_ms;
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    struct tm_pipeline *p = f->pipelines[i];
    if (p->source != s) continue;
    p->state->next = 0;
    p->tally->event = p->tally->late_event = p->tally->missed_event = -1;
    for (int32_t k = 0; k < p->outs_n; k++) p->outs[k]->event = -1;
  }
  if (root) {
    struct tm_counters *c = &sh->counters;
    f->roots[tm_flow_island(f, s)] = s;
    at_work(f, s);
    tm_undo_keep(&sh->undo, &sh->batch_serial, sizeof sh->batch_serial);
    tm_undo_keep(&sh->undo, &c->batches, sizeof c->batches);
    tm_undo_keep(&sh->undo, &c->events_in, sizeof c->events_in);
    tm_undo_keep(&sh->undo, &c->lines_bad, sizeof c->lines_bad);
    sh->batch_serial++;
    c->batches++;
    if (!is_pseudo(s)) c->events_in += (uint64_t)(s->batch->rows - s->batch->bad);
    c->lines_bad += (uint64_t)s->batch->bad;
  }
  partition(f, s);
  if (!is_pseudo(s)) s->state->good += s->batch->rows - s->batch->bad;
  s->batch->before = s->state->slots;
  s->state->slots += s->batch->rows;
  tm_script_batch_begin(f->script, s, s->last_rows);
}

void tm_flow_begin(struct tm_flows *f, struct tm_source *source) {
  int32_t island = tm_flow_island(f, source);
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    const struct tm_pipeline *p = f->pipelines[i];
    if (tm_flow_island(f, p->source) != island) continue;
    for (int32_t k = 0; k < p->outs_n; k++) {
      p->outs[k]->event = -1;
      p->outs[k]->events_n = 0;
    }
  }
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_outlet *o = f->outlets[i];
    if (o->island != island) continue;
    for (int32_t w = 0; w < o->writers_n; w++) TM_ASSERT(o->writers_n == 1 || o->writers[w].out->buf.len == 0);
    if (o->out != NULL) o->out->events_n = 0;
  }
  begin(f, source, 1);
}

static int has_room(const struct tm_pipeline *p) {
  for (int32_t i = 0; i < p->outs_n; i++)
    if (p->outs[i]->buf.len > p->outs[i]->soft) return 0;
  return 1;
}

/* A line that is no event, or an event that is left out: a dead letter, and on to the next. */
static void pass_over(struct tm_flows *f, struct tm_pipeline *p, int32_t row, const char *code, const char *why, int is_event) {
  struct tm_shared *sh = f->shared;
  struct tm_undo *u = &sh->undo;
  tm_undo_keep(u, p->state, sizeof *p->state);
  for (int32_t k = 0; k < p->outs_n; k++) tm_undo_keep(u, p->outs[k], sizeof *p->outs[k]);
  tm_script_bad_line(f->script, p, row, code, why);
  if (is_event) {
    tm_undo_keep(u, &sh->counters.quarantined, sizeof sh->counters.quarantined);
    sh->counters.quarantined++;
    p->state->failed += 1;
  }
  p->state->next = row + 1;
  tm_undo_done(u);
  moved(f);
}

/* Pipelines that share a state take an event, or the end of input, one after the other, in the order of the plan: also where one of them
 * rests in between, as its outs are full. The first of them that is not done can always go on, so nobody waits in a circle. */
static int must_wait(const struct tm_flows *f, const struct tm_pipeline *p) {
  int32_t island = tm_flow_island(f, p->source);
  const struct tm_source *root = f->roots[island];
  if (!root->one) return 0;
  for (int32_t i = 0; i < p->index; i++) {
    const struct tm_pipeline *q = f->pipelines[i];
    if (q->source->state->active && !tm_flow_at_end(q) && tm_flow_island(f, q->source) == island) return 1;
  }
  return 0;
}

/* The row of the batch at hand that has ended two workers, where the run is taken from a data folder each time, so that no batch was
 * at hand to be mended; -1 none. */
static int32_t deadly(const struct tm_flows *f, const struct tm_pipeline *p) {
  const struct tm_shared *sh = f->shared;
  const struct tm_batch *b = p->source->batch;
  if (!f->restored || sh->death_count < 2 || sh->death.pipeline != p->index) return -1;
  double n = p->source->state->good;
  for (int32_t i = b->rows - 1; i >= 0; i--)
    if (b->status[i] == TM_LINE_OK && --n == sh->death_event) return i;
  return -1;
}

/* Runs p until the batch is passed or its outs are full. */
static void run(struct tm_flows *f, struct tm_pipeline *p) {
  const struct tm_batch *b = p->source->batch;
  if (must_wait(f, p)) return;
  f->shared->batch = b;
  f->shared->batch_good = p->source->state->good;
  int32_t left_out = deadly(f, p);
  while (!tm_flow_at_end(p) && has_room(p)) {
    int32_t first = p->state->next;
    if (!p->state->due && b->status[first] != TM_LINE_OK) {
      char why[256];
      explain(f, b, first, why, sizeof why);
      pass_over(f, p, first, bad_code(b->status[first]), why, 0);
      continue;
    }
    if (!p->state->due && first == left_out) {
      pass_over(f, p, first, "quarantined", "the worker died of this event twice; it is left out", 1);
      continue;
    }
    int32_t last = p->state->due ? first - 1 : b->rows - 1;
    if (b->bad > 0 && !p->state->due) {
      last = first;
      while (last + 1 < b->rows && b->status[last + 1] == TM_LINE_OK) last++;
    }
    if (first < left_out && last >= left_out) last = left_out - 1;
    int failed;
    f->shared->flow.stop = 0;
    f->shared->flow.firing = p->source->state->firing;
    tm_script_run(f->script, p, first, last, &failed);
    moved(f);
  }
}

/* ---- sinks ---- */

/* All rows of the outlet's out were taken. Part of a change under way, or one of its own (whole). */
static void outlet_clear(struct tm_flows *f, struct tm_outlet *o, int whole) {
  struct tm_undo *u = &f->shared->undo;
  tm_undo_keep(u, o->out, sizeof *o->out);
  tm_undo_keep(u, o->sink.state, sizeof *o->sink.state);
  tm_flow_out_clear(o->out);
  tm_sink_begin_anew(&o->sink);
  if (whole) tm_undo_done(u);
}

static int write_outlet(struct tm_flows *f, struct tm_outlet *o, int small, struct tm_err *err) {
  struct tm_out *out = o->out;
  int32_t waiting = out->buf.len - o->sink.state->sent;
  if (!small && (waiting < TM_SOFT || o->sink.blocked)) return 0;
  o->sink.small = small;
  while (out->buf.len > o->sink.state->sent || tm_sink_busy(&o->sink)) {
    int rc = tm_sink_write(&o->sink, out->buf.data, out->buf.len, err);
    if (rc < 0) return -1;
    if (rc == 0) break;
    moved(f);
  }
  if (out->buf.len > 0 && out->buf.len == o->sink.state->sent) {
    outlet_clear(f, o, 1);
    moved(f);
  }
  return 0;
}

/* Dead letters may go to a sink that keeps nothing. */
static void discard(struct tm_flows *f, struct tm_outlet *o) {
  struct tm_undo *u = &f->shared->undo;
  for (int32_t w = 0; w < o->writers_n; w++) {
    struct tm_out *out = o->writers[w].out;
    if (out->buf.len == 0) continue;
    tm_undo_keep(u, out, sizeof *out);
    tm_flow_out_clear(out);
    tm_undo_done(u);
    moved(f);
  }
}

int tm_flow_flush(struct tm_flows *f, int32_t island, int small, struct tm_err *err) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_outlet *o = f->outlets[i];
    if (o->sink.kind == TM_SINK_LINK || (island >= 0 && o->island >= 0 && o->island != island)) continue;
    if (o->sink.kind == TM_SINK_DISCARD) {
      discard(f, o);
      continue;
    }
    if (o->sink.kind == TM_SINK_MEMORY) {
      o->sink.blocked = o->out->buf.len > 0;
      continue;
    }
    int more;
    do {
      more = tm_flow_merge(f, o);
      if (more) moved(f);
      if (write_outlet(f, o, small, err) != 0) return -1;
    } while (more);
  }
  return 0;
}

int tm_flow_pending(const struct tm_flows *f) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_outlet *o = f->outlets[i];
    if (o->out == NULL || o->sink.kind == TM_SINK_LINK) continue;
    if (o->out->buf.len > o->sink.state->sent || tm_sink_busy(&o->sink) || tm_flow_unmerged(o)) return 1;
  }
  return 0;
}

void tm_flow_finish(struct tm_flows *f) {
  for (int32_t i = 0; i < f->outlets_n; i++) f->outlets[i]->sink.finish = 1;
}

/* What came, but for what waits, failed, or made rows. */
double tm_flow_dropped(const struct tm_pipeline *p) {
  if (p->state->fired) return p->state->dropped;
  const struct tm_source *s = p->source;
  double n = s->state->good - p->state->failed - p->tally->events;
  for (int32_t i = p->state->next; s->state->active && i < s->batch->rows; i++) n -= s->batch->status[i] == TM_LINE_OK;
  return n;
}

void tm_flow_count(struct tm_flows *f) {
  struct tm_counters *c = &f->shared->counters;
  double rows = 0, dead = 0, none = 0, late = 0, timers = 0, matches = 0, missed = 0, mistyped = 0, thrown = 0, taken = 0, read = 0;
  for (int32_t i = 0; i < f->sources_n; i++) read += f->sources[i]->state->bytes;
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_outlet *o = f->outlets[i];
    thrown += o->sink.state->rows_thrown;
    if (!o->dead_only) rows -= o->sink.state->rows_thrown;
    if (!o->dead_only && o->sink.kind != TM_SINK_LINK)
      taken += o->sink.state->before + o->sink.state->sent - o->sink.state->bytes_thrown;
  }
  for (int i = 0; i < f->shared->flows_n; i++) f->shared->flows[i].rows = 0;
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    struct tm_pipeline *p = f->pipelines[i];
    none += tm_flow_dropped(p);
    late += p->tally->late;
    timers += p->tally->timers_dropped;
    matches += p->tally->matches_dropped;
    missed += p->tally->missed;
    mistyped += p->tally->mistyped;
    for (int32_t k = 0; k < p->outs_n; k++) {
      const struct tm_out *out = p->outs[k];
      if (p->out_counts[k] == NULL) continue;
      p->out_counts[k]->rows += (uint64_t)out->rows;
      if (out->tally == NULL)
        dead += out->rows;
      else if (!p->out_sinks[k]->table)
        rows += out->rows;
    }
  }
  c->bytes_in = (uint64_t)read;
  c->rows_out = (uint64_t)rows;
  c->bytes_out = (uint64_t)taken;
  c->rows_dead = (uint64_t)dead;
  c->rows_discarded = (uint64_t)thrown;
  c->events_dropped = (uint64_t)none;
  c->events_late = (uint64_t)late;
  c->timers_dropped = (uint64_t)timers;
  c->matches_dropped = (uint64_t)matches;
  c->lookups_missed = (uint64_t)missed;
  c->lookups_mistyped = (uint64_t)mistyped;
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
  int32_t from = o->sink.state->sent;
  struct tm_cut cut;
  if (from >= o->out->buf.len) return 0;
  tm_formats[s->batch->format].decode(s->batch, o->out->buf.data + from, o->out->buf.len - from, 1, TM_ROW_BYTES_MAX, &cut);
  link_origins(o, s->batch);
  tm_undo_keep(&f->shared->undo, s->state, sizeof *s->state);
  begin(f, s, 0);
  s->state->batch_len = cut.used;
  s->state->active = 1;
  tm_undo_done(&f->shared->undo);
  moved(f);
  return 1;
}

static void link_done(struct tm_flows *f, struct tm_outlet *o) {
  struct tm_undo *u = &f->shared->undo;
  struct tm_source *s = o->link;
  tm_undo_keep(u, s->state, sizeof *s->state);
  tm_undo_keep(u, o->sink.state, sizeof *o->sink.state);
  o->sink.state->sent += s->state->batch_len;
  s->state->active = 0;
  s->last_rows = s->batch->rows;
  if (o->sink.state->sent >= o->out->buf.len) outlet_clear(f, o, 0);
  tm_undo_done(u);
}

/* Takes the pipelines that read s as far as they go: 1 all are at the end of its batch. */
static int run_all(struct tm_flows *f, struct tm_source *s) {
  int all = 1;
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    struct tm_pipeline *p = f->pipelines[i];
    if (p->source != s) continue;
    if (!tm_flow_at_end(p)) run(f, p);
    if (!tm_flow_at_end(p)) all = 0;
  }
  return all;
}

/* Moves the rows a link holds through the pipelines behind it, as far as they go. What these make for other links
 * names slots of the root batch, so a link's own batch is done without it. */
static void run_link(struct tm_flows *f, struct tm_outlet *o) {
  for (;;) {
    if (!o->link->state->active) {
      if (tm_flow_merge(f, o)) moved(f);
      if (!link_next(f, o)) return;
    }
    if (!run_all(f, o->link)) return;
    link_done(f, o);
  }
}

/* Every row of the batch is where its sink takes it from: the next batch counts slots anew. */
static int all_merged(const struct tm_flows *f, const struct tm_source *at_hand) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_outlet *o = f->outlets[i];
    if (o->island != tm_flow_island(f, at_hand)) continue;
    if (tm_flow_unmerged(o)) return 0;
    if (o->link != NULL && o->link != at_hand && (o->link->state->active || o->out->buf.len > o->sink.state->sent)) return 0;
  }
  return 1;
}

int tm_flow_drain(struct tm_flows *f, struct tm_source *source, uint64_t until_ns, struct tm_err *err) {
  int32_t island = tm_flow_island(f, source);
  if (f->shared->root != source->batch) at_work(f, source);
  for (;;) {
    f->moved = 0;
    int all = run_all(f, source);
    for (int32_t i = 0; i < f->pipelines_n; i++) {
      struct tm_source *s = f->pipelines[i]->source;
      if (s->kind == TM_SOURCE_LINK && s != source && tm_flow_island(f, s) == island) run_link(f, f->links[s->index]);
    }
    if (all && all_merged(f, source)) return TM_FLOW_DRAINED;
    if (tm_flow_flush(f, island, 0, err) != 0) return -1;
    if (!f->moved && tm_flow_flush(f, island, 1, err) != 0) return -1;
    if (!f->moved) break;
    if (until_ns != 0 && f->io->mono_ns(f->io) >= until_ns) return TM_FLOW_LATER;
  }
  TM_ASSERT(tm_flow_is_blocked(f, island));
  return TM_FLOW_BLOCKED;
}

/* ---- events ---- */

void tm_flow_rollback(struct tm_pipeline *p, int32_t row) {
  for (int32_t i = 0; i < p->outs_n; i++) tm_out_rollback(p->outs[i], row);
  if (row < 0) return;
  tm_out_tally_rollback(p->tally, row);
  tm_out_late_rollback(p->tally, row);
  tm_out_missed_rollback(p->tally, row);
}

void tm_flow_position(const struct tm_flows *f, const struct tm_pipeline *p, int32_t row, char *out, size_t out_size,
                      const char **name, double *line) {
  const struct tm_source *s = p->source;
  if (row < -1) row -= TM_AFTER;
  int32_t slot = row >= 0 && row < TM_BATCH_ROWS ? s->batch->origin[row] : 0;
  if (s->kind == TM_SOURCE_LINK && tm_flow_root(f, s) != NULL) s = tm_flow_root(f, s);
  double at = s->batch->line_first + s->batch->line[slot];
  const char *from = tm_source_origin(s);
  if (s->state->firing) snprintf(out, out_size, "%s:end", from);
  else if (s->state->settling) snprintf(out, out_size, "%s:idle", from);
  else snprintf(out, out_size, "%s:%s%.0f", from, tm_format_of(s->batch)->place, at);
  if (name != NULL) *name = from;
  if (line != NULL) *line = at;
}

/* ---- after a death ---- */

/* The event at which the worker died is undone, or left out when it is the second time. An event whose row is passed
 * was finished before. */
static void mend_event(struct tm_flows *f) {
  struct tm_shared *sh = f->shared;
  if (sh->death.pipeline < 0 || sh->death.pipeline >= f->pipelines_n) return;
  struct tm_pipeline *p = f->pipelines[sh->death.pipeline];
  int32_t row = sh->death.row, after = row < -1;
  if (after) row -= TM_AFTER;
  if (!p->source->state->active || row < 0 || row >= p->source->batch->rows || p->state->next > row + after) return;
  if (after) {
    /* the event is done, and what was to follow it is gone with the worker's state */
    tm_flow_rollback(p, row + TM_AFTER);
    p->state->next = row + 1;
    return;
  }
  tm_flow_rollback(p, row);
  p->state->next = row;
  int32_t taken = sh->flow.taken - 1;
  sh->flow.taken = 0;
  if (taken >= 0 && taken < row) {
    /* events before it were taken in with it: all are done again, one by one, so that a second death names its event */
    p->state->next = taken;
    sh->flow.careful = 1;
    return;
  }
  sh->flow.marker.step = sh->death.step;
  if (sh->death_count >= 2) pass_over(f, p, row, "quarantined", "the worker died of this event twice; it is left out", 1);
}

void tm_flow_recover(struct tm_flows *f) {
  struct tm_shared *sh = f->shared;
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    f->pipelines[i]->state->due = 0;
    for (int32_t k = 0; k < f->pipelines[i]->outs_n; k++) f->pipelines[i]->outs[k]->after = 0;
  }
  for (int32_t i = 0; i < f->sources_n; i++) {
    struct tm_source *s = f->sources[i];
    tm_source_resume(s);
    if (s->state->active && s->kind != TM_SOURCE_LINK) f->roots[tm_flow_island(f, s)] = s;
  }
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_outlet *o = f->outlets[i];
    struct tm_source *s = o->link;
    struct tm_cut cut;
    if (o->out != NULL) tm_sink_resume(&o->sink, o->out->buf.data, o->out->buf.len);
    if (s == NULL || !s->state->active || o->out == NULL) continue;
    tm_formats[s->batch->format].decode(s->batch, o->out->buf.data + o->sink.state->sent, s->state->batch_len, 1, TM_ROW_BYTES_MAX,
                                        &cut);
    link_origins(o, s->batch);
  }
  if (sh->death.serial != 0) mend_event(f);
  tm_undo_fence();
  sh->death.serial = 0;
}
