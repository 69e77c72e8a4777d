/* msgpack_row.c - an event with the fields a script wrote, as a row of msgpack (row.h).
 *
 *   event   83 | k1 v1 | k2 v2 | k3 v3 |           k2 written, k3 removed, k4 new:
 *   row     83 | k1 v1 | k2 new |        k4 v4
 *
 * Members that nobody wrote are copied as they came, whatever form their packer chose. The head counts anew and has its
 * shortest form, as everything that is written here, so a row does not depend on the way it was made (json_row.c). */
#include "../base/buf.h"
#include "json.h"
#include "msgpack_bytes.h"
#include "msgpack_json.h"
#include "packed.h"
#include "row.h"

/* A value that Lua has as JSON text, which may have notes. Lua's strings have no pad, so it is copied. */
static int32_t put_text(struct tm_buf *out, const char *s, int32_t len) {
  static struct tm_buf text;
  if (text.cap_max == 0) tm_buf_init(&text, INT32_MAX - TM_PAD);
  text.len = 0;
  if (tm_buf_put(&text, s, len) != 0) return -1;
  return tm_msgpack_from_json(out, text.data, len);
}

static int32_t put_decimal(struct tm_buf *out, double num, int32_t decimals) {
  char data[64 + TM_PAD];
  struct tm_buf text;
  tm_buf_init_fixed(&text, data, 64);
  int32_t rc = tm_ffi_json_decimal(&text, num, decimals);
  return rc != 0 ? rc : tm_msgpack_from_json(out, data, text.len);
}

static int32_t put_value(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v, const struct tm_slot *s,
                         const struct tm_slot_field *f) {
  switch (s->kind) {
    case TM_SLOT_NUMBER: return tm_msgpack_put_number(out, s->num);
    case TM_SLOT_STRING: return tm_msgpack_put_str(out, s->text, s->len);
    case TM_SLOT_TRUE: return tm_buf_put(out, "\xc3", 1);
    case TM_SLOT_FALSE: return tm_buf_put(out, "\xc2", 1);
    case TM_SLOT_NULL: return tm_buf_put(out, "\xc0", 1);
    case TM_SLOT_TEXT: return put_text(out, s->text, s->len);
    case TM_SLOT_DECIMAL: return put_decimal(out, s->num, f->decimals);
    default: return tm_cell_row_put(out, b, (const struct tm_cell *)(const void *)s->text + v->home, TM_FORMAT_MSGPACK);
  }
}

static int32_t put_member(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v, const struct tm_overlay *ov,
                          int32_t slot) {
  const struct tm_slot_field *f = &ov->fields[slot];
  if (tm_buf_put(out, f->packed, f->packed_len) != 0) return -1;
  return put_value(out, b, v, &ov->slots[slot], f);
}

int32_t tm_msgpack_row_fields(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v, const struct tm_overlay *ov,
                              const int32_t *slots, int32_t n) {
  uint32_t pairs = 0;
  for (int32_t i = 0; i < n; i++) pairs += ov->slots[slots[i]].kind != TM_SLOT_REMOVED;
  int32_t rc = tm_msgpack_put_map(out, pairs);
  for (int32_t i = 0; i < n && rc == 0; i++) {
    if (ov->slots[slots[i]].kind != TM_SLOT_REMOVED) rc = put_member(out, b, v, ov, slots[i]);
  }
  return rc;
}

/* Where the key begins whose value is at `value`. Its name has n bytes in this event as everywhere; the bytes before the
 * name tell which head of a str it has: no two forms of one length look alike from behind. */
static const char *key_of(const char *value, int32_t n) {
  const char *name = value - n;
  if (n < 32 && (unsigned char)name[-1] == (0xa0 | n)) return name - 1;
  if (n <= UINT8_MAX && (unsigned char)name[-2] == 0xd9) return name - 2;
  if (n <= UINT16_MAX && (unsigned char)name[-3] == 0xda) return name - 3;
  return name - 5;
}

int32_t tm_msgpack_row_spliced(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v,
                               const struct tm_overlay *ov, const struct tm_splices *s) {
  const char *at = b->raw + b->off[v->row], *end = at + b->len[v->row];
  struct tm_msgpack_head head = {0};
  tm_msgpack_head_read(at, end - at, &head);
  uint32_t pairs = head.count + (uint32_t)s->news_n;
  for (int32_t i = 0; i < s->present_n; i++) pairs -= ov->slots[s->present[i].slot].kind == TM_SLOT_REMOVED;
  int32_t rc = tm_msgpack_put_map(out, pairs);
  at += head.len;
  for (int32_t i = 0; i < s->present_n && rc == 0; i++) {
    const struct tm_slot *slot = &ov->slots[s->present[i].slot];
    const struct tm_slot_field *f = &ov->fields[s->present[i].slot];
    int32_t len;
    const char *value = tm_cell_packed(b, s->present[i].cell, &len);
    const char *stop = slot->kind == TM_SLOT_REMOVED ? key_of(value, f->name_len) : value;
    rc = tm_buf_put(out, at, (int32_t)(stop - at));
    if (rc == 0 && slot->kind != TM_SLOT_REMOVED) rc = put_value(out, b, v, slot, f);
    at = value + len;
  }
  if (rc == 0) rc = tm_buf_put(out, at, (int32_t)(end - at));
  for (int32_t i = 0; i < s->news_n && rc == 0; i++) rc = put_member(out, b, v, ov, s->news[i]);
  return rc;
}
