/* segment.c - names of segments, and frames out of their files. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/crc32c.h"

enum { WINDOW = 2 << 20, DIGITS = 16 };
static const char prefix[] = "journal.";

int tm_segment_failed(struct tm_err *err, const char *what, const char *path, int64_t code) {
  return tm_err_set(err, 1, "journal-io", "cannot %s %.400s: %s", what, path, strerror((int)-code));
}

char *tm_segment_path(const char *dir, uint64_t number, char *out) {
  char name[64];

  snprintf(name, sizeof name, "%s%016" PRIx64, prefix, number);
  return tm_data_path(dir, name, out);
}

/* The number in a segment's name, or 0. */
static uint64_t name_number(const char *name) {
  const char *digits = name + sizeof prefix - 1;

  if (strncmp(name, prefix, sizeof prefix - 1) != 0 || strlen(digits) != DIGITS) return 0;
  if (strspn(digits, "0123456789abcdef") != DIGITS) return 0;
  return strtoull(digits, NULL, 16);
}

struct listing {
  const struct tm_io *io;
  struct tm_journal_scan *scan;
};

static int list_add(void *ctx, const char *name) {
  struct listing *l = ctx;
  struct tm_journal_scan *s = l->scan;
  uint64_t number = name_number(name);

  if (number == 0) return 0;
  if (s->segments_n == s->segments_cap) {
    int64_t cap = s->segments_cap > 0 ? 2 * s->segments_cap : 16;
    struct tm_segment *more = l->io->memory(l->io, s->segments, (size_t)cap * sizeof *more);

    if (more == NULL) return -ENOMEM;
    s->segments = more;
    s->segments_cap = cap;
  }
  memset(&s->segments[s->segments_n], 0, sizeof *s->segments);
  s->segments[s->segments_n++].number = number;
  return 0;
}

static int by_number(const void *a, const void *b) {
  const struct tm_segment *x = a, *y = b;

  return x->number < y->number ? -1 : x->number > y->number;
}

int tm_segments_list(const struct tm_io *io, const char *dir, struct tm_journal_scan *scan, struct tm_err *err) {
  struct listing l = { io, scan };
  int r = io->list(io, dir, list_add, &l);

  if (r < 0) return tm_segment_failed(err, "list the folder", dir, r);
  if (scan->segments_n > 1) qsort(scan->segments, (size_t)scan->segments_n, sizeof *scan->segments, by_number);
  return 0;
}

int tm_segment_reader_init(struct tm_segment_reader *r, const struct tm_io *io, struct tm_err *err) {
  memset(r, 0, sizeof *r);
  r->io = io;
  r->fd = -1;
  r->window = io->memory(io, NULL, WINDOW);
  if (r->window == NULL) return tm_err_set(err, 1, "no-memory", "no memory to read the journal (%d bytes)", WINDOW);
  return 0;
}

static void reader_close(struct tm_segment_reader *r) {
  if (r->fd >= 0) r->io->close(r->io, r->fd);
  r->fd = -1;
  r->n = 0;
}

void tm_segment_reader_fini(struct tm_segment_reader *r) {
  reader_close(r);
  r->io->memory(r->io, r->window, 0);
  r->window = NULL;
}

int tm_segment_reader_open(struct tm_segment_reader *r, const char *dir, uint64_t number, struct tm_err *err) {
  int64_t size;

  reader_close(r);
  tm_segment_path(dir, number, r->path);
  r->fd = tm_io_open(r->io, r->path, O_RDONLY, 0);
  if (r->fd == -ENOENT) {
    r->fd = -1;
    return 0;
  }
  if (r->fd < 0) {
    int code = r->fd;

    r->fd = -1;
    return tm_segment_failed(err, "open", r->path, code);
  }
  size = r->io->size(r->io, r->fd);
  if (size < 0) {
    reader_close(r);
    return tm_segment_failed(err, "look at", r->path, size);
  }
  r->size = size;
  return 1;
}

int tm_segment_reader_get(struct tm_segment_reader *r, int64_t at, int64_t n, const unsigned char **p, struct tm_err *err) {
  _Static_assert(TM_FRAME_HEAD + TM_FRAME_PAYLOAD_MAX <= WINDOW, "a frame fits the window");
  TM_ASSERT(n <= TM_FRAME_HEAD + TM_FRAME_PAYLOAD_MAX);
  if (at < r->at || at + n > r->at + r->n) {
    int64_t got;

    if (at + n > r->size) return 0;
    r->at = at;
    r->n = 0;
    got = tm_io_pread_all(r->io, r->fd, r->window, WINDOW, at);
    if (got < 0) {
      tm_segment_failed(err, "read", r->path, got);
      return -1;
    }
    r->n = got;
    if (n > got) return 0;
  }
  *p = r->window + (at - r->at);
  return 1;
}

enum tm_frame_state tm_segment_frame(struct tm_segment_reader *r, int64_t at, uint64_t salt, uint64_t id, struct tm_frame *f,
                                     const unsigned char **payload, struct tm_err *err) {
  const unsigned char *p;
  int got = tm_segment_reader_get(r, at, TM_FRAME_HEAD, &p, err);

  if (got <= 0) return got < 0 ? TM_FRAME_ERROR : TM_FRAME_NONE;
  if (!tm_frame_read(p, f) || f->salt != salt || f->id != id) return TM_FRAME_NONE;
  got = tm_segment_reader_get(r, at, TM_FRAME_HEAD + (int64_t)f->length, &p, err);
  if (got <= 0) return got < 0 ? TM_FRAME_ERROR : TM_FRAME_TORN;
  *payload = p + TM_FRAME_HEAD;
  return tm_crc32c(0, *payload, f->length) == f->payload_crc ? TM_FRAME_VALID : TM_FRAME_TORN;
}
