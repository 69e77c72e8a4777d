/* snapshot_blocks.c - a sorted set of block numbers, and a window of their bytes. */
#include "snapshot_blocks.h"

#include <string.h>

void tm_blocks_init(struct tm_blocks *b, const struct tm_io *io) {
  memset(b, 0, sizeof *b);
  b->io = io;
}

void tm_blocks_fini(struct tm_blocks *b) {
  b->io->memory(b->io, b->list, 0);
  memset(b, 0, sizeof *b);
}

int64_t tm_blocks_find(struct tm_blocks *b, uint64_t number) {
  int64_t low = 0, high = b->n;

  /* ranges come in runs: the same block again, or the one behind it */
  if (b->near < b->n && b->list[b->near] == number) return b->near;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;

    if (b->list[middle] < number) low = middle + 1;
    else high = middle;
  }
  b->near = low;
  return low;
}

int tm_blocks_add(struct tm_blocks *b, uint64_t number, struct tm_err *err) {
  int64_t i = tm_blocks_find(b, number);

  if (i < b->n && b->list[i] == number) return 0;
  if (b->n == b->cap) {
    int64_t cap = b->cap > 0 ? 2 * b->cap : 256;
    uint64_t *more = b->io->memory(b->io, b->list, (size_t)cap * sizeof *more);

    if (more == NULL) return tm_err_set(err, 1, "no-memory", "no memory for the list of blocks of a snapshot");
    b->list = more;
    b->cap = cap;
  }
  memmove(b->list + i + 1, b->list + i, (size_t)(b->n - i) * sizeof *b->list);
  b->list[i] = number;
  b->n++;
  return 0;
}

int tm_window_init(struct tm_window *w, struct tm_blocks *blocks, int64_t cap, struct tm_err *err) {
  memset(w, 0, sizeof *w);
  w->blocks = blocks;
  w->cap = cap;
  if (cap == 0) return 0;
  w->bytes = blocks->io->memory(blocks->io, NULL, (size_t)cap * TM_SNAPSHOT_BLOCK);
  return w->bytes != NULL ? 0 : tm_err_set(err, 1, "no-memory", "no memory for %lld blocks of a snapshot", (long long)cap);
}

void tm_window_fini(struct tm_window *w) {
  if (w->blocks != NULL) w->blocks->io->memory(w->blocks->io, w->bytes, 0);
  w->bytes = NULL;
}

void tm_window_apply(struct tm_window *w, uint64_t offset, const unsigned char *bytes, uint64_t n) {
  const uint64_t *list = w->blocks->list;
  uint64_t end = offset + n;
  int64_t i, last = w->first + w->n;

  if (offset / TM_SNAPSHOT_BLOCK > list[last - 1] || end <= list[w->first] * TM_SNAPSHOT_BLOCK) return;
  i = tm_blocks_find(w->blocks, offset / TM_SNAPSHOT_BLOCK);
  for (i = i < w->first ? w->first : i; i < last; i++) {
    uint64_t block = list[i] * TM_SNAPSHOT_BLOCK, from = offset > block ? offset : block;
    uint64_t to = end < block + TM_SNAPSHOT_BLOCK ? end : block + TM_SNAPSHOT_BLOCK;
    unsigned char *at = w->bytes + (i - w->first) * TM_SNAPSHOT_BLOCK + (from - block);

    if (from >= to) return;
    if (bytes != NULL) memcpy(at, bytes + (from - offset), to - from);
    else memset(at, 0, to - from);
  }
}
