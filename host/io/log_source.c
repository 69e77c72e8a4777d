/* log_source.c - records of an event log as the text of a source (log_source.h). */
#include "log_source.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "../base/log.h"
#include "../eventlog/reader.h"

enum { POLL_MS = 250, LOOK_MS = 1000 };

struct tm_log_source {
  char *folder;
  struct tm_log_source_how how;
  struct tm_log_source_state *state;
  struct tm_eventlog_reader *reader;
  struct tm_eventlog_rows rows;
  int32_t at;                /* the record of rows that comes next; rows.count: none */
  int64_t min, max;          /* times that are read */
  int notify;                /* inotify's descriptor; -1 none */
  int watched;
  uint64_t asked_ns;         /* when it was last looked at and had nothing */
  uint64_t due_ns;           /* when the next record's time has come; 0 it has */
};

struct tm_log_source *tm_log_source_new(const struct tm_io *io, const char *folder, const struct tm_log_source_how *how,
                                        struct tm_log_source_state *state) {
  struct tm_log_source *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  l->how = *how;
  l->state = state;
  l->notify = -1;
  l->min = how->from == TM_LOG_FROM_TIME ? (int64_t)ceil(how->from_at) : INT64_MIN;
  l->max = how->until == TM_LOG_UNTIL_TIME ? (int64_t)floor(how->until_at) : INT64_MAX;
  l->folder = strdup(folder);
  l->reader = tm_eventlog_reader_new(io, folder);
  if (l->reader != NULL) tm_eventlog_reader_durable(l->reader);
  if (l->folder != NULL && l->reader != NULL) return l;
  tm_log_source_free(l);
  return NULL;
}

void tm_log_source_free(struct tm_log_source *l) {
  if (l == NULL) return;
  if (l->notify >= 0) close(l->notify);
  tm_eventlog_reader_free(l->reader);
  free(l->folder);
  free(l);
}

/* ---- opening ---- */

/* What is read, by what the log has when the run begins. */
static void set_range(const struct tm_log_source *l, const struct tm_eventlog_extent *x) {
  struct tm_log_source_state *st = l->state;
  if (l->how.from == TM_LOG_FROM_END) st->next = x->durable;
  else if (l->how.from == TM_LOG_FROM_SEQUENCE) st->next = (uint64_t)l->how.from_at;
  else st->next = x->segments > 0 ? x->first : 0;
  st->begin = st->next;
  st->end = l->how.follow ? 0 : x->durable;
  if (l->how.until == TM_LOG_UNTIL_SEQUENCE) {
    uint64_t until = (uint64_t)l->how.until_at + 1;
    if (st->end == 0 || until < st->end) st->end = until;
  }
  if (st->end != 0 && st->begin > st->end) st->next = st->begin = st->end;
}

int tm_log_source_open(struct tm_source *s, struct tm_err *err) {
  struct tm_log_source *l = s->log;
  struct tm_eventlog_extent x;
  s->live = l->how.follow || l->how.speed > 0;
  s->paced = l->how.speed > 0;
  if (l->how.follow) l->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (!l->state->opened) {
    int rc = tm_eventlog_extent_read(s->io, l->folder, &x, err);
    if (rc < 0) return -1;
    if (rc > 0 && !l->how.follow)
      return tm_err_set(err, 3, "log-missing", "%s: there is no such log (%.400s); 'tidemill log ls --data DIR' lists those there are", s->name,
                        l->folder);
    set_range(l, &x);
    tm_undo_fence();
    l->state->opened = 1;
  }
  tm_eventlog_reader_times(l->reader, l->min, l->max);
  tm_eventlog_reader_seek(l->reader, l->state->next);
  return 0;
}

/* ---- waiting ---- */

