/* arena_check.c - does what a cut makes pending hold all that changed, and what is copied out all that was pending?
 *
 *   memory at the cut ──pending, at once──> at_cut          differs from the memory: a mark is missing
 *                     ──as it is copied out─> copied        differs from at_cut: a mark came behind its write, or copying is wrong
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/err.h"
#include "arena_own.h"
#include "changes.h"

struct tm_arena_checks {
  struct tm_arena *at_cut, *copied;
  double cuts;
};

int tm_arena_check_wanted(void) {
  const char *v = getenv("TIDEMILL_CHECK_CUTS");
  return v != NULL && *v != 0 && strcmp(v, "0") != 0;
}

/* ---- comparing ---- */

enum { EIGHT = 8 };
static const char zeroes[TM_ARENA_PAGE];

/* the bytes of a page; of one that may not be touched, zeroes */
static const char *page_of(const struct tm_arena *a, size_t page) {
  return a->used[page] ? a->base + page * TM_ARENA_PAGE : zeroes;
}

static uint64_t page_differ(const char *a, const char *b, size_t page) {
  if (memcmp(a, b, TM_ARENA_PAGE) == 0) return UINT64_MAX;
  size_t i = 0;
  while (a[i] == b[i]) i++;
  return page * TM_ARENA_PAGE + i;
}

static uint64_t eight_of(const struct tm_arena *a, size_t page) {
  uint64_t v;
  memcpy(&v, a->used + page, sizeof v);
  return v;
}

/* Of what is used in one of both. */
static uint64_t used_differ(const struct tm_arena *a, const struct tm_arena *b) {
  const size_t per = TM_ARENA_GRANULE / TM_ARENA_PAGE;
  size_t granules = (a->reserve < b->reserve ? a->reserve : b->reserve) / TM_ARENA_GRANULE;
  for (size_t g = 0; g < granules; g++) {
    if (((a->granules[g] | b->granules[g]) & TM_GRANULE_USED) == 0) continue;
    for (size_t page = g * per; page < (g + 1) * per; page++) {
      if (page % EIGHT == 0 && eight_of(a, page) == 0 && eight_of(b, page) == 0) {
        page += EIGHT - 1;
        continue;
      }
      uint64_t at = a->used[page] || b->used[page] ? page_differ(page_of(a, page), page_of(b, page), page) : UINT64_MAX;
      if (at != UINT64_MAX) return at;
    }
  }
  return UINT64_MAX;
}

/* Of what may be written in a, marked or not. */
static uint64_t open_differ(const struct tm_arena *a, const struct tm_arena *b) {
  const struct tm_arena_root *root = tm_arena_root(a);
  for (uint32_t id = 1; id < root->rooms; id++) {
    const struct tm_arena_room *r = tm_arena_room(a, id);
    for (uint64_t off = r->at; off < r->at + r->open; off += TM_ARENA_PAGE) {
      uint64_t at = page_differ(a->base + off, page_of(b, off / TM_ARENA_PAGE), off / TM_ARENA_PAGE);
      if (at != UINT64_MAX) return at;
    }
  }
  return UINT64_MAX;
}

uint64_t tm_arena_differ(const struct tm_arena *a, const struct tm_arena *b) {
  uint64_t x = used_differ(a, b), y = a->live ? open_differ(a, b) : UINT64_MAX, z = b->live ? open_differ(b, a) : UINT64_MAX;
  if (y < x) x = y;
  return z < x ? z : x;
}

/* ---- checking ---- */

static void differ_told(const struct tm_arena *a, const struct tm_arena *is, const struct tm_arena *copy, const char *why) {
  uint64_t at = tm_arena_differ(is, copy);
  char owner[256];
  if (at == UINT64_MAX) return;
  tm_arena_owner(a, at, owner, sizeof owner);
  const unsigned char *x = (const unsigned char *)page_of(is, at / TM_ARENA_PAGE) + at % TM_ARENA_PAGE;
  const unsigned char *y = (const unsigned char *)page_of(copy, at / TM_ARENA_PAGE) + at % TM_ARENA_PAGE;
  if (is->live && at >= is->hot) x = (const unsigned char *)is->base + at;
  fprintf(stderr, "arena: behind cut %.0f the byte at offset 0x%llx (%s) is %02x in the memory and %02x in the copy: %s\n", a->checks->cuts,
          (unsigned long long)at, owner, *x, *y, why);
  fflush(stderr);
  abort();
}

static void apply(void *ctx, uint64_t offset, const void *bytes, size_t len) {
  int rc = bytes != NULL ? tm_arena_apply(ctx, offset, bytes, len) : tm_arena_zero(ctx, offset, len);
  TM_ASSERT(rc == 0);
}

static struct tm_arena *replica(const struct tm_arena *a) {
  struct tm_err err;
  struct tm_arena *made = tm_arena_new(NULL, a->reserve, &err);
  if (made != NULL) return made;
  fprintf(stderr, "arena: no replica to check cuts with: %s\n", err.detail);
  abort();
}

void tm_arena_check(struct tm_arena *a) {
  if (a->checks == NULL) {
    a->checks = calloc(1, sizeof *a->checks);
    TM_ASSERT(a->checks != NULL);
    a->checks->at_cut = replica(a);
    a->checks->copied = replica(a);
    /* what earlier cuts copied out is taken as it is */
    if (a->cuts > 1) tm_arena_used(a, apply, a->checks->at_cut);
    if (a->cuts > 1) tm_arena_used(a, apply, a->checks->copied);
  }
  a->checks->cuts++;
  tm_arena_peek(a, apply, a->checks->at_cut);
  differ_told(a, a, a->checks->at_cut, "it was written without a mark");
}

void tm_arena_check_emit(struct tm_arena *a, uint64_t offset, const void *bytes, size_t len) {
  apply(a->checks->copied, offset, bytes, len);
}

void tm_arena_check_end(struct tm_arena *a) {
  differ_told(a, a->checks->at_cut, a->checks->copied, "it was written before it was marked, or not copied out");
}

struct tm_changes *tm_arena_check_begin(struct tm_budget *budget, double seed) {
  struct tm_err err;
  struct tm_arena *a = tm_arena_new(NULL, 0, &err);
  if (a != NULL) return tm_changes_new_in(a, budget, seed);
  fprintf(stderr, "TIDEMILL_CHECK_CUTS: %s\n", err.detail);
  return NULL;
}

static void nowhere(void *ctx, uint64_t offset, const void *bytes, size_t len) {
  (void)ctx;
  (void)offset;
  (void)bytes;
  (void)len;
}

void tm_arena_check_turn(void) {
  static const size_t slices[] = {0, TM_ARENA_LINE, 16384, 640, SIZE_MAX};
  static uint32_t turn, wait;
  struct tm_arena *a = tm_arena_marks.arena;
  const struct tm_log *log = tm_arena_root(a)->log;
  if (log->pub.used != 0 || tm_arena_copy(a, nowhere, NULL, slices[turn++ % (sizeof slices / sizeof slices[0])]) != 0) return;
  if (wait-- > 0) return;
  /* a pass over all of the memory: seldom where that is much, or there were many */
  wait = (uint32_t)(a->cuts / 16) + (uint32_t)(log->pub.budget->used / 1e6);
  if (tm_arena_cut(a) == 0) tm_arena_check(a);
}

void tm_arena_check_free(struct tm_arena *a) {
  if (a->checks == NULL) return;
  tm_arena_free(a->checks->at_cut);
  tm_arena_free(a->checks->copied);
  free(a->checks);
  a->checks = NULL;
}
