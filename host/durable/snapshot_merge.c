/* snapshot_merge.c - the next snapshot out of the one before and the journal's durable epochs.
 *
 * The journal is read once to learn which blocks it touches, then once for each window of them: blocks of the window begin as
 * they were in the snapshot before (or zero), all epochs are applied in order, and the result is written, untouched blocks
 * between them copied. Memory is that of the window, which grows with the state (a sixteenth), so that the number of
 * passes does not. Only files that do not change are read: epochs that are proven durable.
 *
 * The new file is read back whole before the manifest names it; files that no generation is go last. So at every instant the
 * manifest names what is whole. Should the snapshot before be damaged, the one before that is begun from: the journal
 * reaches back to it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "payload.h"
#include "snapshot_blocks.h"
#include "snapshot_core.h"

enum { MEMORY_MIN = 64 << 20, MEMORY_PART = 16, SCANS_MAX = 5 };

struct merge {
  const struct tm_io *io;
  const char *dir;
  uint64_t id, after, upto, epoch;  /* epochs (after, upto] are merged; epoch: being read */
  struct tm_journal_scan scan;
  struct tm_snapshot_list list;
  struct tm_snapshot_reader before; /* fd -1: there is none */
  struct tm_blocks old;             /* blocks of the snapshot before, and where their records begin */
  int64_t *old_at;
  int64_t old_cap;
  struct tm_blocks touched;
  struct tm_window window;
  struct tm_payload_reader reader;
  unsigned char *head;              /* of the last epoch */
  int64_t head_n;
  struct tm_snapshot_writer writer;
  struct tm_snapshot_made *made;
  int skip;                         /* generations that are known to be damaged */
};

/* ---- what the passes do with an epoch ---------------------------------------------------------- */

static int piece(void *ctx, uint64_t epoch, const void *bytes, int64_t n, int last, struct tm_err *err) {
  struct merge *m = ctx;

  m->epoch = epoch;
  return tm_payload_read(&m->reader, bytes, n, last, err);
}

static int learn_head(void *ctx, const void *head, int64_t n, struct tm_err *err) {
  struct merge *m = ctx;

  if (m->epoch != m->upto) return 0;
  m->head = m->io->memory(m->io, NULL, (size_t)n + 1);
  if (m->head == NULL) return tm_err_set(err, 1, "no-memory", "no memory for the head of an epoch (%" PRId64 " bytes)", n);
  if (n > 0) memcpy(m->head, head, (size_t)n);
  m->head_n = n;
  return 0;
}

static int learn_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  struct merge *m = ctx;

  (void)bytes;
  for (uint64_t b = offset / TM_SNAPSHOT_BLOCK; b * TM_SNAPSHOT_BLOCK < offset + (uint64_t)n; b++) {
    if (tm_blocks_add(&m->touched, b, err) != 0) return -1;
  }
  return 0;
}

/* Blocks that are neither in the snapshot nor touched are zero already: of a large range only the others are looked at. */
static int learn_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  struct merge *m = ctx;

  for (int64_t i = tm_blocks_find(&m->old, offset / TM_SNAPSHOT_BLOCK); i < m->old.n && m->old.list[i] * TM_SNAPSHOT_BLOCK < offset + n; i++) {
    if (tm_blocks_add(&m->touched, m->old.list[i], err) != 0) return -1;
  }
  return 0;
}

static int apply_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  struct merge *m = ctx;

  (void)err;
  tm_window_apply(&m->window, offset, bytes, (uint64_t)n);
  return 0;
}

static int apply_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  struct merge *m = ctx;

  (void)err;
  tm_window_apply(&m->window, offset, NULL, n);
  return 0;
}

/* One pass over the epochs: 0, or -1 with err. */
static int pass(struct merge *m, const struct tm_payload_visitor *to, struct tm_err *err) {
  int r;

  tm_payload_reader_init(&m->reader, m->io, to);
  r = tm_journal_replay(m->io, m->dir, m->id, &m->scan, m->after, m->upto, piece, m, err);
  tm_payload_reader_fini(&m->reader);
  m->made->passes++;
  return r;
}

