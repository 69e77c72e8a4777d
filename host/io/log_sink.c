/* log_sink.c - rows into an event log (log_sink.h). */
#include "log_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "../eventlog/durable.h"

enum { BLOCK = 256 * 1024, ROWS = 8192 };   /* of a block; one row is always taken */

struct tm_log_sink {
  struct tm_eventlog_options options;
  struct tm_log_sink_state *state;
  struct tm_eventlog_writer *writer;
  int closed;
  struct tm_buf text;
  int32_t ends[ROWS];
  int64_t times[ROWS];
  struct tm_log_mark last;         /* when it was closed, at the end */
  int durable_fd;                  /* the mark for readers of other processes; -1: not made */
  uint64_t durable;                /* what it says */
};

struct tm_log_sink *tm_log_sink_new(const struct tm_eventlog_options *options, struct tm_log_sink_state *state) {
  struct tm_log_sink *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  l->options = *options;
  l->state = state;
  l->durable_fd = -1;
  tm_buf_init(&l->text, INT32_MAX - TM_PAD);
  return l;
}

static void close_writer(struct tm_log_sink *l) {
  if (l->writer != NULL) tm_eventlog_writer_close(l->writer, 0, NULL);
  l->writer = NULL;
  if (l->durable_fd >= 0) tm_io_real.close(&tm_io_real, l->durable_fd);
  l->durable_fd = -1;
}

void tm_log_sink_close(struct tm_sink *s) { close_writer(s->log); }

int tm_log_sink_is_open(const struct tm_sink *s) { return s->log->writer != NULL; }

void tm_log_sink_free(struct tm_log_sink *l) {
  if (l == NULL) return;
  close_writer(l);
  tm_buf_fini(&l->text);
  free(l);
}

int tm_log_sink_open(struct tm_sink *s, struct tm_err *err) {
  struct tm_log_sink *l = s->log;
  struct tm_log_mark mark;
  l->writer = tm_eventlog_writer_open(s->io, s->path, &l->options, err);
  if (l->writer == NULL || (!s->kept && tm_eventlog_durable_remove(s->io, s->path, err) != 0)) return -1;
  if (l->state->opened) return 0;
  tm_eventlog_writer_mark(l->writer, &mark);
  l->state->next = mark.sequence;
  tm_undo_fence();
  l->state->opened = 1;
  return 0;
}

void tm_log_sink_resume(struct tm_sink *s, const char *data, int32_t len) {
  struct tm_log_sink *l = s->log;
  struct tm_log_mark mark;
  tm_eventlog_writer_mark(l->writer, &mark);
  int32_t at = s->state->sent;
  uint64_t next = l->state->next;
  while (next < mark.sequence && at < len) {
    const char *end = memchr(data + at, '\n', (size_t)(len - at));
    if (end == NULL) break;
    at = (int32_t)(end + 1 - data);
    next++;
  }
  if (next != mark.sequence)
    tm_log_warning("%s: somebody else changes it too: it ends before record %llu, not %llu; some rows may be in it twice, or missing", s->name,
                   (unsigned long long)mark.sequence, (unsigned long long)next);
  tm_undo_keep(s->undo, s->state, sizeof *s->state);
  tm_undo_keep(s->undo, l->state, sizeof *l->state);
  s->state->sent = at;
  l->state->next = mark.sequence;
  tm_undo_done(s->undo);
}

/* One row: its text without the time behind it, and that. */
static int take_row(struct tm_log_sink *l, int32_t i, const char *row, int32_t len, int64_t now) {
  const char *tab = memrchr(row, '\t', (size_t)len);
  TM_ASSERT(tab != NULL);
  if (tm_buf_put(&l->text, row, (int32_t)(tab - row)) != 0 || tm_buf_put(&l->text, "\n", 1) != 0) return -1;
  l->ends[i] = l->text.len;
  l->times[i] = tab[1] == '\n' ? now : strtoll(tab + 1, NULL, 10);
  return 0;
}

/* At the end of the run: what is sealed is packed, and all is synced. */
static int finish(struct tm_sink *s, struct tm_err *err) {
  struct tm_eventlog_writer *w = s->log->writer;
  tm_eventlog_writer_mark(w, &s->log->last);
  s->log->writer = NULL;
  s->log->closed = 1;
  return tm_eventlog_writer_close(w, 1, err) == 0 ? 1 : -1;
}

int tm_log_sink_busy(const struct tm_sink *s) { return s->finish && !s->log->closed; }

int tm_log_sink_write(struct tm_sink *s, const char *data, int32_t len, struct tm_err *err) {
  struct tm_log_sink *l = s->log;
  int32_t at = s->state->sent, rows = 0;
  int64_t now = s->io->real_ms(s->io);
  s->blocked = s->refused = 0;
  if (at == len) return tm_log_sink_busy(s) ? finish(s, err) : 0;
  l->text.len = 0;
  while (at < len && rows < ROWS && l->text.len < BLOCK) {
    const char *end = memchr(data + at, '\n', (size_t)(len - at));
    TM_ASSERT(end != NULL);
    int32_t n = (int32_t)(end + 1 - (data + at));
    if (take_row(l, rows, data + at, n, now) != 0) return tm_err_set(err, 1, "memory", "%s: no memory for a block", s->name);
    rows++;
    at += n;
  }
  int rc = tm_eventlog_writer_append(l->writer, l->text.data, l->ends, l->times, rows, &s->refused, err);
  s->blocked = rc == 0;
  if (rc <= 0) return rc;
  tm_undo_keep(s->undo, s->state, sizeof *s->state);
  tm_undo_keep(s->undo, l->state, sizeof *l->state);
  s->state->sent = at;
  l->state->next += (uint64_t)rows;
  tm_undo_done(s->undo);
  return 1;
}

void tm_log_sink_mark(const struct tm_sink *s, struct tm_log_mark *mark) {
  if (s->log->writer != NULL) tm_eventlog_writer_mark(s->log->writer, mark);
  else *mark = s->log->last;
}

int tm_log_sink_sync(struct tm_sink *s, struct tm_err *err) {
  return s->log->writer != NULL ? tm_eventlog_writer_sync(s->log->writer, err) : 0;  /* it was synced when it was closed */
}

int tm_log_sink_durable(struct tm_sink *s, uint64_t sequence, struct tm_err *err) {
  struct tm_log_sink *l = s->log;
  if (l->durable_fd < 0) {
    l->durable_fd = tm_eventlog_durable_make(s->io, s->path, sequence, err);
    if (l->durable_fd < 0) return strcmp(err->id, "log-room") == 0 ? 0 : -1;  /* what it said before is as true */
  } else if (sequence != l->durable) {
    int rc = tm_eventlog_durable_put(s->io, l->durable_fd, sequence);
    if (rc == -ENOSPC || rc == -EDQUOT) return 0;  /* there was room for it: readers are told with the next one */
    if (rc != 0) return tm_err_set(err, 1, "log-durable", "%s: what is durable cannot be marked: %s", s->name, strerror(-rc));
  }
  l->durable = sequence;
  return 0;
}

int tm_log_sink_waits(const struct tm_sink *s) { return s->log->durable_fd >= 0 && s->log->state->next != s->log->durable; }

int tm_log_sink_truncate(struct tm_sink *s, const struct tm_log_mark *mark, struct tm_err *err) {
  if (tm_eventlog_writer_truncate(s->log->writer, mark, err) != 0) return -1;
  s->log->state->next = mark->sequence;
  return 0;
}
