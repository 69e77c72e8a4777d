/* select.c - some fields of an event as one row (struct tm_select of abi.h): the step `select` just before a sink.
 *
 * An event nobody wrote to leaves as bytes of its own (tm_ffi_out_select): nothing is parsed or escaped here, as the text was
 * checked and the keys were escaped when the select was made. With written fields each one is looked up in the overlay
 * (tm_ffi_out_select_written); what only Lua can write is left to it. So a row costs one call, whatever the number of its fields.
 *
 * The copies are of fixed size wherever the piece is short: at both ends TM_PAD bytes may be read or written too
 * many, which is cheaper than a copy of exactly the right length. */
#include <stdlib.h>

#include "../base/buf.h"
#include "../base/owned.h"
#include "csv_write.h"
#include "json_walk.h"
#include "member.h"
#include "msgpack_json.h"
#include "out.h"
#include "packed.h"
#include "row.h"

/* One field of a select. */
struct select_field {
  const struct tm_cell *cells;
  int32_t slot;                   /* of the view: where a written value lies */
  struct tm_member key;
  char *packed;                   /* the key as msgpack */
  int32_t packed_len;
  const char *name;               /* in packed */
  int32_t name_len;
};

struct tm_select {
  struct select_field *fields;
  int32_t n;
  int32_t cap;
  const struct tm_csv_out *fits;  /* a sink of CSV whose columns are these fields */
};

struct tm_select *tm_ffi_select_new(void) { return tm_owned_calloc(1, sizeof(struct tm_select)); }

/* A new field with its key as msgpack. */
static int32_t key_pack(struct select_field *field, const char *key, int32_t key_len) {
  struct tm_buf packed;
  tm_buf_init_owned(&packed, INT32_MAX - TM_PAD);
  int32_t rc = tm_msgpack_put_str(&packed, key, key_len);
  field->packed = packed.data;
  field->packed_len = packed.len;
  field->name = packed.data + (packed.len - key_len);
  field->name_len = key_len;
  return rc;
}

int32_t tm_ffi_select_add(struct tm_select *s, const struct tm_cell *cells, int32_t slot, const char *key, int32_t key_len) {
  if (s->n == s->cap) {
    int32_t cap = s->cap == 0 ? 8 : s->cap * 2;
    struct select_field *fields = tm_owned_realloc(s->fields, (size_t)cap * sizeof *fields);
    if (fields == NULL) return -1;
    s->fields = fields;
    s->cap = cap;
  }
  struct select_field *field = &s->fields[s->n];
  memset(field, 0, sizeof *field);
  int32_t rc = tm_member_init(&field->key, key, key_len);
  if (rc == 0) rc = key_pack(field, key, key_len);
  field->cells = cells;
  field->slot = slot;
  if (rc == 0) s->n++;
  return rc;
}

/* ---- events as they came ---- */

/* A select for a sink of msgpack. */
static int32_t select_packed(struct tm_buf *out, const struct tm_batch *b, int32_t row, const struct tm_select *s) {
  uint32_t present = 0;
  for (int32_t i = 0; i < s->n; i++) present += tm_cell_kind(&s->fields[i].cells[row]) != TM_KIND_ABSENT;
  int32_t rc = tm_msgpack_put_map(out, present);
  for (int32_t i = 0; i < s->n && rc == 0; i++) {
    const struct select_field *field = &s->fields[i];
    const struct tm_cell *c = &field->cells[row];
    if (tm_cell_kind(c) == TM_KIND_ABSENT) continue;
    rc = tm_buf_put(out, field->packed, field->packed_len);
    if (rc == 0) rc = tm_cell_row_put(out, b, c, TM_FORMAT_MSGPACK);
  }
  return rc;
}

/* A select of msgpack or CSV as JSON text: most values are written on the spot. */
static int32_t select_text(struct tm_buf *out, const struct tm_batch *b, int32_t row, const struct tm_select *s) {
  int32_t start = out->len;
  for (int32_t i = 0; i < s->n; i++) {
    const struct select_field *field = &s->fields[i];
    const struct tm_cell *c = &field->cells[row];
    int kind = tm_cell_kind(c);
    if (kind == TM_KIND_ABSENT) continue;
    if (tm_buf_reserve(out, field->key.len + TM_CELL_TEXT_ROOM) != 0) return -1;
    char *p = tm_member_put(out->data + out->len, &field->key), *end = tm_cell_text(p, b, c);
    out->len = (int32_t)(end - out->data);
    if (__builtin_expect(end != p, 1)) continue;
    int32_t rc = tm_cell_row_put(out, b, c, TM_FORMAT_JSON);
    if (rc != 0) return rc;
  }
  if (out->len == start) return tm_buf_put(out, "{}", 2);
  out->data[start] = '{';  /* in place of the first comma */
  return tm_buf_put(out, "}", 1);
}

/* Are the fields the sink's columns, in their order? */
static int fits(const struct tm_csv_out *csv, const struct tm_select *s) {
  if (!csv->given || csv->names->n != s->n) return 0;
  for (int32_t i = 0; i < s->n; i++) {
    int32_t len;
    const char *name = tm_csv_name(csv->names, i, &len);
    if (len != s->fields[i].name_len || memcmp(name, s->fields[i].name, (size_t)len) != 0) return 0;
  }
  return 1;
}

