/* sink.c - writing rows (sink.h).
 *
 * Standard output is opened anew through /proc/self/fd where it is a pipe or a terminal, because O_NONBLOCK on the
 * inherited description would also change it for whoever shares it; where that fails (a socket) it is written with
 * blocking calls. */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1024 * 1024 };

static int open_stdout(struct tm_sink *s, struct tm_err *err) {
  struct stat st;
  if (fstat(STDOUT_FILENO, &st) != 0)
    return tm_err_set(err, 3, "stdout", "standard output is closed; give --to FILE");
  s->fd = STDOUT_FILENO;
  if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
    int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_APPEND | O_NOCTTY);
    if (fd >= 0) {
      s->fd = fd;
      s->polled = 1;
    }
  }
  return 0;
}

int tm_sink_open(struct tm_sink *s, const struct tm_io *io, struct tm_err *err) {
  s->fd = -1;
  if (s->kind == TM_SINK_STDOUT) return open_stdout(s, err);
  if (s->kind != TM_SINK_FILE) return 0;
  int fd = io->open(io, s->path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0644);
  if (fd == -ENXIO) fd = io->open(io, s->path, O_WRONLY | O_APPEND, 0644);  /* a FIFO without a reader: wait for one */
  if (fd < 0) return tm_err_set(err, 3, "file-open", "%s: cannot be written: %s", s->path, strerror(-fd));
  struct stat st;
  s->polled = fstat(fd, &st) == 0 && !S_ISREG(st.st_mode);
  s->fd = fd;
  return 0;
}

int64_t tm_sink_write(struct tm_sink *s, const struct tm_io *io, const char *data, int32_t len, struct tm_err *err) {
  int32_t from = s->state->sent;
  size_t n = (size_t)(len - from);
  if (s->gone) {
    s->state->sent = len;
    return (int64_t)n;
  }
  int64_t rc;
  do rc = io->write(io, s->fd, data + from, n > PIECE ? PIECE : n);
  while (rc == -EINTR);
  if (rc >= 0) {
    s->blocked = s->refused = 0;
    s->state->sent = from + (int32_t)rc;
    return rc;
  }
  if (rc == -EAGAIN || rc == -ENOSPC || rc == -EDQUOT) {
    s->blocked = 1;
    s->refused = rc == -EAGAIN ? 0 : (int)-rc;
    return 0;
  }
  if (rc == -EPIPE) {
    s->gone = 1;
    return 0;
  }
  return tm_err_set(err, 1, "write", "%s: write failed: %s", s->name, strerror((int)-rc));
}
