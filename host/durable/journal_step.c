/* journal_step.c - the writing side of a journal: one round of taking, writing, syncing; the first failure is the last round.
 *
 * All epochs that ended before a round began are synced by one fdatasync at its end. Runs only in the helper thread, or, where
 * there is none, wherever the caller calls it. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "../base/crc32c.h"
#include "journal_core.h"

int tm_journal_fail(struct tm_journal *j, const struct tm_err *err) {
  pthread_mutex_lock(&j->lock);
  if (!atomic_load(&j->failed)) {
    j->err = *err;
    atomic_store(&j->failed, 1);
  }
  pthread_cond_broadcast(&j->moved);
  pthread_mutex_unlock(&j->lock);
  tm_journal_signal(j);
  return -1;
}

static int write_failed(struct tm_journal *j, const char *what, int code, struct tm_err *err) {
  return tm_err_set(err, 1, "journal-io",
                    "cannot %s the journal (segment %" PRIx64 " in %.300s): %s. Nothing is acknowledged any more; what was acknowledged "
                    "is safe. %s and start again with the same folder: the run goes on from the last durable epoch",
                    what, j->segments[j->segments_n - 1].number, j->dir, strerror(-code),
                    code == -ENOSPC || code == -EDQUOT ? "Make room" : "Look after the disk");
}

/* Completes a frame's head for its place in the segment being written, and counts it there. */
static void frame_place(struct tm_journal *j, unsigned char *bytes, struct tm_frame *f) {
  struct tm_segment *g = &j->segments[j->segments_n - 1];

  f->sequence = ++j->sequence;
  f->salt = j->salt;
  f->id = j->id;
  f->durable_upto = atomic_load(&j->synced);
  f->payload_crc = tm_crc32c(0, bytes + TM_FRAME_HEAD, f->length);
  tm_frame_write(bytes, f);
  j->at += TM_FRAME_HEAD + (int64_t)f->length;
  j->last_is_mark = f->type == TM_FRAME_MARK;
  pthread_mutex_lock(&j->lock);
  if (g->frames++ == 0) {
    g->sequence_first = f->sequence;
    g->epoch_first = f->epoch;
  }
  g->epoch_last = f->epoch;
  g->end = j->at;
  pthread_mutex_unlock(&j->lock);
  if (j->last_is_mark || (f->flags & TM_FRAME_LAST) != 0) {
    j->epoch_segment = g->number;
    j->epoch_written = f->epoch;
  }
}

/* Writes the frames in b's bytes [from, to): 0, or -1 with err. */
static int frames_write(struct tm_journal *j, unsigned char *bytes, int64_t from, int64_t to, struct tm_err *err) {
  int64_t run = from, run_at = j->at;
  struct tm_frame f;
  int r;

  for (int64_t p = from;; p += TM_FRAME_HEAD + (int64_t)f.length) {
    int full = 0;

    if (p < to) {
      memcpy(&f, bytes + p, sizeof f);
      full = j->at + TM_FRAME_HEAD + (int64_t)f.length > j->segments[j->segments_n - 1].size;
    }
    if ((p == to || full) && p > run) {
      r = tm_io_pwrite_all(j->io, j->fd, bytes + run, (size_t)(p - run), run_at);
      if (r < 0) return write_failed(j, "write", r, err);
    }
    if (p == to) return 0;
    if (full) {
      if (tm_journal_roll(j, err) != 0) return -1;
      run = p;
      run_at = j->at;
    }
    frame_place(j, bytes + p, &f);
  }
}

/* ---- what is taken ----------------------------------------------------------------------- */

/* The block behind b (NULL: the first) and what is to be written of it; NULL: none. */
static struct tm_journal_block *block_next(struct tm_journal *j, const struct tm_journal_block *b, int64_t *from, int64_t *to) {
  struct tm_journal_block *next;

  pthread_mutex_lock(&j->lock);
  next = b != NULL ? b->next : j->first;
  if (next != NULL) {
    *from = next->written;
    *to = next->take;
  }
  pthread_mutex_unlock(&j->lock);
  return next;
}

