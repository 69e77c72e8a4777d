/* journal_write.c - the caller's side of a journal: opening, putting epochs, asking, closing.
 *
 * Nothing here waits for a disk but opening and closing. Bytes are copied once, into blocks from which they are written. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "journal_core.h"

enum { SEGMENT_SIZE = 64 << 20, SEGMENT_SIZE_MIN = 4096, BUFFERED_MAX = 64 << 20, FRAME_ROOM_MIN = 4096 };

static void blocks_free(const struct tm_io *io, struct tm_journal_block *b) {
  while (b != NULL) {
    struct tm_journal_block *next = b->next;

    io->memory(io, b, 0);
    b = next;
  }
}

void tm_journal_abandon(struct tm_journal *j) {
  const struct tm_io *io = j->io;

  tm_journal_stop(j);
  if (j->fd >= 0) io->close(io, j->fd);
  if (j->next_fd >= 0) io->close(io, j->next_fd);
  if (j->witness.fd >= 0) io->close(io, j->witness.fd);
  if (j->event_fd >= 0) close(j->event_fd);
  blocks_free(io, j->first);
  blocks_free(io, j->spare);
  io->memory(io, j->segments, 0);
  io->memory(io, j->mark, 0);
  pthread_cond_destroy(&j->moved);
  pthread_cond_destroy(&j->work);
  pthread_mutex_destroy(&j->lock);
  io->memory(io, j, 0);
}

/* The struct, nothing opened; NULL with err. */
static struct tm_journal *journal_new(const struct tm_journal_options *o, struct tm_err *err) {
  struct tm_journal *j = o->io->memory(o->io, NULL, sizeof *j);
  unsigned char *mark = o->io->memory(o->io, NULL, TM_FRAME_HEAD);
  pthread_condattr_t clock;

  TM_ASSERT(strlen(o->dir) <= TM_DATA_PATH_MAX);
  if (j == NULL || mark == NULL) {
    o->io->memory(o->io, j, 0);
    o->io->memory(o->io, mark, 0);
    tm_err_set(err, 1, "no-memory", "no memory for the journal");
    return NULL;
  }
  memset(j, 0, sizeof *j);
  j->mark = mark;
  j->io = o->io;
  snprintf(j->dir, sizeof j->dir, "%s", o->dir);
  j->id = o->id;
  j->segment_size = o->segment_size > 0 ? o->segment_size : SEGMENT_SIZE;
  TM_ASSERT(j->segment_size >= SEGMENT_SIZE_MIN);
  j->frame_max = o->frame_max > 0 ? o->frame_max : TM_FRAME_PAYLOAD_MAX;
  if (j->frame_max > j->segment_size / 4) j->frame_max = (int32_t)(j->segment_size / 4);
  TM_ASSERT(j->frame_max <= TM_FRAME_PAYLOAD_MAX);
  j->block_size = TM_FRAME_HEAD + (j->frame_max > 256 << 10 ? j->frame_max : 256 << 10);
  j->buffered_max = o->buffered_max > 0 ? o->buffered_max : BUFFERED_MAX;
  if (j->buffered_max < 4 * (int64_t)j->frame_max) j->buffered_max = 4 * (int64_t)j->frame_max;
  j->before_sync = o->before_sync;
  j->ctx = o->ctx;
  j->fd = j->next_fd = j->witness.fd = j->event_fd = -1;
  j->witness.id = o->id;
  j->frame = -1;
  pthread_mutex_init(&j->lock, NULL);
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_cond_init(&j->work, &clock);
  pthread_condattr_destroy(&clock);
  pthread_cond_init(&j->moved, NULL);
  return j;
}

/* The file that tells which epoch was durable is made anew where it is not as it should be, and where a repair has given up what it tells
 * of; synced, as a loss of power must not bring that back. 0, NO_ROOM or -1 with err. */
