/* reader.c - reading segments, one behind the other (reader.h). */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "../base/buf.h"
#include "../base/crc32c.h"
#include "durable.h"
#include "first.h"
#include "folder.h"

enum { WINDOW = 256 * 1024 };

struct tm_eventlog_reader {
  const struct tm_io *io;
  char *folder;
  int fd;                    /* -1: no segment is open */
  int packed;
  uint64_t segment;          /* its first sequence */
  uint64_t salt;
  uint64_t want;             /* the next record; 0 the oldest */
  uint64_t expect;           /* the sequence with which the block at `offset` begins */
  int64_t offset;
  int64_t time_min, time_max;
  uint64_t lost;
  int durable;               /* no more is given than is durable: below `upto`, as last read */
  uint64_t upto;
  int64_t searched;          /* size of the segment when damage was last looked for behind its torn end */
  struct tm_buf window;      /* bytes of the file from window_at on */
  int64_t window_at;
  struct tm_buf index;       /* of a packed segment */
  int32_t entries, entry;    /* entry: the one at `offset` */
  struct tm_buf raw;
  ZSTD_DCtx *zstd;
};

/* What a look at the file came to. */
enum look { LOOK_BLOCK, LOOK_END, LOOK_LATER, LOOK_ERROR };

struct tm_eventlog_reader *tm_eventlog_reader_new(const struct tm_io *io, const char *folder) {
  struct tm_eventlog_reader *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->io = io;
  r->fd = -1;
  r->time_min = INT64_MIN;
  r->time_max = INT64_MAX;
  tm_buf_init(&r->window, TM_EVENTLOG_RAW_MAX + TM_EVENTLOG_BLOCK + WINDOW);
  tm_buf_init(&r->index, TM_EVENTLOG_RAW_MAX);
  tm_buf_init(&r->raw, TM_EVENTLOG_RAW_MAX);
  r->folder = strdup(folder);
  r->zstd = ZSTD_createDCtx();
  if (r->folder != NULL && r->zstd != NULL) return r;
  tm_eventlog_reader_free(r);
  return NULL;
}

static void leave(struct tm_eventlog_reader *r) {
  if (r->fd >= 0) r->io->close(r->io, r->fd);
  r->fd = -1;
  r->window.len = r->index.len = 0;
  r->entries = r->entry = 0;
  r->searched = -1;
}

void tm_eventlog_reader_free(struct tm_eventlog_reader *r) {
  if (r == NULL) return;
  leave(r);
  ZSTD_freeDCtx(r->zstd);
  tm_buf_fini(&r->window);
  tm_buf_fini(&r->index);
  tm_buf_fini(&r->raw);
  free(r->folder);
  free(r);
}

void tm_eventlog_reader_seek(struct tm_eventlog_reader *r, uint64_t sequence) {
  leave(r);
  r->want = sequence;
}

void tm_eventlog_reader_times(struct tm_eventlog_reader *r, int64_t min, int64_t max) {
  r->time_min = min;
  r->time_max = max;
}

void tm_eventlog_reader_durable(struct tm_eventlog_reader *r) { r->durable = 1; }

uint64_t tm_eventlog_reader_at(const struct tm_eventlog_reader *r) { return r->want; }

uint64_t tm_eventlog_reader_lost(struct tm_eventlog_reader *r) {
  uint64_t n = r->lost;
  r->lost = 0;
  return n;
}

void tm_eventlog_reader_place(const struct tm_eventlog_reader *r, uint64_t *segment, int64_t *offset) {
  *segment = r->fd >= 0 ? r->segment : 0;
  *offset = r->fd >= 0 ? r->offset : 0;
}

/* ---- bytes ---- */

static const char *ending(const struct tm_eventlog_reader *r) { return r->packed ? ".packed" : ".events"; }

