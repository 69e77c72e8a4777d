/* test_record_deaths.c - a worker killed at any instruction while it reads records of several lines (io/source_cut.c, codec/record.c).
 *
 * Three files: one with blank and CR LF lines, one that begins with no start, one with a record that is cut. Whenever text is held and
 * more is needed, the record is ended as after a silence; so the next worker must come to the same end. Who takes up has the
 * state in shared memory and nothing else, and must read the same events, from the first one of the batch at hand on. */
#include <sys/stat.h>

#include "../../host/base/buf.h"
#include "../../host/codec/csv.h"
#include "../../host/engine/flow.h"

#include "step.h"
#include "unit.h"

enum { FILES = 3, EVENTS = 7, TEXT = 4096, LINES = 4 };

static const char *const files[FILES] = {"\xEF\xBB\xBF\061 a\n b\r\n\n c\n2 d\n", "3-x\n4 y\r\n  z\r\n", "5 a\n b\n c\n d\n6-d\n e\n7 f"};
static const char *const want[EVENTS] = {"{\"line\":\"1 a\\n b\\n\\n c\"}", "{\"line\":\"2 d\"}", "{\"line\":\"3-x\"}",
                                         "{\"line\":\"4 y\\n  z\"}", "{\"line\":\"5 a\\n b\\n c\\n d\"}", "{\"line\":\"6-d\\n e\"}",
                                         "{\"line\":\"7 f\"}"};
static char folder[] = "/tmp/tidemill-unit.XXXXXX", paths[FILES][64];
static struct tm_flows flows;
static struct tm_source *source;
static struct passed { int32_t before, now; } *passed;   /* events of batches that are done */

static void set_up(void) {
  struct tm_err err = {0};
  const char *list[FILES];
  struct tm_csv_options options = {.record = tm_record_new("^%d ", 4, LINES, 1000)};
  if (mkdtemp(folder) == NULL) abort();
  for (int i = 0; i < FILES; i++) {
    snprintf(paths[i], sizeof paths[i], "%s/%d.log", folder, i);
    FILE *f = fopen(paths[i], "w");
    if (f == NULL || fputs(files[i], f) < 0 || fclose(f) != 0) abort();
    list[i] = paths[i];
  }
  flows.io = &tm_io_real;
  flows.shared = tm_shared_new(NULL, &err);
  flows.max_event = 1024;
  source = tm_flow_add_source(&flows, "file", "input", list, FILES, -1, TM_FORMAT_LINES, &options, NULL, &err);
  if (source == NULL || tm_flow_open(&flows, &err) != 0) abort();
  tm_ffi_fields_add(source->fields, 0, "line", 4);
  passed = step_memory(sizeof *passed);
}

/* What the batch at hand says, against what it should, its first event being the from-th. */
static int batch_wrong(const struct tm_source *s, int32_t from) {
  struct tm_buf text;
  int wrong = 0;
  tm_buf_init(&text, TEXT);
  for (int32_t row = 0; row < s->batch->rows; row++) {
    text.len = 0;
    wrong += from + row >= EVENTS || tm_csv_text(&text, s->batch, row, NULL) != 0 || text.len != (int32_t)strlen(want[from + row]) ||
             memcmp(text.data, want[from + row], (size_t)text.len) != 0;
    const struct tm_cell *line = &tm_ffi_fields_cells(s->fields, 1)[row];
    wrong += s->batch->raw[line->off] != '1' + from + row;
  }
  tm_buf_fini(&text);
  return wrong;
}

/* Reads to the end as the worker does; returns what was wrong. */
static int read_on(struct tm_source *s, int32_t at) {
  struct tm_err err = {0};
  int wrong = 0;
  for (;;) {
    enum tm_source_got got = TM_SOURCE_BATCH;
    if (!s->state->active) {
      tm_undo_keep(s->undo, s->state, sizeof *s->state);
      got = tm_source_next(s);
      tm_undo_done(s->undo);
    }
    if (got == TM_SOURCE_END) return wrong + (at != EVENTS);
    if (got == TM_SOURCE_MORE && tm_source_holds(s)) {
      s->ends_held = 1;
      s->whole = 0;   /* as of a live source, which does not wait for a whole batch */
      continue;
    }
    if (got == TM_SOURCE_MORE && tm_source_fill(s, &err) < 0) return wrong + 1;
    if (got != TM_SOURCE_BATCH) continue;
    wrong += batch_wrong(s, at);
    passed->before = at;
    tm_undo_fence();
    passed->now = at += s->batch->rows;
    tm_undo_fence();
    tm_source_batch_done(s);
  }
}

static void act(void) { if (read_on(source, 0) != 0) _exit(2); }

static int wrong, midway;

/* The next worker: a source of its own over the same shared memory. */
static void take_up(void) {
  struct tm_err err = {0};
  struct tm_source next = *source;
  struct tm_csv *csv = source->batch->csv;
  tm_undo_restore(source->undo);
  next.fd = -1;
  next.whole = next.need = next.least = 0;
  next.lines_blank = next.records_cut = next.files_empty = next.ends_held = 0;
  next.parts_told = 1;
  next.fields = tm_fields_new();
  tm_ffi_fields_add(next.fields, 0, "line", 4);
  next.batch->csv = tm_csv_new(TM_FORMAT_LINES, ',', 0, tm_csv_names_line(), NULL);
  next.batch->csv->record = tm_record_new("^%d ", 4, LINES, 1000);
  if (tm_source_open(&next, &err) != 0) abort();
  tm_source_resume(&next);
  int32_t at = passed->now;
  /* killed behind the note that a batch is done, in front of the fact */
  if (next.state->active && passed->now > passed->before && next.batch->raw[tm_ffi_fields_cells(next.fields, 1)->off] == '1' + passed->before)
    at = passed->before;
  if (next.state->file > 0 && !next.state->done) midway++;
  wrong += read_on(&next, at);
  if (next.fd >= 0) close(next.fd);
  tm_fields_free(next.fields);
  tm_csv_free(next.batch->csv);
  source->batch->csv = csv;
  source->batch->fields = source->fields;
}

static void areas(struct step *s) {
  struct step_area *a = s->areas;
  *a++ = (struct step_area){.at = &source->undo->used, .size = sizeof source->undo->used};
  *a++ = (struct step_area){.at = source->undo->log, .size = 1024};
  *a++ = (struct step_area){.at = source->state, .size = sizeof *source->state};
  *a++ = (struct step_area){.at = source->batch, .size = sizeof *source->batch};
  *a++ = (struct step_area){.at = source->buf.data, .size = 512};
  *a++ = (struct step_area){.at = source->batch->side, .size = 512};
  *a++ = (struct step_area){.at = passed, .size = sizeof *passed};
}

int main(void) {
  struct step step = {.act = act, .look = take_up};
  set_up();
  source->parts_told = 1;
  areas(&step);
  if (step_through(&step)) CHECK(step.looks > 300 && midway > 100, "%ld states, %d behind the first file", step.looks, midway);
  else printf("nobody may be traced here\n");
  CHECK(wrong == 0, "of %ld states in which it was killed %d could not be taken up", step.looks, wrong);
  for (int i = 0; i < FILES; i++) unlink(paths[i]);
  rmdir(folder);
  tm_csv_free(source->batch->csv);
  return unit_end("record_deaths");
}
