/* compare_sink.c - rows against records (compare_sink.h). */
#include "compare_sink.h"

#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "../eventlog/reader.h"

enum { DIFFERENT = 4, SHOWN = 220, BEFORE = 60 };

struct tm_compare_sink {
  struct tm_compare_state *state;
  struct tm_eventlog_reader *reader;
  char *folder;
  struct tm_eventlog_rows rows;
  int32_t at;
  int part;
  int done;
};

struct tm_compare_sink *tm_compare_sink_new(const struct tm_io *io, const char *folder, int part, struct tm_compare_state *state) {
  struct tm_compare_sink *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->state = state;
  c->part = part;
  c->folder = strdup(folder);
  c->reader = tm_eventlog_reader_new(io, folder);
  if (c->folder != NULL && c->reader != NULL) return c;
  free(c->folder);
  tm_eventlog_reader_free(c->reader);
  free(c);
  return NULL;
}

int tm_compare_sink_open(struct tm_sink *s, struct tm_err *err) {
  struct tm_compare_sink *c = s->compare;
  struct tm_eventlog_extent x;
  int rc = tm_eventlog_extent_read(s->io, c->folder, &x, err);
  if (rc < 0) return -1;
  if (rc > 0) return tm_err_set(err, 2, "log-missing", "--compare: there is no such log (%.400s)", c->folder);
  tm_eventlog_reader_durable(c->reader);
  tm_eventlog_reader_seek(c->reader, c->state->next);
  return 0;
}

/* The next record is at hand: 1, 0 there is none, -1 err. */
static int next_record(struct tm_compare_sink *c, struct tm_err *err) {
  while (c->at >= c->rows.count) {
    int rc = tm_eventlog_reader_next(c->reader, &c->rows, err);
    c->at = rc > 0 ? c->rows.from : 0;
    if (rc <= 0) c->rows.count = 0;
    if (rc <= 0) return rc;
  }
  return 1;
}

static const char *record_of(const struct tm_compare_sink *c, int32_t *len) {
  int32_t from = tm_eventlog_end(&c->rows, c->at - 1);
  *len = tm_eventlog_end(&c->rows, c->at) - from - 1;
  return c->rows.text + from;
}

/* Both rows, from a little before the byte in which they differ. */
static int differ(const struct tm_sink *s, const char *row, int32_t len, const char *record, int32_t record_len, struct tm_err *err) {
  const struct tm_compare_sink *c = s->compare;
  int32_t at = 0, from, a, b;
  while (at < len && at < record_len && row[at] == record[at]) at++;
  from = at > BEFORE ? at - BEFORE : 0;
  a = record_len - from < SHOWN ? record_len - from : SHOWN;
  b = len - from < SHOWN ? len - from : SHOWN;
  return tm_err_set(err, DIFFERENT, "compare", "--compare: row %llu of %s differs from record %llu of the log, in byte %d; from byte %d on:\n"
                    "  log:    %.*s%s\n  replay: %.*s%s", (unsigned long long)c->state->rows + 1, s->name,
                    (unsigned long long)(c->rows.first + (uint64_t)c->at), at + 1, from + 1, a, record + from, a < record_len - from ? "..." : "",
                    b, row + from, b < len - from ? "..." : "");
}

/* All rows have come: has the log more? */
static int finish(struct tm_sink *s, struct tm_err *err) {
  struct tm_compare_sink *c = s->compare;
  int32_t len;
  c->done = 1;
  int rc = next_record(c, err);
  if (rc < 0) return -1;
  if (rc > 0 && !c->part) {
    const char *record = record_of(c, &len);
    return tm_err_set(err, DIFFERENT, "compare", "--compare: %s has %llu rows, all equal to those of the log, and the log has more; the first: %.*s%s",
                      s->name, (unsigned long long)c->state->rows, len < SHOWN ? len : SHOWN, record, len > SHOWN ? "..." : "");
  }
  tm_log_info("--compare: the %llu rows of %s are those of the log", (unsigned long long)c->state->rows, s->name);
  return 1;
}

int tm_compare_sink_busy(const struct tm_sink *s) { return s->finish && !s->compare->done; }

int tm_compare_sink_write(struct tm_sink *s, const char *data, int32_t len, struct tm_err *err) {
  struct tm_compare_sink *c = s->compare;
  int32_t at = s->state->sent, record_len;
  s->blocked = s->refused = 0;
  if (at == len) return tm_compare_sink_busy(s) ? finish(s, err) : 0;
  while (at < len) {
    const char *row = data + at, *end = memchr(row, '\n', (size_t)(len - at));
    TM_ASSERT(end != NULL);
    int32_t n = (int32_t)(end - row);
    int rc = next_record(c, err);
    if (rc < 0) return -1;
    if (rc == 0)
      return tm_err_set(err, DIFFERENT, "compare", "--compare: the log ends after %llu rows, and %s has more; the first: %.*s%s",
                        (unsigned long long)c->state->rows, s->name, n < SHOWN ? n : SHOWN, row, n > SHOWN ? "..." : "");
    const char *record = record_of(c, &record_len);
    if (n != record_len || memcmp(row, record, (size_t)n) != 0) return differ(s, row, n, record, record_len, err);
    tm_undo_keep(s->undo, s->state, sizeof *s->state);
    tm_undo_keep(s->undo, c->state, sizeof *c->state);
    at += n + 1;
    s->state->sent = at;
    c->state->next = c->rows.first + (uint64_t)c->at + 1;
    c->state->rows++;
    tm_undo_done(s->undo);
    c->at++;
  }
  return 1;
}