static int damaged(const struct tm_eventlog_reader *r, int64_t at, const char *what, struct tm_err *err) {
  tm_err_set(err, 1, "log-damaged", "%.400s: segment %020llu%s is damaged at byte %lld: %s (records from %llu on); 'tidemill log "
             "verify' lists what is. What is in later segments can be read from a later sequence number on; a copy of the file mends it",
             r->folder, (unsigned long long)r->segment, ending(r), (long long)at, what, (unsigned long long)r->expect);
  return -1;
}

static int read_failed(const struct tm_eventlog_reader *r, int64_t rc, struct tm_err *err) {
  tm_err_set(err, 1, "log-read", "%.400s: segment %020llu%s: read failed: %s", r->folder, (unsigned long long)r->segment, ending(r),
             strerror((int)-rc));
  return -1;
}

static int no_memory(const struct tm_eventlog_reader *r, struct tm_err *err) {
  tm_err_set(err, 1, "memory", "%.400s: no memory to read it", r->folder);
  return -1;
}

/* n bytes at `at`, valid until the next call: 1; 0 they are not all there; -1 err. */
static int bytes_at(struct tm_eventlog_reader *r, int64_t at, int32_t n, const char **p, struct tm_err *err) {
  if (at < r->window_at || at + n > r->window_at + r->window.len) {
    int32_t want = n > WINDOW ? n : WINDOW;
    r->window.len = 0;
    r->window_at = at;
    if (tm_buf_reserve(&r->window, want) != 0) return no_memory(r, err);
    while (r->window.len < n) {
      int64_t got = r->io->pread(r->io, r->fd, r->window.data + r->window.len, (size_t)(want - r->window.len), at + r->window.len);
      if (got == -EINTR) continue;
      if (got < 0) return read_failed(r, got, err);
      if (got == 0) return 0;
      r->window.len += (int32_t)got;
    }
  }
  *p = r->window.data + (at - r->window_at);
  return 1;
}

static int64_t size_of(const struct tm_eventlog_reader *r) { return r->io->size(r->io, r->fd); }

/* What is stored of a block: 1, 0 not all is there, or it is not what was written, -1 err. */
static int stored_at(struct tm_eventlog_reader *r, int64_t at, const struct tm_eventlog_block *b, const char **p, struct tm_err *err) {
  int rc = bytes_at(r, at, (int32_t)b->stored, p, err);
  if (rc <= 0) return rc;
  return tm_crc32c(0, *p, b->stored) == b->crc;
}

/* ---- segments ---- */

/* The index of a packed segment, and whether it leads anywhere. */
static int read_index(struct tm_eventlog_reader *r, struct tm_err *err) {
  struct tm_eventlog_block end, index;
  const char *p = NULL;
  int64_t size = size_of(r), at = size - TM_EVENTLOG_BLOCK;
  if (size < TM_EVENTLOG_HEAD + 2 * TM_EVENTLOG_BLOCK) return damaged(r, size, "its end is missing", err);
  int rc = bytes_at(r, at, TM_EVENTLOG_BLOCK, &p, err);
  if (rc < 0) return -1;
  if (rc == 0 || tm_eventlog_block_get(p, r->salt, &end) != 0 || end.magic != TM_EVENTLOG_END) return damaged(r, at, "its end is broken", err);
  at = (int64_t)end.synced;
  if (at < TM_EVENTLOG_HEAD || at > size - 2 * TM_EVENTLOG_BLOCK) return damaged(r, size, "its end is broken", err);
  if ((rc = bytes_at(r, at, TM_EVENTLOG_BLOCK, &p, err)) < 0) return -1;
  if (rc == 0 || tm_eventlog_block_get(p, r->salt, &index) != 0 || index.magic != TM_EVENTLOG_IDX ||
      index.stored != (uint64_t)index.count * TM_EVENTLOG_ENTRY || index.first != end.first || index.count == 0)
    return damaged(r, at, "its index is broken", err);
  if ((rc = stored_at(r, at + TM_EVENTLOG_BLOCK, &index, &p, err)) < 0) return -1;
  if (rc == 0) return damaged(r, at, "its index is broken", err);
  r->index.len = 0;
  if (tm_buf_put(&r->index, p, (int32_t)index.stored) != 0) return no_memory(r, err);
  r->entries = (int32_t)index.count;
  return 0;
}

