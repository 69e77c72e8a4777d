/* arena_room.c - who has which addresses of an arena: rooms for regions, and the two heaps for everything small.
 *
 * Rooms are carved one behind the other in sizes that are eighths of powers of two, and given back into a list of their size, so that
 * windows that come and go use the same addresses again. Small things lie in two heaps (heap.h): one in the hot part, which is
 * compared at each cut, and one in rooms. All of this lies in the arena itself. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../base/err.h"
#include "arena_own.h"
#include "queue.h"

enum { ROOM_LOG = 13, ROOM_ALIGN = 2 * 1024 * 1024 };
static const size_t STATE_LEAST = (size_t)64 << 20, COLD_MOST = (size_t)32 << 30, ROOMS_AT = TM_ARENA_PAGE;

static size_t class_size(uint32_t c) { return (size_t)(8 + (c & 7)) << (ROOM_LOG + (c >> 3)); }

static uint32_t class_of(size_t size) {
  uint32_t c = 0;
  while (c < TM_ARENA_CLASSES - 1 && class_size(c) < size) c++;
  return c;
}

static size_t rooms_end(void) {
  return tm_page_up(ROOMS_AT + (size_t)TM_ARENA_ROOMS * sizeof(struct tm_arena_room));
}

/* The sizes of what lies in the arena: another program may have other ones. */
static uint64_t layout(void) {
  static const size_t sizes[] = {sizeof(struct tm_arena_root), sizeof(struct tm_log), sizeof(struct tm_table), sizeof(struct tm_core),
                                 sizeof(struct tm_due), sizeof(struct tm_state_field), sizeof(struct tm_state), sizeof(struct tm_item),
                                 TM_HEAP_CLASSES, TM_BLOCK_BYTES, TM_QUEUE_RUN};
  uint64_t h = TM_ARENA_VERSION;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) h = (h ^ sizes[i]) * UINT64_C(0x100000001b3);
  return h;
}

/* ---- rooms ---- */

size_t tm_arena_room_share(const struct tm_arena *a, size_t most) {
  const struct tm_arena_root *root = tm_arena_root(a);
  /* four rooms a state, which are 9/4 of its heap; as if so many more were to come */
  size_t states = 32 + root->rooms, left = a->reserve - (size_t)root->carved;
  while (most > STATE_LEAST && most / 4 * 9 * states > left) most /= 2;
  return most;
}

uint32_t tm_arena_room_take(struct tm_arena *a, size_t size) {
  struct tm_arena_root *root = tm_arena_root(a);
  uint32_t c = class_of(size), id = root->gone[c];
  if (class_size(c) < size) return 0;
  if (id != 0) {
    root->gone[c] = tm_arena_room(a, id)->next;
    return id;
  }
  size_t align = class_size(c) < ROOM_ALIGN ? TM_ARENA_PAGE : ROOM_ALIGN;
  uint64_t at = (root->carved + align - 1) & ~(uint64_t)(align - 1);
  if (root->rooms == TM_ARENA_ROOMS || at + class_size(c) > a->reserve) return 0;
  id = root->rooms++;
  root->carved = at + class_size(c);
  struct tm_arena_room *r = tm_arena_room(a, id);
  tm_arena_hot_use(a, (size_t)((char *)r - a->base), sizeof *r);
  *r = (struct tm_arena_room){at, 0, c, 0};
  return id;
}

void tm_arena_room_give(struct tm_arena *a, uint32_t id) {
  struct tm_arena_root *root = tm_arena_root(a);
  struct tm_arena_room *r = tm_arena_room(a, id);
  if (r->open > 0) {
    tm_arena_drop(a, (size_t)r->at, (size_t)r->open);
    mprotect(a->base + r->at, (size_t)r->open, PROT_NONE);
  }
  r->open = 0;
  r->next = root->gone[r->cls];
  root->gone[r->cls] = id;
}

/* ---- the root ---- */

int tm_arena_root_make(struct tm_arena *a) {
  struct tm_arena_root *root = tm_arena_root(a);
  size_t from = rooms_end();
  if (mprotect(a->base, a->hot, PROT_READ | PROT_WRITE) != 0) return -1;
  tm_arena_hot_use(a, 0, sizeof *root);
  *root = (struct tm_arena_root){.magic = TM_ARENA_MAGIC, .layout = layout(), .base = (uint64_t)(uintptr_t)a->base, .reserve = a->reserve,
                                 .hot = a->hot, .carved = a->hot, .rooms = 1};
  root->account = (struct tm_account){&root->budget, &root->share, NULL, a};
  if (tm_heap_init(&root->cold_heap, &root->account, a->reserve / 8 < COLD_MOST ? a->reserve / 8 : COLD_MOST) != 0) return -1;
  return tm_heap_init_at(&root->hot_heap, &root->account, a->base + from, a->hot - from);
}

