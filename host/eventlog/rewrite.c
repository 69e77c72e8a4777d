/* rewrite.c - copying a segment's records into another file (rewrite.h). Small blocks become larger ones. */
#include "rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "../base/buf.h"
#include "../base/crc32c.h"
#include "folder.h"
#include "reader.h"

enum { BLOCK = 256 * 1024, LEVEL = 3 };

struct rewrite {
  const struct tm_io *io;
  const char *folder;
  uint64_t first, end, next;     /* next: of the block that is gathered, its first */
  int packed, fd;
  int64_t offset;
  struct tm_eventlog_head head;
  int64_t time_min, time_max;    /* of the segment */
  struct tm_buf times, ends, text, raw, stored, index;
  ZSTD_CCtx *zstd;
};

static struct tm_buf *buffers(struct rewrite *x, int i) {
  struct tm_buf *const all[] = {&x->times, &x->ends, &x->text, &x->raw, &x->stored, &x->index};
  return all[i];
}

static int no_memory(const struct rewrite *x, struct tm_err *err) {
  return tm_err_set(err, 1, "memory", "%.400s: no memory to write a segment anew", x->folder);
}

static int put(struct rewrite *x, const char *data, size_t n, struct tm_err *err) {
  for (size_t at = 0; at < n;) {
    int64_t got = x->io->pwrite(x->io, x->fd, data + at, n - at, x->offset + (int64_t)at);
    if (got == -EINTR) continue;
    if (got < 0) return tm_err_set(err, 1, "log-write", "%.400s: a segment cannot be written anew: %s", x->folder, strerror((int)-got));
    at += (size_t)got;
  }
  x->offset += (int64_t)n;
  return 0;
}

static int put_block(struct rewrite *x, struct tm_eventlog_block *b, const char *stored, struct tm_err *err) {
  char bytes[TM_EVENTLOG_BLOCK];
  b->salt = x->head.salt;
  b->crc = tm_crc32c(0, stored, b->stored);
  tm_eventlog_block_put(bytes, b);
  return put(x, bytes, sizeof bytes, err) != 0 ? -1 : put(x, stored, b->stored, err);
}

/* Writes the records gathered as one block. */
static int flush(struct rewrite *x, struct tm_err *err) {
  int32_t count = x->ends.len / 4;
  struct tm_eventlog_block b = {.magic = TM_EVENTLOG_BLK, .count = (uint32_t)count, .first = x->next, .synced = x->next,
                                .time_min = INT64_MAX, .time_max = INT64_MIN};
  struct tm_eventlog_rows rows = {.times = x->times.data};
  struct tm_eventlog_entry entry;
  char bytes[TM_EVENTLOG_ENTRY];
  if (count == 0) return 0;
  for (int32_t i = 0; i < count; i++) {
    int64_t t = tm_eventlog_time(&rows, i);
    if (t < b.time_min) b.time_min = t;
    if (t > b.time_max) b.time_max = t;
  }
  x->raw.len = x->stored.len = 0;
  if (tm_buf_put(&x->raw, x->times.data, x->times.len) != 0 || tm_buf_put(&x->raw, x->ends.data, x->ends.len) != 0 ||
      tm_buf_put(&x->raw, x->text.data, x->text.len) != 0)
    return no_memory(x, err);
  b.raw = b.stored = (uint32_t)x->raw.len;
  const char *stored = x->raw.data;
  if (x->packed) {
    size_t bound = ZSTD_compressBound((size_t)x->raw.len);
    if (bound > TM_EVENTLOG_RAW_MAX || tm_buf_reserve(&x->stored, (int32_t)bound) != 0) return no_memory(x, err);
    size_t n = ZSTD_compressCCtx(x->zstd, x->stored.data, bound, x->raw.data, (size_t)x->raw.len, LEVEL);
    if (ZSTD_isError(n)) return no_memory(x, err);
    b.stored = (uint32_t)n;
    stored = x->stored.data;
  }
  entry = (struct tm_eventlog_entry){(uint64_t)x->offset, b.first, b.time_min, b.time_max};
  tm_eventlog_entry_put(bytes, &entry);
  if (tm_buf_put(&x->index, bytes, sizeof bytes) != 0) return no_memory(x, err);
  if (b.time_min < x->time_min) x->time_min = b.time_min;
  if (b.time_max > x->time_max) x->time_max = b.time_max;
  if (put_block(x, &b, stored, err) != 0) return -1;
  x->next += (uint64_t)count;
  x->times.len = x->ends.len = x->text.len = 0;
  return 0;
}

/* Gathers records of a block that was read. */
static int gather(struct rewrite *x, const struct tm_eventlog_rows *rows, struct tm_err *err) {
  for (int32_t i = rows->from; i < rows->count && rows->first + (uint64_t)i < x->end; i++) {
    int32_t from = tm_eventlog_end(rows, i - 1), len = tm_eventlog_end(rows, i) - from;
    if (x->text.len > 0 && x->text.len + len > BLOCK && flush(x, err) != 0) return -1;
    uint32_t end = (uint32_t)(x->text.len + len);
    char bytes[4];
    memcpy(bytes, &end, sizeof bytes);
    if (tm_buf_put(&x->times, rows->times + 8 * (size_t)i, 8) != 0 || tm_buf_put(&x->ends, bytes, 4) != 0 ||
        tm_buf_put(&x->text, rows->text + from, len) != 0)
      return no_memory(x, err);
  }
  return 0;
}