/* ---- the snapshot before -------------------------------------------------------------------------- */

/* Where its blocks lie: 0, or -1 with err. Their bodies are checked when they are read. */
static int before_read(struct merge *m, struct tm_err *err) {
  int got;

  if (m->list.n == 0) return 0;
  if (tm_snapshot_reader_open(&m->before, m->io, m->dir, m->id, &m->list.kept[0], err) != 0) return -1;
  for (;;) {
    int64_t at = m->before.at;

    got = tm_snapshot_reader_next(&m->before, 0, err);
    if (got <= 0) return got;
    if (m->before.record.type != 'P') continue;
    if (tm_blocks_add(&m->old, m->before.record.offset / TM_SNAPSHOT_BLOCK, err) != 0) return -1;
    if (m->old_cap < m->old.cap) {
      int64_t *more = m->io->memory(m->io, m->old_at, (size_t)m->old.cap * sizeof *more);

      if (more == NULL) return tm_err_set(err, 1, "no-memory", "no memory for the list of blocks of a snapshot");
      m->old_at = more;
      m->old_cap = m->old.cap;
    }
    m->old_at[m->old.n - 1] = at;
  }
}

/* A block of it into m->before.body: 1, 0 it has none, -1 with err. */
static int before_block(struct merge *m, uint64_t number, struct tm_err *err) {
  int64_t i = tm_blocks_find(&m->old, number);

  if (i == m->old.n || m->old.list[i] != number) return 0;
  return tm_snapshot_reader_block(&m->before, m->old_at[i], number * TM_SNAPSHOT_BLOCK, err) == 0 ? 1 : -1;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static int is_zero(const unsigned char *p, int64_t n) {
  return p[0] == 0 && memcmp(p, p + 1, (size_t)n - 1) == 0;
}

static int block_write(struct merge *m, uint64_t number, const unsigned char *bytes, struct tm_err *err) {
  if (is_zero(bytes, TM_SNAPSHOT_BLOCK)) return 0;
  m->made->blocks++;
  return tm_snapshot_writer_put(&m->writer, 'P', number * TM_SNAPSHOT_BLOCK, bytes, TM_SNAPSHOT_BLOCK, err);
}

/* Untouched blocks in front of block `limit`, from index *i of the old ones on. */
static int untouched_write(struct merge *m, int64_t *i, uint64_t limit, struct tm_err *err) {
  for (; *i < m->old.n && m->old.list[*i] < limit; ++*i) {
    uint64_t number = m->old.list[*i];
    int64_t t = tm_blocks_find(&m->touched, number);

    if (t < m->touched.n && m->touched.list[t] == number) continue;
    if (before_block(m, number, err) < 0 || block_write(m, number, m->before.body, err) != 0) return -1;
  }
  return 0;
}

/* The window's blocks as they were, all epochs applied. */
static int window_fill(struct merge *m, struct tm_err *err) {
  const struct tm_payload_visitor to = { .ctx = m, .bytes = apply_bytes, .zero = apply_zero };
  struct tm_window *w = &m->window;

  for (int64_t i = 0; i < w->n; i++) {
    unsigned char *bytes = w->bytes + i * TM_SNAPSHOT_BLOCK;
    int got = before_block(m, m->touched.list[w->first + i], err);

    if (got < 0) return -1;
    if (got > 0) memcpy(bytes, m->before.body, TM_SNAPSHOT_BLOCK);
    else memset(bytes, 0, TM_SNAPSHOT_BLOCK);
  }
  return pass(m, &to, err);
}

static int blocks_write(struct merge *m, int64_t memory_max, struct tm_err *err) {
  struct tm_window *w = &m->window;
  int64_t cap = memory_max / TM_SNAPSHOT_BLOCK, old = 0;

  if (cap < 1) cap = 1;
  if (cap > m->touched.n) cap = m->touched.n;
  if (tm_window_init(w, &m->touched, cap, err) != 0) return -1;
  for (w->first = 0; w->first < m->touched.n; w->first += w->n) {
    w->n = m->touched.n - w->first < cap ? m->touched.n - w->first : cap;
    if (window_fill(m, err) != 0) return -1;
    for (int64_t i = 0; i < w->n; i++) {
      uint64_t number = m->touched.list[w->first + i];

      if (untouched_write(m, &old, number, err) != 0 || block_write(m, number, w->bytes + i * TM_SNAPSHOT_BLOCK, err) != 0) return -1;
    }
  }
  return untouched_write(m, &old, UINT64_MAX, err);
}

static int head_write(struct merge *m, struct tm_err *err) {
  for (int64_t at = 0; at < m->head_n; at += TM_RECORD_BODY_MAX) {
    int64_t n = m->head_n - at < TM_RECORD_BODY_MAX ? m->head_n - at : TM_RECORD_BODY_MAX;

    if (tm_snapshot_writer_put(&m->writer, 'E', (uint64_t)at, m->head + at, n, err) != 0) return -1;
  }
  return 0;
}

/* ---- swapping --------------------------------------------------------------------------------------------- */

struct sweep {
  const struct merge *m;
  const struct tm_snapshot_list *list;
};

/* Removes a snapshot that no generation is. What cannot be removed now is, the next time. */
static int sweep_name(void *ctx, const char *name) {
  const struct sweep *s = ctx;
  uint64_t epoch = tm_snapshot_name_epoch(name);
  char path[TM_SNAPSHOT_PATH];

  if (epoch == 0) return 0;
  for (int i = 0; i < s->list->n; i++) {
    if (s->list->kept[i].epoch == epoch) return 0;
  }
  s->m->io->unlink(s->m->io, tm_data_path(s->m->dir, name, path));
  return 0;
}

/* The new snapshot gets its name, the manifest names it: 0, or -1 with err. */
static int swap(struct merge *m, const struct tm_snapshot *s, struct tm_err *err) {
  static const struct tm_snapshot_visitor nobody = { 0 };
  struct tm_snapshot_list list = { .n = m->list.n > 0 ? 2 : 1, .kept = { *s, m->list.kept[0] } };
  struct sweep sweep = { m, &list };
  char name[TM_SNAPSHOT_NAME], path[TM_SNAPSHOT_PATH];
  int r = m->io->rename(m->io, m->writer.path, tm_data_path(m->dir, tm_snapshot_name(s->epoch, name), path));

  if (r == 0) r = m->io->fsync_dir(m->io, m->dir);
  if (r < 0) return tm_err_set(err, 1, "snapshot-io", "cannot put %.400s in its place: %s", path, strerror(-r));
  if (tm_snapshot_read(m->io, m->dir, m->id, s, &nobody, err) != 0) return -1;
  if (tm_snapshot_list_write(m->io, m->dir, m->id, &list, err) != 0) return -1;
  m->io->list(m->io, m->dir, sweep_name, &sweep);
  return 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

/* The journal may be written to meanwhile, and its oldest segments recycled: what looks damaged then is looked at again. */
static int journal_scan(struct merge *m, struct tm_err *err) {
  for (int i = 0;; i++) {
    if (tm_journal_scan(m->io, m->dir, m->id, &m->scan, err) != 0) return -1;
    if (!m->scan.damaged || i + 1 == SCANS_MAX) break;
    tm_journal_scan_fini(m->io, &m->scan);
  }
  return tm_journal_refuse(m->dir, &m->scan, m->after, err);
}

static int merge(struct merge *m, int64_t memory_max, struct tm_err *err) {
  const struct tm_payload_visitor learn = { .ctx = m, .head = learn_head, .bytes = learn_bytes, .zero = learn_zero };
  struct tm_snapshot s;

  if (tm_snapshot_list_read(m->io, m->dir, m->id, &m->list, err) != 0) return -1;
  for (int i = 0; i < m->skip && m->list.n > 0; i++) m->list.kept[0] = m->list.kept[--m->list.n];
  m->after = m->list.n > 0 ? m->list.kept[0].epoch : 0;
  if (journal_scan(m, err) != 0) return -1;
  s.epoch = m->made->epoch = m->upto = m->scan.durable_upto;
  if (m->upto <= m->after) {
    m->made->epoch = m->after;
    return 0;
  }
  if (before_read(m, err) != 0 || pass(m, &learn, err) != 0) return -1;
  if (memory_max <= 0) {
    memory_max = m->list.n > 0 ? m->list.kept[0].size / MEMORY_PART : 0;
    if (memory_max < MEMORY_MIN) memory_max = MEMORY_MIN;  /* not reached: otherwise, a snapshot of 1 GiB; tests/bench has them */
  }
  if (tm_snapshot_writer_open(&m->writer, m->io, m->dir, m->id, m->upto, m->head_n, err) != 0) return -1;
  if (blocks_write(m, memory_max, err) != 0 || head_write(m, err) != 0 || tm_snapshot_writer_end(&m->writer, &s, err) != 0) return -1;
  if (swap(m, &s, err) != 0) return -1;
  m->made->made = 1;
  m->made->size = s.size;
  return 0;
}

/* One at a time: the lock's descriptor, or -1 with err. */
static int lock_take(const struct tm_io *io, const char *dir, struct tm_err *err) {
  char path[TM_SNAPSHOT_PATH], text[32];
  int r, fd = tm_io_open(io, tm_data_path(dir, "snapshot.lock", path), O_RDWR | O_CREAT, 0600);

  if (fd < 0) return tm_err_set(err, 1, "snapshot-io", "cannot open %.400s: %s", path, strerror(-fd));
  r = io->lock(io, fd);
  if (r == 0) r = io->ftruncate(io, fd, 0);
  snprintf(text, sizeof text, "%d\n", (int)getpid());
  if (r == 0) r = tm_io_pwrite_all(io, fd, text, strlen(text), 0);
  if (r == 0) return fd;
  io->close(io, fd);
  if (r == -EWOULDBLOCK)
    return tm_err_set(err, 1, "snapshot-busy", "a snapshot of %.400s is being made by another process already", dir);
  return tm_err_set(err, 1, "snapshot-io", "cannot lock %.400s: %s", path, strerror(-r));
}

static int attempt(const struct tm_io *io, const char *dir, uint64_t id, int64_t memory_max, int skip, struct tm_snapshot_made *made,
                   struct tm_err *err) {
  struct merge m = { .io = io, .dir = dir, .id = id, .before = { .io = io, .fd = -1 }, .writer = { .io = io, .fd = -1 }, .made = made,
                     .skip = skip };
  int r;

  memset(made, 0, sizeof *made);
  tm_blocks_init(&m.old, io);
  tm_blocks_init(&m.touched, io);
  r = merge(&m, memory_max, err);
  tm_window_fini(&m.window);
  tm_snapshot_reader_close(&m.before);
  tm_snapshot_writer_close(&m.writer);
  tm_blocks_fini(&m.old);
  tm_blocks_fini(&m.touched);
  io->memory(io, m.old_at, 0);
  io->memory(io, m.head, 0);
  tm_journal_scan_fini(io, &m.scan);
  return r;
}

int tm_snapshot_merge(const struct tm_io *io, const char *dir, uint64_t id, int64_t memory_max, struct tm_snapshot_made *made,
                      struct tm_err *err) {
  int lock = lock_take(io, dir, err), r = -1;

  if (lock < 0) return -1;
  for (int skip = 0; r != 0 && skip <= TM_SNAPSHOT_KEPT; skip++) {
    r = attempt(io, dir, id, memory_max, skip, made, err);
    if (r != 0 && strcmp(err->id, "snapshot-damaged") != 0) break;
  }
  io->close(io, lock);
  return r;
}
