/* json_row.c - an event with the fields a script wrote, as one row (struct tm_overlay of abi.h).
 *
 * Lua puts each written value where it can be read here, so that a row leaves in one call, without a loop in Lua.
 * Three ways, the cheapest that is right:
 *   append   every written field is absent from the event: its own bytes, then the new members
 *   splice   written fields stand in the event once: its bytes with the values exchanged
 *   patch    anything else (a field removed, or standing there twice): json_patch.c
 * An event without a base (made by Lua, or selected) is written member by member. Rows of msgpack are made of the messages'
 * own bytes where they can be (msgpack_row.c); elsewhere events of msgpack are patched as text, which may have notes
 * (note.h), and tm_ffi_out_end makes of it what the sink wants. */
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/owned.h"
#include "json_walk.h"
#include "msgpack_json.h"
#include "out.h"
#include "packed.h"
#include "row.h"

enum { EMPTY_OBJECT_MAX = 8 };

/* ---- overlays ---- */

struct tm_overlay *tm_ffi_overlay_new(void) {
  /* large, so calloc maps fresh zero pages and touches none */
  return tm_owned_calloc(1, sizeof(struct tm_overlay));
}

int32_t tm_ffi_overlay_field(struct tm_overlay *ov, int32_t slot, const char *name, int32_t len, const struct tm_cell *cells,
                             int32_t top) {
  struct tm_slot_field *f = &ov->fields[slot];
  struct tm_buf key, packed;
  tm_buf_init_owned(&key, INT32_MAX - TM_PAD);
  tm_buf_init_owned(&packed, INT32_MAX - TM_PAD);
  tm_owned_free(f->name);
  tm_owned_free(f->key);
  tm_owned_free(f->packed);
  f->name = tm_owned_malloc((size_t)len + 1);
  int32_t rc = tm_buf_put(&key, ",", 1);
  if (rc == 0) rc = tm_ffi_json_lossy(&key, name, len);
  if (rc == 0) rc = tm_msgpack_from_json(&packed, key.data + 1, key.len - 1);
  if (rc == 0) rc = tm_buf_put(&key, ":", 1);
  if (f->name == NULL || rc != 0) {
    tm_owned_free(f->name);
    tm_buf_fini(&key);
    tm_buf_fini(&packed);
    memset(f, 0, sizeof *f);
    return -1;
  }
  memcpy(f->name, name, (size_t)len);
  f->name_len = len;
  f->key = key.data;
  f->key_len = key.len;
  f->packed = packed.data;
  f->packed_len = packed.len;
  f->cells = cells;
  f->top = top;
  f->decimals = 0;
  memset(&ov->slots[slot], 0, sizeof ov->slots[slot]);
  return 0;
}

/* ---- values ---- */

int32_t tm_json_put_slot(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v, const struct tm_slot *s,
                         const struct tm_slot_field *f) {
  switch (s->kind) {
    case TM_SLOT_NUMBER: return tm_ffi_note_number(out, s->num);
    case TM_SLOT_STRING: return tm_ffi_json_string(out, s->text, s->len);
    case TM_SLOT_TRUE: return tm_buf_put(out, "true", 4);
    case TM_SLOT_FALSE: return tm_buf_put(out, "false", 5);
    case TM_SLOT_NULL: return tm_buf_put(out, "null", 4);
    case TM_SLOT_TEXT: return tm_buf_put(out, s->text, s->len);
    case TM_SLOT_DECIMAL: return tm_ffi_json_decimal(out, s->num, f->decimals);
    default: return tm_ffi_cell_put(out, b, (const struct tm_cell *)(const void *)s->text + v->home);
  }
}

/* key and value, with the comma in front */
static int32_t put_member(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v, const struct tm_overlay *ov,
                          int32_t slot) {
  const struct tm_slot_field *f = &ov->fields[slot];
  if (tm_buf_put(out, f->key, f->key_len) != 0) return -1;
  return tm_json_put_slot(out, b, v, &ov->slots[slot], f);
}

