/* heap.c - size classes over blocks, spans, marking.
 *
 * A slot is taken from the block that was opened last: one that was full until just now, so fuller blocks fill up and
 * sparse ones run empty. One empty block keeps its memory, since a state that grows and shrinks by one key at a
 * block's edge would otherwise call the kernel each time.
 * Freed slots are linked through their first two bytes; whoever frees has no use for the content any more. */
#include "heap.h"

#include <string.h>

#include "../base/err.h"
#include "arena.h"

enum { EXACT_CLASSES = 64, LOOK_MAX = 8192 };
enum { DRIED_MAX = 32 };
enum { LARGE_FROM = 8 * 1024 * 1024, AHEAD_MAX = 16 * 1024 * 1024 };

static uint32_t class_of(uint32_t size) {
  if (size <= 8) return 0;
  if (size <= 512) return (size + 7) / 8 - 1;
  uint32_t lg = 31 - (uint32_t)__builtin_clz(size - 1);
  return EXACT_CLASSES + (lg - 9) * 8 + ((size - 1 - (1u << lg)) >> (lg - 3));
}

static uint32_t class_size(uint32_t c) {
  if (c < EXACT_CLASSES) return (c + 1) * 8;
  uint32_t lg = 9 + (c - EXACT_CLASSES) / 8;
  return (1u << lg) + (((c - EXACT_CLASSES) & 7) + 1) * (1u << (lg - 3));
}

static struct tm_block *block_get(const struct tm_heap *h, uint32_t b) {
  return (struct tm_block *)(void *)h->meta.base + b;
}

/* the description of a block, about to change */
static struct tm_block *block_change(const struct tm_heap *h, uint32_t b) {
  struct tm_block *m = block_get(h, b);
  tm_arena_mark(m, sizeof *m);
  return m;
}

static void list_push(struct tm_heap *h, uint32_t *head, uint32_t b) {
  struct tm_block *m = block_change(h, b);
  m->prev = 0;
  m->next = *head;
  if (*head != 0) block_change(h, *head)->prev = b;
  *head = b;
}

static void list_cut(struct tm_heap *h, uint32_t *head, uint32_t b) {
  const struct tm_block *m = block_get(h, b);
  if (m->prev != 0) block_change(h, m->prev)->next = m->next;
  else *head = m->next;
  if (m->next != 0) block_change(h, m->next)->prev = m->prev;
}

static int meta_init(struct tm_heap *h, size_t reserve) {
  if (tm_region_init(&h->meta, h->account, tm_page_up((reserve >> TM_BLOCK_SHIFT) * sizeof(struct tm_block))) == 0) return 0;
  tm_region_fini(&h->mem);
  return -1;
}

static void begin(struct tm_heap *h, struct tm_account *a) {
  memset(h, 0, sizeof *h);
  h->account = a;
  h->blocks = 1;
  h->look = 1;
}

int tm_heap_init(struct tm_heap *h, struct tm_account *a, size_t reserve) {
  begin(h, a);
  return tm_region_init(&h->mem, a, reserve) != 0 ? -1 : meta_init(h, reserve);
}

int tm_heap_init_at(struct tm_heap *h, struct tm_account *a, char *mem, size_t size) {
  begin(h, a);
  h->mem = (struct tm_region){.base = mem, .reserved = size, .open = size, .arena = a->arena};
  return meta_init(h, size);
}

/* bytes of the blocks' descriptions that are counted */
static size_t meta_bytes(const struct tm_heap *h) {
  return h->blocks <= 1 ? 0 : tm_page_up(h->blocks * sizeof(struct tm_block));
}

void tm_heap_fini(struct tm_heap *h) {
  if (h->mem.base == NULL) return;
  tm_account_give(h->account, (size_t)h->page_bytes + meta_bytes(h));
  tm_region_fini(&h->mem);
  tm_region_fini(&h->meta);
}

static int pages_take(struct tm_heap *h, struct tm_block *m, uint32_t pages) {
  size_t n = (size_t)(pages - m->pages) * TM_PAGE;
  if (tm_account_take(h->account, n) != 0) return -1;
  h->page_bytes += (double)n;
  m->pages = pages;
  return 0;
}

