/* flow_sqlite.c - a sink that is a table of an SQLite database: its memory, and that it fits what a worker before left (flow.h). */
#include <stdlib.h>
#include <string.h>

#include "flow.h"

int tm_flow_sink_sqlite(struct tm_flows *f, int32_t sink, const struct tm_sqlite_how *how, struct tm_err *err) {
  struct tm_sink *s = &f->outlets[sink]->sink;
  struct tm_sqlite_memory m = {0};
  m.state = tm_flow_region(f, "sqlite", sink, 0, sizeof *m.state, err);
  m.names = tm_flow_region(f, "sqlite-columns", sink, 0, sizeof *m.names, err);
  for (int i = 0; i < 2; i++) m.texts[i] = tm_flow_region(f, "sqlite-rows", sink, i, tm_sqlite_text_size(TM_ROW_BYTES_MAX), err);
  if (m.state == NULL || m.names == NULL || m.texts[0] == NULL || m.texts[1] == NULL) return -1;
  s->sqlite = tm_sqlite_new(s->path, how, &m, f->io, &f->shared->undo, err);
  return s->sqlite != NULL ? 0 : -1;
}