static int witness_take_up(struct tm_journal *j, const struct tm_journal_scan *scan, struct tm_err *err) {
  int r;

  if (scan->epoch_last == 0 && scan->witness == TM_WITNESS_NONE) return 0;
  r = tm_witness_make(j->io, j->dir, &j->witness, scan->epoch_last);
  if (r == 0) return 0;
  if (tm_data_is_no_room(r)) return tm_journal_no_room(err, "write the file " TM_WITNESS_NAME " in", j->dir, r);
  return tm_err_set(err, 1, "journal-io", "cannot write the file " TM_WITNESS_NAME " in %.300s: %s", j->dir, strerror(-r));
}

struct tm_journal *tm_journal_open(const struct tm_journal_options *o, const struct tm_journal_scan *scan, uint64_t after,
                                   struct tm_err *err) {
  struct tm_journal *j;
  uint64_t last = scan->epoch_last;

  if (tm_journal_refuse(o->dir, scan, after, err) != 0) return NULL;
  j = journal_new(o, err);
  if (j == NULL) return NULL;
  j->epoch_next = last + 1;
  j->ended = j->epoch_written = j->epoch_asked = last;
  atomic_store(&j->synced, last);
  if (tm_journal_take_up(j, scan, err) != 0 || witness_take_up(j, scan, err) != 0) {
    tm_journal_abandon(j);
    return NULL;
  }
  return j;
}

/* ---- putting --------------------------------------------------------------------------- */

/* A block with nothing in it behind the last one: 0, or -1 and the journal has failed. */
static int block_add(struct tm_journal *j) {
  struct tm_journal_block *b;
  struct tm_err err;

  pthread_mutex_lock(&j->lock);
  b = j->spare;
  if (b != NULL) {
    j->spare = b->next;
    j->spare_n--;
  }
  pthread_mutex_unlock(&j->lock);
  if (b == NULL) b = j->io->memory(j->io, NULL, sizeof *b + (size_t)j->block_size);
  if (b == NULL) {
    tm_err_set(&err, 1, "no-memory", "no memory to keep changes until they are written to %.300s. Nothing is acknowledged any "
               "more; start again with the same folder, and with more memory", j->dir);
    return tm_journal_fail(j, &err);
  }
  memset(b, 0, sizeof *b);
  pthread_mutex_lock(&j->lock);
  if (j->last != NULL) {
    j->last->sealed = 1;
    j->last->next = b;
  } else {
    j->first = b;
  }
  j->last = b;
  pthread_mutex_unlock(&j->lock);
  return 0;
}

/* Begins a frame: 0, or -1 and the journal has failed. */
static int frame_open(struct tm_journal *j, unsigned flags) {
  int64_t least = TM_FRAME_HEAD + (j->frame_max < FRAME_ROOM_MIN ? j->frame_max : FRAME_ROOM_MIN);
  struct tm_journal_block *b = j->last;

  pthread_mutex_lock(&j->lock);
  if (b != NULL && b->written == b->published)  /* nothing is added to it now, so all of it is published */
    b->fill = b->written = b->placed = b->published = b->take = 0;
  j->buffered += TM_FRAME_HEAD;
  pthread_mutex_unlock(&j->lock);
  if ((b == NULL || j->block_size - b->fill < least) && block_add(j) != 0) return -1;
  j->frame = j->last->fill;
  j->last->fill += TM_FRAME_HEAD;
  j->frame_flags = flags;
  return 0;
}

/* Gives the frame to the writer. */
static void frame_close(struct tm_journal *j, int last) {
  struct tm_journal_block *b = j->last;
  struct tm_frame f = { .type = TM_FRAME_EPOCH, .flags = j->frame_flags | (last ? TM_FRAME_LAST : 0),
                        .length = (uint32_t)(b->fill - j->frame - TM_FRAME_HEAD), .epoch = j->epoch };

  _Static_assert(sizeof f <= TM_FRAME_HEAD, "the head's place holds it until it is written");
  memcpy(b->bytes + j->frame, &f, sizeof f);
  j->frame = -1;
  pthread_mutex_lock(&j->lock);
  b->published = b->fill;
  if (last) j->ended = j->epoch;
  pthread_cond_signal(&j->work);
  pthread_mutex_unlock(&j->lock);
}

