/* ahead.c - looking up by a row of a batch, and fetching what the next rows will need.
 *
 * A lookup among millions of keys waits for memory twice: for the index's slot, then for the item, and who reads what hangs off its
 * first field a third time. Rows of a batch come in order, so all are asked for before their row is due:
 *
 *   row asked about      + NEXT: its item came,         + NEAR: its slot came,       + FAR: hashed,
 *                          its first text is asked for    its item is asked for        its slot is asked for
 *                        + LAST: where entries of a series begin and end
 *
 * Each lookup by row moves this window on. More ahead would be lost again: what a processor remembers of pages is soon used up.
 *
 * Hash and item are remembered by row. They are used again only for the same batch (its serial, given by the caller), the
 * same columns and the same place and length of every cell, so a column that was filled or written over since is hashed
 * anew; an item only while no item of the table was freed or moved, and its key is compared in any case. */
#include "../base/err.h"
#include "../codec/json_walk.h"
#include "deque.h"
#include "fetch.h"
#include "key.h"

enum { LAST = 8, NEXT = 16, NEAR = 32, FAR = 64, STEP = 4, TEXT_LINES = 2 };

struct tm_ahead_row {
  uint64_t place;
  uint32_t stamp;                       /* the hash is good if it is that of tm_ahead */
  uint32_t hash;
  uint32_t at;                          /* an item of that hash, or 0 */
  uint32_t moves;                       /* tm_table.moves when it was found */
  uint32_t key;                         /* bytes of the key */
};

struct tm_ahead {
  const struct tm_batch *batch;
  const char *raw;
  const struct tm_cell *cells[TM_KEY_PARTS_MAX];
  int32_t cells_n;
  int32_t missing;
  double serial;
  uint32_t stamp;
  int32_t turn, half;                   /* the row at which the next half is asked for, and which was last */
  int32_t ends, read, found, hashed, last;  /* rows before ends have the ends of their series, before read their texts, before found
                                         * their items, before hashed their slots; none from last on */
  struct tm_ahead_row rows[TM_BATCH_ROWS + 1];
};

void tm_ahead_free(struct tm_table *t) {
  if (t->ahead == NULL) return;
  t->apart -= (double)sizeof *t->ahead;
  tm_account_free(&t->account, t->ahead, sizeof *t->ahead);
  t->ahead = NULL;
}

/* where the cells of a row lie and what they are */
static uint64_t place_of(const struct tm_key_columns *cols, int32_t row) {
  uint64_t place = 0;
  for (int32_t i = 0; i < cols->n; i++) {
    const struct tm_cell *c = cols->cells[i] + row;
    place = (place ^ ((uint64_t)(uint32_t)c->off << 32 | (uint32_t)c->tag)) * 0x9e3779b97f4a7c15u;
  }
  return place;
}

static int same(const struct tm_ahead *a, const struct tm_batch *b, const struct tm_key_columns *cols, double serial) {
  if (a->serial != serial || a->batch != b || a->raw != b->raw) return 0;
  if (a->cells_n != cols->n || a->missing != cols->missing) return 0;
  for (int32_t i = 0; i < cols->n; i++) {
    if (a->cells[i] != cols->cells[i]) return 0;
  }
  return 1;
}

static void begin(struct tm_ahead *a, const struct tm_batch *b, const struct tm_key_columns *cols, double serial) {
  if (same(a, b, cols, serial)) return;
  a->serial = serial;
  a->batch = b;
  a->raw = b->raw;
  a->cells_n = cols->n;
  a->missing = cols->missing;
  for (int32_t i = 0; i < cols->n; i++) a->cells[i] = cols->cells[i];
  if (++a->stamp == 0) {
    memset(a->rows, 0, sizeof a->rows);
    a->stamp = 1;
  }
}

/* The key of a row, not yet hashed: a short string where it lies, anything else as bytes in k. 0 or a code. */
static inline int row_seek(struct tm_key *k, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row,
                           struct tm_seek *out) {
  const struct tm_cell *c = cols->cells[0] + row;
  int32_t len = tm_cell_len(c);
  if (cols->n == 1 && tm_cell_kind(c) == TM_KIND_STRING && len <= TM_KEY_SHORT_MAX) {
    *out = (struct tm_seek){b->raw + c->off, (uint32_t)len, TM_KEY_SHORT + len, 0};
    return 0;
  }
  int code = tm_ffi_key_row(k, b, cols, row);
  if (code != 0) return code;
  uint32_t n;
  if (k->len > 0 && tm_key_short(k->bytes, &n) && (int32_t)n + 1 == k->len) {
    *out = (struct tm_seek){k->bytes + 1, n, (unsigned char)k->bytes[0], 0};
  } else {
    *out = (struct tm_seek){k->bytes, (uint32_t)k->len, -1, 0};
  }
  return 0;
}

