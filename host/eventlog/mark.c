/* mark.c - making, moving and reading a number in a file (mark.h). */
#include "mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../base/crc32c.h"
#include "folder.h"

enum { CHECKED = 28, TRIES = 4 };

static void fill(char *to, const struct tm_eventlog_mark_kind *kind, uint64_t sequence) {
  memset(to, 0, TM_EVENTLOG_MARK);
  memcpy(to, kind->magic, sizeof kind->magic);
  memcpy(to + sizeof kind->magic, &sequence, sizeof sequence);
  uint32_t crc = tm_crc32c(0, to, CHECKED);
  memcpy(to + CHECKED, &crc, sizeof crc);
}

static int take(const char *from, const struct tm_eventlog_mark_kind *kind, uint64_t *sequence) {
  uint32_t crc;
  memcpy(&crc, from + CHECKED, sizeof crc);
  if (memcmp(from, kind->magic, sizeof kind->magic) != 0 || crc != tm_crc32c(0, from, CHECKED)) return 0;
  memcpy(sequence, from + sizeof kind->magic, sizeof *sequence);
  return 1;
}

int tm_eventlog_mark_make(const struct tm_io *io, const char *folder, const struct tm_eventlog_mark_kind *kind, uint64_t sequence) {
  char path[TM_EVENTLOG_PATH], made[TM_EVENTLOG_PATH];
  snprintf(path, sizeof path, "%.4000s/%s", folder, kind->name);
  snprintf(made, sizeof made, "%.4000s/%s", folder, kind->temporary);
  int fd = tm_io_open(io, made, O_RDWR | O_CREAT | O_TRUNC, 0666);
  if (fd < 0) return fd;
  int rc = tm_eventlog_mark_put(io, fd, kind, sequence);
  if (rc == 0) rc = io->fdatasync(io, fd);
  if (rc == 0) rc = io->rename(io, made, path);
  if (rc == 0) rc = io->fsync_dir(io, folder);
  if (rc == 0) return fd;
  io->close(io, fd);
  return rc;
}

int tm_eventlog_mark_put(const struct tm_io *io, int fd, const struct tm_eventlog_mark_kind *kind, uint64_t sequence) {
  char mark[TM_EVENTLOG_MARK];
  fill(mark, kind, sequence);
  return tm_io_pwrite_all(io, fd, mark, sizeof mark, 0);
}

int tm_eventlog_mark_read(const struct tm_io *io, const char *folder, const struct tm_eventlog_mark_kind *kind, uint64_t *sequence) {
  char path[TM_EVENTLOG_PATH], mark[TM_EVENTLOG_MARK];
  snprintf(path, sizeof path, "%.4000s/%s", folder, kind->name);
  int fd = tm_io_open(io, path, O_RDONLY, 0), whole = 0;
  if (fd < 0) return fd;
  for (int i = 0; i < TRIES && !whole; i++)  /* it may be written just now */
    whole = tm_io_pread_all(io, fd, mark, sizeof mark, 0) == TM_EVENTLOG_MARK && take(mark, kind, sequence);
  io->close(io, fd);
  return whole;
}
