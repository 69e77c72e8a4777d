/* region.h - memory of a state: address space that is reserved once and filled as needed, and the budget it counts for.
 *
 * A region never moves, so what lies in it is reached by offsets of 32 bits. Pages come when they are first touched
 * and go back one by one; nothing is ever copied because something grew.
 *
 *   base              open            asked                reserved
 *    | may be touched  | being made    | no access, costs nothing |
 *                      | ready, maybe  |
 *
 * No touch of the owner ever brings a page of 2 MiB, whatever the system's setting, since zeroing it takes longer than a
 * call may: those come from the supply only.
 *
 * Every allocation of this layer, regions or not, is announced to tm_account_take: it is where the limit holds, and
 * where tests make the n-th allocation fail. */
#ifndef TM_STATE_REGION_H
#define TM_STATE_REGION_H

#include <stddef.h>
#include <stdint.h>

#include "../abi_c.h"
#include "supply.h"

enum { TM_PAGE = 4096 };

struct tm_arena;

/* Whose memory it is: the budget it counts for, the part of it that is this state's, who makes pages ready (NULL:
 * nobody), and the arena in which all of it lies (NULL: in mappings of its own). */
struct tm_account {
  struct tm_budget *budget;
  double *share;
  struct tm_supply *supply;
  struct tm_arena *arena;
};

/* n more bytes are wanted: 0, or -1 when the budget is used up. */
int tm_account_take(struct tm_account *a, size_t n);
void tm_account_give(struct tm_account *a, size_t n);
/* Zeroed memory from the heap that counts: NULL when there is none. For what is small and few. Who writes there later marks it. */
void *tm_account_alloc(struct tm_account *a, size_t n);
/* The same for a struct that changes all the time: in an arena it lies in the hot part and is never marked. */
void *tm_account_alloc_hot(struct tm_account *a, size_t n);
/* The same for what is no part of the state and gone with the process: never in an arena. */
void *tm_account_alloc_apart(struct tm_account *a, size_t n);
void tm_account_free(struct tm_account *a, void *p, size_t n);

struct tm_region {
  char *base;
  size_t reserved;
  size_t open;
  size_t asked;               /* the supply was asked for what lies before it; 0: for nothing */
  struct tm_supply *supply;
  struct tm_arena *arena;     /* NULL: a mapping of its own */
  uint32_t room;              /* in the arena; 0: its addresses are somebody else's (the hot part) */
};

/* Reserves addresses, no memory: 0 or -1. Behind what is open TM_PAD bytes and more can be read, as scanners of texts do. */
int tm_region_init(struct tm_region *r, struct tm_account *a, size_t reserve);
void tm_region_fini(struct tm_region *r);
/* Its bytes were put back: it goes on with what its account has in this process. */
void tm_region_resume(struct tm_region *r, const struct tm_account *a);
/* [0, upto) may be touched from now on: 0, or -1 with nothing changed. Counts nothing. */
int tm_region_open_more(struct tm_region *r, size_t upto);
static inline int tm_region_open(struct tm_region *r, size_t upto) {
  return upto <= r->open ? 0 : tm_region_open_more(r, upto);
}
/* What lies between used and upto will be touched soon: the supply is asked for it, as far as the budget would allow it to be
 * used and the ring has room; the next call goes on from there. Counts nothing and never waits. */
void tm_region_expect(struct tm_region *r, const struct tm_account *a, size_t used, size_t upto);
/* It will not, and what was made ready behind used goes back, a piece a call: 1 when that is done. */
int tm_region_forget(struct tm_region *r, size_t used);
/* The pages of [from, to), whole ones, go back and read as zeroes. */
void tm_region_drop(struct tm_region *r, size_t from, size_t to);

static inline size_t tm_page_up(size_t n) { return (n + TM_PAGE - 1) & ~(size_t)(TM_PAGE - 1); }

#endif
