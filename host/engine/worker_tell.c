/* worker_tell.c - how the run stands, told by the worker between two turns when control asks (worker_own.h): where sources are, what
 * sinks wait for, and by the library watermarks, sizes of states and rules. It goes to the shared block, where control reads it. */
#include <stdio.h>
#include <string.h>

#include "../base/undo.h"
#include "../io/follow.h"
#include "../io/log_source.h"
#include "epochs.h"
#include "script.h"
#include "worker_own.h"

static const char *source_kind(const struct tm_source *s) {
  static const char *const names[] = {"file", "stdin", "generate", "link", "every", "log"};
  return names[s->kind];
}

static const char *sink_kind(const struct tm_sink *s) {
  static const char *const names[] = {"file", "stdout", "discard", "link", "memory", "log", "compare", "sqlite"};
  return names[s->kind];
}

static void tell_source(struct tm_source_place *p, const struct tm_worker *w, const struct tm_source *s) {
  const struct tm_source_state *st = s->state;
  memset(p, 0, sizeof *p);
  snprintf(p->name, sizeof p->name, "%s", s->name);
  snprintf(p->kind, sizeof p->kind, "%s", source_kind(s));
  p->events = st->good;
  p->bytes = st->bytes;
  p->position = -1;
  p->done = st->done != 0;
  p->waits = tm_flow_is_blocked(&w->flows, tm_flow_island(&w->flows, s));
  if (s->kind == TM_SOURCE_FILE && s->follow != NULL) snprintf(p->at, sizeof p->at, "%s", tm_follow_name(s->follow));
  else if (s->kind == TM_SOURCE_FILE && st->file >= 0 && st->file < s->paths_n) snprintf(p->at, sizeof p->at, "%s", s->paths[st->file]);
  if (s->kind == TM_SOURCE_FILE || s->kind == TM_SOURCE_STDIN) p->position = (double)(st->offset - (st->tail - st->head));
  if (s->kind == TM_SOURCE_GENERATE || s->kind == TM_SOURCE_EVERY) p->position = st->generated;
  if (s->kind == TM_SOURCE_LOG) {
    struct tm_log_position at;
    tm_log_source_position(s, &at);
    p->position = (double)at.sequence;
  }
}

static void tell_sink(struct tm_sink_place *p, const struct tm_outlet *o) {
  memset(p, 0, sizeof *p);
  snprintf(p->name, sizeof p->name, "%s", o->sink.name);
  snprintf(p->kind, sizeof p->kind, "%s", sink_kind(&o->sink));
  if (o->sink.blocked) snprintf(p->why, sizeof p->why, "%s", o->sink.refused != 0 ? tm_sink_why(&o->sink) : "it is full");
  p->bytes = (o->out != NULL ? (double)(o->out->buf.len - o->sink.state->sent) : 0) + (double)tm_sink_held(&o->sink);
}

void tm_worker_tell(struct tm_worker *w) {
  struct tm_shared *sh = w->shared;
  int32_t ask = sh->ask;
  sh->sources_n = sh->sinks_n = sh->watermarks_n = sh->states_n = sh->rules_n = sh->rules_more = 0;
  for (int32_t i = 0; i < w->flows.sources_n && sh->sources_n < TM_SHARED_SOURCES; i++)
    if (w->flows.sources[i]->kind != TM_SOURCE_LINK) tell_source(&sh->sources[sh->sources_n++], w, w->flows.sources[i]);
  for (int32_t i = 0; i < w->flows.outlets_n && sh->sinks_n < TM_SHARED_SINKS; i++)
    if (w->flows.outlets[i]->sink.kind != TM_SINK_LINK && w->flows.outlets[i]->sink.kind != TM_SINK_DISCARD)
      tell_sink(&sh->sinks[sh->sinks_n++], w->flows.outlets[i]);
  tm_flow_count(&w->flows);
  tm_script_ending(w->script, (double)w->io->real_ms(w->io));
  tm_script_guarantees(w->script);
  tm_undo_fence();
  sh->told = ask;
}