/* Of a heap that grows, so much behind its end is made ready: time enough for the supply, and little beside the rest. */
static void expect(struct tm_heap *h) {
  size_t used = (size_t)h->blocks << TM_BLOCK_SHIFT, ahead = used / 16;
  if (used < LARGE_FROM) return;
  if (ahead < TM_SUPPLY_PIECE) ahead = TM_SUPPLY_PIECE;
  if (ahead > AHEAD_MAX) ahead = AHEAD_MAX;
  if (used + ahead > h->mem.asked) tm_region_expect(&h->mem, h->account, used, used + ahead);
}

/* n new numbers in a row at the end: the first, or 0 */
static uint32_t blocks_append(struct tm_heap *h, uint32_t n) {
  uint32_t b = h->blocks;
  size_t had = meta_bytes(h);
  if (((size_t)b + n) << TM_BLOCK_SHIFT > h->mem.reserved) return 0;
  size_t need = tm_page_up((b + n) * sizeof(struct tm_block));
  if (tm_region_open(&h->mem, ((size_t)b + n) << TM_BLOCK_SHIFT) != 0 || tm_region_open(&h->meta, need) != 0) return 0;
  if (need > had && tm_account_take(h->account, need - had) != 0) return 0;
  h->blocks = b + n;
  expect(h);
  return b;
}

/* an empty block, in no list: its number, or 0 */
static uint32_t block_take(struct tm_heap *h) {
  uint32_t b = h->free_head;
  if (b == 0) {
    b = blocks_append(h, 1);
    if (b == 0) return 0;
    memset(block_change(h, b), 0, sizeof(struct tm_block));
    return b;
  }
  list_cut(h, &h->free_head, b);
  h->free_n--;
  return b;
}

/* its memory goes back */
static void block_dry(struct tm_heap *h, uint32_t b) {
  struct tm_block *m = block_get(h, b);
  size_t n = (size_t)m->pages * TM_PAGE, at = (size_t)b << TM_BLOCK_SHIFT;
  if (n == 0) return;
  tm_arena_mark(m, sizeof *m);
  tm_region_drop(&h->mem, at, at + n);
  tm_account_give(h->account, n);
  h->page_bytes -= (double)n;
  m->pages = 0;
}

static void block_list(struct tm_heap *h, uint32_t b) {
  block_change(h, b)->state = TM_BLOCK_FREE;
  list_push(h, &h->free_head, b);
  h->free_n++;
}

static void block_put(struct tm_heap *h, uint32_t b) {
  block_dry(h, b);
  block_list(h, b);
}

/* an empty block of class c with its first page, in the class's list: its number, or 0 */
static uint32_t block_open(struct tm_heap *h, uint32_t c) {
  uint32_t b = h->idle;
  if (b != 0) {
    h->idle = 0;
  } else {
    b = block_take(h);
    if (b == 0) return 0;
  }
  struct tm_block *m = block_change(h, b);
  if (m->pages == 0 && pages_take(h, m, 1) != 0) {
    block_put(h, b);
    return 0;
  }
  m->live = m->bump = m->free = 0;
  m->cls = (uint8_t)c;
  m->state = TM_BLOCK_OPEN;
  list_push(h, &h->open[c], b);
  h->class_blocks[c]++;
  return b;
}

/* nothing lives in b any more */
static void block_close(struct tm_heap *h, uint32_t b) {
  struct tm_block *m = block_change(h, b);
  if (m->state == TM_BLOCK_OPEN) list_cut(h, &h->open[m->cls], b);
  h->class_blocks[m->cls]--;
  if (h->idle == 0) {
    m->state = TM_BLOCK_IDLE;
    h->idle = b;
  } else {
    block_put(h, b);
  }
}

/* n free blocks in a row among those that were used before, out of their list: the first, or 0. Looks at a bounded
 * number of them a call, and goes on there at the next one. */
