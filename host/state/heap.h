/* heap.h - the memory of one state: items and values of any size, named by handles of 32 bits.
 *
 * A handle counts units of 8 bytes from the region's base; 0 is none. The region is cut into blocks of 64 KiB. A block
 * serves one size, exact up to 512 bytes and in eighths of a power of two up to 16 KiB, or it is part of a span of
 * blocks that holds one larger thing.
 *
 *   block      | slot | slot | free | slot | ... | never used, no memory yet |
 *   struct tm_block: how many live, how far it was ever used, the free ones (a list through their first bytes)
 *
 * Blocks without anything live go back to the system. Sparse blocks can be *marked*: nothing new comes into them, and
 * whoever holds handles moves what is left (tm_heap_move), until they are empty.
 * Only pages that were reached are counted in the account. One thread. */
#ifndef TM_STATE_HEAP_H
#define TM_STATE_HEAP_H

#include "region.h"

enum {
  TM_HEAP_CLASSES = 104,
  TM_HEAP_CLASS_MAX = 16384,      /* larger things have blocks of their own */
  TM_BLOCK_SHIFT = 16,
  TM_BLOCK_BYTES = 1 << TM_BLOCK_SHIFT,
  TM_HEAP_SIZE_MAX = 64 * 1024 * 1024
};

enum tm_block_state {
  TM_BLOCK_FREE = 0,              /* in the list of free blocks; no memory but after a reset */
  TM_BLOCK_OPEN = 1,              /* has room, in its class's list */
  TM_BLOCK_FULL = 2,
  TM_BLOCK_MARKED = 3,            /* being emptied */
  TM_BLOCK_SPAN = 4,              /* first block of a span: next is its length */
  TM_BLOCK_IDLE = 5               /* the one empty block that kept its memory */
};

struct tm_block {
  uint16_t live;
  uint16_t bump;                  /* slots ever used */
  uint16_t free;                  /* first free slot + 1 */
  uint8_t cls;
  uint8_t state;                  /* enum tm_block_state */
  uint32_t next, prev;            /* of the list it is in */
  uint32_t pages;                 /* counted */
};

struct tm_heap {
  struct tm_region mem;
  struct tm_region meta;          /* struct tm_block by number */
  struct tm_account *account;
  uint32_t blocks;                /* numbers given out; block 0 is never used */
  uint32_t free_head, free_n;
  uint32_t idle;                  /* 0: none */
  uint32_t look;                  /* where the search for a span goes on */
  uint32_t open[TM_HEAP_CLASSES];
  uint32_t class_blocks[TM_HEAP_CLASSES];
  double live_bytes;              /* of slots in use */
  double page_bytes;              /* counted for blocks */
};

/* 0, or -1 with nothing held. reserve: addresses for the things in it. */
int tm_heap_init(struct tm_heap *h, struct tm_account *a, size_t reserve);
/* The same with memory that is there already, of an arena's hot part: it is never given back, and its descriptions of blocks lie apart. */
int tm_heap_init_at(struct tm_heap *h, struct tm_account *a, char *mem, size_t size);
/* Nothing lives in it any more. As much memory as was in use stays with its blocks for what comes next; of the rest a bounded
 * part goes back a call. */
void tm_heap_reset(struct tm_heap *h);
/* gives all memory back at once; the account is settled */
void tm_heap_fini(struct tm_heap *h);
/* Room for size bytes, whose content is anything: 0 if there is no memory. */
uint32_t tm_heap_alloc(struct tm_heap *h, uint32_t size);
void tm_heap_free(struct tm_heap *h, uint32_t at);
static inline void *tm_heap_at(const struct tm_heap *h, uint32_t at) { return h->mem.base + (size_t)at * 8; }
static inline struct tm_block *tm_heap_block(const struct tm_heap *h, uint32_t at) {
  return (struct tm_block *)(void *)h->meta.base + (at >> (TM_BLOCK_SHIFT - 3));
}

/* Marks the sparse ones of blocks [from, from + n); returns how many. */
uint32_t tm_heap_mark(struct tm_heap *h, uint32_t from, uint32_t n);
/* Those that could not be emptied are used again. */
void tm_heap_unmark(struct tm_heap *h, uint32_t from, uint32_t n);
static inline int tm_heap_leaving(const struct tm_heap *h, uint32_t at) {
  return tm_heap_block(h, at)->state == TM_BLOCK_MARKED;
}
/* Where the thing lies now: at itself unless its block is marked and there was room elsewhere. */
uint32_t tm_heap_move(struct tm_heap *h, uint32_t at);

#endif
