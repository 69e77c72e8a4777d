/* undo.h - changes to shared memory that happen wholly or not at all, whenever the process is killed.
 *
 * Before a change of several words each place is kept: its old bytes go into a log in the same shared memory. One
 * store ends the change (tm_undo_done). Whoever comes after a death puts the log's bytes back (tm_undo_restore): a
 * change that had not ended never was. What lies in memory nobody counts as filled yet (behind a length, in a batch
 * that is not at hand) need not be kept.
 *
 *   | old bytes | where, how many | old bytes | where, how many |         used is behind the last entry
 *
 * Only against the death of a process: its stores are all seen by the next one, in order. One writer. */
#ifndef TM_BASE_UNDO_H
#define TM_BASE_UNDO_H

#include <stddef.h>
#include <stdint.h>

enum { TM_UNDO_BYTES = 512 * 1024 };

struct tm_undo {
  int64_t used;                                 /* 0: no change is under way */
  _Alignas(16) char log[TM_UNDO_BYTES];
};

/* Keeps [at, at + len), shared memory that is about to change. A log that is full is a programming error. */
void tm_undo_keep(struct tm_undo *u, void *at, size_t len);
/* The change is complete. */
void tm_undo_done(struct tm_undo *u);
/* After a death: puts back what was kept. May itself be cut off by a death and done again. */
void tm_undo_restore(struct tm_undo *u);

/* Stores before it are made before those behind it, as far as the next process can tell. */
static inline void tm_undo_fence(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

#endif
