/* arena.c - reserving, marking, cutting, copying out and putting back.
 *
 * A page is 64 lines, so what is known of its lines is one word. Each epoch has words, flags and two lists of pages: those
 * with dirty lines, each once, and those that were dropped. A cut exchanges the two epochs, whatever has changed: only the hot part is
 * compared. All of this bookkeeping is reserved as the arena is and costs memory where the arena has some, 0.6 % of it.
 *
 * A page that is dropped forgets its dirty lines; what is marked in it afterwards comes behind its zeroes, as those go out first. */
#include "arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../base/err.h"
#include "arena_own.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { RANGE_MAX = 1024 * 1024, ASIDE_KEPT = 8 * 1024 * 1024, PLACES = 5 };
static const size_t RESERVE = (size_t)16 << 40, RESERVE_MIN = (size_t)1 << 30, HOT_MOST = (size_t)256 << 20, ASIDE_MOST = (size_t)64 << 30;
/* Above what sanitizers use, below programs, libraries and stacks. */
static const uintptr_t PLACE = (uintptr_t)0x2000 << 32, PLACE_STEP = (uintptr_t)0x1000 << 32;

struct tm_arena_marks tm_arena_marks;

/* ---- making ---- */

static void *book_take(char *book, size_t *at, size_t n) {
  size_t from = *at;
  *at += tm_page_up(n);
  return book == NULL ? NULL : book + from;
}

/* Lays the bookkeeping out in `book`: its bytes. NULL: only those. */
static size_t book_lay(struct tm_arena *a, char *book) {
  size_t pages = a->reserve / TM_ARENA_PAGE, at = 0;
  for (int i = 0; i < 2; i++) {
    struct tm_arena_epoch *e = a->epochs + i;
    e->lines = book_take(book, &at, pages * sizeof *e->lines);
    e->flags = book_take(book, &at, pages);
    e->pages = book_take(book, &at, pages * sizeof *e->pages);
    e->zeros = book_take(book, &at, pages * sizeof *e->zeros);
  }
  a->used = book_take(book, &at, pages);
  a->granules = book_take(book, &at, a->reserve / TM_ARENA_GRANULE + 1);
  a->shadow = book_take(book, &at, a->hot);
  a->aside_most = (a->reserve < ASIDE_MOST ? a->reserve : ASIDE_MOST) / TM_ARENA_LINE;
  a->aside = book_take(book, &at, a->aside_most * TM_ARENA_LINE);
  a->aside_at = book_take(book, &at, a->aside_most * sizeof *a->aside_at);
  return at;
}

