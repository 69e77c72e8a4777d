/* test_log_ends.c - what makes a run with event logs durable: a sink's mark, sync and cutting back, a source's position and going there.
 *
 * Rows are written, a mark is taken, more are written; after a death the log is cut back to the mark and goes on with others. The reference is
 * a list of the numbers that must be read. */
#include <stdlib.h>

#include "../../host/base/buf.h"
#include "../../host/io/log_sink.h"
#include "../../host/io/log_source.h"
#include "unit.h"

enum { ROOM = 1 << 20 };

static char folder[256];
static struct tm_undo undo;

static void sink_init(struct tm_sink *s, struct tm_sink_state *state, struct tm_log_sink_state *log) {
  static const struct tm_eventlog_options options = {.segment_bytes = 4096};
  *s = (struct tm_sink){.kind = TM_SINK_LOG, .path = folder, .io = &tm_io_real, .undo = &undo, .state = state, .name = "log a"};
  s->log = tm_log_sink_new(&options, log);
}

/* Rows n = from .. to as an out has them, each with its time; returns the bytes. */
static int32_t rows_text(char *text, int from, int to) {
  int32_t len = 0;
  for (int i = from; i <= to; i++) len += sprintf(text + len, "{\"n\":%d}\t%d\n", i, i * 10);
  return len;
}

static void write_rows(struct tm_sink *s, int from, int to) {
  static char text[ROOM];
  struct tm_err err = {0};
  int32_t len = rows_text(text, from, to);
  s->state->sent = 0;
  while (s->state->sent < len) {
    int rc = tm_log_sink_write(s, text, len, &err);
    CHECK(rc == 1, "%s", err.detail);
    if (rc != 1) return;
  }
}

static void source_init(struct tm_source *s, struct tm_source_state *state, struct tm_log_source_state *log, char *memory) {
  static const struct tm_log_source_how how = {.from = TM_LOG_FROM_START};
  *s = (struct tm_source){.kind = TM_SOURCE_LOG, .io = &tm_io_real, .undo = &undo, .state = state, .name = "log a", .whole = ROOM};
  tm_buf_init_fixed(&s->buf, memory, ROOM - TM_PAD);
  s->log = tm_log_source_new(&tm_io_real, folder, &how, log);
}

/* Reads all that is left: the numbers must be those. */
static void expect(struct tm_source *s, const int *numbers, int n) {
  struct tm_err err = {0};
  int i = 0;
  for (;;) {
    for (const char *p = s->buf.data + s->state->head; p < s->buf.data + s->state->tail;) {
      int got = atoi(p + 5);
      CHECK(i < n && got == numbers[i], "row %d: %d, not %d", i, got, i < n ? numbers[i] : -1);
      i++;
      p = (const char *)memchr(p, '\n', (size_t)(s->buf.data + s->state->tail - p)) + 1;
    }
    s->state->head = s->state->tail;
    if (s->state->eof || tm_log_source_fill(s, &err) < 0) break;
  }
  CHECK(i == n, "%d rows of %d %s", i, n, err.detail);
}

static void test_ends(void) {
  static char memory[ROOM];
  static int numbers[1000];
  struct tm_sink sink;
  struct tm_sink_state sent = {0};
  struct tm_log_sink_state log_sink = {0};
  struct tm_source source;
  struct tm_source_state read = {0};
  struct tm_log_source_state log_source = {0};
  struct tm_log_mark mark, now;
  struct tm_log_position position;
  struct tm_err err = {0};

  sink_init(&sink, &sent, &log_sink);
  CHECK(tm_log_sink_open(&sink, &err) == 0, "%s", err.detail);
  write_rows(&sink, 1, 300);
  CHECK(tm_log_sink_sync(&sink, &err) == 0, "%s", err.detail);
  tm_log_sink_mark(&sink, &mark);
  CHECK(mark.sequence == 301 && mark.offset > 0, "the mark is behind row 300");
  write_rows(&sink, 301, 700);
  tm_log_sink_mark(&sink, &now);
  CHECK(now.sequence == 701 && now.segment > mark.segment, "and rows went on, into other segments");
  sink.finish = 1;
  sent.sent = 0;
  CHECK(tm_log_sink_busy(&sink) && tm_log_sink_write(&sink, "", 0, &err) == 1 && !tm_log_sink_busy(&sink), "it is closed %s", err.detail);

  tm_log_sink_free(sink.log);

  /* everything was killed: a new process has the mark and nothing else */
  sent = (struct tm_sink_state){0};
  log_sink = (struct tm_log_sink_state){0};
  sink_init(&sink, &sent, &log_sink);
  CHECK(tm_log_sink_open(&sink, &err) == 0 && tm_log_sink_truncate(&sink, &mark, &err) == 0, "%s", err.detail);
  tm_log_sink_mark(&sink, &now);
  CHECK(now.sequence == 301, "it ends before 301, not %d", (int)now.sequence);
  write_rows(&sink, 9001, 9100);

  source_init(&source, &read, &log_source, memory);
  CHECK(tm_log_source_open(&source, &err) == 0, "%s", err.detail);
  tm_log_source_position(&source, &position);
  CHECK(position.sequence == 1 && position.end == 401, "from 1 to 400");
  for (int i = 0; i < 400; i++) numbers[i] = i < 300 ? i + 1 : 9001 + i - 300;
  CHECK(tm_log_source_fill(&source, &err) > 0 && read.line == 1, "the line is the sequence");
  expect(&source, numbers, 400);
  tm_log_source_position(&source, &position);
  CHECK(position.sequence == 401, "all is read: %d", (int)position.sequence);
  position.sequence = 299;
  CHECK(tm_log_source_seek(&source, &position, &err) == 0, "%s", err.detail);
  expect(&source, numbers + 298, 102);
  CHECK(read.line == 299, "its first line is 299, not %g", read.line);

  /* a worker that died between the write and its note: the block is not written again */
  static char text[ROOM];
  int32_t len = rows_text(text, 1, 3);
  struct tm_log_sink_state before = log_sink;
  sent = (struct tm_sink_state){0};
  CHECK(tm_log_sink_write(&sink, text, len, &err) == 1 && sent.sent == len, "%s", err.detail);
  log_sink = before;
  sent.sent = 0;
  tm_log_sink_resume(&sink, text, len);
  CHECK(sent.sent == len && log_sink.next == 404, "three rows are there: %d of %d bytes", sent.sent, len);
  tm_log_sink_free(sink.log);
  tm_log_source_free(source.log);
}

int main(void) {
  char base[] = "/tmp/tidemill-unit.XXXXXX", line[300];
  if (mkdtemp(base) == NULL) return 1;
  snprintf(folder, sizeof folder, "%s/logs/a", base);
  test_ends();
  snprintf(line, sizeof line, "rm -rf '%s'", base);
  if (system(line) != 0) return 1;
  return unit_end("log_ends");
}
