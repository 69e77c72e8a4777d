/* flow_merge.c - rows of several pipelines for one sink, brought into one order (flow.h).
 *
 * The order is that of one event at a time: by slot of the root batch, then by pipeline, then as they were made. Rows
 * move as soon as nothing that goes before them can still come:
 *
 *   limit = the least slot that some writer has not wholly passed
 *   slots < limit    are complete and move
 *   slot  = limit    moves writer by writer, up to and with the first that has not passed it; so one event of that
 *                    writer's may make more rows than any buffer holds (behind a link, where bounds are per row)
 *
 * The writer this stops at always finds room again, which is why pipelines can wait for each other without an end.
 * Where pipelines share a state each has the end of input for itself (must_wait in flow.c): then rows go by pipeline first, as those of a later
 * slot could not wait for a pipeline that has not begun.
 * What was merged stays in the writer's out until that is empty or worth moving; `taken` counts it. */
#include <string.h>

#include "../base/buf.h"
#include "../codec/csv_write.h"
#include "../codec/out.h"
#include "flow.h"

enum { MERGE_BYTES = 256 * 1024, COMPACT_BYTES = 16 * 1024 };

void tm_flow_out_clear(struct tm_out *out) {
  out->buf.len = 0;
  out->events_n = 0;
  out->mark = 0;
  out->event = -1;
}

/* The entry of a writer's first row not merged; -1 there is none. */
static int32_t first_entry(const struct tm_writer *w) {
  const struct tm_out *out = w->out;
  int32_t i = w->taken->entry, bytes = w->taken->bytes;
  if (bytes >= out->buf.len) return -1;
  while (i + 1 < out->events_n && out->events[i + 1].off <= bytes) i++;
  return i;
}

int tm_flow_unmerged(const struct tm_outlet *o) {
  if (o->writers_n < 2 || o->sink.kind == TM_SINK_DISCARD) return 0;
  for (int32_t w = 0; w < o->writers_n; w++)
    if (o->writers[w].out->buf.len > o->writers[w].taken->bytes) return 1;
  return 0;
}

/* The same for pipelines behind a link: what waits in the link, or may still come into it. */
static int32_t passed_link(const struct tm_flows *f, const struct tm_pipeline *p) {
  const struct tm_source *s = p->source;
  const struct tm_outlet *o = f->links[s->index];
  int32_t at = o->sink.state->sent, least = INT32_MAX;
  if (s->state->active) {
    if (p->state->due) return s->batch->origin[p->state->next - 1];
    if (p->state->next < s->batch->rows) return s->batch->origin[p->state->next];
    at += s->state->batch_len;
  }
  for (int32_t i = o->out->events_n - 1; i >= 0 && at < o->out->buf.len; i--)
    if (o->out->events[i].off <= at) return o->out->events[i].event;
  for (int32_t w = 0; w < o->writers_n; w++) {
    int32_t n = tm_flow_passed(f, o->writers[w].pipeline);
    int32_t first = o->writers_n > 1 ? first_entry(&o->writers[w]) : -1;
    if (first >= 0 && o->writers[w].out->events[first].event < n) n = o->writers[w].out->events[first].event;
    if (n < least) least = n;
  }
  return least;
}

int32_t tm_flow_passed(const struct tm_flows *f, const struct tm_pipeline *p) {
  const struct tm_source *s = p->source;
  if (s->kind == TM_SOURCE_LINK) return passed_link(f, p);
  int at_hand = s == tm_flow_root(f, s);
  if (at_hand && p->state->due) return p->state->next - 1;
  return !at_hand || p->state->next >= s->batch->rows ? INT32_MAX : p->state->next;
}

/* ---- moving ---- */

static int has_room(const struct tm_out *out) {
  return out->buf.len <= MERGE_BYTES && out->events_n < TM_BATCH_ROWS;
}

/* Copies what there is of entry i. */
static void take_entry(struct tm_out *to, struct tm_writer *w, int32_t i) {
  const struct tm_out *from = w->out;
  int32_t end = i + 1 < from->events_n ? from->events[i + 1].off : from->buf.len;
  int32_t off = w->taken->bytes;
  if (to->events_n == 0 || to->events[to->events_n - 1].event != from->events[i].event)
    to->events[to->events_n++] = (struct tm_out_event){from->events[i].event, to->buf.len};
  int rc = tm_buf_put(&to->buf, from->buf.data + off, end - off);
  TM_ASSERT(rc == 0);
  w->taken->bytes = end;
  w->taken->entry = i;
}

/* A writer all of whose rows are merged begins anew; else its pipeline may make so much more. */
static void settle(struct tm_outlet *o, struct tm_writer *w) {
  if (w->taken->bytes >= w->out->buf.len) {
    tm_flow_out_clear(w->out);
    w->taken->bytes = w->taken->entry = 0;
  }
  w->out->soft = o->soft + w->taken->bytes;
}

