/* flow_logs.c - sources and sinks of event logs while a script loads (flow.h): what of each survives the worker. */
#include "flow.h"

static int made(const void *p, struct tm_err *err) { return p != NULL ? 0 : tm_err_set(err, 1, "memory", "no memory for a log"); }

int tm_flow_source_log(struct tm_flows *f, int32_t source, const struct tm_log_source_how *how, struct tm_err *err) {
  struct tm_source *s = f->sources[source];
  struct tm_log_source_state *state = tm_flow_region(f, "log-source", s->key, 0, sizeof *state, err);
  if (state == NULL) return -1;
  s->log = tm_log_source_new(f->io, s->paths[0], how, state);
  return made(s->log, err);
}

int tm_flow_sink_log(struct tm_flows *f, int32_t sink, const struct tm_eventlog_options *options, struct tm_err *err) {
  struct tm_sink *s = &f->outlets[sink]->sink;
  struct tm_log_sink_state *state = tm_flow_region(f, "log-sink", s->key, 0, sizeof *state, err);
  if (state == NULL) return -1;
  s->log = tm_log_sink_new(options, state);
  return made(s->log, err);
}

int tm_flow_sink_compare(struct tm_flows *f, int32_t sink, int part, struct tm_err *err) {
  struct tm_sink *s = &f->outlets[sink]->sink;
  struct tm_compare_state *state = tm_flow_region(f, "compare", s->key, 0, sizeof *state, err);
  if (state == NULL) return -1;
  s->compare = tm_compare_sink_new(f->io, s->path, part, state);
  return made(s->compare, err);
}
