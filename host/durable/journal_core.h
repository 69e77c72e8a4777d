/* journal_core.h - the inside of a journal that is written; for journal_*.c only.
 *
 * The caller's thread appends frames to blocks; the writing thread takes what was published of them, completes the heads
 * (sequence, salt, CRCs) in place and writes whole runs. A block's bytes below `published` are the writer's, those above
 * the caller's: only the numbers are shared, under the lock.
 *
 *   block   | frame | frame | frame | frame ... | frame being filled |        room |
 *           0   written  placed      published   ^frame              ^fill
 *
 * Until it is placed, the first bytes of a frame's head hold a struct tm_frame as the caller left it. What is placed and not written
 * had no room on the disk: the next round tries to write the same bytes at the same place. */
#ifndef TM_DURABLE_JOURNAL_CORE_H
#define TM_DURABLE_JOURNAL_CORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "segment.h"
#include "witness.h"

enum { TM_JOURNAL_BLOCKS_KEPT = 4, TM_JOURNAL_RETRY_MS = 1000 };
/* Beside 0 and -1: the disk has no room (err says where); what was tried may be tried again. */
enum { TM_JOURNAL_NO_ROOM = -2 };

struct tm_journal_block {
  struct tm_journal_block *next;
  int64_t fill;                     /* the caller's: behind the last byte put */
  int64_t published;                /* shared */
  int64_t written;                  /* shared */
  int64_t placed;                   /* the writer's: the heads up to here are complete, the place is behind what is written */
  int64_t take;                     /* the writer's: published when the round began */
  int sealed;                       /* shared: nothing is added any more */
  unsigned char bytes[];
};

struct tm_journal {
  struct tm_io const *io;
  char dir[TM_DATA_PATH_MAX + 1];
  uint64_t id;
  int64_t segment_size, block_size, buffered_max;
  int32_t frame_max;
  int (*before_sync)(void *ctx, uint64_t epoch, struct tm_err *err);
  void *ctx;

  /* the caller's */
  uint64_t epoch;                   /* being put; 0 none */
  uint64_t epoch_next;
  int64_t frame;                    /* where the frame being filled begins in `last`; -1: none is */
  unsigned frame_flags;

  /* shared, under the lock */
  pthread_mutex_t lock;
  pthread_cond_t work;              /* something for the helper thread */
  pthread_cond_t moved;             /* synced moved, or it failed */
  struct tm_journal_block *first, *last;   /* with bytes to write or being filled; last is the caller's */
  struct tm_journal_block *spare;
  int spare_n;
  int64_t buffered;                 /* bytes put and not yet written */
  int was_full;                     /* somebody waits for room */
  uint64_t ended;                   /* the last epoch that ended */
  uint64_t release;
  int stop;
  struct tm_err err;                /* of the failure */
  struct tm_err room_err;           /* why `room` is not GOOD */
  struct tm_segment *segments;      /* with frames that are needed, the one being written last; by number */
  int64_t segments_n, segments_cap;

  /* any thread */
  _Atomic uint64_t synced;
  atomic_int failed;
  atomic_int room;                  /* enum tm_journal_room */

  /* the writer's */
  int fd;                           /* of the segment being written */
  int64_t at;                       /* where its next frame comes */
  uint64_t salt;
  uint64_t sequence;                /* of the last frame */
  uint64_t epoch_written;           /* the last epoch whose LAST was written */
  uint64_t epoch_asked;             /* the last epoch for which before_sync was well */
  uint64_t epoch_segment;           /* number of the segment that holds it */
  int last_is_mark;
  int removed;                      /* an old segment's name went, and the folder is not synced since */
  int next_fd;                      /* the segment prepared ahead, or -1 */
  struct tm_witness witness;        /* tells beside the journal which epoch is durable */
  uint64_t next_number, next_salt;
  uint64_t ahead_ns;                /* LOW: not before this the next segment is tried ahead again */
  unsigned char *mark;              /* TM_FRAME_HEAD bytes */

  /* the helper thread's */
  int event_fd;                     /* -1: no helper thread */
  int started;
  pthread_t thread;
};

/* The journal has failed: keeps the first error and wakes whoever waits. Returns -1. */
int tm_journal_fail(struct tm_journal *j, const struct tm_err *err);
/* Says on the descriptor that something moved. */
void tm_journal_signal(struct tm_journal *j);
/* 1 when a round would have something to do; under the lock. */
int tm_journal_has_work(const struct tm_journal *j);
/* Ends the helper thread, if there is one. */
void tm_journal_stop(struct tm_journal *j);

/* ---- journal_segments.c: the segments behind a journal that is written; the writer's thread ---- */

/* Room for one more entry in j->segments: 0, or -1 with err. */
int tm_journal_segments_reserve(struct tm_journal *j, struct tm_err *err);
/* "cannot WHAT PATH: reason": NO_ROOM with err. */
int tm_journal_no_room(struct tm_err *err, const char *what, const char *path, int64_t code);
/* Makes the next segment ready, if none is: 1 made, 0 there is one, NO_ROOM or -1 with err. */
int tm_journal_prepare(struct tm_journal *j, struct tm_err *err);
/* The segment being written is used up: syncs it and goes on in the next. 0, NO_ROOM or -1 with err. */
int tm_journal_roll(struct tm_journal *j, struct tm_err *err);
/* Removes segments that are no longer needed, but one that the next segment is made of: 1 did, 0 nothing, -1 with err. */
int tm_journal_recycle(struct tm_journal *j, struct tm_err *err);
/* Takes up the tail of what was scanned: rewritten, synced, open for writing. 0, or -1 with err. */
int tm_journal_take_up(struct tm_journal *j, const struct tm_journal_scan *scan, struct tm_err *err);

#endif
