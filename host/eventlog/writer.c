/* writer.c - appending to an event log (writer.h). */
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/crc32c.h"
#include "../base/log.h"
#include "first.h"
#include "folder.h"
#include "format.h"
#include "keeper.h"
#include "reader.h"
#include "writer_own.h"

enum { LOCK_MS = 10, LOCK_MOST_MS = 2000 };  /* how often, and how long, a lock is asked for that another process has */

struct tm_eventlog_writer {
  const struct tm_io *io;
  char *folder;
  struct tm_eventlog_options options;
  struct tm_eventlog_keeper *keeper;   /* begins with the first append */
  int lock;
  int fd;                    /* of the segment at hand; -1: the next append makes one */
  uint64_t segment;
  uint64_t salt;
  int64_t offset;            /* where the next block goes */
  _Atomic uint64_t next;     /* the next record's sequence */
  _Atomic uint64_t synced;   /* records below it are on the disk */
  _Atomic int failed;        /* errno of a sync that failed */
  int unnamed;               /* its segment's name is not on the disk yet */
  pthread_mutex_t sealing;   /* held while fd is synced, comes or goes */
  struct tm_buf block;
};

static int failure(const struct tm_eventlog_writer *w, const char *what, int rc, struct tm_err *err) {
  return tm_err_set(err, 1, "log-write", "%.400s: %s: %s", w->folder, what, strerror(-rc));
}

/* A folder that was just made is on the disk when the one above it is. */
static int sync_above(const struct tm_io *io, const char *path) {
  char above[TM_EVENTLOG_PATH];
  snprintf(above, sizeof above, "%s", path);
  char *slash = strrchr(above, '/');
  if (slash == NULL) return io->fsync_dir(io, ".");
  slash[slash == above] = '\0';
  return io->fsync_dir(io, above);
}

/* Makes a folder and those above it. */
static int make_folder(const struct tm_io *io, char *path, struct tm_err *err) {
  for (char *p = path + 1;; p++) {
    if (*p != '/' && *p != '\0') continue;
    char kept = *p;
    *p = '\0';
    int rc = io->mkdir(io, path, 0755);
    if (rc == 0) rc = sync_above(io, path);
    if (rc != 0 && rc != -EEXIST) {
      tm_err_set(err, 1, "log-folder", "%.400s: the folder cannot be made: %s", path, strerror(-rc));
      *p = kept;
      return -1;
    }
    *p = kept;
    if (kept == '\0') return 0;
  }
}

/* One that was killed has its lock until its memory is given back: so it is asked for again, some time. */
static int lock_wait(int fd) {
  const struct timespec pause = {0, LOCK_MS * 1000000L};
  int rc;
  for (int ms = 0; (rc = flock(fd, LOCK_EX | LOCK_NB)) != 0 && (errno == EWOULDBLOCK || errno == EINTR) && ms < LOCK_MOST_MS; ms += LOCK_MS)
    nanosleep(&pause, NULL);
  return rc;
}