static struct tm_eventlog_entry entry_at(const struct tm_eventlog_reader *r, int32_t i) {
  struct tm_eventlog_entry e;
  tm_eventlog_entry_get(r->index.data + (size_t)i * TM_EVENTLOG_ENTRY, &e);
  return e;
}

/* To the block of a packed segment in which `want` lies, or the next one with records of the times asked for. */
static void to_entry(struct tm_eventlog_reader *r) {
  int32_t low = r->entry, high = r->entries;
  while (high - low > 1) {
    int32_t mid = low + (high - low) / 2;
    if (entry_at(r, mid).first <= r->want) low = mid;
    else high = mid;
  }
  r->entry = low;
  for (; r->entry < r->entries; r->entry++) {
    struct tm_eventlog_entry e = entry_at(r, r->entry);
    if (e.time_max < r->time_min || e.time_min > r->time_max) continue;
    r->offset = (int64_t)e.offset;
    r->expect = e.first;
    if (r->want < e.first) r->want = e.first;
    return;
  }
}

/* Opens a segment, in whichever form it is there now: 1, 0 its head is not there yet, or it is gone, -1 err. */
static int enter(struct tm_eventlog_reader *r, uint64_t first, struct tm_err *err) {
  char path[TM_EVENTLOG_PATH];
  struct tm_eventlog_head head = {0};
  const char *p = NULL;
  uint32_t version;
  leave(r);
  r->segment = r->expect = first;
  for (int packed = 1; packed >= 0 && r->fd < 0; packed--) {
    r->packed = packed;
    tm_eventlog_path(path, r->folder, first, ending(r));
    r->fd = r->io->open(r->io, path, O_RDONLY, 0);
    if (r->fd < 0 && r->fd != -ENOENT) {
      int rc = r->fd;
      r->fd = -1;
      return tm_err_set(err, 1, "log-open", "%.500s: cannot be read: %s", path, strerror(-rc));
    }
  }
  if (r->fd < 0) {
    r->fd = -1;
    return 0;
  }
  int rc = bytes_at(r, 0, TM_EVENTLOG_HEAD, &p, err);
  if (rc > 0) {
    int why = tm_eventlog_head_get(p, &head, &version);
    if (why > 0) {
      leave(r);
      return tm_err_set(err, 1, "log-version", "%.500s is of version %u of event logs; this program knows version %d: use the one that wrote it",
                        path, version, TM_EVENTLOG_VERSION);
    }
    if (why < 0 || head.first != first || head.packed != r->packed) rc = r->packed ? damaged(r, 0, "its head is broken", err) : 0;
  } else if (rc == 0 && r->packed) {
    rc = damaged(r, 0, "its head is missing", err);
  }
  if (rc > 0) {
    r->salt = head.salt;
    r->offset = TM_EVENTLOG_HEAD;
    if (r->packed && read_index(r, err) != 0) rc = -1;
  }
  if (rc <= 0) leave(r);
  else if (r->packed) to_entry(r);
  return rc;
}

