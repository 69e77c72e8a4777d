/* cursor.c - walking over a table's keys in the order of their arrival, and reading the key of a record as a row's field.
 *
 * A cursor is a place in the log of arrivals (table.h); keys that come while it walks are met, ones that go are not. What
 * makes that log shorter moves the cursors of its table too (care.c). */
#include "key.h"
#include "table.h"

struct tm_state_cursor *tm_ffi_cursor_new(struct tm_state *s) {
  struct tm_table *t = tm_table_of(s);
  struct tm_cursor *w = tm_account_alloc_apart(&t->account, sizeof *w);
  if (w == NULL) return NULL;
  t->apart += (double)sizeof *w;
  w->table = t;
  w->at = t->core.arrival.head;
  w->next = t->cursors;
  t->cursors = w;
  return &w->pub;
}

void tm_ffi_cursor_free(struct tm_state_cursor *pub) {
  struct tm_cursor *w = (struct tm_cursor *)(void *)pub;
  if (w == NULL) return;
  struct tm_cursor **p = &w->table->cursors;
  while (*p != w) p = &(*p)->next;
  *p = w->next;
  w->table->apart -= (double)sizeof *w;
  tm_account_free(&w->table->account, w, sizeof *w);
}

void *tm_ffi_cursor_next(struct tm_state_cursor *pub) {
  enum { FETCH = 16, GAP_MAX = 65536 };  /* a call passes so many records that are gone */
  struct tm_cursor *w = (struct tm_cursor *)(void *)pub;
  struct tm_table *t = w->table;
  const struct tm_arrival *a = &t->core.arrival;
  if (w->at < a->head) w->at = a->head;
  for (int32_t gap = 0; w->at < a->end && gap < GAP_MAX; gap++) {
    uint32_t at = a->ring[w->at++ & a->mask];
    if (at == 0) continue;
    if (w->at + FETCH < a->end) {
      const char *next = tm_record_at(t, a->ring[(w->at + FETCH) & a->mask]);
      __builtin_prefetch(next);
      __builtin_prefetch(next + t->record_size);
    }
    w->pub.done = 0;
    return tm_record_at(t, at);
  }
  w->pub.done = w->at >= a->end;
  if (w->at > a->end) w->at = a->end;
  return NULL;
}

const void *tm_ffi_cursor_at(const struct tm_state_cursor *pub) {
  const struct tm_cursor *w = (const struct tm_cursor *)(const void *)pub;
  const struct tm_arrival *a = &w->table->core.arrival;
  if (w->at <= a->head || w->at > a->end) return NULL;
  uint32_t at = a->ring[(w->at - 1) & a->mask];
  return at == 0 ? NULL : tm_record_at(w->table, at);
}

int32_t tm_ffi_key_slot(struct tm_state *s, const void *record, int32_t part, struct tm_view *v, struct tm_overlay *ov, int32_t slot) {
  struct tm_value parts[TM_KEY_PARTS_MAX];
  const struct tm_value *k = parts + part;
  int32_t len;
  uint32_t n;
  const char *key = tm_ffi_state_key(s, record, &len);
  if (len > 0 && tm_key_short(key, &n) && (int32_t)n + 1 == len) {
    parts[0] = (struct tm_value){.text = key + 1, .len = (int32_t)n, .kind = TM_VALUE_STRING};
  } else if (tm_ffi_key_parts(key, len, parts) <= part) {
    return 0;
  }
  if (k->kind != TM_VALUE_STRING) return 0;
  ov->gens[slot] = v->gen;
  ov->slots[slot] = (struct tm_slot){.text = k->text, .len = k->len, .kind = TM_SLOT_STRING};
  ov->written[v->base + ++v->writes] = slot;
  v->dirty = 1;
  return 1;
}
