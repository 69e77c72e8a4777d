/* sink.c - writing rows (sink.h).
 *
 * Standard output is opened anew through /proc/self/fd where it is a pipe or a terminal, because O_NONBLOCK on the
 * inherited description would also change it for whoever shares it. A socket cannot be opened anew: it is asked whether
 * it takes something and given no more than it then has room for. */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/log.h"
#include "compare_sink.h"
#include "log_sink.h"

enum { PIECE = 1024 * 1024, PIECE_SOCKET = 4096, RELAY_BYTES = 256 * 1024, REST_TRIES = 10000 };

/* ---- opening ---- */

int tm_sink_relay_open(int relay[2]) {
  struct stat st;
  relay[0] = relay[1] = -1;
  if (fstat(STDOUT_FILENO, &st) != 0 || !S_ISFIFO(st.st_mode)) return 0;
  if (pipe2(relay, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
  fcntl(relay[1], F_SETPIPE_SZ, RELAY_BYTES);
  /* splice fills a slot of the pipe with each piece, however small: more slots for a reader that is late */
  fcntl(STDOUT_FILENO, F_SETPIPE_SZ, RELAY_BYTES);
  return 0;
}

static int open_stdout(struct tm_sink *s, struct stat *st, struct tm_err *err) {
  if (fstat(STDOUT_FILENO, st) != 0 || fcntl(STDOUT_FILENO, F_GETFL) & O_PATH)
    return tm_err_set(err, 3, "stdout", "standard output is closed; give --to FILE");
  s->fd = STDOUT_FILENO;
  if (S_ISREG(st->st_mode)) s->regular = fcntl(s->fd, F_GETFL) & O_APPEND ? 2 : 1;
  if (S_ISSOCK(st->st_mode)) {
    s->polled = 1;
    s->piece = PIECE_SOCKET;
  }
  if (!S_ISFIFO(st->st_mode) || s->relay[0] < 0) s->relay = NULL;
  if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode)) return 0;
  int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_APPEND | O_NOCTTY);
  if (fd < 0) return 0;
  s->fd = fd;
  s->polled = 1;
  return 0;
}

static int open_file(struct tm_sink *s, struct stat *st, struct tm_err *err) {
  s->relay = NULL;
  int fd = s->io->open(s->io, s->path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0644);
  if (fd == -ENXIO) fd = s->io->open(s->io, s->path, O_WRONLY | O_APPEND, 0644);  /* a FIFO without a reader: wait for one */
  if (fd < 0)
    return tm_err_set(err, 3, "file-open", "%s: cannot be written: %s%s", s->path, strerror(-fd),
                      fd == -ENOENT ? "; make its folder first" : "");
  s->fd = fd;
  if (fstat(fd, st) != 0) return tm_err_set(err, 3, "file-open", "%s: cannot be written: %s", s->path, strerror(errno));
  s->regular = S_ISREG(st->st_mode) ? 2 : 0;
  s->polled = !s->regular;
  return 0;
}

/* Where the next byte goes in a regular file. */
static int64_t place(const struct tm_sink *s) {
  return s->regular == 2 ? lseek(s->fd, 0, SEEK_END) : lseek(s->fd, 0, SEEK_CUR);
}

void tm_sink_fresh(struct tm_sink *s) {
  s->restored = 1;
  s->state->in_relay = 0;
  if (s->kind == TM_SINK_STDOUT) s->state->opened = 0;
}

/* What was written behind the last epoch that is durable comes again. */
static int cut_back(struct tm_sink *s, int64_t size, struct tm_err *err) {
  const struct tm_sink_state *st = s->state;
  int64_t known = st->base + st->sent;
  if (!st->opened) return 0;
  if (size < known)
    return tm_err_set(err, 1, "file-short",
                      "%s: has %lld bytes, but %lld were written to it: rows are gone that the data folder counts as written. Put "
                      "the file back, or start anew with --reset",
                      s->path, (long long)size, (long long)known);
  if (tm_tail_check(&st->tail, s->io, s->path, known, err) != 0) return -1;
  if (size == known) return 0;
  int rc = s->io->ftruncate(s->io, s->fd, known);
  if (rc == 0) return 0;
  return tm_err_set(err, 1, "file-truncate", "%s: cannot be cut to the %lld bytes that are known of it: %s", s->path, (long long)known,
                    strerror(-rc));
}