/* Finds the segment in which `want` lies and opens it: 1, 0 there is nothing, -1 err. */
static int find_segment(struct tm_eventlog_reader *r, struct tm_err *err) {
  struct tm_eventlog_list list;
  int rc = tm_eventlog_list_read(r->folder, &list, err);
  if (rc != 0) return rc < 0 ? -1 : 0;
  int32_t at = -1;
  while (at + 1 < list.n && list.items[at + 1].first <= r->want) at++;
  uint64_t first = list.n > 0 ? list.items[at < 0 ? 0 : at].first : 0;
  int last = at < 0 ? list.n == 1 : at == list.n - 1;
  tm_eventlog_list_fini(&list);
  if (first == 0) return 0;
  if (first > r->want) {
    if (r->want > 0) r->lost += first - r->want;
    r->want = first;
  }
  rc = enter(r, first, err);
  if (rc <= 0) {
    if (rc < 0 || last) return rc;
    /* gone or packed in between: looked for again; else its head is broken, though there is a later one */
    if ((rc = enter(r, first, err)) != 0) return rc;
    char path[TM_EVENTLOG_PATH];
    tm_eventlog_path(path, r->folder, first, ".events");
    int fd = r->io->open(r->io, path, O_RDONLY, 0);
    if (fd < 0) return 0;
    r->io->close(r->io, fd);
    return damaged(r, 0, "its head is broken", err);
  }
  return 1;
}

/* ---- ends ---- */

/* Behind a place that is no block: is there one that says that what should be here was on the disk? Then its place, else -1. */
static int64_t later_block(struct tm_eventlog_reader *r, struct tm_err *err) {
  int64_t size = size_of(r);
  struct tm_eventlog_block b;
  const char *p = NULL;
  if (size == r->searched) return -1;
  r->searched = size;
  for (int64_t at = r->offset + 1; at + TM_EVENTLOG_BLOCK <= size;) {
    int32_t n = size - at < WINDOW ? (int32_t)(size - at) : WINDOW;
    if (bytes_at(r, at, n, &p, err) <= 0) return -1;
    int32_t i = 0;
    for (const char *hit; (hit = memchr(p + i, 'B', (size_t)(n - i))) != NULL; i++) {
      i = (int32_t)(hit - p);
      if (n - i < TM_EVENTLOG_BLOCK) break;
      if (tm_eventlog_block_get(hit, r->salt, &b) == 0 && b.synced > r->expect) return at + i;
    }
    at += n == size - at ? n : n - TM_EVENTLOG_BLOCK;
  }
  return -1;
}

/* Nothing more can be read of the segment at hand. 1 the next one is open, 0 this one may still grow, -1 err. again: it was looked at once
 * more since a later segment is known. */
static int at_end(struct tm_eventlog_reader *r, int *again, struct tm_err *err) {
  struct tm_eventlog_list list;
  struct stat st;
  uint64_t later = 0, end;
  int here = 0;
  r->window.len = 0;
  if (r->packed && r->entry < r->entries) return damaged(r, r->offset, "what is there is not what was written", err);
  int rc = tm_eventlog_list_read(r->folder, &list, err);
  if (rc != 0) return rc < 0 ? -1 : 0;
  for (int32_t i = list.n - 1; i >= 0 && list.items[i].first >= r->segment; i--) {
    if (list.items[i].first == r->segment) here = 1;
    else later = list.items[i].first;
  }
  tm_eventlog_list_fini(&list);
  if (later != 0 && !r->packed && !*again) {
    *again = 1;  /* what was written before the later one began may not have been there at the first look */
    return 1;
  }
  *again = 0;
  if (later == 0) {
    int64_t size = size_of(r);
    int gone = fstat(r->fd, &st) == 0 && st.st_nlink == 0;
    if (!r->packed && (gone || size < r->offset)) {
      if (r->want < r->expect) r->want = r->expect;
      leave(r);  /* cut back, or written anew: found again by its name next time */
      return 0;
    }
    if (r->packed || size == r->offset) return 0;
    int64_t at = later_block(r, err);
    r->window.len = 0;
    if (at < 0) return 0;
    char what[128];
    snprintf(what, sizeof what, "no block that was written, though the one at byte %lld is behind it", (long long)at);
    return damaged(r, r->offset, what, err);
  }
  if (!r->packed && size_of(r) != r->offset) return damaged(r, r->offset, "no block that was written, and there are later segments", err);
  end = r->packed ? r->want : r->expect;
  if (later != end && here) {
    char what[128];
    snprintf(what, sizeof what, "the segment behind it, %020llu, is missing", (unsigned long long)end);
    return damaged(r, r->offset, what, err);
  }
  if (later > r->want) r->lost += later - (r->want > end ? r->want : end);
  if (r->want < later) r->want = later;
  leave(r);
  return 1;
}

