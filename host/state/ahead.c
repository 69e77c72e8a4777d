/* ahead.c - looking up by a row of a batch, and fetching what the next rows will need.
 *
 * A lookup among millions of keys waits for memory twice: for the index's slot, then for the item. For many rows at once
 * both waits overlap: a first round works out hashes and asks for the slots, a second asks for the items the slots name.
 *
 * The hashes are remembered by row. One is used again only for the same batch (its serial, given by the caller), the same
 * columns and the same place and length of every cell, so a column that was filled or written over since is hashed anew. */
#include "../base/err.h"
#include "../codec/json_walk.h"
#include "key.h"
#include "table.h"

struct tm_ahead {
  const struct tm_batch *batch;
  const char *raw;
  const struct tm_cell *cells[TM_KEY_PARTS_MAX];
  int32_t cells_n;
  int32_t missing;
  double serial;
  uint32_t stamp;                       /* of the hashes that are good */
  uint32_t stamps[TM_BATCH_ROWS + 1];
  uint32_t hashes[TM_BATCH_ROWS + 1];
  uint64_t places[TM_BATCH_ROWS + 1];
};

void tm_ahead_free(struct tm_table *t) {
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
    memset(a->stamps, 0, sizeof a->stamps);
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

void tm_ffi_state_ahead(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t first,
                        int32_t last, double serial) {
  struct tm_table *t = tm_table_of(s);
  const struct tm_index *x = &t->core.index;
  struct tm_seek k;
  TM_ASSERT(first >= 0 && last <= TM_BATCH_ROWS && cols->n > 0 && cols->n <= TM_KEY_PARTS_MAX);
  if (t->ahead == NULL) t->ahead = tm_account_alloc(&t->account, sizeof *t->ahead);
  struct tm_ahead *a = t->ahead;
  if (a == NULL) return;
  begin(a, b, cols, serial);
  for (int32_t row = first; row < last; row++) {
    if (b->status[row] != 0 || row_seek(t->log->key, b, cols, row, &k) != 0) continue;
    tm_seek_hash(t->log, &k);
    a->hashes[row] = k.hash;
    a->places[row] = place_of(cols, row);
    a->stamps[row] = a->stamp;
    __builtin_prefetch(x->slots + tm_index_home(x, k.hash));
  }
  for (int32_t row = first; row < last; row++) {
    if (a->stamps[row] != a->stamp) continue;
    const struct tm_index_slot *i = tm_index_seek(x, a->hashes[row]);
    if (i->hash != a->hashes[row]) continue;
    __builtin_prefetch(tm_heap_at(&t->core.heap, i->at), 1);
    __builtin_prefetch(tm_item_at(t, i->at));
  }
}

/* the key of a row with its hash: 0 or a code */
static int row_key(struct tm_table *t, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row,
                   double serial, struct tm_seek *k) {
  const struct tm_ahead *a = t->ahead;
  int code = row_seek(t->log->key, b, cols, row, k);
  if (code != 0) return code;
  if (a != NULL && a->stamps[row] == a->stamp && same(a, b, cols, serial) && a->places[row] == place_of(cols, row)) {
    k->hash = a->hashes[row];
  } else {
    tm_seek_hash(t->log, k);
  }
  return 0;
}

void *tm_ffi_state_write_row(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols,
                             int32_t row, double serial) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek k;
  s->code = row_key(t, b, cols, row, serial, &k);
  return s->code != 0 ? NULL : tm_table_write(t, &k);
}

const void *tm_ffi_state_find_row(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols,
                                  int32_t row, double serial) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek k;
  s->code = row_key(t, b, cols, row, serial, &k);
  if (s->code != 0) return NULL;
  uint32_t at = tm_table_find(t, &k);
  return at == 0 ? NULL : tm_record_at(t, at);
}