int tm_sink_open(struct tm_sink *s, struct tm_err *err) {
  struct stat st = {0};
  s->fd = -1;
  s->piece = PIECE;
  if (s->kind == TM_SINK_LOG) return tm_log_sink_open(s, err);
  if (s->kind == TM_SINK_COMPARE) return tm_compare_sink_open(s, err);
  if (s->sqlite != NULL) {
    if (tm_sqlite_open(s->sqlite, err) != 0) return -1;
    s->fd = tm_sqlite_fd(s->sqlite);
    s->polled = 1;
    return 0;
  }
  if (s->kind != TM_SINK_STDOUT && s->kind != TM_SINK_FILE) return 0;
  if (s->files != NULL) return tm_files_open(s->files, err);
  if ((s->kind == TM_SINK_STDOUT ? open_stdout(s, &st, err) : open_file(s, &st, err)) != 0) return -1;
  if (s->restored && s->kind == TM_SINK_FILE && s->regular && cut_back(s, st.st_size, err) != 0) return -1;
  if (s->regular && !s->state->opened) s->state->base = place(s) - s->state->sent;
  if (!s->state->opened) s->state->appended = s->state->base > 0;
  tm_undo_fence();
  s->state->opened = 1;
  return 0;
}

void tm_sink_resume(struct tm_sink *s, const char *data, int32_t len) {
  struct tm_sink_state *st = s->state;
  int64_t more = 0;
  int there = 0;
  if (s->kind == TM_SINK_LOG) tm_log_sink_resume(s, data, len);
  if (s->files != NULL) tm_files_resume(s->files);
  if (s->fd < 0 || s->sqlite != NULL) return;
  if (s->relay != NULL && ioctl(s->relay[0], FIONREAD, &there) == 0) {
    if (st->in_relay == 0) more = there;
  } else if (s->regular) {
    more = place(s) - (st->base + st->sent);
  }
  if (more < 0 || more > len - st->sent) {
    tm_log_warning("%s: somebody else changes its size too; some rows may be in it twice, or torn", s->name);
    more = 0;
  }
  tm_undo_keep(s->undo, st, sizeof *st);
  tm_tail_set(&st->tail, data + st->sent, more);
  st->sent += (int32_t)more;
  st->in_relay = there;
  tm_undo_done(s->undo);
}

/* ---- writing ---- */

static double rows_in(const char *data, size_t n) {
  double rows = 0;
  const char *end = data + n;
  while (n > 0 && (data = memchr(data, '\n', (size_t)(end - data))) != NULL) {
    rows += 1;
    if (++data == end) break;
  }
  return rows;
}

/* n bytes more were taken, or thrown away. */
static void took(struct tm_sink *s, const char *data, int32_t n) {
  struct tm_sink_state *st = s->state;
  tm_undo_keep(s->undo, st, sizeof *st);
  if (s->gone) {
    st->rows_thrown += rows_in(data + st->sent, (size_t)n);
    st->bytes_thrown += n;
  }
  if (s->regular) tm_tail_set(&st->tail, data + st->sent, n);
  st->sent += n;
  if (s->relay != NULL && !s->gone) st->in_relay = n;
  if (s->regular) st->base = lseek(s->fd, 0, SEEK_CUR) - st->sent;
  tm_undo_done(s->undo);
}

static int refused(struct tm_sink *s, int64_t rc, struct tm_err *err) {
  if (rc == -EAGAIN || rc == -ENOSPC || rc == -EDQUOT || rc == -EROFS) {
    s->blocked = 1;
    s->refused = rc == -EAGAIN ? 0 : (int)-rc;
    return 0;
  }
  if (rc != -EPIPE) return tm_err_set(err, 1, "write", "%s: write failed: %s", s->name, strerror((int)-rc));
  s->gone = 1;
  return 1;
}

/* What nobody will read any more. */
static void relay_throw(struct tm_sink *s) {
  char text[4096];
  int64_t n;
  while ((n = s->io->read(s->io, s->relay[0], text, sizeof text)) > 0) {
    s->state->rows_thrown += rows_in(text, (size_t)n);
    s->state->bytes_thrown += (double)n;
  }
  s->state->in_relay = 0;
}

/* From the relay into standard output: 1 it is empty now, 0 refused, -1 and err. */
static int relay_push(struct tm_sink *s, struct tm_err *err) {
  struct tm_sink_state *st = s->state;
  while (st->in_relay > 0 && !s->gone) {
    ssize_t n = splice(s->relay[0], NULL, s->fd, NULL, (size_t)st->in_relay, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n > 0) {
      st->in_relay -= (int32_t)n;
    } else if (n == 0) {
      st->in_relay = 0;
    } else if (errno != EINTR) {
      int rc = refused(s, -errno, err);
      if (rc <= 0) return rc;
    }
  }
  if (s->gone && st->in_relay > 0) relay_throw(s);
  return 1;
}

static int64_t write_piece(struct tm_sink *s, const char *data, size_t n) {
  int fd = s->relay != NULL ? s->relay[1] : s->fd;
  if (n > (size_t)s->piece) n = (size_t)s->piece;
  if (s->piece == PIECE_SOCKET) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (poll(&p, 1, 0) <= 0) return -EAGAIN;
  }
  int64_t rc;
  do rc = s->io->write(s->io, fd, data, n);
  while (rc == -EINTR);
  return rc;
}

