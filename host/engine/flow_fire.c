/* flow_fire.c - rows that steps give at the end of input (`emit = 'final'`).
 *
 * They move as events do: a pseudo batch of the pipeline's own source has 1,024 slots without any field, and the loop
 * takes one kept record a slot through the steps behind. So they are merged in order, taken back one by one when they
 * fail, and wait for full sinks, like any event. Sources fire in the order of the plan, one that feeds another first;
 * none is read any more by then. What a dead worker kept is gone, so a pseudo batch is not taken up again. */
#include <string.h>

#include "flow.h"

/* The text of every slot: an event without fields. */
static const char empty_event[2 + TM_PAD] = "{}";

static void fill(struct tm_batch *b, int32_t rows) {
  b->raw = empty_event;
  b->rows = rows;
  b->bad = 0;
  for (int32_t i = 0; i < rows; i++) {
    b->off[i] = 0;
    b->len[i] = 2;
    b->line[i] = 0;
    b->origin[i] = i;
    b->status[i] = TM_LINE_OK;
    b->twice[i] = 0;
  }
}

void tm_flow_fire(struct tm_flows *f, struct tm_source *s, int partial) {
  struct tm_undo *u = &f->shared->undo;
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    struct tm_pipeline *p = f->pipelines[i];
    if (p->source != s || p->state->fired) continue;
    double dropped = tm_flow_dropped(p);
    tm_undo_keep(u, p->state, sizeof *p->state);
    p->state->dropped = dropped;
    p->state->fired = 1;
    tm_undo_done(u);
  }
  tm_fields_clear(s->fields, TM_BATCH_ROWS);
  fill(s->batch, TM_BATCH_ROWS);
  s->batch->format = TM_FORMAT_JSON;
  tm_undo_keep(u, s->state, sizeof *s->state);
  s->state->firing = partial ? 2 : 1;
  s->state->active = 1;
  tm_flow_begin(f, s);
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    struct tm_pipeline *p = f->pipelines[i];
    if (p->source == s && !p->fires) p->state->next = TM_BATCH_ROWS;  /* to it the slots would be events */
  }
  tm_undo_done(u);
  f->shared->flow.fired = 0;
}

int tm_flow_fire_done(struct tm_flows *f, struct tm_source *s) {
  s->state->firing = 0;
  return f->shared->flow.fired < TM_BATCH_ROWS;
}

void tm_flow_settle(struct tm_flows *f, struct tm_source *s, int32_t part) {
  tm_fields_clear(s->fields, 1);
  fill(s->batch, 1);
  tm_undo_keep(&f->shared->undo, s->state, sizeof *s->state);
  s->state->active = s->state->settling = 1;
  tm_flow_begin(f, s);
  s->batch->part = part;
  s->batch->live = -1;
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    struct tm_pipeline *p = f->pipelines[i];
    if (p->source != s) continue;
    p->state->next = 1;
    p->state->due = 1;
  }
  tm_undo_done(&f->shared->undo);
}

/* The slot is none of the input's, by which `sample` counts. */
void tm_flow_settled(struct tm_source *s) {
  tm_undo_keep(s->undo, s->state, sizeof *s->state);
  s->state->slots -= 1;
  s->state->settling = s->state->active = 0;
  tm_undo_done(s->undo);
}
