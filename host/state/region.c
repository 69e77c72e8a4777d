/* region.c - reserving, opening and giving back memory.
 *
 * Addresses are reserved without access and without a claim on memory (MAP_NORESERVE), then opened in steps that grow
 * with the region, so that a call into the kernel is rare. The kernel gives a page when it is touched. */
#include "region.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "arena_own.h"

enum { OPEN_STEP_MIN = 256 * 1024, OPEN_STEP_MAX = 16 * 1024 * 1024 };

int tm_account_take(struct tm_account *a, size_t n) {
  struct tm_budget *b = a->budget;
  if (b->fail_in > 0 && --b->fail_in == 0) return -1;
  if (b->limit > 0 && b->used + (double)n > b->limit) return -1;
  b->used += (double)n;
  *a->share += (double)n;
  return 0;
}

void tm_account_give(struct tm_account *a, size_t n) {
  a->budget->used -= (double)n;
  *a->share -= (double)n;
}

static void *alloc(struct tm_account *a, size_t n, struct tm_arena *arena, int hot) {
  if (tm_account_take(a, n) != 0) return NULL;
  void *p = arena != NULL ? tm_arena_alloc(arena, n, hot) : calloc(1, n);
  if (p == NULL) tm_account_give(a, n);
  return p;
}

void *tm_account_alloc(struct tm_account *a, size_t n) { return alloc(a, n, a->arena, 0); }
void *tm_account_alloc_hot(struct tm_account *a, size_t n) { return alloc(a, n, a->arena, 1); }
void *tm_account_alloc_apart(struct tm_account *a, size_t n) { return alloc(a, n, NULL, 0); }

void tm_account_free(struct tm_account *a, void *p, size_t n) {
  if (p == NULL) return;
  tm_account_give(a, n);
  if (tm_arena_holds(a->arena, p)) tm_arena_release(a->arena, p);
  else free(p);
}

int tm_region_init(struct tm_region *r, struct tm_account *a, size_t reserve) {
  *r = (struct tm_region){.supply = a->supply, .arena = a->arena};
  if (tm_account_take(a, 0) != 0) return -1;
  if (a->arena != NULL) {
    r->room = tm_arena_room_take(a->arena, reserve + TM_PAGE);
    if (r->room == 0) return -1;
    r->base = a->arena->base + tm_arena_room(a->arena, r->room)->at;
    r->reserved = reserve;
    return 0;
  }
  void *p = mmap(NULL, reserve + TM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return -1;
  madvise(p, reserve, MADV_NOHUGEPAGE);
  r->base = p;
  r->reserved = reserve;
  return 0;
}

/* What may be touched is what the arena knows of it. */
static void room_open(const struct tm_region *r) {
  if (r->room == 0) return;
  struct tm_arena_room *room = tm_arena_room(r->arena, r->room);
  if (r->open + TM_PAGE > room->open) room->open = r->open + TM_PAGE;
}

void tm_region_fini(struct tm_region *r) {
  if (r->asked > 0) tm_supply_settle(r->supply, r->base, r->base + r->asked);
  if (r->arena != NULL) {
    if (r->asked > r->open) r->open = r->asked;
    room_open(r);
    if (r->room != 0) tm_arena_room_give(r->arena, r->room);
  } else if (r->base != NULL) {
    munmap(r->base, r->reserved + TM_PAGE);
  }
  *r = (struct tm_region){0};
}

void tm_region_resume(struct tm_region *r, const struct tm_account *a) {
  if (r->base == NULL) return;
  r->supply = a->supply;
  r->arena = a->arena;
  r->asked = 0;
}

static int open_upto(struct tm_region *r, size_t open) {
  if (mprotect(r->base + r->open, open - r->open + TM_PAGE, PROT_READ | PROT_WRITE) != 0) return -1;
  r->open = open;
  room_open(r);
  return 0;
}

int tm_region_open_more(struct tm_region *r, size_t upto) {
  size_t step = r->open / 4 < OPEN_STEP_MIN ? OPEN_STEP_MIN : r->open / 4;
  if (upto > r->reserved) return -1;
  if (r->asked > r->open) {
    /* opened by the supply already */
    r->open = (size_t)(tm_supply_ready(r->supply, r->base + r->open, r->base + r->asked) - r->base);
    if (mprotect(r->base + r->open, TM_PAGE, PROT_READ | PROT_WRITE) != 0) return -1;
    room_open(r);
    if (upto <= r->open) return 0;
  }
  if (step > OPEN_STEP_MAX) step = OPEN_STEP_MAX;
  size_t open = tm_page_up(r->open + step > upto ? r->open + step : upto);
  if (open > r->reserved) open = r->reserved;
  return open_upto(r, open);
}

/* where the first piece at or behind at begins */
static size_t piece_up(const struct tm_region *r, size_t at) {
  uintptr_t mask = TM_SUPPLY_PIECE - 1, base = (uintptr_t)r->base;
  return (size_t)(((base + at + mask) & ~mask) - base);
}

void tm_region_expect(struct tm_region *r, const struct tm_account *a, size_t used, size_t upto) {
  const struct tm_budget *b = a->budget;
  size_t at = piece_up(r, used);
  if (r->supply == NULL) return;
  /* pieces follow one another from what is open on: then all of it stays one mapping */
  if (at < r->asked) at = r->asked;
  else if (at < upto && at > r->open && (at > r->reserved || open_upto(r, at) != 0)) return;
  for (; at < upto && at + TM_SUPPLY_PIECE <= r->reserved; at += TM_SUPPLY_PIECE) {
    if (b->limit > 0 && b->used + (double)(at + TM_SUPPLY_PIECE - used) > b->limit) return;
    if (tm_supply_ask(r->supply, r->base + at) != 0) return;
    r->asked = at + TM_SUPPLY_PIECE;
  }
}

int tm_region_forget(struct tm_region *r, size_t used) {
  if (r->asked == 0) return 1;
  if (!tm_supply_cancel(r->supply, r->base, r->base + r->asked)) return 0;
  size_t from = r->asked > used + TM_SUPPLY_PIECE ? r->asked - TM_SUPPLY_PIECE : tm_page_up(used);
  if (from < r->asked) tm_region_drop(r, from, r->asked);
  r->asked = from > tm_page_up(used) ? from : 0;
  return r->asked == 0;
}

void tm_region_drop(struct tm_region *r, size_t from, size_t to) {
  if (to <= from) return;
  if (r->arena == NULL) madvise(r->base + from, to - from, MADV_DONTNEED);
  else tm_arena_drop(r->arena, (size_t)(r->base - r->arena->base) + from, to - from);
}