const char *tm_arena_root_wrong(const struct tm_arena *a) {
  const struct tm_arena_root *root = tm_arena_root(a);
  if (!a->used[0] || root->magic != TM_ARENA_MAGIC) return "there is no state in it";
  if (root->layout != layout()) return "another version of the program laid it out";
  if (root->base != (uint64_t)(uintptr_t)a->base) return "it was at another address";
  if (root->reserve != a->reserve || root->hot != a->hot) return "it had another size";
  if (root->rooms > TM_ARENA_ROOMS || root->carved > a->reserve) return "its rooms are damaged";
  for (uint32_t id = 1; id < root->rooms; id++) {
    const struct tm_arena_room *r = tm_arena_room(a, id);
    if (r->cls >= TM_ARENA_CLASSES || r->at < a->hot || r->at + class_size(r->cls) > root->carved || r->open > class_size(r->cls))
      return "its rooms are damaged";
  }
  if (!tm_arena_holds(a, root->log) || (size_t)((char *)root->log - a->base) >= a->hot) return "its log of changes is not in it";
  return NULL;
}

int tm_arena_protect(struct tm_arena *a) {
  const struct tm_arena_root *root = tm_arena_root(a);
  if (mprotect(a->base + a->hot, a->reserve - a->hot, PROT_NONE) != 0) return -1;
  if (mprotect(a->base, a->hot, PROT_READ | PROT_WRITE) != 0) return -1;
  for (uint32_t id = 1; id < root->rooms; id++) {
    const struct tm_arena_room *r = tm_arena_room(a, id);
    if (r->open > 0 && mprotect(a->base + r->at, (size_t)r->open, PROT_READ | PROT_WRITE) != 0) return -1;
  }
  return 0;
}

/* ---- small things ---- */

void *tm_arena_alloc(struct tm_arena *a, size_t n, int hot) {
  struct tm_arena_root *root = tm_arena_root(a);
  struct tm_heap *h = hot ? &root->hot_heap : &root->cold_heap;
  uint32_t at = n > TM_HEAP_SIZE_MAX ? 0 : tm_heap_alloc(h, (uint32_t)n);
  if (at == 0) return NULL;
  char *p = tm_heap_at(h, at);
  /* what has blocks of its own was dropped before, and only what is written of it is marked */
  if (!hot && n > TM_HEAP_CLASS_MAX) return p;
  if (hot) tm_arena_hot_use(a, (size_t)(p - a->base), n);
  else tm_arena_mark(p, n);
  memset(p, 0, n);
  return p;
}

void tm_arena_release(struct tm_arena *a, void *p) {
  struct tm_arena_root *root = tm_arena_root(a);
  struct tm_heap *h = (size_t)((char *)p - a->base) < a->hot ? &root->hot_heap : &root->cold_heap;
  tm_heap_free(h, (uint32_t)((size_t)((char *)p - h->mem.base) / 8));
}

/* ---- whose is it ---- */

struct places { const struct tm_arena *a; uint64_t offset; const struct tm_state *found; const char *what; };

static void look_struct(struct places *w, const struct tm_state *s, const void *p, size_t n, const char *what) {
  uint64_t from = (uint64_t)((uintptr_t)p - (uintptr_t)w->a->base);
  if (p == NULL || w->offset < from || w->offset >= from + n) return;
  w->found = s;
  w->what = what;
}

static void look(struct places *w, const struct tm_state *s, const struct tm_region *r, const char *what) {
  look_struct(w, s, r->base, r->reserved, what);
}

void tm_arena_owner(const struct tm_arena *a, uint64_t offset, char *out, size_t size) {
  const struct tm_arena_root *root = tm_arena_root(a);
  struct places w = {a, offset, NULL, offset < a->hot ? "hot part" : "small things or nothing"};
  const struct tm_log *log = root->log;
  for (const struct tm_state *s = log != NULL ? log->pub.states : NULL; s != NULL; s = s->next) {
    const struct tm_table *t = (const struct tm_table *)(const void *)s;
    look(&w, s, &t->core.heap.mem, "items and values");
    look(&w, s, &t->core.heap.meta, "descriptions of blocks");
    look(&w, s, &t->core.index.mem, "index");
    look(&w, s, &t->core.arrival.mem, "order of arrival");
    look_struct(&w, s, t, sizeof *t, "struct tm_table");
    look_struct(&w, s, t->core.due, sizeof *t->core.due, "wheels");
    const struct tm_region *nodes, *nexts;
    tm_queue_regions(t, &nodes, &nexts);
    if (nodes == NULL) continue;
    look(&w, s, nodes, "nodes of the queue");
    look(&w, s, nexts, "lists of the queue");
  }
  if (w.found != NULL) snprintf(out, size, "state '%.*s', %s", w.found->name_len, w.found->name, w.what);
  else snprintf(out, size, "%s", w.what);
}
