/* flow_keep.c - what of the flows' shared memory a later process needs to take up the run between two batches (flow.h).
 *
 * Between two batches of all islands nothing is on its way: of a source there is the place it has read to and the text it has read,
 * of a sink the rows that it has not taken yet. Batches, and where in outs events begin, mean nothing then. */
#include "../io/follow.h"
#include "../io/turns.h"
#include "flow.h"

static void names_keep(const struct tm_csv_names *n, struct tm_keeper *k) {
  if (n == NULL) return;
  tm_keep(k, &n->n, sizeof n->n);
  tm_keep(k, n->ends, (size_t)n->n * sizeof n->ends[0]);
  if (n->n > 0) tm_keep(k, n->text, (size_t)n->ends[n->n - 1]);
}

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
  if (s->kind == TM_SOURCE_LINK) return;
  tm_keep(k, s->buf.data + st->head, (size_t)(st->tail - st->head));
  if (s->batch->csv != NULL) names_keep(s->batch->csv->shared, k);
  if (s->follow_state != NULL) follow_keep(s->follow_state, k);
  if (s->turns != NULL) tm_turns_keep(s, k);
}

static void out_keep(const struct tm_out *out, struct tm_keeper *k) {
  tm_keep(k, out, sizeof *out);
  tm_keep(k, out->buf.data, (size_t)out->buf.len);
}

static void outlet_keep(const struct tm_outlet *o, struct tm_keeper *k) {
  tm_keep(k, o->sink.state, sizeof *o->sink.state);
  for (int32_t w = 0; w < o->writers_n; w++) {
    tm_keep(k, o->writers[w].taken, sizeof *o->writers[w].taken);
    out_keep(o->writers[w].out, k);
  }
  if (o->out != NULL && o->writers_n > 1) out_keep(o->out, k);
  if (o->csv != NULL && !o->csv->given) names_keep(o->csv->names, k);
  if (o->sink.files != NULL) tm_files_keep(o->sink.files, k);
}

void tm_flow_keep(struct tm_flows *f, struct tm_keeper *k) {
  tm_flow_lists_keep(f, k);
  for (int32_t i = 0; i < f->sources_n; i++) source_keep(f->sources[i], k);
  for (int32_t i = 0; i < f->pipelines_n; i++) {
    tm_keep(k, f->pipelines[i]->state, sizeof *f->pipelines[i]->state);
    tm_keep(k, f->pipelines[i]->tally, sizeof *f->pipelines[i]->tally);
  }
  for (int32_t i = 0; i < f->outlets_n; i++) outlet_keep(f->outlets[i], k);
}

void tm_flow_fresh(struct tm_flows *f) {
  f->restored = 1;
  for (int32_t i = 0; i < f->sources_n; i++) tm_source_fresh(f->sources[i]);
  for (int32_t i = 0; i < f->outlets_n; i++) tm_sink_fresh(&f->outlets[i]->sink);
}
