/* source.c - reading and cutting (source.h).
 *
 * The buffer holds one block, what is left of the line before it, and at most one event of max_event bytes. Text is
 * moved only when a block does not fit behind it, and never while a batch points into it. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../codec/json.h"

enum { LONG_SAMPLE = 1024 };  /* bytes kept of a line that is too long */

/* ---- opening ---- */

static int open_path(struct tm_source *s, const struct tm_io *io, struct tm_err *err) {
  const char *path = s->paths[s->state->file];
  int fd = io->open(io, path, O_RDONLY, 0);
  if (fd < 0) return tm_err_set(err, 3, "file-open", "%s: cannot be read: %s", path, strerror(-fd));
  struct stat st;
  if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
    io->close(io, fd);
    return tm_err_set(err, 3, "file-open", "%s: is a directory; name the files in it", path);
  }
  if (s->state->offset > 0 && lseek(fd, s->state->offset, SEEK_SET) < 0) {
    io->close(io, fd);
    return tm_err_set(err, 1, "file-seek", "%s: cannot go on at byte %lld: %s", path, (long long)s->state->offset, strerror(errno));
  }
  posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  s->fd = fd;
  return 0;
}

int tm_source_open(struct tm_source *s, const struct tm_io *io, struct tm_err *err) {
  if (s->kind == TM_SOURCE_FILE) return s->state->done || s->state->eof ? 0 : open_path(s, io, err);
  if (s->kind != TM_SOURCE_STDIN) return 0;
  struct stat st;
  if (fstat(STDIN_FILENO, &st) != 0) return tm_err_set(err, 3, "stdin", "standard input is closed; give --from FILE");
  s->fd = STDIN_FILENO;
  s->live = !S_ISREG(st.st_mode);
  /* fewer, larger reads; refused beyond the user's pipe limit, which costs nothing */
  if (S_ISFIFO(st.st_mode)) fcntl(s->fd, F_SETPIPE_SZ, 1024 * 1024);
  return 0;
}

/* ---- reading ---- */

static void make_room(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  if (st->head == st->tail) st->head = st->tail = 0;
  if (st->head == 0 || s->buf.cap - st->tail >= TM_BLOCK) return;
  memmove(s->buf.data, s->buf.data + st->head, (size_t)(st->tail - st->head));
  st->tail -= st->head;
  st->head = 0;
}

static void next_file(struct tm_source *s, const struct tm_io *io) {
  if (s->fd >= 0 && s->kind == TM_SOURCE_FILE) io->close(io, s->fd);
  s->fd = -1;
  s->state->file++;
  s->state->offset = 0;
  s->state->eof = 0;
  s->state->begun = 0;
  s->state->line = 1;
}

int64_t tm_source_fill(struct tm_source *s, const struct tm_io *io, struct tm_err *err) {
  struct tm_source_state *st = s->state;
  if (st->eof || st->done) return 0;
  if (s->fd < 0 && open_path(s, io, err) != 0) return -1;
  make_room(s);
  int32_t room = s->buf.cap - st->tail;
  if (room > TM_BLOCK) room = TM_BLOCK;
  if (room <= 0) return 0;
  int64_t n;
  do n = io->read(io, s->fd, s->buf.data + st->tail, (size_t)room);
  while (n == -EINTR);
  if (n == -EAGAIN) return 0;
  if (n == -EIO && s->live) n = 0;  /* a terminal that has gone */
  if (n < 0)
    return tm_err_set(err, 1, "read", "%s: read failed: %s", tm_source_origin(s), strerror((int)-n));
  st->read_ns = io->mono_ns(io);
  if (n == 0) {
    st->eof = 1;
    return 0;
  }
  st->tail += (int32_t)n;
  st->offset += n;
  s->buf.len = st->tail;
  return n;
}

/* ---- cutting ---- */

/* A byte order mark at the start of a file is no part of its first line. */
static int skip_mark(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  if (st->begun) return 1;
  int32_t n = st->tail - st->head;
  if (n < 3 && !st->eof) return 0;
  if (n >= 3 && memcmp(s->buf.data + st->head, "\xEF\xBB\xBF", 3) == 0) st->head += 3;
  st->begun = 1;
  return 1;
}