static uint32_t span_find(struct tm_heap *h, uint32_t n, uint32_t looks) {
  uint32_t run = 0, b = h->look;
  for (; looks > 0; looks--, b++) {
    if (b >= h->blocks) {
      b = 1;
      run = 0;
    }
    run = block_get(h, b)->state == TM_BLOCK_FREE ? run + 1 : 0;
    if (run < n) continue;
    uint32_t first = b + 1 - n;
    for (uint32_t i = first; i <= b; i++) list_cut(h, &h->free_head, i);
    h->free_n -= n;
    h->look = first;
    return first;
  }
  h->look = b >= h->blocks ? 1 : b;
  return 0;
}

static uint32_t span_alloc(struct tm_heap *h, uint32_t size) {
  uint32_t n = (size + TM_BLOCK_BYTES - 1) >> TM_BLOCK_SHIFT, b = 0;
  if (size > TM_HEAP_SIZE_MAX) return 0;
  /* addresses are plenty: used ones are searched only when many are free */
  if (n == 1) b = block_take(h);
  else if (h->free_n >= n && h->free_n > h->blocks / 4) b = span_find(h, n, LOOK_MAX);
  if (b == 0 && n > 1) {
    b = blocks_append(h, n);
    if (b != 0) {
      tm_arena_mark(block_get(h, b), n * sizeof(struct tm_block));
      memset(block_get(h, b), 0, n * sizeof(struct tm_block));
    } else if (h->free_n >= n) b = span_find(h, n, h->blocks + n);
  }
  if (b == 0) return 0;
  for (uint32_t i = b; i < b + n; i++) {
    struct tm_block *m = block_change(h, i);
    block_dry(h, i);
    m->state = TM_BLOCK_SPAN;
    m->live = 0;
  }
  struct tm_block *m = block_get(h, b);
  uint32_t pages = (size + TM_PAGE - 1) / TM_PAGE;
  if (pages_take(h, m, pages) != 0) {
    for (uint32_t i = b; i < b + n; i++) block_put(h, i);
    return 0;
  }
  m->live = 1;
  m->next = n;
  h->live_bytes += (double)pages * TM_PAGE;
  return b << (TM_BLOCK_SHIFT - 3);
}

static void span_free(struct tm_heap *h, uint32_t b) {
  struct tm_block *m = block_change(h, b);
  uint32_t n = m->next;
  size_t bytes = (size_t)m->pages * TM_PAGE, at = (size_t)b << TM_BLOCK_SHIFT;
  TM_ASSERT(m->live == 1);
  h->live_bytes -= (double)bytes;
  h->page_bytes -= (double)bytes;
  tm_region_drop(&h->mem, at, at + bytes);
  tm_account_give(h->account, bytes);
  m->pages = 0;
  for (uint32_t i = b; i < b + n; i++) block_put(h, i);
}

uint32_t tm_heap_alloc(struct tm_heap *h, uint32_t size) {
  if (size > TM_HEAP_CLASS_MAX) return span_alloc(h, size);
  uint32_t c = class_of(size), b = h->open[c], cs = class_size(c), slot;
  /* an allocation is where a test may want it to fail, also when no page is needed */
  if (tm_account_take(h->account, 0) != 0) return 0;
  if (b == 0) {
    b = block_open(h, c);
    if (b == 0) return 0;
  }
  struct tm_block *m = block_change(h, b);
  char *base = h->mem.base + ((size_t)b << TM_BLOCK_SHIFT);
  if (m->free != 0) {
    slot = m->free - 1u;
    memcpy(&m->free, base + (size_t)slot * cs, sizeof m->free);
    /* which says what comes behind it */
    if (m->free != 0) __builtin_prefetch(base + (size_t)(m->free - 1u) * cs, 1);
  } else {
    slot = m->bump;
    uint32_t pages = ((slot + 1) * cs + TM_PAGE - 1) / TM_PAGE;
    if (pages > m->pages && pages_take(h, m, pages) != 0) {
      if (m->live == 0) block_close(h, b);
      return 0;
    }
    m->bump++;
  }
  m->live++;
  if (m->free == 0 && (m->bump + 1u) * cs > TM_BLOCK_BYTES) {
    list_cut(h, &h->open[c], b);
    m->state = TM_BLOCK_FULL;
  }
  h->live_bytes += cs;
  return (b << (TM_BLOCK_SHIFT - 3)) + slot * (cs / 8);
}

