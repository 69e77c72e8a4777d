/* durable.c - making, moving and reading the mark of what is durable (durable.h). */
#include "durable.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "folder.h"
#include "mark.h"

static const struct tm_eventlog_mark_kind kind = {"durable", "durable.new", {'T', 'M', 'E', 'V', 'D', 'U', 'R', '\n'}};

int tm_eventlog_durable_make(const struct tm_io *io, const char *folder, uint64_t sequence, struct tm_err *err) {
  int fd = tm_eventlog_mark_make(io, folder, &kind, sequence);
  if (fd >= 0) return fd;
  return tm_err_set(err, 1, fd == -ENOSPC || fd == -EDQUOT ? "log-room" : "log-durable", "%.400s: the mark of what is durable cannot be written: %s",
                    folder, strerror(-fd));
}

int tm_eventlog_durable_put(const struct tm_io *io, int fd, uint64_t sequence) { return tm_eventlog_mark_put(io, fd, &kind, sequence); }

int tm_eventlog_durable_remove(const struct tm_io *io, const char *folder, struct tm_err *err) {
  char path[TM_EVENTLOG_PATH];
  snprintf(path, sizeof path, "%.4000s/%s", folder, kind.name);
  int rc = io->unlink(io, path);
  if (rc == 0 || rc == -ENOENT) return 0;
  return tm_err_set(err, 1, "log-durable", "%.500s: cannot be removed: %s; while it is there readers wait for a run with --data", path, strerror(-rc));
}

int tm_eventlog_durable_read(const struct tm_io *io, const char *folder, uint64_t *sequence, struct tm_err *err) {
  *sequence = UINT64_MAX;
  int rc = tm_eventlog_mark_read(io, folder, &kind, sequence);
  if (rc > 0 || rc == -ENOENT) return 0;
  if (rc < 0) return tm_err_set(err, 1, "log-durable", "%.500s/durable: cannot be read: %s", folder, strerror(-rc));
  return tm_err_set(err, 1, "log-durable", "%.500s/durable: is damaged; the run that writes this log makes it anew when it is started, and without it "
                    "all that was written is read", folder);
}

int tm_eventlog_durable_raise(const struct tm_io *io, const char *folder, uint64_t sequence, struct tm_err *err) {
  uint64_t now;
  int whole = tm_eventlog_durable_read(io, folder, &now, err) == 0;
  if (whole && now >= sequence) return 0;  /* UINT64_MAX: there is none, and all is read */
  int fd = tm_eventlog_durable_make(io, folder, sequence, err);
  if (fd >= 0) io->close(io, fd);
  return fd >= 0 ? 0 : -1;
}
