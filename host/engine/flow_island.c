/* flow_island.c - which sources, pipelines and sinks have something to do with each other (flow.h).
 *
 * Two sources are of one island when rows of theirs meet in a sink or a link, when pipelines behind them have a state in common
 * (a table, a join), when one is read before the other, or when both are bounded: those are read in an order that nothing
 * may depend on. A sink that keeps nothing joins nobody. */
#include "flow.h"

/* The island's first source, by which it is known until all are. */
static int32_t first_of(const struct tm_flows *f, int32_t source) {
  while (f->shared_with[source] != source) source = f->shared_with[source];
  return source;
}

void tm_flow_source_shares(struct tm_flows *f, int32_t source, int32_t other) {
  int32_t a = first_of(f, source), b = first_of(f, other);
  if (a < b) f->shared_with[b] = a;
  else f->shared_with[a] = b;
}

static void join_sinks(struct tm_flows *f) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_outlet *o = f->outlets[i];
    if (o->sink.kind == TM_SINK_DISCARD || o->writers_n == 0) continue;
    int32_t first = o->writers[0].pipeline->source->index;
    for (int32_t w = 1; w < o->writers_n; w++) tm_flow_source_shares(f, first, o->writers[w].pipeline->source->index);
    if (o->link != NULL) tm_flow_source_shares(f, first, o->link->index);
  }
}

static void join_sources(struct tm_flows *f) {
  int32_t bounded = -1;
  for (int32_t i = 0; i < f->sources_n; i++) {
    const struct tm_source *s = f->sources[i];
    for (int32_t k = 0; k < f->sources_n; k++)
      if ((f->waits[i][k / 64] >> (k % 64) & 1) != 0) tm_flow_source_shares(f, i, k);
    if (s->kind == TM_SOURCE_LINK || s->live) continue;
    if (bounded >= 0) tm_flow_source_shares(f, i, bounded);
    bounded = i;
  }
}

void tm_flow_islands(struct tm_flows *f) {
  join_sinks(f);
  join_sources(f);
  f->islands_n = 0;
  for (int32_t i = 0; i < f->sources_n; i++) {
    int32_t first = first_of(f, i);
    f->island[i] = first == i ? f->islands_n++ : f->island[first];
  }
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_outlet *o = f->outlets[i];
    o->island = o->sink.kind == TM_SINK_DISCARD || o->writers_n == 0 ? -1 : tm_flow_island(f, o->writers[0].pipeline->source);
  }
}

int tm_flow_is_blocked(const struct tm_flows *f, int32_t island) {
  for (int32_t i = 0; i < f->outlets_n; i++)
    if (f->outlets[i]->sink.blocked && f->outlets[i]->island == island) return 1;
  return 0;
}

int tm_flow_is_at_work(const struct tm_flows *f, int32_t island) {
  return (f->roots[island] != NULL && f->roots[island]->state->active) || tm_flow_is_blocked(f, island);
}
