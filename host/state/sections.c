/* sections.c - many small states in one: the open windows of a step when there are more than can have a table each.
 *
 *   item's key   | section, 8 bytes | key |    a record of the section
 *                | section, 8 bytes |          its head: `order`, the table's last field, lists the keys by first arrival
 *
 * A table of its own costs pages and mappings, a section an item and a list. All is made of what tables and lists do, so it is logged and
 * undone as that is. What is handed out of a key (tm_ffi_state_key, tm_ffi_key_slot) leaves the section's bytes out. */
#include <math.h>

#include "../base/err.h"
#include "key.h"
#include "table.h"
#include "value.h"

static struct tm_key *key_begin(struct tm_table *t, double section) {
  struct tm_key *k = t->log->key;
  section += 0.0;  /* -0 is 0 */
  memcpy(k->bytes, &section, TM_SECTION_BYTES);
  k->len = TM_SECTION_BYTES;
  return k;
}

static int32_t order_field(const struct tm_table *t) {
  TM_ASSERT(t->prefix != 0);
  return (int32_t)t->fields_n - 1;
}

static uint32_t find(const struct tm_table *t, const struct tm_key *k) {
  struct tm_seek seek = tm_seek_key(t->log, k->bytes, (uint32_t)k->len);
  return tm_table_find(t, &seek);
}

/* the section's head, about to be written: NULL, see code */
static void *head_write(struct tm_table *t, double section) {
  section += 0.0;
  struct tm_seek seek = tm_seek_key(t->log, (const char *)&section, TM_SECTION_BYTES);
  return tm_table_write(t, &seek, tm_table_find(t, &seek));
}

static void *head_find(const struct tm_table *t, double section) {
  section += 0.0;
  struct tm_seek seek = tm_seek_key(t->log, (const char *)&section, TM_SECTION_BYTES);
  uint32_t at = tm_table_find(t, &seek);
  return at == 0 ? NULL : tm_record_at(t, at);
}

/* The record of the key in k, and its place in the section's order if it is new. */
static void *record_write(struct tm_table *t, double section, const struct tm_key *k) {
  struct tm_seek seek = tm_seek_key(t->log, k->bytes, (uint32_t)k->len);
  int32_t mark = t->log->pub.used;
  void *record = tm_table_write(t, &seek, tm_table_find(t, &seek));
  if (record == NULL || t->pub.code != TM_STATE_NEW) return record;
  struct tm_value v = {.text = k->bytes + TM_SECTION_BYTES, .len = k->len - TM_SECTION_BYTES, .kind = TM_VALUE_STRING};
  void *head = head_write(t, section);
  int32_t code = head == NULL ? t->pub.code : tm_ffi_list_push(&t->pub, head, order_field(t), &v);
  t->pub.code = code < 0 ? code : TM_STATE_NEW;
  if (code >= 0) return record;
  tm_changes_undo(t->log, mark);
  return NULL;
}

void *tm_ffi_section_write(struct tm_state *s, double section, const struct tm_key *k) {
  struct tm_table *t = tm_table_of(s);
  struct tm_key *own = key_begin(t, section);
  s->code = TM_STATE_TOO_LONG;
  if (k->len > TM_KEY_MAX - TM_SECTION_BYTES) return NULL;
  memcpy(own->bytes + own->len, k->bytes, (size_t)k->len);
  own->len += k->len;
  return record_write(t, section, own);
}

void *tm_ffi_section_write_row(struct tm_state *s, double section, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row) {
  struct tm_table *t = tm_table_of(s);
  struct tm_key *k = key_begin(t, section);
  s->code = tm_key_row_put(k, b, cols, row);
  return s->code != 0 ? NULL : record_write(t, section, k);
}

/* the record of a section whose key is these bytes, or NULL */
static void *record_find(struct tm_table *t, double section, const char *key, int32_t len) {
  struct tm_key *k = key_begin(t, section);
  memcpy(k->bytes + k->len, key, (size_t)len);
  k->len += len;
  uint32_t at = find(t, k);
  return at == 0 ? NULL : tm_record_at(t, at);
}

void *tm_ffi_section_at(struct tm_state *s, double section, double i) {
  struct tm_table *t = tm_table_of(s);
  struct tm_value key;
  void *head = head_find(t, section);
  if (head == NULL || tm_ffi_list_get(s, head, order_field(t), i, &key) != 0) return NULL;
  return record_find(t, section, key.text, key.len);
}

void *tm_ffi_section_peer(struct tm_state *s, double section, const void *record) {
  int32_t len;
  const char *key = tm_ffi_state_key(s, record, &len);
  return record_find(tm_table_of(s), section, key, len);
}

int32_t tm_ffi_section_drop(struct tm_state *s, double section, int32_t most) {
  struct tm_table *t = tm_table_of(s);
  void *head = head_find(t, section);
  if (head == NULL) return 0;
  const struct tm_state_ref *order = tm_field_ref(t, head, order_field(t));
  int32_t mark = t->log->pub.used, code = 0;
  for (; code >= 0 && order->n > 0 && most > 0; most--) {
    struct tm_value key;
    code = tm_ffi_list_shift(s, head, order_field(t), &key);
    if (code >= 0) code = tm_ffi_state_remove(s, record_find(t, section, key.text, key.len));
  }
  if (code >= 0) code = order->n > 0 ? TM_STATE_MORE : tm_ffi_state_remove(s, head);
  if (code < 0) tm_changes_undo(t->log, mark);
  return code;
}

/* ---- becoming one ---- */

static double first_of(const struct tm_section_merge *m, const void *record) {
  double v;
  memcpy(&v, (const char *)record + m->first, sizeof v);
  return v;
}

static void step(struct tm_state *s, struct tm_section_merge *m, int32_t i) {
  const void *record = tm_ffi_section_at(s, m->sections[i], ++m->next[i]);
  m->firsts[i] = record == NULL ? (double)INFINITY : first_of(m, record);
}

void tm_ffi_section_merge_begin(struct tm_state *s, struct tm_section_merge *m) {
  TM_ASSERT(m->n >= 0 && m->n <= TM_SECTIONS_MERGED);
  for (int32_t i = 0; i < m->n; i++) {
    m->next[i] = 0;
    step(s, m, i);
  }
}

int32_t tm_ffi_section_merge_next(struct tm_state *s, struct tm_section_merge *m) {
  struct tm_table *t = tm_table_of(s);
  int32_t least = 0;
  for (int32_t i = 1; i < m->n; i++)
    if (m->firsts[i] < m->firsts[least]) least = i;
  if (m->n == 0 || isinf(m->firsts[least])) return 0;
  m->from = tm_ffi_section_at(s, m->sections[least], m->next[least]);
  double first = m->firsts[least];
  step(s, m, least);
  int32_t len;
  const char *key = tm_ffi_state_key(s, m->from, &len);
  struct tm_key *k = key_begin(t, m->into);
  memcpy(k->bytes + k->len, key, (size_t)len);
  k->len += len;
  m->record = record_write(t, m->into, k);
  if (m->record == NULL) return t->pub.code;
  m->fresh = t->pub.code == TM_STATE_NEW;
  if (m->fresh) memcpy((char *)m->record + m->first, &first, sizeof first);
  return 1;
}
