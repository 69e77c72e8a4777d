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
                    tm_data_is_no_room(code) ? "Make room" : "Look after the disk");
}

/* What the disk's room allows from here on; err: why. */
static void room_set(struct tm_journal *j, enum tm_journal_room room, const struct tm_err *err) {
  int same;

  pthread_mutex_lock(&j->lock);
  same = (int)room == atomic_load(&j->room);
  if (room != TM_JOURNAL_ROOM_GOOD) j->room_err = *err;
  atomic_store(&j->room, (int)room);
  if (!same) pthread_cond_broadcast(&j->moved);
  pthread_mutex_unlock(&j->lock);
  if (!same) tm_journal_signal(j);
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

/* Writes what is placed of a block: 0, NO_ROOM or -1 with err. */
static int placed_write(struct tm_journal *j, struct tm_journal_block *b, struct tm_err *err) {
  int64_t n = b->placed - b->written;
  int r = n > 0 ? tm_io_pwrite_all(j->io, j->fd, b->bytes + b->written, (size_t)n, j->at - n) : 0;

  if (tm_data_is_no_room(r)) return tm_journal_no_room(err, "write to the journal in", j->dir, r);
  if (r < 0) return write_failed(j, "write", r, err);
  pthread_mutex_lock(&j->lock);
  b->written += n;
  j->buffered -= n;
  pthread_mutex_unlock(&j->lock);
  return 0;
}

/* Writes a block's frames up to `to`, over as many segments as they need: 0, NO_ROOM or -1 with err. A segment keeps room for
 * the mark, so that a journal can be closed in order on a disk that is full. When all is written the block may be the caller's again. */
static int block_write(struct tm_journal *j, struct tm_journal_block *b, int64_t to, struct tm_err *err) {
  for (;;) {
    int used_up = 0, r;

    while (b->placed < to) {
      struct tm_frame f;

      memcpy(&f, b->bytes + b->placed, sizeof f);
      used_up = j->at + TM_FRAME_HEAD + (int64_t)f.length + TM_FRAME_HEAD > j->segments[j->segments_n - 1].size;
      if (used_up) break;
      frame_place(j, b->bytes + b->placed, &f);
      b->placed += TM_FRAME_HEAD + (int64_t)f.length;
    }
    r = placed_write(j, b, err);
    if (r != 0 || !used_up) return r;
    r = tm_journal_roll(j, err);
    if (r != 0) return r;
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

/* Blocks that are written and done with are kept for later or freed; the last one is never sealed. 1 if somebody waited for room. */
static int blocks_done(struct tm_journal *j) {
  struct tm_journal_block *b, *gone = NULL;
  int waited;

  pthread_mutex_lock(&j->lock);
  while (j->first->sealed && j->first->written == j->first->published) {
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

/* Tells beside the journal what is durable: 0, or -1 with err. Where there is no room for it an older epoch stays told. */
static int witness_tell(struct tm_journal *j, struct tm_err *err) {
  int r;

  if (j->witness.fd >= 0) r = tm_witness_put(j->io, &j->witness, j->epoch_written);
  else r = tm_witness_make(j->io, j->dir, &j->witness, j->epoch_written);
  if (r == 0 || tm_data_is_no_room(r)) return 0;
  return write_failed(j, "write what is durable beside", r, err);
}

/* Writes what was taken and syncs what ended: 0, NO_ROOM (for the rest of it) or -1 with err. *moved: synced did. */
static int taken_write(struct tm_journal *j, uint64_t upto, int *moved, struct tm_err *err) {
  struct tm_journal_block *b = NULL;
  int64_t from = 0, to = 0;
  int room = 0, r;

  *moved = 0;
  if (upto > j->epoch_asked && j->before_sync != NULL && j->before_sync(j->ctx, upto, err) != 0) return -1;
  j->epoch_asked = upto;
  while (room == 0 && (b = block_next(j, b, &from, &to)) != NULL) {
    if (to > from) room = block_write(j, b, to, err);
    if (room == -1) return -1;
  }
  TM_ASSERT(room != 0 || j->epoch_written == upto);
  if (j->epoch_written == atomic_load(&j->synced) || (room != 0 && b->placed > b->written)) return room;
  r = j->io->fdatasync(j->io, j->fd);
  if (r < 0) return write_failed(j, "sync", r, err);
  pthread_mutex_lock(&j->lock);
  atomic_store(&j->synced, j->epoch_written);
  pthread_cond_broadcast(&j->moved);
  pthread_mutex_unlock(&j->lock);
  *moved = 1;
  return witness_tell(j, err) == 0 ? room : -1;
}

/* The next segment, ahead: 1 made, 0 not, -1 with err. Where it has no room it is tried again some time later: until it is needed
 * nobody waits for it. */
static int ahead(struct tm_journal *j, struct tm_err *err) {
  int r;

  if (atomic_load(&j->room) == TM_JOURNAL_ROOM_LOW && j->io->mono_ns(j->io) < j->ahead_ns) return 0;
  r = tm_journal_prepare(j, err);
  if (r == -1) return -1;
  if (r == TM_JOURNAL_NO_ROOM) j->ahead_ns = j->io->mono_ns(j->io) + (uint64_t)TM_JOURNAL_RETRY_MS * 1000000u;
  room_set(j, r == TM_JOURNAL_NO_ROOM ? TM_JOURNAL_ROOM_LOW : TM_JOURNAL_ROOM_GOOD, err);
  return r > 0;
}

int tm_journal_step(struct tm_journal *j) {
  struct tm_err err;
  uint64_t upto;
  int did, moved, r;

  if (atomic_load(&j->failed)) return -1;
  did = take(j, &upto);
  if (did) {
    r = taken_write(j, upto, &moved, &err);
    if (r == -1) return tm_journal_fail(j, &err);
    if ((blocks_done(j) | moved) != 0) tm_journal_signal(j);
    if (r != 0) {
      room_set(j, TM_JOURNAL_ROOM_NONE, &err);
      return moved;
    }
  }
  r = ahead(j, &err);
  if (r < 0) return tm_journal_fail(j, &err);
  did |= r;
  r = tm_journal_recycle(j, &err);
  if (r < 0) return tm_journal_fail(j, &err);
  return did | r;
}

/* ---- the end ------------------------------------------------------------------------------------- */

/* The last frame of a journal that is closed in order: 0, or -1 with err. */
static int mark_write(struct tm_journal *j, struct tm_err *err) {
  struct tm_frame f = { .type = TM_FRAME_MARK, .epoch = atomic_load(&j->synced) };
  int r;

  frame_place(j, j->mark, &f);
  r = tm_io_pwrite_all(j->io, j->fd, j->mark, TM_FRAME_HEAD, j->at - TM_FRAME_HEAD);
  if (r < 0) return write_failed(j, "write", r, err);
  r = j->io->fdatasync(j->io, j->fd);
  return r < 0 ? write_failed(j, "sync", r, err) : 0;
}

int tm_journal_close(struct tm_journal *j, struct tm_err *err) {
  uint64_t upto;
  int r, moved;

  tm_journal_stop(j);
  r = tm_journal_failed(j, err) ? -1 : 0;
  if (r == 0 && take(j, &upto)) r = taken_write(j, upto, &moved, err);
  if (r == 0) r = mark_write(j, err);
  tm_journal_abandon(j);
  return r == 0 ? 0 : -1;
}
