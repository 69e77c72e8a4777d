/* arena.h - all memory of keyed state in one reserved range of addresses, and which lines of it changed since the last cut.
 *
 * With a data folder, what this layer and the aggregates keep lies here, pointers included: put back at the same address, the
 * bytes mean the same in another process. Without one there is no arena, and each state has mappings of its own.
 *
 *   base      hot                            cold                                          base + reserve
 *    | root, structs, wheels, calendars      | heap | index | arrival | nodes | ... |      not carved yet |
 *
 * cold   regions, carved by size and given back by size. Before a byte there changes its line of 64 bytes is *marked*.
 * hot    small structs that change all the time. They need no marks: a cut compares them with a shadow of the last cut.
 *
 * An *epoch* ends with a cut. What was marked since the last one is then *pending* until it is copied out, in slices; a pending line that
 * is marked again is kept aside first, as it was at the cut. Pages that were dropped are told as zeroes. So what tm_arena_copy emits
 * between two cuts, applied in order, makes of the memory of the one cut that of the other, byte for byte.
 *
 *   mark ... cut | mark, copy, mark, copy (0: all out) ... cut | ...
 *
 * One thread. A process has at most one arena that is written (tm_arena_enter); others are replicas, which only apply. */
#ifndef TM_STATE_ARENA_H
#define TM_STATE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct tm_arena;
struct tm_budget;
struct tm_changes;
struct tm_err;

enum { TM_ARENA_LINE = 64, TM_ARENA_PAGE = 4096 };

/* What is emitted, in order: len bytes at this offset are `bytes`, valid during the call, or zero if bytes is NULL. */
typedef void tm_arena_emit(void *ctx, uint64_t offset, const void *bytes, size_t len);

/* ---- making ---- */

/* Reserves addresses, no memory. at: where the arena has to lie, as tm_arena_base said when its bytes were written; NULL: where there is
 * room in usual processes. reserve: how much; 0: 16 TiB, or less (tm_arena_reserve tells) where the system allows no more. NULL: err says
 * why. It is all zero, for tm_arena_apply or tm_changes_new_in. */
struct tm_arena *tm_arena_new(const void *at, size_t reserve, struct tm_err *err);
/* Unmaps it. What was made in it must not be touched any more, and need not be freed before. NULL: nothing is done. */
void tm_arena_free(struct tm_arena *a);
/* What a data folder has to remember: both go to tm_arena_new when the bytes are to be put back. */
const void *tm_arena_base(const struct tm_arena *a);
size_t tm_arena_reserve(const struct tm_arena *a);

/* ---- the log of changes and all states in it ---- */

/* As tm_ffi_changes_new, in an arena that is all zero, which is entered. Freed by tm_ffi_changes_free. */
struct tm_changes *tm_changes_new_in(struct tm_arena *a, struct tm_budget *budget, double seed);
/* What tm_changes_new_in made in the process whose bytes were put back, ready to go on: the budget's used grows by what the states
 * have, and what does not survive (cursors, what `ahead` knew, the supply) is as if never made. The arena is entered; nothing is dirty.
 * No state is adopted yet: tm_ffi_state_new with the same name and layout gives them back, in the order in which they were made, or
 * tm_ffi_state_adopt one by its address. NULL: err says what of the bytes cannot be. */
struct tm_changes *tm_changes_resume(struct tm_arena *a, struct tm_budget *budget, struct tm_err *err);

/* ---- epochs ---- */

/* Ends an epoch: the log of changes is empty, and the epoch before was copied out. Bounded by the hot part: it compares that. 0; -1 (only
 * with more than 64 GiB of changed lines): nothing was done. */
int tm_arena_cut(struct tm_arena *a);
/* Emits more of the pending epoch, about most_bytes at most: 1 there is more, 0 it is complete (also when nothing was pending). */
int tm_arena_copy(struct tm_arena *a, tm_arena_emit *emit, void *ctx, size_t most_bytes);
/* About how many bytes are still to be copied out, and how many the next cut would make pending, but for the hot part. */
double tm_arena_pending(const struct tm_arena *a);
double tm_arena_dirty(const struct tm_arena *a);

/* ---- putting back ---- */

/* Into an arena that is not entered, a replica or one that will be resumed: 0, or -1 (it does not lie within the arena, or there is no
 * memory) with nothing changed. */
int tm_arena_apply(struct tm_arena *a, uint64_t offset, const void *bytes, size_t len);
int tm_arena_zero(struct tm_arena *a, uint64_t offset, uint64_t len);
/* Emits all pages in use as they are now, adjoining ones as one range of at most 1 MiB. What is not emitted is zero. */
void tm_arena_used(const struct tm_arena *a, tm_arena_emit *emit, void *ctx);
/* The first offset at which two arenas differ, or UINT64_MAX. */
uint64_t tm_arena_differ(const struct tm_arena *a, const struct tm_arena *b);
/* Whose memory an offset is, as text: "state 'x', index"; for messages. */
void tm_arena_owner(const struct tm_arena *a, uint64_t offset, char *out, size_t size);

/* Behind a cut of the arena that is entered: applies what is pending to a replica and compares that with the memory; from then on
 * tm_arena_copy also applies what it emits to a second one, and compares both when an epoch is complete. The first difference is told with
 * its offset and its owner, and the process aborts. For tests: needs twice the memory and a pass over all of it a cut. */
void tm_arena_check(struct tm_arena *a);
/* 1: the environment asks for that at each cut (TIDEMILL_CHECK_CUTS) */
int tm_arena_check_wanted(void);
/* For a run without a data folder that is asked for it all the same: a log in an arena of its own, NULL: no memory; and between two batches,
 * with the log empty, a slice is copied out, to nowhere, or a cut made and checked. */
struct tm_changes *tm_arena_check_begin(struct tm_budget *budget, double seed);
void tm_arena_check_turn(void);

/* ---- marks ---- */

/* Of the arena that is entered; size 0: there is none. */
struct tm_arena_marks {
  uintptr_t base;
  size_t size;
  uint64_t *lines;                /* a bit a line: a word a page */
  struct tm_arena *arena;
};
extern struct tm_arena_marks tm_arena_marks;

/* The arena is the one that is written from now on; NULL: none is. */
void tm_arena_enter(struct tm_arena *a);
void tm_arena_mark_slow(size_t offset, size_t n);
/* n bytes at p are about to change. Before the write, always: a pending line is kept aside here. Anything outside of the arena is passed
 * over, so whoever does not know where something lies may mark it. */
static inline void tm_arena_mark(const void *p, size_t n) {
  size_t off = (uintptr_t)p - tm_arena_marks.base;
  if (off >= tm_arena_marks.size || n == 0) return;
  size_t line = off / TM_ARENA_LINE % 64, more = (off + n - 1) / TM_ARENA_LINE - off / TM_ARENA_LINE;
  uint64_t wanted = more < 64 ? ((UINT64_C(2) << more) - 1) << line : 0;
  /* bits beyond the page are shifted out, so what reaches there is found by its last line */
  if (more + line < 64 && (~tm_arena_marks.lines[off / TM_ARENA_PAGE] & wanted) == 0) return;
  tm_arena_mark_slow(off, n);
}

#endif
