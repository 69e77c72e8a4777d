/* durable.c - making, moving and reading the mark of what is durable (durable.h). */
#include "durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../base/crc32c.h"
#include "folder.h"

enum { CHECKED = 28, TRIES = 4 };

static const char magic[8] = {'T', 'M', 'E', 'V', 'D', 'U', 'R', '\n'};

static void mark_put(char *to, uint64_t sequence) {
  memset(to, 0, TM_EVENTLOG_DURABLE);
  memcpy(to, magic, sizeof magic);
  memcpy(to + sizeof magic, &sequence, sizeof sequence);
  uint32_t crc = tm_crc32c(0, to, CHECKED);
  memcpy(to + CHECKED, &crc, sizeof crc);
}

static int mark_get(const char *from, uint64_t *sequence) {
  uint32_t crc;
  memcpy(&crc, from + CHECKED, sizeof crc);
  if (memcmp(from, magic, sizeof magic) != 0 || crc != tm_crc32c(0, from, CHECKED)) return -1;
  memcpy(sequence, from + sizeof magic, sizeof *sequence);
  return 0;
}

static void mark_path(char *out, const char *folder, const char *ending) {
  snprintf(out, TM_EVENTLOG_PATH, "%.4000s/durable%s", folder, ending);
}

int tm_eventlog_durable_make(const struct tm_io *io, const char *folder, uint64_t sequence, struct tm_err *err) {
  char path[TM_EVENTLOG_PATH], made[TM_EVENTLOG_PATH], mark[TM_EVENTLOG_DURABLE];
  mark_path(path, folder, "");
  mark_path(made, folder, ".new");
  mark_put(mark, sequence);
  int fd = tm_io_open(io, made, O_RDWR | O_CREAT | O_TRUNC, 0666), rc = fd;
  if (rc >= 0) rc = tm_io_pwrite_all(io, fd, mark, sizeof mark, 0);
  if (rc == 0) rc = io->fdatasync(io, fd);
  if (rc == 0) rc = io->rename(io, made, path);
  if (rc == 0) rc = io->fsync_dir(io, folder);
  if (rc == 0) return fd;
  if (fd >= 0) io->close(io, fd);
  return tm_err_set(err, 1, rc == -ENOSPC || rc == -EDQUOT ? "log-room" : "log-durable", "%.400s: the mark of what is durable cannot be written: %s", folder, strerror(-rc));
}

int tm_eventlog_durable_put(const struct tm_io *io, int fd, uint64_t sequence) {
  char mark[TM_EVENTLOG_DURABLE];
  mark_put(mark, sequence);
  return tm_io_pwrite_all(io, fd, mark, sizeof mark, 0);
}

int tm_eventlog_durable_remove(const struct tm_io *io, const char *folder, struct tm_err *err) {
  char path[TM_EVENTLOG_PATH];
  mark_path(path, folder, "");
  int rc = io->unlink(io, path);
  if (rc == 0 || rc == -ENOENT) return 0;
  return tm_err_set(err, 1, "log-durable", "%.500s: cannot be removed: %s; while it is there readers wait for a run with --data", path, strerror(-rc));
}

int tm_eventlog_durable_read(const struct tm_io *io, const char *folder, uint64_t *sequence, struct tm_err *err) {
  char path[TM_EVENTLOG_PATH], mark[TM_EVENTLOG_DURABLE];
  mark_path(path, folder, "");
  *sequence = UINT64_MAX;
  int fd = tm_io_open(io, path, O_RDONLY, 0);
  if (fd == -ENOENT) return 0;
  if (fd < 0) return tm_err_set(err, 1, "log-durable", "%.500s: cannot be read: %s", path, strerror(-fd));
  int whole = 0;
  for (int i = 0; i < TRIES && !whole; i++)  /* it may be written just now */
    whole = tm_io_pread_all(io, fd, mark, sizeof mark, 0) == TM_EVENTLOG_DURABLE && mark_get(mark, sequence) == 0;
  io->close(io, fd);
  if (whole) return 0;
  return tm_err_set(err, 1, "log-durable", "%.500s: is damaged; the run that writes this log makes it anew when it is started, and without it all "
                    "that was written is read", path);
}

int tm_eventlog_durable_raise(const struct tm_io *io, const char *folder, uint64_t sequence, struct tm_err *err) {
  uint64_t now;
  int whole = tm_eventlog_durable_read(io, folder, &now, err) == 0;
  if (whole && now >= sequence) return 0;  /* UINT64_MAX: there is none, and all is read */
  int fd = tm_eventlog_durable_make(io, folder, sequence, err);
  if (fd >= 0) io->close(io, fd);
  return fd >= 0 ? 0 : -1;
}