/* A select for a sink of CSV or lines. */
static int32_t select_csv(struct tm_out *o, const struct tm_batch *b, int32_t row, struct tm_select *s) {
  static struct tm_buf text;
  int32_t rc = -1;
  if (s->fits != o->csv && o->format == TM_FORMAT_CSV && b->format != TM_FORMAT_MSGPACK && fits(o->csv, s)) s->fits = o->csv;
  if (s->fits == o->csv) {
    rc = tm_csv_begin(o);
    for (int32_t i = 0; i < s->n && rc == 0; i++) rc = tm_csv_put_cell(&o->buf, o->csv, b, &s->fields[i].cells[row], i == 0);
    return rc != 0 ? rc : tm_csv_end_put(&o->buf, o->csv);
  }
  if (text.cap_max == 0) tm_buf_init(&text, INT32_MAX - TM_PAD);
  text.len = 0;
  if ((rc = select_text(&text, b, row, s)) != 0) return rc;
  return tm_buf_reserve(&text, 1) != 0 ? -1 : tm_csv_put_json(o, text.data, text.len);
}

/* A select for a sink of another format than JSON, or of events of another one. */
static int32_t select_other(struct tm_out *o, const struct tm_batch *b, int32_t row, struct tm_select *s) {
  if (o->format == TM_FORMAT_MSGPACK) return select_packed(&o->buf, b, row, s);
  return o->format == TM_FORMAT_JSON ? select_text(&o->buf, b, row, s) : select_csv(o, b, row, s);
}

int32_t tm_ffi_out_select(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t row,
                          struct tm_select *s) {
  tm_out_row_begin(o, b, row);
  if (__builtin_expect((o->format | b->format) != TM_FORMAT_JSON, 0)) {
    int32_t rc = select_other(o, b, row, s);
    return rc != 0 ? rc : tm_out_row_end(o, f);
  }
  const char *raw = b->raw;
  char *start = o->buf.data + o->buf.len, *p = start, *limit = o->buf.data + o->buf.cap;
  const struct select_field *field = s->fields, *last = field + s->n;
  for (; field < last; field++) {
    const struct tm_cell *c = &field->cells[row];
    if (tm_cell_kind(c) == TM_KIND_ABSENT) continue;
    int32_t quote = tm_cell_quoted(c);
    int32_t len = tm_cell_len(c) + 2 * quote;
    if (limit - p < (int64_t)field->key.len + len) return -1;
    p = tm_short_copy(tm_member_put(p, &field->key), raw + c->off - quote, len);
  }
  if (limit - p < 2) return -1;
  if (p == start) *p++ = ',';
  *start = '{';
  *p++ = '}';
  o->buf.len = (int32_t)(p - o->buf.data);
  return tm_out_row_end(o, f);
}

/* ---- events with what was written ---- */

/* Is there a value that only Lua can write, or a change inside an object? */
static int needs_lua(const struct tm_view *v, const struct tm_overlay *ov) {
  for (int32_t i = 0; i < v->writes; i++) {
    int32_t slot = ov->written[v->base + 1 + i];
    if (ov->slots[slot].kind == TM_SLOT_LUA || !ov->fields[slot].top) return 1;
  }
  return 0;
}

int32_t tm_ffi_out_select_written(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, const struct tm_view *v,
                                  const struct tm_overlay *ov, const struct tm_select *s) {
  static const struct tm_cell none = {.tag = TM_KIND_ABSENT};
  /* msgpack keeps more than JSON text says; CSV and lines are made of it */
  if (o->format == TM_FORMAT_MSGPACK || needs_lua(v, ov)) return 1;
  tm_ffi_out_begin(o, b, v->home);
  int32_t start = o->buf.len;
  for (const struct select_field *field = s->fields, *last = field + s->n; field < last; field++) {
    const struct tm_slot *slot = &ov->slots[field->slot];
    int written = ov->gens[field->slot] == v->gen;
    const struct tm_cell *c = written || v->row == TM_ROW_EMPTY ? &none : &field->cells[v->row];
    if (written ? slot->kind == TM_SLOT_REMOVED : tm_cell_kind(c) == TM_KIND_ABSENT) continue;
    if (tm_buf_reserve(&o->buf, field->key.len) != 0) return -1;
    o->buf.len = (int32_t)(tm_member_put(o->buf.data + o->buf.len, &field->key) - o->buf.data);
    int32_t rc = written ? tm_json_put_slot(&o->buf, b, v, slot, &ov->fields[field->slot]) : tm_member_cell(&o->buf, b, c);
    if (rc != 0) return rc;
  }
  if (o->buf.len == start && tm_buf_put(&o->buf, ",", 1) != 0) return -1;
  o->buf.data[start] = '{';  /* in place of the first comma */
  if (tm_buf_put(&o->buf, "}", 1) != 0) return -1;
  return tm_ffi_out_end(o, f);
}