/* What was taken is written: blocks that are done with are kept for later or freed. 1 if somebody waited for room. */
static int blocks_done(struct tm_journal *j) {
  struct tm_journal_block *b, *gone = NULL;
  int waited;

  pthread_mutex_lock(&j->lock);
  for (b = j->first; b != NULL; b = b->next) {
    if (b->take > b->written) {
      j->buffered -= b->take - b->written;
      b->written = b->take;
    }
  }
  while (j->first != NULL && j->first->sealed && j->first->written == j->first->published) {
    b = j->first;
    j->first = b->next;
    b->next = j->spare_n < TM_JOURNAL_BLOCKS_KEPT ? j->spare : gone;
    if (j->spare_n < TM_JOURNAL_BLOCKS_KEPT) {
      j->spare = b;
      j->spare_n++;
    } else {
      gone = b;
    }
  }
  waited = j->was_full && j->buffered <= j->buffered_max;
  if (waited) j->was_full = 0;
  pthread_mutex_unlock(&j->lock);
  while (gone != NULL) {
    b = gone->next;
    j->io->memory(j->io, gone, 0);
    gone = b;
  }
  return waited;
}

int tm_journal_has_work(const struct tm_journal *j) {
  const struct tm_journal_block *b;

  for (b = j->first; b != NULL; b = b->next) {
    if (b->published > b->written) return 1;
  }
  return j->release > 0 && j->segments_n > 2 && j->segments[1].number < j->epoch_segment && j->segments[1].epoch_last <= j->release;
}

/* Marks what this round takes: 1 there is something, 0 not. *upto: the last epoch that ended in it. */
static int take(struct tm_journal *j, uint64_t *upto) {
  struct tm_journal_block *b;
  int some = 0;

  pthread_mutex_lock(&j->lock);
  for (b = j->first; b != NULL; b = b->next) {
    b->take = b->published;
    some |= b->take > b->written;
  }
  *upto = j->ended;
  pthread_mutex_unlock(&j->lock);
  return some;
}

/* Writes what was taken and syncs what ended: 1 synced moved, 0 it did not, -1 with err. */
static int taken_write(struct tm_journal *j, uint64_t upto, struct tm_err *err) {
  struct tm_journal_block *b = NULL;
  int64_t from = 0, to = 0;
  int r;

  if (upto > j->epoch_written && j->before_sync != NULL && j->before_sync(j->ctx, upto, err) != 0) return -1;
  while ((b = block_next(j, b, &from, &to)) != NULL) {
    if (to > from && frames_write(j, b->bytes, from, to, err) != 0) return -1;
  }
  if (upto == atomic_load(&j->synced)) return 0;
  TM_ASSERT(j->epoch_written == upto);
  r = j->io->fdatasync(j->io, j->fd);
  if (r < 0) return write_failed(j, "sync", r, err);
  pthread_mutex_lock(&j->lock);
  atomic_store(&j->synced, upto);
  pthread_cond_broadcast(&j->moved);
  pthread_mutex_unlock(&j->lock);
  return 1;
}

int tm_journal_step(struct tm_journal *j) {
  struct tm_err err;
  uint64_t upto;
  int did, r, space;

  if (atomic_load(&j->failed)) return -1;
  did = take(j, &upto);
  if (did) {
    r = taken_write(j, upto, &err);
    if (r < 0) return tm_journal_fail(j, &err);
    if ((blocks_done(j) | r) != 0) tm_journal_signal(j);
  }
  r = tm_journal_prepare(j, &space, &err);
  if (r < 0 && !space) return tm_journal_fail(j, &err);  /* a lack of room is met when the segment is needed */
  did |= r > 0;
  r = tm_journal_recycle(j, &err);
  if (r < 0) return tm_journal_fail(j, &err);
  return did | r;
}

/* ---- the end ------------------------------------------------------------------------------------- */

/* The last frame of a journal that is closed in order: 0, or -1 with err. */
static int mark_write(struct tm_journal *j, struct tm_err *err) {
  struct tm_frame f = { .type = TM_FRAME_MARK, .epoch = atomic_load(&j->synced) };
  int r;

  memcpy(j->mark, &f, sizeof f);
  if (frames_write(j, j->mark, 0, TM_FRAME_HEAD, err) != 0) return -1;
  r = j->io->fdatasync(j->io, j->fd);
  return r < 0 ? write_failed(j, "sync", r, err) : 0;
}

int tm_journal_close(struct tm_journal *j, struct tm_err *err) {
  uint64_t upto;
  int r;

  tm_journal_stop(j);
  r = tm_journal_failed(j, err) ? -1 : 0;
  if (r == 0 && take(j, &upto)) {
    r = taken_write(j, upto, err);
    if (r > 0) r = 0;
  }
  if (r == 0) r = mark_write(j, err);
  tm_journal_abandon(j);
  return r;
}