int tm_row_seek(struct tm_key *k, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row, struct tm_seek *out) {
  return row_seek(k, b, cols, row, out);
}

static void slot_fetch(struct tm_table *t, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row) {
  struct tm_ahead_row *r = t->ahead->rows + row;
  struct tm_seek k;
  if (b->status[row] != 0 || row_seek(t->log->key, b, cols, row, &k) != 0) return;
  tm_seek_hash(t->log, &k);
  *r = (struct tm_ahead_row){place_of(cols, row), t->ahead->stamp, k.hash, 0, 0, k.len + (k.tag >= 0)};
  tm_index_ask(&t->core.index, k.hash);
}

static void item_fetch(struct tm_table *t, int32_t row) {
  struct tm_ahead_row *r = t->ahead->rows + row;
  if (r->stamp != t->ahead->stamp) return;
  r->at = tm_item_fetch(t, r->hash, r->key);
  r->moves = t->moves;
}

/* inlined, as gcc takes a function that only fetches for one that does nothing, and leaves its calls out */
static inline __attribute__((always_inline)) void text_fetch(struct tm_table *t, int32_t row) {
  const struct tm_ahead_row *r = t->ahead->rows + row;
  if (r->stamp != t->ahead->stamp || r->at == 0 || r->moves != t->moves) return;
  const struct tm_state_ref *ref = (const void *)(tm_record_at(t, r->at) + t->fields[0].off);
  if (ref->at == 0 || ref->at == (uint32_t)TM_TEXT_EMPTY) return;
  const char *p = tm_heap_at(&t->core.heap, ref->at);
  for (int n = 0; n < TEXT_LINES; n++) __builtin_prefetch(p + n * TM_LINE);
}

/* What lies behind a record is often all in its series (table.h, follow). The item may be freed by now: what it says is only
 * a guess, which must lie in memory that can be read. NULL: it does not, or there is none behind the record. */
static inline const struct tm_state_ref *series_of(const struct tm_table *t, int32_t row) {
  const struct tm_ahead_row *r = t->ahead->rows + row;
  size_t open = t->core.heap.mem.open;
  if (r->stamp != t->ahead->stamp || r->at == 0 || (size_t)r->at * 8 + t->record_off + t->record_size > open) return NULL;
  const struct tm_state_ref *ref = (const struct tm_state_ref *)(const void *)(tm_record_at(t, r->at) + t->follow);
  return ref->at == 0 || (size_t)ref->at * 8 + sizeof(struct tm_deque) > open ? NULL : ref;
}

static inline __attribute__((always_inline)) void series_fetch(struct tm_table *t, int32_t row) {
  const struct tm_state_ref *ref = series_of(t, row);
  if (ref != NULL) __builtin_prefetch(tm_heap_at(&t->core.heap, ref->at), 1);
}

/* where its first entries lie, and the one that will be the last */
static inline __attribute__((always_inline)) void ends_fetch(struct tm_table *t, int32_t row) {
  const struct tm_state_ref *ref = series_of(t, row);
  const struct tm_heap *h = &t->core.heap;
  uint32_t size = (uint32_t)t->fields[t->fields_n - 1].of * TM_CELL_BYTES;
  if (ref == NULL) return;
  const struct tm_deque *d = tm_heap_at(h, ref->at);
  const char *first = (const char *)(d + 1), *last = first;
  uint32_t cap = d->cap, from = d->head, to = d->head + ref->n;
  if ((cap & TM_DEQUE_BIG) != 0) {
    uint32_t per = TM_CHUNK_BYTES / size, dirs = (cap & ~TM_DEQUE_BIG) - 1, at = from / per & dirs, end = to / per & dirs;
    const uint32_t *dir = (const uint32_t *)(const void *)first;
    if ((size_t)ref->at * 8 + sizeof *d + ((size_t)(at > end ? at : end) + 1) * sizeof *dir > h->mem.open) return;
    first = tm_heap_at(h, dir[at]);
    last = tm_heap_at(h, dir[end]);
    cap = per;
  }
  first += (size_t)(from & (cap - 1)) * size;
  __builtin_prefetch(first, 1);
  __builtin_prefetch(first + TM_LINE);
  __builtin_prefetch(last + (size_t)(to & (cap - 1)) * size, 1);
}