/* ---- rows without a base ---- */

static int name_after(const struct tm_slot_field *a, const struct tm_slot_field *b) {
  int32_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
  int rc = memcmp(a->name, b->name, (size_t)n);
  return rc != 0 ? rc > 0 : a->name_len > b->name_len;
}

static const struct tm_slot_field *sort_fields;

static int by_name(const void *a, const void *b) {
  const struct tm_slot_field *x = &sort_fields[*(const int32_t *)a], *y = &sort_fields[*(const int32_t *)b];
  return name_after(x, y) - name_after(y, x);
}

/* slots by name; mostly they are in order already */
static void sort_slots(const struct tm_overlay *ov, int32_t *slots, int32_t n) {
  if (n > 64) {
    sort_fields = ov->fields;
    qsort(slots, (size_t)n, sizeof *slots, by_name);
    return;
  }
  for (int32_t i = 1; i < n; i++) {
    int32_t slot = slots[i], k = i;
    for (; k > 0 && name_after(&ov->fields[slots[k - 1]], &ov->fields[slot]); k--) slots[k] = slots[k - 1];
    slots[k] = slot;
  }
}

static int32_t put_fields(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v,
                          const struct tm_overlay *ov, int32_t ordered, int32_t format) {
  static int32_t sorted[TM_SLOTS_MAX];
  const int32_t *slots = ov->written + v->base + 1;
  int32_t start = out->len;
  if (!ordered) {
    /* of a copy: where the pipeline forks, the first of the written slots are those written before the fork */
    memcpy(sorted, slots, (size_t)v->writes * sizeof *sorted);
    sort_slots(ov, sorted, v->writes);
    slots = sorted;
  }
  if (format == TM_FORMAT_MSGPACK) return tm_msgpack_row_fields(out, b, v, ov, slots, v->writes);
  for (int32_t i = 0; i < v->writes; i++) {
    if (ov->slots[slots[i]].kind == TM_SLOT_REMOVED) continue;
    int32_t rc = put_member(out, b, v, ov, slots[i]);
    if (rc != 0) return rc;
  }
  if (out->len == start) return tm_buf_put(out, "{}", 2);
  out->data[start] = '{';  /* in place of the first comma */
  return tm_buf_put(out, "}", 1);
}

/* ---- rows with a base ---- */

/* The event's bytes with the values of present members exchanged, and new members behind them. */
static int32_t put_spliced(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v, const struct tm_overlay *ov,
                           const struct tm_splices *s) {
  int32_t at = b->off[v->row], end = at + b->len[v->row] - 1;
  for (int32_t i = 0; i < s->present_n; i++) {
    const struct tm_splice *p = &s->present[i];
    int quoted = tm_cell_quoted(p->cell);
    int32_t off = p->cell->off - quoted;
    if (tm_buf_put(out, b->raw + at, off - at) != 0) return -1;
    int32_t rc = tm_json_put_slot(out, b, v, &ov->slots[p->slot], &ov->fields[p->slot]);
    if (rc != 0) return rc;
    at = off + tm_cell_len(p->cell) + 2 * quoted;
  }
  if (tm_buf_put(out, b->raw + at, end - at) != 0) return -1;
  for (int32_t i = 0; i < s->news_n; i++) {
    int32_t rc = put_member(out, b, v, ov, s->news[i]);
    if (rc != 0) return rc;
  }
  return tm_buf_put(out, "}", 1);
}

/* Where a member's value begins in its event. */
static inline int32_t place_of(const struct tm_batch *b, const struct tm_cell *c) {
  int32_t len;
  return b->format == TM_FORMAT_JSON ? c->off : (int32_t)(tm_cell_packed(b, c, &len) - b->raw);
}

