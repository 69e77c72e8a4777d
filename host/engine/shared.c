/* shared.c - makes the memory that control and its workers share, and names its parts.
 *
 *   | struct tm_shared | region table | region | region | ... reserved, untouched |
 *   0                  page           page     page                             size
 *
 * One mapping, made before the first fork, so that its address is the same in every process and what a worker left
 * in it outlives the worker. It is reserved, not committed: only pages that are touched take memory. Regions begin
 * on pages and are never given back; they end with the program.
 * A region counts from the moment its name is written, which is done last: a worker that dies while making one
 * leaves a gap, never a half-made region. */
#include "shared.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../base/err.h"

enum { REGIONS_MAX = 8192, REGION_NAME = 64, PAGE = 4096 };

struct region {
  char name[REGION_NAME];  /* terminated; empty: this entry and all behind it are free */
  size_t off;              /* from the arena's start */
  size_t size;
};

static size_t page_up(size_t n) {
  return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

struct tm_shared *tm_shared_new(void *at, struct tm_err *err) {
  /* address space may be limited (ulimit -v, small machines): less is enough for most streams */
  static const size_t sizes[] = { (size_t)64 << 30, (size_t)4 << 30, (size_t)1 << 30, (size_t)256 << 20 };
  size_t head = page_up(sizeof(struct tm_shared));
  struct tm_shared *s;
  size_t i;

  for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    int fixed = at != NULL ? MAP_FIXED_NOREPLACE : 0;
    void *p = mmap(at, head + sizes[i], PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);

    if (p == MAP_FAILED) continue;
    if (at != NULL && p != at) {  /* a system that does not know the flag takes it for a hint */
      munmap(p, head + sizes[i]);
      continue;
    }
    s = p;
    s->arena = (char *)s + head;
    s->arena_size = sizes[i];
    s->arena_used = page_up(REGIONS_MAX * sizeof(struct region));
    return s;
  }
  tm_err_set(err, 1, "shared-memory",
             "no address space for the memory shared with the worker: %s; at least 256 MiB are needed (see ulimit -v)",
             strerror(errno));
  return NULL;
}

void tm_shared_free(struct tm_shared *s, size_t arena_size) {
  munmap(s, page_up(sizeof *s) + arena_size);
}

void *tm_shared_region(struct tm_shared *s, const char *name, size_t size, int *found) {
  struct region *table = (struct region *)(void *)s->arena;
  size_t need = page_up(size);
  int i;

  TM_ASSERT(name[0] != '\0' && strlen(name) < REGION_NAME);
  *found = 0;
  for (i = 0; i < REGIONS_MAX && table[i].name[0] != '\0'; i++) {
    if (strcmp(table[i].name, name) != 0) continue;
    if (table[i].size < size) return NULL;
    *found = 1;
    return s->arena + table[i].off;
  }
  if (i == REGIONS_MAX || need < size || need > s->arena_size - s->arena_used) return NULL;
  table[i].off = s->arena_used;
  table[i].size = size;
  s->arena_used += need;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  memcpy(table[i].name, name, strlen(name) + 1);
  return s->arena + table[i].off;
}

void *tm_shared_find(struct tm_shared *s, const char *name, size_t size) {
  const struct region *table = (const struct region *)(const void *)s->arena;

  for (int i = 0; i < REGIONS_MAX && table[i].name[0] != '\0'; i++)
    if (strcmp(table[i].name, name) == 0) return table[i].size >= size ? s->arena + table[i].off : NULL;
  return NULL;
}

int tm_shared_each(struct tm_shared *s, const char *prefix, size_t size, int (*visit)(void *ctx, void *region, struct tm_err *err), void *ctx,
                   struct tm_err *err) {
  const struct region *table = (const struct region *)(const void *)s->arena;
  int rc = 0;

  for (int i = 0; rc == 0 && i < REGIONS_MAX && table[i].name[0] != '\0'; i++)
    if (strncmp(table[i].name, prefix, strlen(prefix)) == 0 && table[i].size >= size) rc = visit(ctx, s->arena + table[i].off, err);
  return rc;
}

void tm_shared_forget(struct tm_shared *s, const char *const *kinds, int n) {
  struct region *table = (struct region *)(void *)s->arena;

  for (int i = 0; i < REGIONS_MAX && table[i].name[0] != '\0'; i++) {
    size_t len = strcspn(table[i].name, ".");
    int wanted = 0;

    for (int k = 0; k < n; k++) wanted |= strlen(kinds[k]) == len && memcmp(kinds[k], table[i].name, len) == 0;
    if (!wanted) table[i].name[0] = '~';
  }
}

void tm_shared_clear(struct tm_shared *s) {
  size_t used = page_up(s->arena_used), from = offsetof(struct tm_shared, counters), to = offsetof(struct tm_shared, arena);

  if (madvise(s->arena, used, MADV_REMOVE) != 0) memset(s->arena, 0, used);
  s->arena_used = page_up(REGIONS_MAX * sizeof(struct region));
  s->drain = s->phase = s->failed = s->strict_failed = 0;
  s->undo.used = 0;
  memset((char *)s + from, 0, to - from);
}

void tm_shared_keep(const struct tm_shared *s, struct tm_keeper *k) {
  const struct region *table = (const struct region *)(const void *)s->arena;
  size_t n = 0;

  tm_keep(k, (const void *)&s->strict_failed, sizeof s->strict_failed);
  tm_keep(k, &s->counters, offsetof(struct tm_shared, failures) - offsetof(struct tm_shared, counters));
  tm_keep(k, s->failures, (size_t)s->failures_n * sizeof s->failures[0]);
  tm_keep(k, &s->failures_n, offsetof(struct tm_shared, flows) - offsetof(struct tm_shared, failures_n));
  tm_keep(k, s->flows, (size_t)s->flows_n * sizeof s->flows[0]);
  tm_keep(k, &s->flows_n, sizeof s->flows_n);
  tm_keep(k, &s->batch_serial, sizeof s->batch_serial);
  tm_keep(k, &s->stopped, sizeof s->stopped);
  tm_keep(k, &s->arena_used, sizeof s->arena_used);
  while (n < REGIONS_MAX && table[n].name[0] != '\0') n++;
  tm_keep(k, table, n * sizeof *table);
}

int tm_shared_holds(const struct tm_shared *s, const void *p, size_t size) {
  uintptr_t at = (uintptr_t)p, low = (uintptr_t)s->arena;

  return at >= low && at - low <= s->arena_size && size <= s->arena_size - (at - low);
}
