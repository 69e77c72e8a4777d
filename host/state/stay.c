/* stay.c - the row of entries in chunks, and asking for what the next to leave will need. */
#include "stay.h"

#include "../base/err.h"
#include "fetch.h"

enum { CHUNK_BYTES = 32 * 1024, FAR = 6, NEAR = 3 };

struct chunk {
  struct chunk *next;
  char entries[];
};

struct tm_stay {
  struct chunk *first, *last;     /* the same: one chunk */
  struct chunk *spare;            /* one that was emptied, or NULL */
  uint32_t at, end;               /* entries of the first chunk that went; of the last that came */
  uint32_t stride, per_chunk;
  uint32_t number;
  int32_t place;
  double size;
};

static size_t chunk_bytes(const struct tm_stay *y) { return sizeof(struct chunk) + (size_t)y->stride * y->per_chunk; }

int tm_stay_fits(const struct tm_table *t, int32_t cells, double size, int32_t place) {
  const struct tm_stay *y = t->stay;
  return y == NULL || (y->stride == sizeof(struct tm_stayed) + (size_t)cells * sizeof(uint64_t) && y->size == size && y->place == place);
}

int tm_stay_init(struct tm_table *t, int32_t cells, double size, int32_t place) {
  if (t->stay != NULL) return 0;
  struct tm_stay *y = tm_account_alloc_hot(&t->account, sizeof *y);
  if (y == NULL) return -1;
  y->stride = (uint32_t)(sizeof(struct tm_stayed) + (size_t)cells * sizeof(uint64_t));
  y->per_chunk = CHUNK_BYTES / y->stride;
  y->size = size;
  y->place = place;
  t->stay = y;
  return 0;
}

static void chunk_free(struct tm_table *t, struct chunk *c) { tm_account_free(&t->account, c, chunk_bytes(t->stay)); }

void tm_stay_free(struct tm_table *t) {
  struct tm_stay *y = t->stay;
  if (y == NULL) return;
  for (struct chunk *c = y->first, *next; c != NULL; c = next) {
    next = c->next;
    chunk_free(t, c);
  }
  if (y->spare != NULL) chunk_free(t, y->spare);
  tm_account_free(&t->account, y, sizeof *y);
  t->stay = NULL;
}

uint32_t tm_stay_number(struct tm_table *t) { return ++t->stay->number; }

static void next_set(struct chunk *c, struct chunk *next) {
  tm_arena_mark(c, sizeof *c);
  c->next = next;
}

static struct tm_stayed *entry_at(const struct tm_stay *y, struct chunk *c, uint32_t i) {
  return (struct tm_stayed *)(void *)(c->entries + (size_t)i * y->stride);
}

/* Entry n of those there are, or NULL; n is less than a chunk has. */
static const struct tm_stayed *entry_ahead(const struct tm_stay *y, uint32_t n) {
  struct chunk *c = y->first;
  uint32_t i = y->at + n;
  if (c != NULL && i >= y->per_chunk && c != y->last) {
    i -= y->per_chunk;
    c = c->next;
  }
  return c == NULL || i >= (c == y->last ? y->end : y->per_chunk) ? NULL : entry_at(y, c, i);
}

/* the same, about to be written */
static struct tm_stayed *entry_change(const struct tm_stay *y, struct chunk *c, uint32_t i) {
  struct tm_stayed *e = entry_at(y, c, i);
  tm_arena_mark(e, y->stride);
  return e;
}

struct tm_stayed *tm_stay_room(struct tm_table *t) {
  struct tm_stay *y = t->stay;
  if (y->last != NULL && y->end < y->per_chunk) return entry_change(y, y->last, y->end);
  struct chunk *c = y->spare;
  y->spare = NULL;
  if (c == NULL) c = tm_account_alloc(&t->account, chunk_bytes(y));
  if (c == NULL) return NULL;
  next_set(c, NULL);
  if (y->last == NULL) y->first = c;
  else next_set(y->last, c);
  y->last = c;
  y->end = 0;
  return entry_change(y, c, 0);
}

void tm_stay_add(struct tm_table *t) { t->stay->end++; }

const struct tm_stayed *tm_stay_leaving(const struct tm_table *t, double now) {
  const struct tm_stayed *e = entry_ahead(t->stay, 0);
  if (e == NULL) return NULL;
  double time;
  memcpy(&time, e->cells, sizeof time);
  return now - time >= t->stay->size ? e : NULL;
}

uint32_t tm_stay_item(const struct tm_table *t, const struct tm_stayed *e) {
  for (const struct tm_index_slot *s = tm_index_seek(&t->core.index, e->hash); s->hash == e->hash; s++) {
    const double *record = (const double *)(const void *)tm_record_at(t, s->at);
    if (record[t->stay->place] == e->number) return s->at;
  }
  return 0;
}

void tm_stay_drop(struct tm_table *t) {
  struct tm_stay *y = t->stay;
  TM_ASSERT(y->first != NULL);
  y->at++;
  if (y->at == (y->first == y->last ? y->end : y->per_chunk)) {
    struct chunk *c = y->first;
    y->first = c->next;
    if (y->first == NULL) y->last = NULL;
    y->at = 0;
    if (y->spare == NULL) y->spare = c;
    else chunk_free(t, c);
  }
  const struct tm_stayed *far = entry_ahead(y, FAR), *near = entry_ahead(y, NEAR);
  if (far != NULL) tm_index_ask(&t->core.index, far->hash);
  if (near != NULL) tm_item_fetch(t, near->hash, TM_KEY_GUESS);
}
