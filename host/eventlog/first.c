/* first.c - the mark of a log's first record (first.h). */
#include "first.h"

#include <errno.h>
#include <string.h>

#include "mark.h"

static const struct tm_eventlog_mark_kind kind = {"first", "first.new", {'T', 'M', 'E', 'V', 'F', 'I', 'R', '\n'}};

static int failed(const char *folder, int rc, struct tm_err *err) {
  return tm_err_set(err, 1, "log-first", "%.400s: the mark of its first record cannot be used: %s", folder, strerror(-rc));
}

int tm_eventlog_first_move(const struct tm_io *io, const char *folder, uint64_t first, struct tm_err *err) {
  int fd = tm_eventlog_mark_make(io, folder, &kind, first);
  if (fd < 0) return failed(folder, fd, err);
  io->close(io, fd);
  return 0;
}

/* 1 there is a mark, and the log begins there; 0 there is none that is whole; -1 err. */
static int check(const struct tm_io *io, const char *folder, const struct tm_eventlog_list *list, struct tm_err *err) {
  uint64_t first = 0;
  int rc = tm_eventlog_mark_read(io, folder, &kind, &first);
  if (rc < 0 && rc != -ENOENT) return failed(folder, rc, err);
  if (rc <= 0) return 0;
  if (list->n == 0 || list->items[0].first <= first) return 1;
  return tm_err_set(err, 1, "log-damaged", "%.400s begins with record %llu, but those from %llu on were not removed by its retention: its first "
                    "segment, %020llu, is missing. Put it back, or remove the file %.400s/first to go on without it", folder,
                    (unsigned long long)list->items[0].first, (unsigned long long)first, (unsigned long long)first, folder);
}

int tm_eventlog_first_check(const struct tm_io *io, const char *folder, const struct tm_eventlog_list *list, struct tm_err *err) {
  return check(io, folder, list, err) < 0 ? -1 : 0;
}

int tm_eventlog_first_open(const struct tm_io *io, const char *folder, uint64_t next, struct tm_err *err) {
  struct tm_eventlog_list list;
  if (tm_eventlog_list_read(folder, &list, err) != 0) return -1;
  int rc = check(io, folder, &list, err);
  uint64_t first = list.n > 0 ? list.items[0].first : next;
  tm_eventlog_list_fini(&list);
  if (rc != 0) return rc < 0 ? -1 : 0;
  int fd = tm_eventlog_mark_make(io, folder, &kind, first);
  if (fd < 0 && fd != -ENOSPC && fd != -EDQUOT) return failed(folder, fd, err);
  if (fd >= 0) io->close(io, fd);
  return 0;
}