/* How far a stage goes: none from last on. */
static inline int32_t upto(const struct tm_ahead *a, int32_t row) { return row + STEP < a->last ? row + STEP : a->last; }

/* Of STEP rows, slots and the ends of series. */
static inline void far_fetch(struct tm_table *t, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row) {
  struct tm_ahead *a = t->ahead;
  int32_t far = upto(a, row + FAR), ends = upto(a, row + LAST);
  if (a->hashed < row) a->hashed = row;
  while (a->hashed < far) slot_fetch(t, b, cols, a->hashed++);
  if (a->ends < row) a->ends = row;
  while (a->ends < ends && t->follow >= 0) ends_fetch(t, a->ends++);
}

/* Items, and what is found in them. */
static inline void near_fetch(struct tm_table *t, int32_t row) {
  struct tm_ahead *a = t->ahead;
  int32_t near = upto(a, row + NEAR), next = upto(a, row + NEXT);
  if (a->found < row) a->found = row;
  while (a->found < near) item_fetch(t, a->found++);
  if (a->read < row) a->read = row;
  while (a->read < next && t->follow >= 0) series_fetch(t, a->read++);
  while (a->read < next && t->fields_n > 0) text_fetch(t, a->read++);
}

/* row is due; those up to LAST, NEXT, NEAR and FAR behind it, and STEP more, are asked for. Half of it at a time: all in one go is
 * more than a processor can wait for. */
static void window_move(struct tm_table *t, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row) {
  struct tm_ahead *a = t->ahead;
  a->turn = row + STEP / 2;
  a->half = !a->half;
  if (a->half) far_fetch(t, b, cols, row);
  else near_fetch(t, row);
}

void tm_ffi_state_ahead(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t first,
                        int32_t last, double serial) {
  struct tm_table *t = tm_table_of(s);
  TM_ASSERT(first >= 0 && last <= TM_BATCH_ROWS && cols->n > 0 && cols->n <= TM_KEY_PARTS_MAX);
  if (t->ahead == NULL) {
    t->ahead = tm_account_alloc_apart(&t->account, sizeof *t->ahead);
    if (t->ahead == NULL) return;
    t->apart += (double)sizeof *t->ahead;
  }
  struct tm_ahead *a = t->ahead;
  begin(a, b, cols, serial);
  a->ends = a->read = a->found = a->hashed = first;
  a->last = last;
  a->half = 0;
  window_move(t, b, cols, first);
  window_move(t, b, cols, first);
}

/* The key of a row with its hash, and what is known of its item: 0 or a code. */
static int row_key(struct tm_table *t, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row,
                   double serial, struct tm_seek *k, uint32_t *at) {
  struct tm_ahead *a = t->ahead;
  *at = 0;
  if (a == NULL || !same(a, b, cols, serial)) {
    int code = row_seek(t->log->key, b, cols, row, k);
    if (code == 0) tm_seek_hash(t->log, k);
    return code;
  }
  if (row >= a->turn) window_move(t, b, cols, row);
  int code = row_seek(t->log->key, b, cols, row, k);
  if (code != 0) return code;
  const struct tm_ahead_row *r = a->rows + row;
  if (r->stamp != a->stamp || r->place != place_of(cols, row)) {
    tm_seek_hash(t->log, k);
    return 0;
  }
  k->hash = r->hash;
  if (r->at != 0 && r->moves == t->moves && tm_item_is(tm_item_at(t, r->at), k)) *at = r->at;
  return 0;
}

void *tm_ffi_state_write_row(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols,
                             int32_t row, double serial) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek k;
  uint32_t at;
  s->code = row_key(t, b, cols, row, serial, &k, &at);
  if (s->code != 0) return NULL;
  return tm_table_write(t, &k, at != 0 ? at : tm_table_find(t, &k));
}

const void *tm_ffi_state_find_row(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols,
                                  int32_t row, double serial) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek k;
  uint32_t at;
  s->code = row_key(t, b, cols, row, serial, &k, &at);
  if (s->code != 0) return NULL;
  if (at == 0) at = tm_table_find(t, &k);
  return at == 0 ? NULL : tm_record_at(t, at);
}
