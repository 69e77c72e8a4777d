/* snapshot_blocks.h - blocks of the address space by number: which the journal touches, and the bytes of some of them.
 *
 * The set is sorted and small: one entry of 8 bytes for each MiB. The window holds the bytes of as many blocks as memory
 * allows, ascending; applying epochs to it is what a pass over the journal does. */
#ifndef TM_DURABLE_SNAPSHOT_BLOCKS_H
#define TM_DURABLE_SNAPSHOT_BLOCKS_H

#include "../base/err.h"
#include "../base/io.h"
#include "snapshot.h"

struct tm_blocks {
  const struct tm_io *io;
  uint64_t *list;                   /* numbers, ascending */
  int64_t n, cap, near;             /* near: where the last one was found */
};

void tm_blocks_init(struct tm_blocks *b, const struct tm_io *io);
void tm_blocks_fini(struct tm_blocks *b);
/* The index of the first one that is not less than `number` (n: none). */
int64_t tm_blocks_find(struct tm_blocks *b, uint64_t number);
/* 0, or -1 with err: no memory. */
int tm_blocks_add(struct tm_blocks *b, uint64_t number, struct tm_err *err);

/* Blocks list[first, first + n) of a set, with their bytes. */
struct tm_window {
  struct tm_blocks *blocks;
  int64_t first, n, cap;
  unsigned char *bytes;             /* cap blocks */
};

/* Takes memory for `cap` blocks: 0, or -1 with err. */
int tm_window_init(struct tm_window *w, struct tm_blocks *blocks, int64_t cap, struct tm_err *err);
void tm_window_fini(struct tm_window *w);
/* What of [offset, offset + n) lies in the window becomes `bytes` (NULL: zero). */
void tm_window_apply(struct tm_window *w, uint64_t offset, const unsigned char *bytes, uint64_t n);

#endif
