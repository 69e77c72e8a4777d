/* arena_own.h - what the files of the arena share: its bookkeeping in this process, and the root that lies in it.
 *
 *   hot      | struct tm_arena_root | rooms | blocks of the hot heap |
 *   cold     | room | room | ...            one a region (region.h), and two for the small allocations
 *
 * Everything of struct tm_arena is remade when bytes are put back; the root is what was put back. */
#ifndef TM_STATE_ARENA_OWN_H
#define TM_STATE_ARENA_OWN_H

#include "arena.h"
#include "heap.h"

enum {
  TM_ARENA_VERSION = 1,
  TM_ARENA_CLASSES = 248,         /* sizes of rooms: eighths of powers of two from 64 KiB on */
  TM_ARENA_ROOMS = 65536,
  TM_ARENA_GRANULE = 16 * 1024 * 1024
};
#define TM_ARENA_MAGIC UINT64_C(0x616e657261316d74)

/* One carved piece of addresses; those that were given back are lists by class. */
struct tm_arena_room {
  uint64_t at;
  uint64_t open;                  /* bytes from its begin that may be touched; 0 of one that was given back */
  uint32_t cls;
  uint32_t next;
};

struct tm_arena_root {
  uint64_t magic;
  uint64_t layout;                /* of the structs that lie in it: another program has others */
  uint64_t base, reserve, hot;
  uint64_t carved;                /* what lies behind was never carved */
  uint32_t rooms;                 /* from 1 on */
  uint32_t gone[TM_ARENA_CLASSES];
  struct tm_budget budget;        /* of the two heaps: without a limit, as what lies in them is counted by its owners */
  double share;
  struct tm_account account;
  struct tm_heap hot_heap, cold_heap;
  void *log;
};

enum { TM_PAGE_LISTED = 1, TM_PAGE_ZEROED = 2 };

/* One epoch. */
struct tm_arena_epoch {
  uint64_t *lines;                /* a word a page */
  uint8_t *flags;                 /* a page */
  uint32_t *pages, *zeros;        /* those that are LISTED, ZEROED */
  size_t pages_n, zeros_n;
  size_t pages_at, zeros_at;      /* copied out before these */
  double lines_n;
};

enum { TM_GRANULE_OPEN = 1, TM_GRANULE_USED = 2 };

struct tm_arena_checks;

struct tm_arena {
  char *base;
  size_t reserve, hot;
  int live;                       /* 1: written by this process; its rooms say what may be read */
  struct tm_arena_epoch epochs[2];
  int now;                        /* which of them is not cut yet */
  uint8_t *used;                  /* a page: something was marked in it, or put back */
  uint8_t *granules;
  char *shadow;                   /* of the hot part, at the last cut */
  char *aside;                    /* pending lines that were about to change */
  uint64_t *aside_at;
  size_t aside_n, aside_done, aside_most;
  double cuts;                    /* since it was all zero; of one that was put back one more */
  char *book;                     /* the mapping in which all of these lie */
  size_t book_bytes;
  struct tm_arena_checks *checks;
};

static inline struct tm_arena_root *tm_arena_root(const struct tm_arena *a) { return (struct tm_arena_root *)(void *)a->base; }
static inline struct tm_arena_room *tm_arena_room(const struct tm_arena *a, uint32_t id) {
  return (struct tm_arena_room *)(void *)(a->base + TM_ARENA_PAGE) + id;
}
static inline struct tm_arena_epoch *tm_arena_dirty_epoch(struct tm_arena *a) { return a->epochs + a->now; }
static inline struct tm_arena_epoch *tm_arena_pending_epoch(struct tm_arena *a) { return a->epochs + !a->now; }

/* arena_room.c: makes the root of an arena that is all zero: 0 or -1. */
int tm_arena_root_make(struct tm_arena *a);
/* Is what was put back an arena of this program at this address? NULL, or what is wrong. */
const char *tm_arena_root_wrong(const struct tm_arena *a);
/* What may be touched is as the rooms say, and nothing else. 0 or -1. */
int tm_arena_protect(struct tm_arena *a);
/* Addresses for a region: the room, or 0. */
uint32_t tm_arena_room_take(struct tm_arena *a, size_t size);
void tm_arena_room_give(struct tm_arena *a, uint32_t id);
/* How much a state may reserve for its heap, at most `most`: less the more states there are and the less is left. */
size_t tm_arena_room_share(const struct tm_arena *a, size_t most);
/* Zeroed memory of a struct that changes all the time, or of anything else; NULL: there is none. Not counted in any budget. */
void *tm_arena_alloc(struct tm_arena *a, size_t n, int hot);
void tm_arena_release(struct tm_arena *a, void *p);
static inline int tm_arena_holds(const struct tm_arena *a, const void *p) {
  return a != NULL && (size_t)((uintptr_t)p - (uintptr_t)a->base) < a->reserve;
}

/* arena.c: whole pages that read as zeroes from now on, and whose memory goes back. Not of the hot part. */
void tm_arena_drop(struct tm_arena *a, size_t offset, size_t len);
/* n bytes of the hot part are in use. */
void tm_arena_hot_use(struct tm_arena *a, size_t offset, size_t n);
/* Emits what is pending and leaves it pending. */
void tm_arena_peek(struct tm_arena *a, tm_arena_emit *emit, void *ctx);

/* arena_check.c: what was copied out, and whether that was all. */
void tm_arena_check_emit(struct tm_arena *a, uint64_t offset, const void *bytes, size_t len);
void tm_arena_check_end(struct tm_arena *a);
void tm_arena_check_free(struct tm_arena *a);

#endif