/* The head of the file that is read. */
static int read_head(struct rewrite *x, struct tm_err *err) {
  static const char *const endings[] = {".packed", ".events"};
  char path[TM_EVENTLOG_PATH], bytes[TM_EVENTLOG_HEAD];
  uint32_t version;
  for (int i = 0; i < 2; i++) {
    tm_eventlog_path(path, x->folder, x->first, endings[i]);
    int fd = x->io->open(x->io, path, O_RDONLY, 0);
    if (fd < 0) continue;
    int64_t n = x->io->pread(x->io, fd, bytes, sizeof bytes, 0);
    x->io->close(x->io, fd);
    if (n == TM_EVENTLOG_HEAD && tm_eventlog_head_get(bytes, &x->head, &version) == 0) return 0;
  }
  return tm_err_set(err, 1, "log-read", "%.500s: its head cannot be read", path);
}

/* Reads records of the segment up to `end`, and gives them to gather, or with it NULL only counts them. 0, 1 stopped, -1 err. */
static int copy(struct rewrite *x, int (*each)(struct rewrite *, const struct tm_eventlog_rows *, struct tm_err *), const volatile int *stop,
                struct tm_err *err) {
  struct tm_eventlog_reader *r = tm_eventlog_reader_new(x->io, x->folder);
  struct tm_eventlog_rows rows;
  if (r == NULL) return no_memory(x, err);
  int rc = 1;
  tm_eventlog_reader_seek(r, x->first);
  while (rc > 0 && tm_eventlog_reader_at(r) < x->end) {
    rc = tm_eventlog_reader_next(r, &rows, err);
    if (rc > 0 && each != NULL && each(x, &rows, err) != 0) rc = -1;
    if (stop != NULL && *stop) break;
  }
  int stopped = stop != NULL && *stop;
  uint64_t at = tm_eventlog_reader_at(r);
  tm_eventlog_reader_free(r);
  if (rc < 0) return -1;
  if (stopped) return 1;
  if (at < x->end)
    return tm_err_set(err, 1, "log-damaged", "%.400s: segment %020llu ends at record %llu, and should at %llu", x->folder,
                      (unsigned long long)x->first, (unsigned long long)at, (unsigned long long)x->end);
  return 0;
}

static int write_all(struct rewrite *x, const volatile int *stop, struct tm_err *err) {
  char bytes[TM_EVENTLOG_HEAD];
  if (read_head(x, err) != 0) return -1;
  x->head.packed = x->packed;
  int rc = x->io->random(x->io, &x->head.salt, sizeof x->head.salt);
  if (rc < 0) return tm_err_set(err, 1, "log-write", "%.400s: no random number: %s", x->folder, strerror(-rc));
  tm_eventlog_head_put(bytes, &x->head);
  if (put(x, bytes, sizeof bytes, err) != 0) return -1;
  if ((rc = copy(x, gather, stop, err)) != 0) return rc;
  if (flush(x, err) != 0) return -1;
  if (x->packed) {
    struct tm_eventlog_block index = {.magic = TM_EVENTLOG_IDX, .stored = (uint32_t)x->index.len, .raw = (uint32_t)x->index.len,
                                      .count = (uint32_t)x->index.len / TM_EVENTLOG_ENTRY, .first = x->next, .synced = x->next,
                                      .time_min = x->time_min, .time_max = x->time_max};
    struct tm_eventlog_block end = {.magic = TM_EVENTLOG_END, .count = (uint32_t)(x->next - x->first), .first = x->next,
                                    .synced = (uint64_t)x->offset, .time_min = x->time_min, .time_max = x->time_max};
    if (put_block(x, &index, x->index.data, err) != 0 || put_block(x, &end, "", err) != 0) return -1;
  }
  rc = x->io->fdatasync(x->io, x->fd);
  return rc == 0 ? 0 : tm_err_set(err, 1, "log-write", "%.400s: a segment cannot be synced: %s", x->folder, strerror(-rc));
}

/* The new file gets its name, is read again, and the other form goes. */
static int settle(struct rewrite *x, const char *temporary, struct tm_err *err) {
  char path[TM_EVENTLOG_PATH], other[TM_EVENTLOG_PATH];
  tm_eventlog_path(path, x->folder, x->first, x->packed ? ".packed" : ".events");
  tm_eventlog_path(other, x->folder, x->first, x->packed ? ".events" : ".packed");
  int rc = x->io->rename(x->io, temporary, path);
  if (rc == 0) rc = x->io->fsync_dir(x->io, x->folder);
  if (rc != 0) return tm_err_set(err, 1, "log-write", "%.500s: cannot get its name: %s", path, strerror(-rc));
  if (x->packed && copy(x, NULL, NULL, err) != 0) {
    x->io->unlink(x->io, path);
    return -1;
  }
  x->io->unlink(x->io, other);
  return 0;
}

int tm_eventlog_rewrite(const struct tm_io *io, const char *folder, uint64_t first, uint64_t end, int packed, const volatile int *stop,
                        struct tm_err *err) {
  struct rewrite x = {.io = io, .folder = folder, .first = first, .end = end, .next = first, .packed = packed, .time_min = INT64_MAX,
                      .time_max = INT64_MIN};
  char path[TM_EVENTLOG_PATH];
  tm_eventlog_path(path, folder, first, ".tmp");
  x.fd = io->open(io, path, O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (x.fd < 0) return tm_err_set(err, 1, "log-write", "%.500s: cannot be made: %s", path, strerror(-x.fd));
  for (int i = 0; i < 6; i++) tm_buf_init(buffers(&x, i), TM_EVENTLOG_RAW_MAX);
  x.zstd = ZSTD_createCCtx();
  int rc = x.zstd != NULL ? write_all(&x, stop, err) : no_memory(&x, err);
  io->close(io, x.fd);
  if (rc == 0) rc = settle(&x, path, err);
  if (rc != 0) io->unlink(io, path);
  for (int i = 0; i < 6; i++) tm_buf_fini(buffers(&x, i));
  ZSTD_freeCCtx(x.zstd);
  return rc;
}
