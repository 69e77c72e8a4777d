/* arrival.c - memory of the log and the pass that closes holes.
 *
 * Memory is counted in pages between counted_from and counted_to. Giving back what a finished pass left behind goes by
 * slices, as a log of millions of keys has thousands of pages. */
#include "arrival.h"

#include <string.h>

enum { PER_PAGE = TM_PAGE / 4, HOLES_MIN = 4096, SLICE = 16 * PER_PAGE };

int tm_arrival_init(struct tm_arrival *a, struct tm_account *account, uint64_t positions) {
  memset(a, 0, sizeof *a);
  a->account = account;
  a->mask = positions - 1;
  if (tm_region_init(&a->mem, account, tm_page_up(positions * sizeof *a->ring)) != 0) return -1;
  a->ring = (uint32_t *)(void *)a->mem.base;
  return 0;
}

void tm_arrival_fini(struct tm_arrival *a) {
  if (a->mem.base == NULL) return;
  tm_account_give(a->account, (size_t)(a->counted_to - a->counted_from) * sizeof *a->ring);
  tm_region_fini(&a->mem);
}

int tm_arrival_room(struct tm_arrival *a) {
  if (a->end < a->counted_to) return 0;
  if (a->counted_to + PER_PAGE - a->counted_from > a->mask + 1) return -1;
  uint64_t at = a->counted_to & a->mask;
  if (tm_region_open(&a->mem, (at + PER_PAGE) * sizeof *a->ring) != 0) return -1;
  if (tm_account_take(a->account, TM_PAGE) != 0) return -1;
  a->counted_to += PER_PAGE;
  return 0;
}

uint32_t tm_arrival_step(struct tm_arrival *a, uint32_t *pos) {
  uint32_t at = a->ring[a->read & a->mask], moved = 0;
  if (at != 0) {
    if (a->write != a->read) {
      tm_arrival_set(a, a->read, 0);
      tm_arrival_set(a, a->write, at);
      *pos = (uint32_t)a->write;
      moved = at;
    }
    a->write++;
  }
  a->read++;
  return moved;
}

/* pages [from, to) of positions, none beyond the ring's edge */
static void pages_drop(struct tm_arrival *a, uint64_t from, uint64_t to) {
  while (from < to) {
    uint64_t at = from & a->mask, n = to - from;
    if (at + n > a->mask + 1) n = a->mask + 1 - at;
    tm_region_drop(&a->mem, at * sizeof *a->ring, (at + n) * sizeof *a->ring);
    tm_account_give(a->account, n * sizeof *a->ring);
    from += n;
  }
}

size_t tm_arrival_bleed(struct tm_arrival *a, size_t most) {
  uint64_t n = a->counted_to - a->counted_from, slice = most / TM_PAGE * PER_PAGE;
  if (n > slice) n = slice;
  pages_drop(a, a->counted_from, a->counted_from + n);
  a->counted_from += n;
  return (size_t)n * sizeof *a->ring;
}

int tm_arrival_care(struct tm_arrival *a, uint64_t keys, int32_t steps) {
  int more = 0;
  if (a->passing) {
    if (a->read >= a->end) {
      a->end = a->write;
      a->passing = 0;
    }
    more = 1;
  } else {
    for (; a->head < a->end && a->ring[a->head & a->mask] == 0; a->head++) {
      if (steps-- > 0) continue;
      more = 1;
      break;
    }
    if (a->end - a->head > 2 * keys + HOLES_MIN) {
      a->passing = more = 1;
      a->write = a->read = a->head;
    }
  }
  uint64_t from = a->head & ~(uint64_t)(PER_PAGE - 1);
  if (from > a->counted_to) from = a->counted_to;
  if (from > a->counted_from) {
    uint64_t to = from - a->counted_from > SLICE ? a->counted_from + SLICE : from;
    pages_drop(a, a->counted_from, to);
    a->counted_from = to;
    more |= to != from;
  }
  uint64_t last = (a->end + PER_PAGE - 1) & ~(uint64_t)(PER_PAGE - 1);
  /* one page more stays: the edge is crossed both ways */
  if (!a->passing && a->counted_to > last + PER_PAGE) {
    uint64_t to = a->counted_to - last - PER_PAGE > SLICE ? a->counted_to - SLICE : last + PER_PAGE;
    pages_drop(a, to, a->counted_to);
    a->counted_to = to;
    more |= to != last + PER_PAGE;
  }
  return more;
}