/* Moves a writer's rest to the front, when that does not overlap and the copy is paid for by what was merged. */
static void compact(struct tm_flows *f, struct tm_outlet *o, struct tm_writer *w) {
  struct tm_undo *u = &f->shared->undo;
  struct tm_out *out = w->out;
  int32_t gone = w->taken->bytes, rest = out->buf.len - gone, kept = 0;
  if (gone < COMPACT_BYTES || rest > gone) return;
  int32_t first = first_entry(w);
  memcpy(out->buf.data, out->buf.data + gone, (size_t)rest);
  tm_undo_keep(u, out->events, (size_t)out->events_n * sizeof *out->events);
  tm_undo_keep(u, out, sizeof *out);
  tm_undo_keep(u, w->taken, sizeof *w->taken);
  for (int32_t i = first; i < out->events_n; i++) {
    int32_t off = out->events[i].off - gone;
    out->events[kept++] = (struct tm_out_event){out->events[i].event, off > 0 ? off : 0};
  }
  out->events_n = kept;
  out->buf.len = rest;
  out->event = -1;
  w->taken->bytes = w->taken->entry = 0;
  out->soft = o->soft;
  tm_undo_done(u);
}

/* The least slot with rows not merged; INT32_MAX there is none. */
static int32_t first_slot(const struct tm_outlet *o) {
  int32_t least = INT32_MAX;
  for (int32_t w = 0; w < o->writers_n; w++) {
    int32_t i = first_entry(&o->writers[w]);
    if (i >= 0 && o->writers[w].out->events[i].event < least) least = o->writers[w].out->events[i].event;
  }
  return least;
}

/* The header goes in front of the first row that ever comes here. */
static void head_put(struct tm_outlet *o) {
  const struct tm_sink_state *st = o->sink.state;
  if (!o->headed || o->out->buf.len > 0 || st->sent > 0 || st->before > 0) return;
  int32_t rc = tm_csv_head_put(&o->out->buf, o->csv);
  TM_ASSERT(rc == 0);
}

/* Moves rows of one slot: 1 all that may ever come are moved, 0 not. */
static int move_slot(struct tm_outlet *o, int32_t slot, const int32_t *passed, int *moved) {
  for (int32_t w = 0; w < o->writers_n; w++) {
    struct tm_writer *writer = &o->writers[w];
    int32_t i = first_entry(writer);
    if (i >= 0 && writer->out->events[i].event == slot) {
      if (!has_room(o->out)) return 0;
      head_put(o);
      take_entry(o->out, writer, i);
      *moved = 1;
    }
    if (passed[w] <= slot) return 0;
  }
  return 1;
}

/* Pipelines have the end of input one after the other. */
static int by_pipeline(const struct tm_flows *f, const struct tm_outlet *o) {
  const struct tm_source *root = o->island >= 0 ? f->roots[o->island] : NULL;
  return root != NULL && root->one && root->state->firing;
}

/* Moves all rows of each writer up to and with the first that is not at its end. */
static int move_pipelines(struct tm_outlet *o, const int32_t *passed) {
  int moved = 0;
  for (int32_t w = 0; w < o->writers_n; w++) {
    int32_t i;
    while ((i = first_entry(&o->writers[w])) >= 0) {
      if (!has_room(o->out)) return moved;
      head_put(o);
      take_entry(o->out, &o->writers[w], i);
      moved = 1;
    }
    if (passed[w] != INT32_MAX) return moved;
  }
  return moved;
}

int tm_flow_merge(struct tm_flows *f, struct tm_outlet *o) {
  struct tm_undo *u = &f->shared->undo;
  int32_t passed[TM_PIPELINES_MAX];
  int32_t limit = INT32_MAX;
  int moved = 0;
  if (!tm_flow_unmerged(o) || !has_room(o->out)) return 0;
  tm_undo_keep(u, o->out, sizeof *o->out);
  for (int32_t w = 0; w < o->writers_n; w++) {
    tm_undo_keep(u, o->writers[w].out, sizeof *o->writers[w].out);
    tm_undo_keep(u, o->writers[w].taken, sizeof *o->writers[w].taken);
    passed[w] = tm_flow_passed(f, o->writers[w].pipeline);
    if (passed[w] < limit) limit = passed[w];
  }
  int all = by_pipeline(f, o);
  if (all) moved = move_pipelines(o, passed);
  while (!all) {
    int32_t slot = first_slot(o);
    if (slot > limit || slot == INT32_MAX || !move_slot(o, slot, passed, &moved)) break;
  }
  for (int32_t w = 0; w < o->writers_n; w++) settle(o, &o->writers[w]);
  tm_undo_done(u);
  for (int32_t w = 0; w < o->writers_n; w++) compact(f, o, &o->writers[w]);
  return moved;
}