/* Sorts the written fields into new ones and present ones; 0 if another way is needed. */
static int can_splice(const struct tm_batch *b, const struct tm_view *v, const struct tm_overlay *ov, int32_t format,
                      struct tm_splices *s) {
  int packed = b->format == TM_FORMAT_MSGPACK;
  if (packed ? format != TM_FORMAT_MSGPACK : b->format != TM_FORMAT_JSON) return 0;
  if (b->twice[v->row] || v->writes > TM_SPLICE_MAX || (!packed && b->len[v->row] < EMPTY_OBJECT_MAX)) return 0;
  s->present_n = s->news_n = 0;
  for (int32_t i = 0; i < v->writes; i++) {
    int32_t slot = ov->written[v->base + 1 + i];
    const struct tm_cell *cells = ov->fields[slot].cells;
    if (cells == NULL) return 0;
    const struct tm_cell *c = &cells[v->row];
    int absent = tm_cell_kind(c) == TM_KIND_ABSENT, removed = ov->slots[slot].kind == TM_SLOT_REMOVED;
    if (removed && absent) continue;
    if (removed && !packed) return 0;
    if (absent) {
      s->news[s->news_n++] = slot;
      continue;
    }
    int32_t k = s->present_n++;
    for (; k > 0 && place_of(b, s->present[k - 1].cell) > place_of(b, c); k--) s->present[k] = s->present[k - 1];
    s->present[k] = (struct tm_splice){c, slot};
  }
  return 1;
}

static int32_t put_patched(struct tm_buf *out, struct tm_batch *b, const struct tm_view *v, const struct tm_overlay *ov) {
  static struct tm_patch *patch;
  static struct tm_buf texts;
  if (patch == NULL) {
    patch = tm_ffi_patch_new();
    tm_buf_init(&texts, INT32_MAX - TM_PAD);
    if (patch == NULL) return -1;
  }
  tm_ffi_patch_reset(patch);
  texts.len = 0;
  for (int32_t i = 0; i < v->writes; i++) {
    int32_t slot = ov->written[v->base + 1 + i], off = texts.len;
    const struct tm_slot_field *f = &ov->fields[slot];
    int32_t rc;
    if (ov->slots[slot].kind == TM_SLOT_REMOVED) {
      rc = tm_ffi_patch_remove(patch, f->name, f->name_len);
    } else {
      rc = tm_json_put_slot(&texts, b, v, &ov->slots[slot], f);
      if (rc == 0) rc = tm_ffi_patch_set(patch, f->name, f->name_len, off, texts.len - off);
    }
    if (rc != 0) return rc;
  }
  int32_t len;
  const char *text = tm_ffi_batch_text(b, v->row, v->types, &len);
  return text == NULL ? -1 : tm_ffi_patch_apply(patch, text, len, texts.data, out);
}

int32_t tm_ffi_out_written(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, const struct tm_view *v,
                           struct tm_overlay *ov, int32_t ordered) {
  for (int32_t i = 0; i < v->writes; i++) {
    int32_t slot = ov->written[v->base + 1 + i];
    if (ov->slots[slot].kind == TM_SLOT_LUA || !ov->fields[slot].top) return 1;
  }
  tm_ffi_out_begin(o, b, v->home);
  struct tm_splices s;
  int32_t rc;
  if (v->row == TM_ROW_EMPTY) {
    rc = put_fields(&o->buf, b, v, ov, ordered, o->format);
    if (rc == 0 && o->format == TM_FORMAT_MSGPACK) return tm_out_row_end(o, f);
  } else if (can_splice(b, v, ov, o->format, &s)) {
    if (b->format == TM_FORMAT_MSGPACK) {
      rc = tm_msgpack_row_spliced(&o->buf, b, v, ov, &s);
      if (rc == 0) return tm_out_row_end(o, f);
    } else {
      rc = put_spliced(&o->buf, b, v, ov, &s);
    }
  } else {
    rc = put_patched(&o->buf, b, v, ov);
  }
  return rc != 0 ? rc : tm_ffi_out_end(o, f);
}