/* OK and n is counted; FULL, FAILED. */
static int room_take(struct tm_journal *j, int64_t n) {
  int full;

  if (atomic_load(&j->failed)) return TM_JOURNAL_FAILED;
  pthread_mutex_lock(&j->lock);
  full = j->buffered > j->buffered_max;
  if (full) j->was_full = 1;
  else j->buffered += n;
  pthread_mutex_unlock(&j->lock);
  return full ? TM_JOURNAL_FULL : TM_JOURNAL_OK;
}

int tm_journal_begin(struct tm_journal *j) {
  int r = room_take(j, 0);

  TM_ASSERT(j->epoch == 0);
  if (r != TM_JOURNAL_OK) return r;
  j->epoch = j->epoch_next;
  if (frame_open(j, TM_FRAME_FIRST) != 0) {
    j->epoch = 0;
    return TM_JOURNAL_FAILED;
  }
  return TM_JOURNAL_OK;
}

int tm_journal_put(struct tm_journal *j, const void *bytes, int64_t n) {
  const unsigned char *p = bytes;
  int r = room_take(j, n);

  TM_ASSERT(j->epoch != 0 && n >= 0);
  if (r != TM_JOURNAL_OK) return r;
  TM_ASSERT(j->frame >= 0);
  while (n > 0) {
    struct tm_journal_block *b = j->last;
    int64_t room = j->frame_max - (b->fill - j->frame - TM_FRAME_HEAD), part;

    if (room > j->block_size - b->fill) room = j->block_size - b->fill;
    if (room == 0) {
      frame_close(j, 0);
      if (frame_open(j, 0) != 0) return TM_JOURNAL_FAILED;
      continue;
    }
    part = n < room ? n : room;
    memcpy(b->bytes + b->fill, p, (size_t)part);
    b->fill += part;
    p += part;
    n -= part;
  }
  return TM_JOURNAL_OK;
}

uint64_t tm_journal_end(struct tm_journal *j) {
  uint64_t epoch = j->epoch;

  TM_ASSERT(epoch != 0);
  j->epoch = 0;
  if (atomic_load(&j->failed)) return 0;
  j->epoch = epoch;
  frame_close(j, 1);
  j->epoch = 0;
  j->epoch_next++;
  return epoch;
}

/* ---- asking ---------------------------------------------------------------------------------- */

uint64_t tm_journal_synced(const struct tm_journal *j) {
  return atomic_load(&j->synced);
}

int tm_journal_failed(struct tm_journal *j, struct tm_err *err) {
  if (!atomic_load(&j->failed)) return 0;
  pthread_mutex_lock(&j->lock);
  if (err != NULL) *err = j->err;
  pthread_mutex_unlock(&j->lock);
  return 1;
}

enum tm_journal_room tm_journal_room(struct tm_journal *j, struct tm_err *err) {
  enum tm_journal_room room = (enum tm_journal_room)atomic_load(&j->room);

  if (room == TM_JOURNAL_ROOM_GOOD || err == NULL) return room;
  pthread_mutex_lock(&j->lock);
  *err = j->room_err;
  pthread_mutex_unlock(&j->lock);
  return room;
}

void tm_journal_release(struct tm_journal *j, uint64_t epoch) {
  pthread_mutex_lock(&j->lock);
  if (epoch > j->release) j->release = epoch;
  pthread_cond_signal(&j->work);
  pthread_mutex_unlock(&j->lock);
}

int64_t tm_journal_bytes_after(struct tm_journal *j, uint64_t epoch) {
  int64_t n = 0;

  pthread_mutex_lock(&j->lock);
  for (int64_t i = 0; i < j->segments_n; i++) {
    if (j->segments[i].epoch_last > epoch) n += j->segments[i].end - TM_SEGMENT_HEAD;
  }
  pthread_mutex_unlock(&j->lock);
  return n;
}