/* ---- blocks ---- */

static int decode(struct tm_eventlog_reader *r, const struct tm_eventlog_block *b, const char *stored, struct tm_eventlog_rows *rows,
                  struct tm_err *err) {
  const char *raw = stored;
  if (r->packed) {
    r->raw.len = 0;
    if (tm_buf_reserve(&r->raw, (int32_t)b->raw) != 0) return no_memory(r, err);
    size_t n = ZSTD_decompressDCtx(r->zstd, r->raw.data, b->raw, stored, b->stored);
    if (ZSTD_isError(n) || n != b->raw) return damaged(r, r->offset, "it cannot be unpacked", err);
    raw = r->raw.data;
  } else if (b->stored != b->raw) {
    return damaged(r, r->offset, "its lengths do not agree", err);
  }
  return tm_eventlog_rows_get(b, raw, rows) == 0 ? 0 : damaged(r, r->offset, "its records make no sense", err);
}

/* The block at hand is passed, as far as it is durable. */
static void pass(struct tm_eventlog_reader *r, const struct tm_eventlog_block *b, struct tm_eventlog_rows *rows) {
  if (r->durable && r->upto < b->first + b->count && r->want < r->upto) {
    if (rows != NULL) rows->count = (int32_t)(r->upto - b->first);
    r->want = r->upto;
    return;
  }
  r->offset += TM_EVENTLOG_BLOCK + b->stored;
  r->expect = b->first + b->count;
  if (r->want < r->expect) r->want = r->expect;
  if (!r->packed) return;
  r->entry++;
  if (r->entry < r->entries) to_entry(r);
}

/* Is the block durable? LOOK_BLOCK, also when its first records are; LOOK_LATER, LOOK_ERROR. Where there is no mark, or it may have moved, it is read anew. */
static enum look durable(struct tm_eventlog_reader *r, const struct tm_eventlog_block *b, struct tm_err *err) {
  if (!r->durable || (r->upto != UINT64_MAX && b->first + b->count <= r->upto)) return LOOK_BLOCK;
  if (tm_eventlog_durable_read(r->io, r->folder, &r->upto, err) != 0) return LOOK_ERROR;
  return r->upto <= b->first || r->upto <= r->want ? LOOK_LATER : LOOK_BLOCK;
}

/* Looks at the block at `offset`: rows of it, when there are some that are asked for (1), or 0 it is passed. */
static enum look look(struct tm_eventlog_reader *r, struct tm_eventlog_rows *rows, int *some, struct tm_eventlog_block *found,
                      struct tm_err *err) {
  struct tm_eventlog_block b;
  const char *p = NULL;
  *some = 0;
  if (r->packed && r->entry >= r->entries) {
    struct tm_eventlog_block end;
    if (bytes_at(r, size_of(r) - TM_EVENTLOG_BLOCK, TM_EVENTLOG_BLOCK, &p, err) < 0) return LOOK_ERROR;
    if (r->window.len >= TM_EVENTLOG_BLOCK && tm_eventlog_block_get(p, r->salt, &end) == 0 && r->want < end.first) r->want = end.first;
    return LOOK_END;
  }
  int rc = bytes_at(r, r->offset, TM_EVENTLOG_BLOCK, &p, err);
  if (rc < 0) return LOOK_ERROR;
  if (rc == 0 || tm_eventlog_block_get(p, r->salt, &b) != 0) return LOOK_END;
  if (b.magic != TM_EVENTLOG_BLK || b.first != r->expect) {
    damaged(r, r->offset, "a block of other records is here", err);
    return LOOK_ERROR;
  }
  if (b.first + b.count > r->want) {
    enum look l = durable(r, &b, err);
    if (l != LOOK_BLOCK) return l;
  }
  int wanted = b.first + b.count > r->want && b.time_max >= r->time_min && b.time_min <= r->time_max && b.count > 0;
  if (wanted) {
    if ((rc = stored_at(r, r->offset + TM_EVENTLOG_BLOCK, &b, &p, err)) < 0) return LOOK_ERROR;
    if (rc == 0) return LOOK_END;
    if (decode(r, &b, p, rows, err) != 0) return LOOK_ERROR;
    rows->from = rows->first < r->want ? (int32_t)(r->want - rows->first) : 0;
    *some = 1;
  } else if (size_of(r) < r->offset + TM_EVENTLOG_BLOCK + b.stored) {
    return LOOK_END;
  }
  *found = b;
  return LOOK_BLOCK;
}

