/* test_csv_deaths.c - a worker killed at any instruction while it reads CSV files with a header each (io/source.c, codec/csv_read.c).
 *
 * Three files name the same columns in another order each, so that a batch read with the header of another file is seen at
 * once. Whoever takes up after a death has the state in shared memory and nothing else: it must read the same events, from the first
 * one of the batch at hand on. */
#include <sys/stat.h>

#include "../../host/base/buf.h"
#include "../../host/codec/csv.h"
#include "../../host/engine/flow.h"

#include "step.h"
#include "unit.h"

enum { FILES = 3, EVENTS = 6, TEXT = 4096 };

static const char *const files[FILES] = {"\xEF\xBB\xBF\151d,n\n1,a\n\n2,\"b\nb\"\n", "n,id\r\nc,3\r\n", "x,id,n\n,4,\"d\"\"d\"\n,5,e\n,6,f"};
static const char *const want[EVENTS] = {"{\"id\":\"1\",\"n\":\"a\"}", "{\"id\":\"2\",\"n\":\"b\\nb\"}", "{\"n\":\"c\",\"id\":\"3\"}",
                                         "{\"x\":\"\",\"id\":\"4\",\"n\":\"d\\\"d\"}", "{\"x\":\"\",\"id\":\"5\",\"n\":\"e\"}",
                                         "{\"x\":\"\",\"id\":\"6\",\"n\":\"f\"}"};
static char folder[] = "/tmp/tidemill-unit.XXXXXX", paths[FILES][64];
static struct tm_flows flows;
static struct tm_source *source;
static struct tm_csv_names *names;
static struct passed { int32_t before, now; } *passed;   /* events of batches that are done */

static void set_up(void) {
  struct tm_err err = {0};
  const char *list[FILES];
  struct tm_csv_options options = {.delimiter = ',', .header = 1};
  if (mkdtemp(folder) == NULL) abort();
  for (int i = 0; i < FILES; i++) {
    snprintf(paths[i], sizeof paths[i], "%s/%d.csv", folder, i);
    FILE *f = fopen(paths[i], "w");
    if (f == NULL || fputs(files[i], f) < 0 || fclose(f) != 0) abort();
    list[i] = paths[i];
  }
  flows.io = &tm_io_real;
  flows.shared = tm_shared_new(NULL, &err);
  flows.max_event = 1024;
  source = tm_flow_add_source(&flows, "file", "input", list, FILES, -1, TM_FORMAT_CSV, &options, NULL, &err);
  if (source == NULL || tm_flow_open(&flows, &err) != 0) abort();
  names = source->batch->csv->shared;
  tm_ffi_fields_add(source->fields, 0, "id", 2);
  tm_ffi_fields_add(source->fields, 0, "n", 1);
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
    struct tm_cell *id = &tm_ffi_fields_cells(s->fields, 1)[row];
    wrong += s->batch->raw[id->off] != '1' + from + row || id->tag != (1 << 4 | TM_KIND_STRING);
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
  next.lines_blank = next.files_empty = 0;
  next.fields = tm_fields_new();
  tm_ffi_fields_add(next.fields, 0, "id", 2);
  next.batch->csv = tm_csv_new(TM_FORMAT_CSV, ',', 1, NULL, names);
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
  *a++ = (struct step_area){.at = names, .size = 64};
  *a++ = (struct step_area){.at = names->text, .size = 64};
}

/* A quote that is not closed makes its own line bad when what it would run to, far behind this batch, makes no sense. */
static void an_open_quote(void) {
  enum { ROWS = 1500, OPEN = 900 };
  struct tm_err err = {0};
  struct tm_csv_options options = {.delimiter = ',', .header = 1};
  char path[80];
  const char *list[1] = {path};
  snprintf(path, sizeof path, "%s/open.csv", folder);
  FILE *f = fopen(path, "w");
  if (f == NULL) abort();
  fputs("id\n", f);
  for (int i = 0; i < ROWS; i++) fprintf(f, i == OPEN || i == ROWS - 1 ? "\"oops %d\n" : "%d\n", i);
  if (fclose(f) != 0) abort();
  struct tm_source *s = tm_flow_add_source(&flows, "file", "open", list, 1, -1, TM_FORMAT_CSV, &options, NULL, &err);
  if (s == NULL || tm_source_open(s, &err) != 0) abort();
  enum tm_source_got got;
  while ((got = tm_source_next(s)) == TM_SOURCE_MORE) {
    if (tm_source_fill(s, &err) < 0) abort();
  }
  int32_t rows = s->batch->rows, bad = s->batch->bad;
  CHECK(got == TM_SOURCE_BATCH && rows == TM_BATCH_ROWS && bad == 1, "%d rows, %d bad", rows, bad);
  tm_source_resume(s);
  CHECK(s->batch->rows == rows && s->batch->bad == bad, "taken up: %d rows of %d, %d bad", s->batch->rows, rows, s->batch->bad);
  tm_csv_free(s->batch->csv);
  unlink(path);
}

int main(void) {
  struct step step = {.act = act, .look = take_up};
  set_up();
  areas(&step);
  if (step_through(&step)) CHECK(step.looks > 300 && midway > 100, "%ld states, %d behind the first file", step.looks, midway);
  else printf("nobody may be traced here\n");
  CHECK(wrong == 0, "of %ld states in which it was killed %d could not be taken up", step.looks, wrong);
  an_open_quote();
  for (int i = 0; i < FILES; i++) unlink(paths[i]);
  rmdir(folder);
  tm_csv_free(source->batch->csv);
  return unit_end("csv_deaths");
}