/* What has happened is read away; a folder that is new is watched from now on. */
static void hear(struct tm_log_source *l) {
  char events[4096];
  if (l->notify < 0) return;
  while (read(l->notify, events, sizeof events) > 0) continue;
  if (!l->watched) l->watched = inotify_add_watch(l->notify, l->folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0;
}

int tm_log_source_fd(const struct tm_log_source *l) { return l->watched ? l->notify : -1; }

uint64_t tm_log_source_due(const struct tm_source *s) {
  const struct tm_log_source *l = s->log;
  if (!s->live) return 0;
  if (l->due_ns > 0) return l->due_ns;
  return l->asked_ns + (uint64_t)(l->watched ? LOOK_MS : POLL_MS) * 1000000U;
}

double tm_log_source_progress(const struct tm_source *s) {
  const struct tm_log_source_state *st = s->log->state;
  if (st->end <= st->begin) return 1;
  uint64_t at = st->next < st->begin ? st->begin : st->next > st->end ? st->end : st->next;
  return (double)(at - st->begin) / (double)(st->end - st->begin);
}

/* With a speed: has the time of this record come? */
static int is_due(struct tm_source *s, int64_t time) {
  struct tm_log_source *l = s->log;
  struct tm_log_source_state *st = l->state;
  uint64_t now = s->io->mono_ns(s->io);
  l->due_ns = 0;
  if (l->how.speed <= 0) return 1;
  if (!st->paced) {
    st->first_ms = time;
    st->first_ns = now;
    tm_undo_fence();
    st->paced = 1;
  }
  double wait = (double)(time - st->first_ms) * 1e6 / l->how.speed;
  if (wait <= 0 || st->first_ns + (uint64_t)wait <= now) return 1;
  l->due_ns = st->first_ns + (uint64_t)wait;
  return 0;
}

/* ---- reading ---- */

/* Rows with the next record are at hand: 1, 0 there are none now, -1 err. */
static int next_rows(struct tm_source *s, struct tm_err *err) {
  struct tm_log_source *l = s->log;
  while (l->at >= l->rows.count) {
    int rc = tm_eventlog_reader_next(l->reader, &l->rows, err);
    l->at = rc > 0 ? l->rows.from : 0;
    if (rc <= 0) l->rows.count = 0;
    uint64_t lost = tm_eventlog_reader_lost(l->reader);
    if (lost > 0) tm_log_warning("%s: %llu records were deleted by its retention before they were read", s->name, (unsigned long long)lost);
    if (rc <= 0) return rc;
  }
  return 1;
}

/* Copies a record behind the text; one that no buffer holds as far as shows that it is too long. */
static int32_t copy_record(struct tm_source *s, int32_t at, const char *text, int32_t len) {
  int32_t room = s->buf.cap - at;
  if (len <= room) {
    memcpy(s->buf.data + at, text, (size_t)len);
    return len;
  }
  memcpy(s->buf.data + at, text, (size_t)room - 1);
  s->buf.data[at + room - 1] = '\n';
  return room;
}

/* Records into the buffer: bytes. *ended: nothing more is to be read; *gap: the next record does not follow those in the buffer. */
static int64_t copy_records(struct tm_source *s, uint64_t *next, double *line, int *ended, int *gap, struct tm_err *err) {
  struct tm_log_source *l = s->log;
  struct tm_source_state *st = s->state;
  int32_t tail = st->tail, most = s->live || s->whole == 0 ? TM_BLOCK : s->whole - (st->tail - st->head);
  if (most > TM_BLOCK || most < TM_BLOCK / 4) most = TM_BLOCK;
  while (tail - st->tail < most) {
    int rc = next_rows(s, err);
    if (rc < 0) return -1;
    *ended = rc == 0 ? !l->how.follow : l->state->end > 0 && l->rows.first + (uint64_t)l->at >= l->state->end;
    if (l->state->end > 0 && tm_eventlog_reader_at(l->reader) >= l->state->end && rc == 0) *ended = 1;
    if (rc == 0 || *ended) break;
    uint64_t sequence = l->rows.first + (uint64_t)l->at;
    int64_t time = tm_eventlog_time(&l->rows, l->at);
    int32_t from = tm_eventlog_end(&l->rows, l->at - 1), len = tm_eventlog_end(&l->rows, l->at) - from;
    if (time < l->min || time > l->max) {
      l->at++;
      continue;
    }
    if (tail == st->head) *line = (double)sequence;
    else if (sequence != *next) *gap = 1;
    if (*gap || (len > s->buf.cap - tail && tail > st->head) || !is_due(s, time)) break;
    tail += copy_record(s, tail, l->rows.text + from, len);
    *next = sequence + 1;
    l->at++;
  }
  return tail - st->tail;
}

int64_t tm_log_source_fill(struct tm_source *s, struct tm_err *err) {
  struct tm_log_source *l = s->log;
  struct tm_source_state *st = s->state;
  int ended = 0, gap = 0;
  if (s->closing) return 0;
  hear(l);
  tm_source_make_room(s);
  uint64_t next = l->state->next;
  double line = st->line;
  int64_t n = copy_records(s, &next, &line, &ended, &gap, err);
  if (n < 0) return -1;
  uint64_t now = s->io->mono_ns(s->io);
  l->asked_ns = now;
  if (gap) s->whole = 0;  /* what is there is a batch, as nothing can be put behind it */
  if (n == 0 && !ended) return 0;
  tm_undo_keep(s->undo, st, sizeof *st);
  tm_undo_keep(s->undo, l->state, sizeof *l->state);
  st->tail += (int32_t)n;
  st->bytes += (double)n;
  st->line = line;
  if (n > 0) st->read_ns = now;
  l->state->next = ended && l->state->end > next ? l->state->end : next;
  if (ended) st->eof = TM_EOF_REACHED;
  tm_undo_done(s->undo);
  s->buf.len = st->tail;
  return n;
}

/* ---- positions ---- */

void tm_log_source_position(const struct tm_source *s, struct tm_log_position *position) {
  const struct tm_source_state *st = s->state;
  position->sequence = st->tail > st->head ? (uint64_t)st->line : s->log->state->next;
  position->end = s->log->state->end;
}

int tm_log_source_seek(struct tm_source *s, const struct tm_log_position *position, struct tm_err *err) {
  struct tm_log_source *l = s->log;
  struct tm_source_state *st = s->state;
  if (st->active) return tm_err_set(err, 1, "log-seek", "%s: a batch of it is at hand", s->name);
  tm_undo_keep(s->undo, st, sizeof *st);
  tm_undo_keep(s->undo, l->state, sizeof *l->state);
  st->head = st->tail = 0;
  st->eof = TM_EOF_NOT;
  st->done = 0;
  st->line = (double)position->sequence;
  l->state->next = position->sequence;
  l->state->end = position->end;
  tm_undo_done(s->undo);
  s->buf.len = 0;
  l->at = l->rows.count = 0;
  tm_eventlog_reader_seek(l->reader, position->sequence);
  return 0;
}
