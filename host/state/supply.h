/* supply.h - pages of 2 MiB that another thread makes ready before a table reaches them.
 *
 * A table of millions of keys is read at random, and with pages of 4 KiB most of what that costs is walking page tables.
 * Large pages end that, but the kernel zeroes one in a single fault, 0.2 to 9 ms, and no call into a table may take more
 * than 1. So the owner of a region asks for the pages behind those it uses; a thread of its own faults them in.
 *
 *   ring of asks   | met | met | in work | waiting | waiting | free ...
 *                               done                           asked
 *
 * Asking never waits, and nothing depends on when an ask is met, or whether: who comes first finds small pages, as
 * without a supply. One owner (the thread that calls tm_supply_ask), one supply for all regions of a worker; the thread
 * starts with the first ask, so a run with small states has none. It has all signals blocked, takes no lock, calls
 * nothing but the kernel, and touches no memory but what is asked for. */
#ifndef TM_STATE_SUPPLY_H
#define TM_STATE_SUPPLY_H

#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>

enum { TM_SUPPLY_PIECE = 2 * 1024 * 1024, TM_SUPPLY_RING = 32 };

enum tm_supply_state {
  TM_SUPPLY_IDLE = 0,             /* no thread yet */
  TM_SUPPLY_RUNS = 1,
  TM_SUPPLY_BROKEN = 2            /* no thread, or the kernel refused: nothing is asked any more */
};

struct tm_supply {
  uintptr_t ring[TM_SUPPLY_RING]; /* addresses of pieces, odd once they were begun; 0: taken back */
  uint32_t asked;                 /* by the owner, counts on for ever, as does done */
  uint32_t done;                  /* by the thread: ring[done % TM_SUPPLY_RING] is in work or the next */
  int32_t state;                  /* enum tm_supply_state */
  int32_t started, stop;
  sem_t wake;
  pthread_t thread;
};

/* Zeroed memory is a supply without a thread. */
void tm_supply_fini(struct tm_supply *s);
/* The piece at p, aligned to its size and reserved, may be touched some time later and then is in memory: 0, or -1 when
 * the ring is full or the supply is broken. */
int tm_supply_ask(struct tm_supply *s, char *p);
/* Of [from, to), all of it asked for in order, the end of what is ready: to if nothing is under way, from if the supply is
 * broken. */
const char *tm_supply_ready(struct tm_supply *s, const char *from, const char *to);
/* What was asked for in [from, to) and is not begun is taken back: 1 if nothing is in work there. */
int tm_supply_cancel(struct tm_supply *s, const char *from, const char *to);
/* As tm_supply_cancel, but waits for the piece in work. For who unmaps. */
void tm_supply_settle(struct tm_supply *s, const char *from, const char *to);

#endif
