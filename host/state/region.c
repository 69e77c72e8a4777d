/* region.c - reserving, opening and giving back memory.
 *
 * Addresses are reserved without access and without a claim on memory (MAP_NORESERVE), then opened in steps that grow
 * with the region, so that a call into the kernel is rare. The kernel gives a page when it is touched. */
#include "region.h"

#include <stdlib.h>
#include <sys/mman.h>

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

void *tm_account_alloc(struct tm_account *a, size_t n) {
  if (tm_account_take(a, n) != 0) return NULL;
  void *p = calloc(1, n);
  if (p == NULL) tm_account_give(a, n);
  return p;
}

void tm_account_free(struct tm_account *a, void *p, size_t n) {
  if (p == NULL) return;
  tm_account_give(a, n);
  free(p);
}

int tm_region_init(struct tm_region *r, struct tm_account *a, size_t reserve) {
  r->base = NULL;
  r->open = r->reserved = 0;
  if (tm_account_take(a, 0) != 0) return -1;
  void *p = mmap(NULL, reserve + TM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return -1;
  r->base = p;
  r->reserved = reserve;
  return 0;
}

void tm_region_fini(struct tm_region *r) {
  if (r->base != NULL) munmap(r->base, r->reserved + TM_PAGE);
  r->base = NULL;
  r->open = r->reserved = 0;
}

int tm_region_open_more(struct tm_region *r, size_t upto) {
  size_t step = r->open / 4 < OPEN_STEP_MIN ? OPEN_STEP_MIN : r->open / 4;
  if (upto > r->reserved) return -1;
  if (step > OPEN_STEP_MAX) step = OPEN_STEP_MAX;
  size_t open = tm_page_up(r->open + step > upto ? r->open + step : upto);
  if (open > r->reserved) open = r->reserved;
  if (mprotect(r->base + r->open, open - r->open + TM_PAGE, PROT_READ | PROT_WRITE) != 0) return -1;
  r->open = open;
  return 0;
}

void tm_region_drop(struct tm_region *r, size_t from, size_t to) {
  if (to > from) madvise(r->base + from, to - from, MADV_DONTNEED);
}