/* Inside a line that is too long: drops bytes up to its LF. 1 when it is over. */
static int skip_long(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  const char *from = s->buf.data + st->head;
  const char *lf = memchr(from, '\n', (size_t)(st->tail - st->head));
  if (lf == NULL) {
    st->head = st->tail;
    if (!st->eof) return 0;
  } else {
    st->head += (int32_t)(lf - from) + 1;
  }
  st->skipping = 0;
  st->line += 1;
  return 1;
}

static void origins(struct tm_batch *b) {
  if (b->rows > 0 && b->origin[b->rows - 1] == b->rows - 1) return;  /* never changes for a source of its own */
  for (int32_t i = 0; i < TM_BATCH_ROWS; i++) b->origin[i] = i;
}

/* One bad slot that stands for a line longer than max_event. */
static void long_batch(struct tm_source *s) {
  struct tm_batch *b = s->batch;
  tm_fields_clear(s->fields, 1);
  b->raw = s->buf.data + s->state->batch_off;
  b->rows = b->bad = 1;
  b->off[0] = 0;
  b->len[0] = LONG_SAMPLE;
  b->line[0] = 0;
  b->status[0] = TM_LINE_TOO_LONG;
  b->line_first = s->state->batch_line;
  origins(b);
}

static int32_t decode(struct tm_source *s, int32_t off, int32_t len, int final, int32_t *lines) {
  struct tm_batch *b = s->batch;
  b->line_first = s->state->batch_line;
  int32_t used = tm_json_decode(b, s->buf.data + off, len, final, s->max_event, lines);
  origins(b);
  return used;
}

static enum tm_source_got begin_batch(struct tm_source *s, int32_t len, int final, int is_long) {
  struct tm_source_state *st = s->state;
  st->batch_off = st->head;
  st->batch_len = len;
  st->batch_final = final;
  st->batch_long = is_long;
  st->batch_line = st->line;
  if (is_long) {
    long_batch(s);
    st->active = 1;
    st->skipping = 1;
    return TM_SOURCE_BATCH;
  }
  int32_t lines = 0;
  int32_t used = decode(s, st->head, len, final, &lines);
  st->batch_len = used;
  st->batch_final = final && used == len;
  st->head += used;
  st->line += lines;
  s->lines_blank += lines - s->batch->rows;
  if (s->batch->rows == 0) return TM_SOURCE_MORE;
  st->active = 1;
  return TM_SOURCE_BATCH;
}

enum tm_source_got tm_source_next(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  for (;;) {
    if (st->done) return TM_SOURCE_END;
    int32_t before = st->head;
    if (skip_mark(s) && (!st->skipping || skip_long(s))) {
      int32_t len = st->tail - st->head;
      if (len > 0) {
        enum tm_source_got got = begin_batch(s, len, st->eof, 0);
        if (got == TM_SOURCE_BATCH) return got;
        if (st->head == before && len > s->max_event) return begin_batch(s, len, 0, 1);
        if (st->head != before && st->tail > st->head) continue;
      }
    }
    if (!st->eof) return TM_SOURCE_MORE;
    if (s->kind == TM_SOURCE_FILE && st->file + 1 < s->paths_n) {
      next_file(s, &tm_io_real);
      return TM_SOURCE_MORE;
    }
    st->done = 1;
  }
}

void tm_source_batch_done(struct tm_source *s) {
  s->state->active = 0;
  s->last_rows = s->batch->rows;
}

void tm_source_resume(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  s->batch->fields = s->fields;
  if (!st->active || s->kind == TM_SOURCE_LINK) return;
  int32_t lines = 0;
  if (st->batch_long)
    long_batch(s);
  else
    decode(s, st->batch_off, st->batch_len, st->batch_final, &lines);
}

const char *tm_source_origin(const struct tm_source *s) {
  if (s->kind == TM_SOURCE_FILE && s->state->file < s->paths_n) return s->paths[s->state->file];
  return s->name;
}
