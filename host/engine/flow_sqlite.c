/* flow_sqlite.c - a sink that is a table of an SQLite database: its memory, and the columns that its writers ask (flow.h). */
#include <string.h>

#include "epochs.h"
#include "flow.h"

/* A sample is checked against the columns that the script names, or those of select; those of a table are not known without opening it. */
static int check_only(struct tm_outlet *o, const struct tm_sqlite_how *how, struct tm_csv_names *names, struct tm_err *err) {
  if (how->columns == NULL) return 0;
  memcpy(names, how->columns, sizeof *names);
  o->columns = tm_columns_new(names, how->keys, 1);
  return o->columns != NULL ? 0 : tm_err_set(err, 1, "memory", "no memory for a sink");
}

int tm_flow_sink_sqlite(struct tm_flows *f, int32_t sink, const struct tm_sqlite_how *how, struct tm_err *err) {
  struct tm_outlet *o = f->outlets[sink];
  struct tm_sqlite_memory m = {0};
  m.names = tm_flow_region(f, "sqlite-columns", o->sink.key, 0, sizeof *m.names, err);
  if (m.names == NULL) return -1;
  if (o->sink.kind != TM_SINK_SQLITE) return check_only(o, how, m.names, err);
  m.state = tm_flow_region(f, "sqlite", o->sink.key, 0, sizeof *m.state, err);
  for (int i = 0; i < 2; i++) m.texts[i] = tm_flow_region(f, "sqlite-rows", o->sink.key, i, tm_sqlite_text_size(TM_ROW_BYTES_MAX), err);
  if (m.state == NULL || m.texts[0] == NULL || m.texts[1] == NULL) return -1;
  if (how->columns != NULL && (tm_epochs_found(f->epochs) || f->replanned)) m.state->given = 0;  /* the script may name others now */
  o->sink.sqlite = tm_sqlite_new(o->sink.path, how, &m, f->io, &f->shared->undo, err);
  if (o->sink.sqlite == NULL) return -1;
  o->columns = tm_sqlite_columns(o->sink.sqlite);
  return 0;
}
