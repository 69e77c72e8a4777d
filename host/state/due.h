/* due.h - when records are due: two wheels over what carries a time, each a clock and lists of what comes after it.
 *
 *   item    | [ prev | next ] | prev | next | time | record, arrival, key ...      struct tm_due_links, 16 bytes
 *
 * A time of 55 bits is ten digits of 6 bits. Its level in a wheel is the highest digit in which it differs from the clock,
 * its slot that digit (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987). So at level 0 a slot is one
 * millisecond, the lowest level in use comes first, and where the clock stands costs nothing: there are no ticks.
 *
 *   level 2   | . . . . [   4096 ms   ] . . |     clock: the slot it stands in is empty, as what was there is nearer,
 *   level 1        | . . [ 64 ms ] . |            except while that slot is emptied into the levels below (drain)
 *   level 0            | . . 1 ms . |
 *
 * A slot is a list in order of arming, and a list is only ever taken apart from its head and put together at a tail: what
 * has the same time keeps its order. The clock goes on when the slot it enters is wanted, no further than to that slot's
 * least time, and the slot is emptied in slices: no call moves more than tm_due.slice of them.
 * What is armed for a time before the wheel's clock goes to the wheel behind, whose clock goes back as well: what it had
 * nearer is hung, list by list, in front of the slot that it came from. Nothing there is later than anything ahead.
 * Undoing: every step says in the log how it is reversed, so at each entry all lists are again what they were, link by
 * link; while the log is empty there is nothing to disturb, and what moves within the wheels is not logged. */
#ifndef TM_STATE_DUE_H
#define TM_STATE_DUE_H

#include <stdint.h>

struct tm_table;
struct tm_change;

enum { TM_DUE_DIGIT = 6, TM_DUE_LEVELS = 10, TM_DUE_SLOTS = TM_DUE_LEVELS << TM_DUE_DIGIT, TM_DUE_SLICE = 512 };
#define TM_DUE_NEVER UINT64_MAX

/* In front of a record. */
struct tm_due_links {
  uint32_t prev, next;            /* handles of items in the same slot; 0: an end */
  uint64_t time;                  /* ms from -2^53 on; TM_DUE_NEVER: not armed, and the links mean nothing */
};

struct tm_due_slot {
  uint32_t head, tail;
  uint64_t least;                 /* no time in it is smaller; at level 0 it is the time; NEVER: empty */
};

struct tm_wheel {
  struct {
    uint64_t clock;               /* no time in the wheel is smaller */
    uint64_t drain;               /* the level whose slot at the clock is being emptied and takes what is armed in it; 0: none */
  } hand;
  uint64_t used[TM_DUE_LEVELS];   /* a bit a slot that is not empty */
  uint32_t levels;                /* a bit a level with such slots */
  struct tm_due_slot slots[TM_DUE_SLOTS];
};

struct tm_due {
  struct tm_wheel ahead;
  struct tm_wheel behind;         /* all that is before ahead.clock */
  int32_t slice;                  /* how many a call may move: TM_DUE_SLICE, but for tests */
};

/* Makes t->core.due of a timed table: 0 or -1. */
int tm_due_init(struct tm_table *t, struct tm_due **due);
/* A new item is not armed. */
void tm_due_none(struct tm_table *t, uint32_t at);
/* Item `at` is no longer due, if it was; its state's `due` is up to date. 0, or -1 with nothing changed (the log is full). */
int tm_due_cancel(struct tm_table *t, uint32_t at);
/* Undoes an entry of the log: TM_CHANGE_ARMED to TM_CHANGE_HUNG. */
void tm_due_undo(struct tm_table *t, const struct tm_change *e, const void *bytes);
/* Brings tm_state.due up to date. */
void tm_due_tell(struct tm_table *t);
/* The item at `old` lies at `at` now. */
void tm_due_moved(struct tm_table *t, uint32_t old, uint32_t at);

#endif