void tm_heap_free(struct tm_heap *h, uint32_t at) {
  uint32_t b = at >> (TM_BLOCK_SHIFT - 3);
  struct tm_block *m = block_change(h, b);
  if (m->state == TM_BLOCK_SPAN) {
    span_free(h, b);
    return;
  }
  uint32_t cs = class_size(m->cls), slot = (at & (TM_BLOCK_BYTES / 8 - 1)) * 8 / cs;
  TM_ASSERT(m->live > 0 && m->state != TM_BLOCK_FREE && m->state != TM_BLOCK_IDLE);
  tm_arena_mark(h->mem.base + (size_t)at * 8, sizeof m->free);
  memcpy(h->mem.base + (size_t)at * 8, &m->free, sizeof m->free);
  m->free = (uint16_t)(slot + 1);
  m->live--;
  h->live_bytes -= cs;
  if (m->live == 0) {
    block_close(h, b);
  } else if (m->state == TM_BLOCK_FULL) {
    m->state = TM_BLOCK_OPEN;
    list_push(h, &h->open[m->cls], b);
  }
}

void tm_heap_reset(struct tm_heap *h) {
  double stays = 0, want = h->live_bytes * 1.25 + TM_BLOCK_BYTES;
  uint32_t dried = 0;
  for (uint32_t b = 1; b < h->blocks; b++) {
    struct tm_block *m = block_get(h, b);
    if (m->state == TM_BLOCK_SPAN) {
      /* its memory goes beyond its first block */
      block_dry(h, b);
    } else if (stays < want) {
      stays += (double)m->pages * TM_PAGE;
    } else if (dried < DRIED_MAX && m->pages != 0) {
      block_dry(h, b);
      dried++;
    }
  }
  memset(h->open, 0, sizeof h->open);
  memset(h->class_blocks, 0, sizeof h->class_blocks);
  h->free_head = h->free_n = h->idle = 0;
  h->look = 1;
  h->live_bytes = 0;
  /* the first blocks come first: they have memory */
  for (uint32_t b = h->blocks - 1; b > 0; b--) block_list(h, b);
}

/* ---- emptying sparse blocks ---- */

uint32_t tm_heap_mark(struct tm_heap *h, uint32_t from, uint32_t n) {
  uint32_t marked = 0;
  for (uint32_t b = from; b < from + n && b < h->blocks; b++) {
    struct tm_block *m = block_get(h, b);
    if ((m->state != TM_BLOCK_OPEN && m->state != TM_BLOCK_FULL) || h->class_blocks[m->cls] < 2) continue;
    /* worth it: less than 5/8 of its pages would do */
    if ((uint64_t)m->live * class_size(m->cls) * 8 >= (uint64_t)m->pages * TM_PAGE * 5) continue;
    if (m->state == TM_BLOCK_OPEN) list_cut(h, &h->open[m->cls], b);
    tm_arena_mark(m, sizeof *m);
    m->state = TM_BLOCK_MARKED;
    marked++;
  }
  return marked;
}

void tm_heap_unmark(struct tm_heap *h, uint32_t from, uint32_t n) {
  for (uint32_t b = from; b < from + n && b < h->blocks; b++) {
    struct tm_block *m = block_get(h, b);
    if (m->state != TM_BLOCK_MARKED) continue;
    tm_arena_mark(m, sizeof *m);
    m->state = TM_BLOCK_OPEN;
    list_push(h, &h->open[m->cls], b);
  }
}

uint32_t tm_heap_move(struct tm_heap *h, uint32_t at) {
  struct tm_block *m = tm_heap_block(h, at);
  if (m->state != TM_BLOCK_MARKED) return at;
  uint32_t cs = class_size(m->cls), to = tm_heap_alloc(h, cs);
  if (to == 0) return at;
  tm_arena_mark(tm_heap_at(h, to), cs);
  memcpy(tm_heap_at(h, to), tm_heap_at(h, at), cs);
  tm_heap_free(h, at);
  return to;
}