/* One writer a log: the lock goes with the process that holds it. */
static int lock_folder(struct tm_eventlog_writer *w, struct tm_err *err) {
  char path[TM_EVENTLOG_PATH], pid[32] = "";
  snprintf(path, sizeof path, "%s/lock", w->folder);
  w->lock = w->io->open(w->io, path, O_RDWR | O_CREAT, 0644);
  if (w->lock < 0) {
    int rc = w->lock;
    w->lock = -1;
    return tm_err_set(err, 1, "log-lock", "%.500s: cannot be written: %s", path, strerror(-rc));
  }
  if (lock_wait(w->lock) != 0) {
    int64_t n = w->io->pread(w->io, w->lock, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return tm_err_set(err, 1, "log-lock", "%.400s is written by another process%s%.20s; a log has one writer at a time: end that one, or write "
                      "another log", w->folder, pid[0] != '\0' ? ", " : "", pid);
  }
  int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
  if (w->io->ftruncate(w->io, w->lock, 0) == 0) w->io->pwrite(w->io, w->lock, pid, (size_t)n, 0);
  return 0;
}

const struct tm_io *tm_eventlog_writer_io(const struct tm_eventlog_writer *w) { return w->io; }
const char *tm_eventlog_writer_folder(const struct tm_eventlog_writer *w) { return w->folder; }

/* ---- the end of what is there ---- */

/* The newest segment has no head: nothing of it was ever on the disk for certain, if it has no block either. */
static int remove_headless(struct tm_eventlog_writer *w, uint64_t first, struct tm_err *err) {
  char path[TM_EVENTLOG_PATH], bytes[TM_EVENTLOG_HEAD + TM_EVENTLOG_BLOCK] = "";
  struct tm_eventlog_block b;
  uint64_t salt;
  tm_eventlog_path(path, w->folder, first, ".events");
  int fd = w->io->open(w->io, path, O_RDONLY, 0);
  if (fd < 0) return failure(w, "its newest segment cannot be read", fd, err);
  int64_t n = w->io->pread(w->io, fd, bytes, sizeof bytes, 0);
  w->io->close(w->io, fd);
  memcpy(&salt, bytes + TM_EVENTLOG_HEAD + 48, sizeof salt);
  if (n == (int64_t)sizeof bytes && tm_eventlog_block_get(bytes + TM_EVENTLOG_HEAD, salt, &b) == 0 && b.first == first)
    return tm_err_set(err, 1, "log-damaged", "%.500s: its head is broken, and there are records behind it; move the file away to go on without "
                      "them", path);
  tm_log_info("%s: the segment that was just begun when its writer died is removed", path);
  int rc = w->io->unlink(w->io, path);
  return rc == 0 ? 0 : failure(w, "its newest segment cannot be removed", rc, err);
}

/* Goes through the newest segment and opens it behind its last whole block. */
static int find_place(struct tm_eventlog_writer *w, struct tm_eventlog_reader *r, uint64_t first, struct tm_err *err) {
  struct tm_eventlog_rows rows;
  struct tm_eventlog_head head;
  char path[TM_EVENTLOG_PATH], bytes[TM_EVENTLOG_HEAD];
  uint32_t version;
  int rc;
  tm_eventlog_reader_seek(r, first);
  while ((rc = tm_eventlog_reader_next(r, &rows, err)) > 0) continue;
  if (rc < 0) return -1;
  w->next = tm_eventlog_reader_at(r);
  tm_eventlog_reader_place(r, &w->segment, &w->offset);
  tm_eventlog_path(path, w->folder, first, ".events");
  if (w->segment == 0) return remove_headless(w, first, err);
  w->fd = w->io->open(w->io, path, O_RDWR, 0);
  if (w->fd < 0) {
    rc = w->fd;
    w->fd = -1;
    return failure(w, "its newest segment cannot be written", rc, err);
  }
  int64_t size = w->io->size(w->io, w->fd);
  if (w->io->pread(w->io, w->fd, bytes, sizeof bytes, 0) != TM_EVENTLOG_HEAD || tm_eventlog_head_get(bytes, &head, &version) != 0)
    return failure(w, "its newest segment cannot be read again", -EIO, err);
  w->salt = head.salt;
  if (size > w->offset) {
    tm_log_info("%s: the last %lld bytes are of a write that was cut off; they are removed", path, (long long)(size - w->offset));
    rc = w->io->ftruncate(w->io, w->fd, w->offset);
    if (rc != 0) return failure(w, "the rest of a write that was cut off cannot be removed", rc, err);
  }
  return 0;
}

int tm_eventlog_writer_find_end(struct tm_eventlog_writer *w, uint64_t next, struct tm_err *err) {
  struct tm_eventlog_list list;
  struct tm_eventlog_extent extent;
  char path[TM_EVENTLOG_PATH];
  if (w->fd >= 0) w->io->close(w->io, w->fd);
  w->fd = -1;
  w->next = next;
  if (tm_eventlog_list_read(w->folder, &list, err) != 0) return -1;
  for (int32_t i = 0; i < list.n; i++) {
    tm_eventlog_path(path, w->folder, list.items[i].first, ".tmp");
    w->io->unlink(w->io, path);
    tm_eventlog_path(path, w->folder, list.items[i].first, ".events");
    if (list.items[i].packed && list.items[i].plain) w->io->unlink(w->io, path);
  }
  struct tm_eventlog_segment last = list.n > 0 ? list.items[list.n - 1] : (struct tm_eventlog_segment){0};
  tm_eventlog_list_fini(&list);
  int rc = 0;
  if (last.first > 0 && last.packed) {
    rc = tm_eventlog_extent_read(w->io, w->folder, &extent, err) < 0 ? -1 : 0;
    if (rc == 0) w->next = extent.end;
  } else if (last.first > 0) {
    struct tm_eventlog_reader *r = tm_eventlog_reader_new(w->io, w->folder);
    if (r == NULL) return tm_err_set(err, 1, "memory", "%.400s: no memory to read it", w->folder);
    rc = find_place(w, r, last.first, err);
    tm_eventlog_reader_free(r);
  }
  w->synced = last.first > 0 && w->fd >= 0 ? w->segment : w->next;
  return rc;
}

struct tm_eventlog_writer *tm_eventlog_writer_open(const struct tm_io *io, const char *folder, const struct tm_eventlog_options *options,
                                                   struct tm_err *err) {
  struct tm_eventlog_writer *w = calloc(1, sizeof *w);
  if (w == NULL || (w->folder = strdup(folder)) == NULL) {
    free(w);
    tm_err_set(err, 1, "memory", "%.400s: no memory to write it", folder);
    return NULL;
  }
  w->io = io;
  w->options = *options;
  if (w->options.segment_bytes == 0) w->options.segment_bytes = TM_EVENTLOG_SEGMENT;
  w->fd = w->lock = -1;
  pthread_mutex_init(&w->sealing, NULL);
  tm_buf_init(&w->block, TM_EVENTLOG_RAW_MAX + 4 * TM_EVENTLOG_BLOCK);
  if (make_folder(io, w->folder, err) == 0 && lock_folder(w, err) == 0 && tm_eventlog_writer_find_end(w, 1, err) == 0 &&
      tm_eventlog_first_open(io, w->folder, w->next, err) == 0)
    return w;
  tm_eventlog_writer_close(w, 0, NULL);
  return NULL;
}

/* ---- appending ---- */

/* The next segment's file, with nothing in it. */
static int begin_segment(struct tm_eventlog_writer *w) {
  char path[TM_EVENTLOG_PATH];
  tm_eventlog_path(path, w->folder, w->next, ".events");
  int fd = w->io->open(w->io, path, O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return fd;
  int rc = w->io->random(w->io, &w->salt, sizeof w->salt);
  if (rc < 0) {
    w->io->close(w->io, fd);
    w->io->unlink(w->io, path);
    return rc;
  }
  pthread_mutex_lock(&w->sealing);
  w->fd = fd;
  w->unnamed = 1;
  pthread_mutex_unlock(&w->sealing);
  w->segment = w->next;
  w->offset = 0;
  return 0;
}

/* The segment at hand is full. */
static int seal(struct tm_eventlog_writer *w, struct tm_err *err) {
  if (tm_eventlog_writer_sync(w, err) != 0) return -1;
  pthread_mutex_lock(&w->sealing);
  w->io->close(w->io, w->fd);
  w->fd = -1;
  pthread_mutex_unlock(&w->sealing);
  return 0;
}

/* The block's bytes behind what is in the buffer. */
static int put_block(struct tm_eventlog_writer *w, const char *text, const int32_t *ends, const int64_t *times, int32_t count) {
  int32_t text_len = count > 0 ? ends[count - 1] : 0, raw = TM_EVENTLOG_RECORD * count + text_len, at = w->block.len;
  struct tm_eventlog_block b = {.magic = TM_EVENTLOG_BLK, .stored = (uint32_t)raw, .raw = (uint32_t)raw, .count = (uint32_t)count,
                                .first = w->next, .synced = w->synced, .time_min = INT64_MAX, .time_max = INT64_MIN, .salt = w->salt};
  if (tm_buf_reserve(&w->block, TM_EVENTLOG_BLOCK + raw) != 0) return -1;
  for (int32_t i = 0; i < count; i++) {
    if (times[i] < b.time_min) b.time_min = times[i];
    if (times[i] > b.time_max) b.time_max = times[i];
  }
  char *p = w->block.data + at;
  if (count > 0) {
    memcpy(p + TM_EVENTLOG_BLOCK, times, 8 * (size_t)count);
    memcpy(p + TM_EVENTLOG_BLOCK + 8 * (size_t)count, ends, 4 * (size_t)count);
    memcpy(p + TM_EVENTLOG_BLOCK + 12 * (size_t)count, text, (size_t)text_len);
  }
  b.crc = tm_crc32c(0, p + TM_EVENTLOG_BLOCK, (size_t)raw);
  tm_eventlog_block_put(p, &b);
  w->block.len += TM_EVENTLOG_BLOCK + raw;
  return 0;
}

/* What was written of a block that did not fit is given back. */
static void take_back(struct tm_eventlog_writer *w) {
  char path[TM_EVENTLOG_PATH];
  if (w->offset > 0) {
    w->io->ftruncate(w->io, w->fd, w->offset);
    return;
  }
  tm_eventlog_path(path, w->folder, w->segment, ".events");
  w->io->unlink(w->io, path);
  pthread_mutex_lock(&w->sealing);
  w->io->close(w->io, w->fd);
  w->fd = -1;
  pthread_mutex_unlock(&w->sealing);
}

static int is_refusal(int64_t rc) { return rc == -ENOSPC || rc == -EDQUOT || rc == -EROFS; }

static int write_block(struct tm_eventlog_writer *w, int *refused, struct tm_err *err) {
  int32_t at = 0;
  while (at < w->block.len) {
    int64_t n = w->io->pwrite(w->io, w->fd, w->block.data + at, (size_t)(w->block.len - at), w->offset + at);
    if (n == -EINTR) continue;
    if (n < 0) {
      take_back(w);
      if (!is_refusal(n)) return failure(w, "write failed", (int)n, err);
      *refused = (int)-n;
      return 0;
    }
    at += (int32_t)n;
  }
  return 1;
}

/* A sync that failed is final. */
static int check_failed(const struct tm_eventlog_writer *w, struct tm_err *err) {
  if (w->failed == 0) return 0;
  return failure(w, "a sync failed, so it is not known what of its end is on the disk; start again when that is mended", -w->failed, err);
}

int tm_eventlog_writer_append(struct tm_eventlog_writer *w, const char *text, const int32_t *ends, const int64_t *times, int32_t count,
                              int *refused, struct tm_err *err) {
  if (check_failed(w, err) != 0) return -1;
  int64_t size = tm_eventlog_block_size(count > 0 ? ends[count - 1] : 0, count);
  int full = w->fd >= 0 && count > 0 && w->offset > TM_EVENTLOG_HEAD && w->offset + size > w->options.segment_bytes;
  if (full && seal(w, err) != 0) return -1;
  int made = w->fd < 0, rc = made ? begin_segment(w) : 0;
  if (rc != 0) {
    if (!is_refusal(rc)) return failure(w, "a segment cannot be made", rc, err);
    *refused = -rc;
    return 0;
  }
  w->block.len = 0;
  if (made) {
    struct tm_eventlog_head head = {.salt = w->salt, .first = w->next, .first_ms = count > 0 ? times[0] : 0, .made_ms = w->io->real_ms(w->io)};
    if (tm_buf_reserve(&w->block, TM_EVENTLOG_HEAD) != 0) return failure(w, "no memory for a block", -ENOMEM, err);
    tm_eventlog_head_put(w->block.data, &head);
    w->block.len = TM_EVENTLOG_HEAD;
  }
  if (put_block(w, text, ends, times, count) != 0) return failure(w, "no memory for a block", -ENOMEM, err);
  if ((rc = write_block(w, refused, err)) <= 0) return rc;
  w->offset += w->block.len;
  w->next += (uint64_t)count;
  if (w->keeper == NULL) {
    w->keeper = tm_eventlog_keeper_start(w->io, w->folder, &w->options, w);
    if (w->keeper == NULL) return failure(w, "its helper thread cannot be started", -EAGAIN, err);
  }
  if (full) tm_eventlog_keeper_wake(w->keeper);
  return 1;
}

int tm_eventlog_writer_sync(struct tm_eventlog_writer *w, struct tm_err *err) {
  uint64_t next = w->next;
  pthread_mutex_lock(&w->sealing);
  if (w->failed == 0 && next != w->synced && w->fd >= 0) {
    int rc = w->io->fdatasync(w->io, w->fd);
    if (rc == 0 && w->unnamed) rc = w->io->fsync_dir(w->io, w->folder);
    if (rc == 0) w->unnamed = 0;
    if (rc != 0) w->failed = -rc;
    else w->synced = next;
  }
  pthread_mutex_unlock(&w->sealing);
  return check_failed(w, err);
}

void tm_eventlog_writer_mark(const struct tm_eventlog_writer *w, struct tm_log_mark *mark) {
  *mark = (struct tm_log_mark){w->fd >= 0 ? w->segment : 0, w->fd >= 0 ? w->offset : 0, w->next};
}

int tm_eventlog_writer_close(struct tm_eventlog_writer *w, int finish, struct tm_err *err) {
  int rc = 0, refused;
  if (w->keeper != NULL) tm_eventlog_keeper_stop(w->keeper, finish);
  if (finish && w->fd >= 0 && w->offset > 0 && w->keeper != NULL) {
    /* a block without records says that the last one was synced */
    rc = tm_eventlog_writer_sync(w, err);
    if (rc == 0 && tm_eventlog_writer_append(w, NULL, NULL, NULL, 0, &refused, NULL) == 1) w->io->fdatasync(w->io, w->fd);
  }
  if (w->fd >= 0) w->io->close(w->io, w->fd);
  if (w->lock >= 0) w->io->close(w->io, w->lock);
  pthread_mutex_destroy(&w->sealing);
  tm_buf_fini(&w->block);
  free(w->folder);
  free(w);
  return rc;
}