static void *addresses(const void *at, size_t n, int flags) {
  return mmap((void *)(uintptr_t)at, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/* where there is room in usual processes, or anywhere: NULL, there is none */
static void *place_find(size_t reserve) {
  for (int i = 0; i < PLACES; i++) {
    const void *at = (const void *)(PLACE + (uintptr_t)i * PLACE_STEP);
    void *p = addresses(at, reserve, MAP_FIXED_NOREPLACE);
    if (p == at) return p;
    if (p != MAP_FAILED) munmap(p, reserve);
  }
  void *p = addresses(NULL, reserve, 0);
  return p == MAP_FAILED ? NULL : p;
}

static int book_map(struct tm_arena *a) {
  a->hot = a->reserve / 64 < HOT_MOST ? a->reserve / 64 : HOT_MOST;
  a->book_bytes = book_lay(a, NULL);
  void *book = mmap(NULL, a->book_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (book == MAP_FAILED) return -1;
  a->book = book;
  madvise(book, a->book_bytes, MADV_NOHUGEPAGE);
  book_lay(a, book);
  return 0;
}

/* Maps both for so much: 0 or -1. */
static int map(struct tm_arena *a, const void *at, size_t reserve) {
  a->reserve = reserve;
  void *p = at == NULL ? place_find(reserve) : addresses(at, reserve, MAP_FIXED_NOREPLACE);
  if (p == NULL || p == MAP_FAILED) return -1;
  if ((at == NULL || p == at) && book_map(a) == 0) {
    a->base = p;
    madvise(p, reserve, MADV_NOHUGEPAGE);
    return 0;
  }
  munmap(p, reserve);
  return -1;
}

struct tm_arena *tm_arena_new(const void *at, size_t reserve, struct tm_err *err) {
  struct tm_arena *a = calloc(1, sizeof *a);
  size_t want = reserve != 0 ? reserve : RESERVE;
  if (a == NULL) {
    tm_err_set(err, 1, "memory", "no memory for the arena of keyed state");
    return NULL;
  }
  if (want % TM_ARENA_GRANULE != 0 || want < RESERVE_MIN || want > RESERVE) {
    tm_err_set(err, 1, "arena", "an arena of %zu bytes was asked for; it has 1 GiB to 16 TiB, in steps of 16 MiB", want);
    goto fail;
  }
  while (map(a, at, want) != 0) {
    /* where the place is given, so is the size */
    if (at == NULL && reserve == 0 && want > RESERVE_MIN) {
      want /= 2;
      continue;
    }
    if (at != NULL) {
      tm_err_set(err, 1, "arena",
                 "the state's memory has to lie at %p, %zu MiB of addresses: %s; something else may lie there in this process, or addresses "
                 "are limited (ulimit -v): start it without that limit, on the kernel and with the program that wrote the data folder",
                 at, want >> 20, strerror(errno));
    } else {
      tm_err_set(err, 1, "arena", "no %zu MiB of addresses for keyed state: %s; is there a limit on addresses (ulimit -v)?", want >> 20,
                 strerror(errno));
    }
    goto fail;
  }
  return a;
fail:
  free(a);
  return NULL;
}

void tm_arena_free(struct tm_arena *a) {
  if (a == NULL) return;
  if (tm_arena_marks.arena == a) tm_arena_enter(NULL);
  tm_arena_check_free(a);
  munmap(a->base, a->reserve);
  munmap(a->book, a->book_bytes);
  free(a);
}

const void *tm_arena_base(const struct tm_arena *a) { return a->base; }
size_t tm_arena_reserve(const struct tm_arena *a) { return a->reserve; }

void tm_arena_enter(struct tm_arena *a) {
  tm_arena_marks = (struct tm_arena_marks){0};
  if (a == NULL) return;
  a->live = 1;
  tm_arena_marks = (struct tm_arena_marks){(uintptr_t)a->base, a->reserve, tm_arena_dirty_epoch(a)->lines, a};
}

/* ---- marks ---- */

static void page_use(struct tm_arena *a, size_t page) {
  a->used[page] = 1;
  a->granules[page / (TM_ARENA_GRANULE / TM_ARENA_PAGE)] |= TM_GRANULE_USED;
}

static void page_list(struct tm_arena_epoch *e, size_t page) {
  if (e->flags[page] & TM_PAGE_LISTED) return;
  e->flags[page] |= TM_PAGE_LISTED;
  e->pages[e->pages_n++] = (uint32_t)page;
}

/* These pending lines of a page are kept as they are, and no longer pending. There is room, as there was for all of the epoch. */
static void aside_keep(struct tm_arena *a, size_t page, uint64_t lines) {
  struct tm_arena_epoch *p = tm_arena_pending_epoch(a);
  for (uint64_t left = lines; left != 0; left &= left - 1) {
    size_t off = page * TM_ARENA_PAGE + (size_t)__builtin_ctzll(left) * TM_ARENA_LINE;
    TM_ASSERT(a->aside_n < a->aside_most);
    memcpy(a->aside + a->aside_n * TM_ARENA_LINE, a->base + off, TM_ARENA_LINE);
    a->aside_at[a->aside_n++] = off;
  }
  p->lines[page] &= ~lines;
}

void tm_arena_mark_slow(size_t offset, size_t n) {
  struct tm_arena *a = tm_arena_marks.arena;
  struct tm_arena_epoch *e = tm_arena_dirty_epoch(a), *p = tm_arena_pending_epoch(a);
  size_t first = offset / TM_ARENA_LINE, last = (offset + n - 1) / TM_ARENA_LINE;
  /* those are compared */
  if (offset < a->hot) return;
  TM_ASSERT(offset + n <= a->reserve);
  for (size_t page = first / 64; page <= last / 64; page++) {
    uint64_t lines = ~UINT64_C(0);
    if (page == first / 64) lines &= ~UINT64_C(0) << (first % 64);
    if (page == last / 64) lines &= ~UINT64_C(0) >> (63 - last % 64);
    lines &= ~e->lines[page];
    if (lines == 0) continue;
    if ((p->lines[page] & lines) != 0) aside_keep(a, page, p->lines[page] & lines);
    e->lines[page] |= lines;
    e->lines_n += __builtin_popcountll(lines);
    page_list(e, page);
    page_use(a, page);
  }
}

void tm_arena_hot_use(struct tm_arena *a, size_t offset, size_t n) {
  for (size_t page = offset / TM_ARENA_PAGE; page <= (offset + n - 1) / TM_ARENA_PAGE; page++) page_use(a, page);
}

void tm_arena_drop(struct tm_arena *a, size_t offset, size_t len) {
  struct tm_arena_epoch *e = tm_arena_dirty_epoch(a), *p = tm_arena_pending_epoch(a);
  size_t page = offset / TM_ARENA_PAGE, end = page + len / TM_ARENA_PAGE;
  if (len == 0 || offset < a->hot) return;
  for (const uint8_t *next; page < end && (next = memchr(a->used + page, 1, end - page)) != NULL; page++) {
    page = (size_t)(next - a->used);
    if (p->lines[page] != 0) aside_keep(a, page, p->lines[page]);
    e->lines_n -= __builtin_popcountll(e->lines[page]);
    e->lines[page] = 0;
    a->used[page] = 0;
    if (e->flags[page] & TM_PAGE_ZEROED) continue;
    e->flags[page] |= TM_PAGE_ZEROED;
    e->zeros[e->zeros_n++] = (uint32_t)page;
  }
  madvise(a->base + offset, len, MADV_DONTNEED);
}

/* ---- cuts ---- */

/* What differs from the shadow becomes pending, and the shadow what is there. */
static void hot_cut(struct tm_arena *a, struct tm_arena_epoch *e) {
  size_t end = a->hot / TM_ARENA_PAGE, page = 0;
  for (const uint8_t *next; page < end && (next = memchr(a->used + page, 1, end - page)) != NULL; page++) {
    page = (size_t)(next - a->used);
    char *is = a->base + page * TM_ARENA_PAGE, *was = a->shadow + page * TM_ARENA_PAGE;
    if (memcmp(is, was, TM_ARENA_PAGE) == 0) continue;
    uint64_t lines = 0;
    for (size_t i = 0; i < 64; i++) {
      if (memcmp(is + i * TM_ARENA_LINE, was + i * TM_ARENA_LINE, TM_ARENA_LINE) != 0) lines |= UINT64_C(1) << i;
    }
    memcpy(was, is, TM_ARENA_PAGE);
    e->lines[page] = lines;
    e->lines_n += __builtin_popcountll(lines);
    page_list(e, page);
  }
}

static int is_out(const struct tm_arena *a, const struct tm_arena_epoch *e) {
  return e->pages_at == e->pages_n && e->zeros_at == e->zeros_n && a->aside_done == a->aside_n;
}

int tm_arena_cut(struct tm_arena *a) {
  struct tm_arena_epoch *e = tm_arena_dirty_epoch(a), *p = tm_arena_pending_epoch(a);
  TM_ASSERT(tm_arena_marks.arena == a && is_out(a, p) && a->aside_n == 0);
  if (e->lines_n > (double)a->aside_most) return -1;
  a->now = !a->now;
  a->cuts++;
  tm_arena_marks.lines = p->lines;
  hot_cut(a, e);
  return 0;
}

/* Adjoining lines on their way out. */
struct run {
  tm_arena_emit *emit;
  void *ctx;
  uint64_t offset;
  const char *bytes;              /* NULL: zeroes */
  size_t len;
  size_t left;                    /* bytes that may still go out */
};

static void run_end(struct run *r) {
  if (r->len == 0) return;
  r->emit(r->ctx, r->offset, r->bytes, r->len);
  r->len = 0;
}

static void run_add(struct run *r, uint64_t offset, const char *bytes, size_t len) {
  int adjoins = r->len > 0 && r->len < RANGE_MAX && r->offset + r->len == offset && (r->bytes == NULL) == (bytes == NULL) &&
                (bytes == NULL || r->bytes + r->len == bytes);
  if (!adjoins) {
    run_end(r);
    r->offset = offset;
    r->bytes = bytes;
  }
  r->len += len;
}

static void spend(struct run *r, size_t n) { r->left -= n < r->left ? n : r->left; }

static void page_emit(const struct tm_arena *a, struct run *r, size_t page, uint64_t lines) {
  size_t off = page * TM_ARENA_PAGE;
  const char *bytes = (off < a->hot ? a->shadow : a->base) + off;
  while (lines != 0) {
    unsigned from = (unsigned)__builtin_ctzll(lines);
    uint64_t rest = ~(lines >> from);
    unsigned n = rest == 0 ? 64 : (unsigned)__builtin_ctzll(rest);
    run_add(r, off + from * TM_ARENA_LINE, bytes + from * TM_ARENA_LINE, n * (size_t)TM_ARENA_LINE);
    spend(r, n * (size_t)TM_ARENA_LINE);
    lines = from + n == 64 ? 0 : lines & ~UINT64_C(0) << (from + n);
  }
  spend(r, TM_ARENA_LINE);
}

static void epoch_end(struct tm_arena *a, struct tm_arena_epoch *e) {
  if (a->aside_n * TM_ARENA_LINE > ASIDE_KEPT) {
    madvise(a->aside + ASIDE_KEPT, tm_page_up(a->aside_n * TM_ARENA_LINE) - ASIDE_KEPT, MADV_DONTNEED);
  }
  a->aside_n = a->aside_done = 0;
  e->pages_n = e->pages_at = e->zeros_n = e->zeros_at = 0;
  e->lines_n = 0;
}

static void zeros_copy(struct tm_arena_epoch *e, struct run *r) {
  for (; e->zeros_at < e->zeros_n && r->left > 0; e->zeros_at++) {
    size_t page = e->zeros[e->zeros_at];
    e->flags[page] &= (uint8_t)~TM_PAGE_ZEROED;
    run_add(r, page * TM_ARENA_PAGE, NULL, TM_ARENA_PAGE);
    spend(r, TM_ARENA_LINE);
  }
  run_end(r);
}

static void aside_copy(struct tm_arena *a, struct run *r) {
  for (; a->aside_done < a->aside_n && r->left > 0; a->aside_done++) {
    run_add(r, a->aside_at[a->aside_done], a->aside + a->aside_done * TM_ARENA_LINE, TM_ARENA_LINE);
    spend(r, TM_ARENA_LINE);
  }
  run_end(r);
}

struct check_relay { struct tm_arena *a; tm_arena_emit *emit; void *ctx; };

static void check_relay(void *ctx, uint64_t offset, const void *bytes, size_t len) {
  const struct check_relay *c = ctx;
  tm_arena_check_emit(c->a, offset, bytes, len);
  c->emit(c->ctx, offset, bytes, len);
}

int tm_arena_copy(struct tm_arena *a, tm_arena_emit *emit, void *ctx, size_t most_bytes) {
  struct tm_arena_epoch *e = tm_arena_pending_epoch(a);
  struct check_relay relay = {a, emit, ctx};
  struct run r = {.emit = emit, .ctx = ctx, .left = most_bytes};
  if (is_out(a, e) && a->aside_n == 0 && e->pages_n == 0 && e->zeros_n == 0) return 0;
  if (a->checks != NULL) {
    r.emit = check_relay;
    r.ctx = &relay;
  }
  zeros_copy(e, &r);
  if (e->zeros_at == e->zeros_n) aside_copy(a, &r);
  if (e->zeros_at == e->zeros_n && a->aside_done == a->aside_n) {
    for (; e->pages_at < e->pages_n && r.left > 0; e->pages_at++) {
      size_t page = e->pages[e->pages_at];
      uint64_t lines = e->lines[page];
      e->lines[page] = 0;
      e->flags[page] &= (uint8_t)~TM_PAGE_LISTED;
      page_emit(a, &r, page, lines);
    }
    run_end(&r);
  }
  if (!is_out(a, e)) return 1;
  epoch_end(a, e);
  if (a->checks != NULL) tm_arena_check_end(a);
  return 0;
}

void tm_arena_peek(struct tm_arena *a, tm_arena_emit *emit, void *ctx) {
  const struct tm_arena_epoch *e = tm_arena_pending_epoch(a);
  struct run r = {.emit = emit, .ctx = ctx};
  TM_ASSERT(e->pages_at == 0 && e->zeros_at == 0 && a->aside_n == 0);
  for (size_t i = 0; i < e->zeros_n; i++) run_add(&r, (uint64_t)e->zeros[i] * TM_ARENA_PAGE, NULL, TM_ARENA_PAGE);
  for (size_t i = 0; i < e->pages_n; i++) page_emit(a, &r, e->pages[i], e->lines[e->pages[i]]);
  run_end(&r);
}

double tm_arena_pending(const struct tm_arena *a) {
  const struct tm_arena_epoch *e = a->epochs + !a->now;
  if (e->pages_n == e->pages_at) return (double)(a->aside_n - a->aside_done) * TM_ARENA_LINE;
  /* about, as what was copied is not counted line by line */
  return e->lines_n * TM_ARENA_LINE * (double)(e->pages_n - e->pages_at) / (double)e->pages_n +
         (double)(a->aside_n - a->aside_done) * TM_ARENA_LINE;
}

double tm_arena_dirty(const struct tm_arena *a) { return a->epochs[a->now].lines_n * TM_ARENA_LINE; }

/* ---- putting back ---- */

static int bounds_good(const struct tm_arena *a, uint64_t offset, uint64_t len) {
  return offset <= a->reserve && len <= a->reserve - offset;
}

/* the granules of a range may be touched: 0 or -1 */
static int granules_open(struct tm_arena *a, uint64_t offset, uint64_t len) {
  for (uint64_t g = offset / TM_ARENA_GRANULE; g <= (offset + len - 1) / TM_ARENA_GRANULE; g++) {
    if (a->granules[g] & TM_GRANULE_OPEN) continue;
    if (mprotect(a->base + g * TM_ARENA_GRANULE, TM_ARENA_GRANULE, PROT_READ | PROT_WRITE) != 0) return -1;
    a->granules[g] |= TM_GRANULE_OPEN;
  }
  return 0;
}

int tm_arena_apply(struct tm_arena *a, uint64_t offset, const void *bytes, size_t len) {
  if (a->live || !bounds_good(a, offset, len)) return -1;
  if (len == 0) return 0;
  if (granules_open(a, offset, len) != 0) return -1;
  memcpy(a->base + offset, bytes, len);
  for (uint64_t page = offset / TM_ARENA_PAGE; page <= (offset + len - 1) / TM_ARENA_PAGE; page++) page_use(a, page);
  return 0;
}

int tm_arena_zero(struct tm_arena *a, uint64_t offset, uint64_t len) {
  if (a->live || !bounds_good(a, offset, len) || offset % TM_ARENA_PAGE != 0 || len % TM_ARENA_PAGE != 0) return -1;
  if (len == 0) return 0;
  memset(a->used + offset / TM_ARENA_PAGE, 0, len / TM_ARENA_PAGE);
  madvise(a->base + offset, len, MADV_DONTNEED);
  return 0;
}

void tm_arena_used(const struct tm_arena *a, tm_arena_emit *emit, void *ctx) {
  const size_t per = TM_ARENA_GRANULE / TM_ARENA_PAGE;
  struct run r = {.emit = emit, .ctx = ctx};
  for (size_t g = 0; g < a->reserve / TM_ARENA_GRANULE; g++) {
    if ((a->granules[g] & TM_GRANULE_USED) == 0) continue;
    for (size_t page = g * per; page < (g + 1) * per; page++) {
      if (a->used[page]) run_add(&r, page * TM_ARENA_PAGE, a->base + page * TM_ARENA_PAGE, TM_ARENA_PAGE);
    }
  }
  run_end(&r);
}