int tm_eventlog_reader_next(struct tm_eventlog_reader *r, struct tm_eventlog_rows *rows, struct tm_err *err) {
  struct tm_eventlog_block b;
  int again = 0, some;
  for (;;) {
    int rc = r->fd < 0 ? find_segment(r, err) : 1;
    if (rc <= 0) return rc;
    enum look l = look(r, rows, &some, &b, err);
    if (l == LOOK_ERROR) return -1;
    if (l == LOOK_END) {
      if ((rc = at_end(r, &again, err)) <= 0) return rc;
      continue;
    }
    if (l == LOOK_LATER) {
      r->window.len = 0;  /* what lies there may be cut back and written anew */
      return 0;
    }
    again = 0;
    pass(r, &b, some ? rows : NULL);
    if (some) return 1;
  }
}

/* ---- extents ---- */

int tm_eventlog_extent_read(const struct tm_io *io, const char *folder, struct tm_eventlog_extent *extent, struct tm_err *err) {
  struct tm_eventlog_list list;
  struct tm_eventlog_rows rows;
  char path[TM_EVENTLOG_PATH], bytes[TM_EVENTLOG_HEAD];
  struct tm_eventlog_head head;
  uint32_t version;
  *extent = (struct tm_eventlog_extent){.first = 1, .end = 1, .durable = 1};
  int rc = tm_eventlog_list_read(folder, &list, err);
  if (rc != 0 || list.n == 0) return rc;
  if (tm_eventlog_first_check(io, folder, &list, err) != 0) {
    tm_eventlog_list_fini(&list);
    return -1;
  }
  extent->first = list.items[0].first;
  extent->segments = list.n;
  for (int32_t i = 0; i < list.n; i++) {
    struct stat st;
    tm_eventlog_path(path, folder, list.items[i].first, list.items[i].packed ? ".packed" : ".events");
    if (stat(path, &st) == 0) extent->bytes += st.st_size;
    extent->packed += list.items[i].packed;
    if (i > 0 && i < list.n - 1) continue;
    int fd = io->open(io, path, O_RDONLY, 0);
    if (fd < 0) continue;
    if (io->pread(io, fd, bytes, sizeof bytes, 0) == TM_EVENTLOG_HEAD && tm_eventlog_head_get(bytes, &head, &version) == 0) {
      if (i == 0) extent->first_ms = head.first_ms;
      extent->last_made_ms = head.made_ms;
    }
    io->close(io, fd);
  }
  struct tm_eventlog_reader *r = tm_eventlog_reader_new(io, folder);
  uint64_t last = list.items[list.n - 1].first;
  tm_eventlog_list_fini(&list);
  if (r == NULL) return tm_err_set(err, 1, "memory", "%.400s: no memory to read it", folder);
  tm_eventlog_reader_seek(r, last);
  while ((rc = tm_eventlog_reader_next(r, &rows, err)) > 0) continue;
  extent->end = r->want;
  tm_eventlog_reader_free(r);
  if (rc == 0) rc = tm_eventlog_durable_read(io, folder, &extent->durable, err);
  if (extent->durable > extent->end) extent->durable = extent->end;
  if (extent->durable < extent->first) extent->durable = extent->first;
  return rc;
}