static int write_files(struct tm_sink *s, const char *data, int32_t len, struct tm_err *err) {
  struct tm_sink_state *st = s->state;
  if (st->sent < len) {
    int32_t n = tm_files_take(s->files, data + st->sent, len - st->sent, &st->sent, err);
    if (n != 0) return n < 0 ? -1 : 1;
  }
  int rc = tm_files_write(s->files, s->small, s->finish, &s->refused, err);
  s->blocked = s->refused != 0;
  return rc;
}

int32_t tm_sink_written(struct tm_sink *s, int *fds, int32_t most) {
  if (s->kind != TM_SINK_FILE) return 0;
  if (s->files != NULL) return tm_files_written(s->files, fds, most);
  int64_t size = s->state->base + s->state->sent;
  if (!s->regular || size == s->synced || most == 0) return 0;
  s->synced = size;
  fds[0] = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
  return fds[0] >= 0;
}

static int write_sqlite(struct tm_sink *s, const char *data, int32_t len, struct tm_err *err) {
  struct tm_sink_state *st = s->state;
  int moved = tm_sqlite_poll(s->sqlite, s->finish && st->sent == len, &s->refused, err);
  if (moved < 0) return -1;
  if (st->sent < len && tm_sqlite_take(s->sqlite, data + st->sent, len - st->sent, &st->sent) > 0) moved = 1;
  s->blocked = !moved && (st->sent < len || s->finish);
  return moved;
}

int tm_sink_busy(const struct tm_sink *s) {
  if (s->kind == TM_SINK_LOG) return tm_log_sink_busy(s);
  if (s->kind == TM_SINK_COMPARE) return tm_compare_sink_busy(s);
  if (s->sqlite != NULL) return tm_sqlite_busy(s->sqlite, s->finish);
  return s->state->in_relay > 0 || (s->files != NULL && tm_files_busy(s->files, s->small, s->finish));
}

int64_t tm_sink_held(const struct tm_sink *s) {
  if (s->sqlite != NULL) return tm_sqlite_held(s->sqlite);
  return s->files != NULL ? tm_files_held(s->files) : 0;
}

const char *tm_sink_why(const struct tm_sink *s) { return s->sqlite != NULL ? tm_sqlite_trouble(s->sqlite) : strerror(s->refused); }

const char *tm_sink_where(const struct tm_sink *s) { return s->files != NULL ? tm_files_name(s->files) : s->name; }

int tm_sink_write(struct tm_sink *s, const char *data, int32_t len, struct tm_err *err) {
  struct tm_sink_state *st = s->state;
  if (s->kind == TM_SINK_LOG) return tm_log_sink_write(s, data, len, err);
  if (s->kind == TM_SINK_COMPARE) return tm_compare_sink_write(s, data, len, err);
  if (s->files != NULL) return write_files(s, data, len, err);
  if (s->sqlite != NULL) return write_sqlite(s, data, len, err);
  int32_t relayed = st->in_relay;
  int32_t left = len - st->sent;
  if (relayed > 0) {
    int rc = relay_push(s, err);
    if (rc <= 0) return rc < 0 ? -1 : st->in_relay < relayed;
  }
  s->blocked = s->refused = 0;
  if (left == 0) return relayed > 0;
  if (!s->gone) {
    int64_t rc = write_piece(s, data + st->sent, (size_t)left);
    if (rc < 0 && (rc = refused(s, rc, err)) <= 0) return (int)rc;
    if (!s->gone) left = (int32_t)rc;
  }
  took(s, data, left);
  if (s->relay == NULL || s->gone) return 1;
  return relay_push(s, err) < 0 ? -1 : 1;
}

void tm_sink_begin_anew(struct tm_sink *s) {
  struct tm_sink_state *st = s->state;
  st->before += st->sent;
  st->base += st->sent;
  st->sent = 0;
}

/* ---- another process ---- */

static int rest_sqlite(struct tm_sink *s, struct tm_err *err) {
  const struct timespec moment = {0, 500 * 1000};
  for (int i = 0; i < REST_TRIES; i++) {
    int refused;
    if (tm_sqlite_poll(s->sqlite, 1, &refused, err) < 0) return -1;
    if (!tm_sqlite_busy(s->sqlite, 1)) return 0;
    nanosleep(&moment, NULL);
  }
  return tm_err_set(err, 1, "sqlite", "%s: its rows are not in it yet: %s", s->path, tm_sqlite_trouble(s->sqlite));
}

int tm_sink_rest(struct tm_sink *s, struct tm_err *err) {
  if (s->sqlite != NULL) return rest_sqlite(s, err);
  if (s->kind == TM_SINK_LOG) tm_log_sink_close(s);
  return 0;
}

int tm_sink_wake(struct tm_sink *s, struct tm_err *err) {
  return s->kind == TM_SINK_LOG && !tm_log_sink_is_open(s) ? tm_log_sink_open(s, err) : 0;
}
