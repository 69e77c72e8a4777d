/* truncate.c - cutting an event log back to a mark, when a process takes up where the last one was durable (writer.h).
 *
 * Newest segments go first, so that what is left is a log at every moment. The one in which the mark lies is cut at a block's end, or
 * written anew as far as its records are kept: to FIRST.tmp, synced, renamed to FIRST.events. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "folder.h"
#include "reader.h"
#include "rewrite.h"
#include "writer_own.h"

/* Deletes a segment in both its forms. */
static int drop(const struct tm_io *io, const char *folder, uint64_t first, struct tm_err *err) {
  static const char *const endings[] = {".packed", ".events"};
  char path[TM_EVENTLOG_PATH];
  for (int i = 0; i < 2; i++) {
    tm_eventlog_path(path, folder, first, endings[i]);
    int rc = io->unlink(io, path);
    if (rc != 0 && rc != -ENOENT) return tm_err_set(err, 1, "log-write", "%.500s: cannot be removed: %s", path, strerror(-rc));
  }
  return 0;
}

/* Drops whole segments from `sequence` on; *last is the one that is left, 0 none, *end where it ends if it is not cut. */
static int drop_later(struct tm_eventlog_writer *w, uint64_t sequence, struct tm_eventlog_segment *last, struct tm_err *err) {
  struct tm_eventlog_list list;
  *last = (struct tm_eventlog_segment){0};
  if (tm_eventlog_list_read(tm_eventlog_writer_folder(w), &list, err) != 0) return -1;
  int rc = 0;
  for (int32_t i = list.n - 1; i >= 0 && rc == 0; i--) {
    if (list.items[i].first < sequence) {
      *last = list.items[i];
      break;
    }
    rc = drop(tm_eventlog_writer_io(w), tm_eventlog_writer_folder(w), list.items[i].first, err);
  }
  tm_eventlog_list_fini(&list);
  return rc;
}

/* Where the block with record `sequence` begins in a plain segment, and whether it begins with it. -1 err. */
static int find_cut(struct tm_eventlog_writer *w, uint64_t first, uint64_t sequence, int64_t *offset, int *exact, struct tm_err *err) {
  struct tm_eventlog_reader *r = tm_eventlog_reader_new(tm_eventlog_writer_io(w), tm_eventlog_writer_folder(w));
  struct tm_eventlog_rows rows;
  uint64_t segment;
  int rc = 1;
  if (r == NULL) return tm_err_set(err, 1, "memory", "no memory to cut a log back");
  tm_eventlog_reader_seek(r, first);
  while (tm_eventlog_reader_at(r) < sequence && (rc = tm_eventlog_reader_next(r, &rows, err)) > 0) continue;
  *exact = rc > 0 && tm_eventlog_reader_at(r) == sequence;
  tm_eventlog_reader_place(r, &segment, offset);
  tm_eventlog_reader_free(r);
  return rc < 0 ? -1 : 0;
}

static int cut(struct tm_eventlog_writer *w, const struct tm_eventlog_segment *last, uint64_t sequence, struct tm_err *err) {
  const struct tm_io *io = tm_eventlog_writer_io(w);
  const char *folder = tm_eventlog_writer_folder(w);
  char path[TM_EVENTLOG_PATH];
  int64_t offset;
  int exact = 0;
  if (!last->packed) {
    if (find_cut(w, last->first, sequence, &offset, &exact, err) != 0) return -1;
  }
  if (!exact) return tm_eventlog_rewrite(io, folder, last->first, sequence, 0, NULL, err) < 0 ? -1 : 0;
  tm_eventlog_path(path, folder, last->first, ".events");
  int fd = io->open(io, path, O_RDWR, 0), rc = fd;
  if (fd >= 0) {
    rc = io->ftruncate(io, fd, offset);
    if (rc == 0) rc = io->fdatasync(io, fd);
    io->close(io, fd);
  }
  return rc == 0 ? 0 : tm_err_set(err, 1, "log-write", "%.500s: cannot be cut back: %s", path, strerror(-rc));
}

int tm_eventlog_writer_truncate(struct tm_eventlog_writer *w, const struct tm_log_mark *mark, struct tm_err *err) {
  struct tm_eventlog_segment last;
  struct tm_log_mark now;
  const char *folder = tm_eventlog_writer_folder(w);
  tm_eventlog_writer_mark(w, &now);
  if (mark->sequence == now.sequence) return 0;
  if (mark->sequence > now.sequence)
    return tm_err_set(err, 1, "log-short", "%.400s ends before record %llu, and was durable up to record %llu: something has taken records "
                      "away; 'tidemill log verify' tells more. Put the log's folder back, or start anew with --reset", folder,
                      (unsigned long long)now.sequence, (unsigned long long)mark->sequence);
  if (drop_later(w, mark->sequence, &last, err) != 0) return -1;
  if (last.first > 0 && cut(w, &last, mark->sequence, err) != 0) return -1;
  int rc = tm_eventlog_writer_io(w)->fsync_dir(tm_eventlog_writer_io(w), folder);
  if (rc != 0) return tm_err_set(err, 1, "log-write", "%.400s: its folder cannot be synced: %s", folder, strerror(-rc));
  if (tm_eventlog_writer_find_end(w, mark->sequence, err) != 0) return -1;
  tm_eventlog_writer_mark(w, &now);
  TM_ASSERT(now.sequence == mark->sequence);
  return 0;
}
