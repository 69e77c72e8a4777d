/* ranked.c - the n last of what came, in some order: lists of collect and top in a text.
 *
 *   text | n, uint32 | first, uint32 | end, uint32 | 0 | ... | row | row | ... | row | room |
 *                                                      first                     end
 *   row  | size, uint32 | len, uint32 | at, double | arrival, double | bytes, padded to 8 | size, uint32 | 0 |
 *
 * Rows lie in order; equal ones in order of arrival. A full list drops its first row, so what it holds is the same whatever
 * came first, and however it was spread over what was merged. A row behind the last is only appended, and most are. */
#include "../base/buf.h"
#include "edit.h"

struct list {
  uint32_t n, first, end, pad;
};
struct row {
  uint32_t size, len;
  double at, arrival;
  char bytes[];
};
enum { TAIL = 8, ROOM_FIRST = 128 };

static struct list *list_of(char *p) { return (struct list *)(void *)p; }
static const struct row *row_at(const char *p, uint32_t off) { return (const struct row *)(const void *)(p + off); }
static const struct row *row_before(const char *p, uint32_t off) {
  return row_at(p, off - *(const uint32_t *)(const void *)(p + off - TAIL));
}

static int compare_bytes(const char *a, uint32_t a_len, const char *b, uint32_t b_len) {
  int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
  return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* canonical digits of integers */
static int compare_digits(const char *a, uint32_t a_len, const char *b, uint32_t b_len) {
  int a_less = a[0] == '-', b_less = b[0] == '-';
  if (a_less != b_less) return b_less - a_less;
  int order = a_len != b_len ? (a_len > b_len) - (a_len < b_len) : memcmp(a, b, a_len);
  return a_less ? -order : order;
}

/* Of what two rows say, without arrival; below 0: x comes first. */
static int compare(int32_t kind, int32_t reverse, const struct row *x, const char *x_bytes, const struct row *y) {
  int order;
  switch (kind) {
    case TM_RANKED_TEXTS: order = compare_bytes(x_bytes, x->len, y->bytes, y->len); break;
    case TM_RANKED_DIGITS: order = compare_digits(x_bytes, x->len, y->bytes, y->len); break;
    default: order = (x->at > y->at) - (x->at < y->at);
  }
  if (reverse) order = -order;
  return order != 0 ? order : (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

/* Room for a row of `size` behind the end; *at, a place in the text, moves with it. */
static int make_room(struct tm_edit *e, uint32_t size, uint32_t *at) {
  struct list *old = list_of(e->p);
  uint32_t live = e->len > 0 ? old->end - old->first : 0, head = sizeof *old;
  uint64_t most = (uint64_t)(live + size) * 2 + ROOM_FIRST;
  const char *from = e->p;
  if (e->len > 0 && e->len - old->end >= size) return 0;
  if (most > TM_TEXT_MAX) most = (uint64_t)head + live + size;
  if (tm_edit_resize(e, most > UINT32_MAX ? UINT32_MAX : (uint32_t)most, 0) != 0) return -1;
  struct list *l = list_of(e->p);
  if (live > 0) {
    memcpy(e->p + head, from + old->first, live);
    *at -= old->first - head;
  } else {
    *at = head;
  }
  *l = (struct list){live > 0 ? old->n : 0, head, head + live, 0};
  return 0;
}

static int insert(struct tm_edit *e, uint32_t at, const struct row *x, const char *bytes) {
  if (make_room(e, x->size, &at) != 0) return -1;
  struct list *l = list_of(e->p);
  uint32_t behind = l->end - at;
  if (tm_edit_keep(e, l, sizeof *l) != 0 || tm_edit_keep(e, e->p + at, behind) != 0) return -1;
  tm_arena_mark(e->p + at, (size_t)behind + x->size);
  memmove(e->p + at + x->size, e->p + at, behind);
  memset(e->p + at, 0, x->size);
  memcpy(e->p + at, x, sizeof *x);
  memcpy(e->p + at + sizeof *x, bytes, x->len);
  memcpy(e->p + at + x->size - TAIL, &x->size, sizeof x->size);
  l->end += x->size;
  l->n++;
  return 0;
}

static void put(struct tm_edit *e, const struct tm_ranked *o, struct row *x, const char *bytes) {
  uint32_t at = sizeof(struct list);
  if (x->len > TM_TEXT_MAX) {
    e->code = TM_STATE_TOO_LONG;
    return;
  }
  x->size = (uint32_t)sizeof *x + ((x->len + 7) & ~7u) + TAIL;
  if (e->len > 0) {
    struct list *l = list_of(e->p);
    for (at = l->end; at > l->first; at -= row_before(e->p, at)->size) {
      if (compare(o->kind, o->reverse, x, bytes, row_before(e->p, at)) >= 0) break;
    }
    if (l->n >= (uint32_t)o->max) {
      if (at == l->first) return;
      if (tm_edit_keep(e, l, sizeof *l) != 0) return;
      l->first += row_at(e->p, l->first)->size;
      l->n--;
    }
  }
  insert(e, at, x, bytes);
}

int32_t tm_ffi_ranked_put(struct tm_state *s, void *record, int32_t field, const struct tm_ranked *o, double at, double arrival,
                          const char *bytes, int32_t len) {
  struct tm_edit e;
  struct row x = {0, (uint32_t)len, at, arrival};
  if (tm_edit_begin(&e, s, record, field) == 0) put(&e, o, &x, bytes);
  return tm_edit_end(&e);
}

int32_t tm_ffi_ranked_merge(struct tm_state *s, void *record, int32_t field, const struct tm_ranked *o, struct tm_state *s2,
                            const void *record2) {
  struct tm_edit e;
  uint32_t len;
  const char *text = tm_edit_text(s2, record2, field, &len);
  if (len == 0) return TM_STATE_OK;
  const struct list *l = (const struct list *)(const void *)text;
  if (tm_edit_begin(&e, s, record, field) == 0) {
    for (uint32_t at = l->first; at < l->end && e.code == 0; at += row_at(text, at)->size) {
      struct row x = {0, row_at(text, at)->len, row_at(text, at)->at, row_at(text, at)->arrival};
      put(&e, o, &x, row_at(text, at)->bytes);
    }
  }
  return tm_edit_end(&e);
}

static int row_json(const struct tm_ranked *o, const struct row *x, struct tm_buf *out) {
  switch (o->kind) {
    case TM_RANKED_NUMBERS: return tm_ffi_note_number(out, x->at);
    case TM_RANKED_VALUES: return tm_ffi_buf_put(out, x->bytes, (int32_t)x->len);
    default: return tm_ffi_json_string(out, x->bytes, (int32_t)x->len);
  }
}

int32_t tm_ffi_ranked_json(struct tm_state *s, const void *record, int32_t field, const struct tm_ranked *o, struct tm_buf *out) {
  uint32_t len;
  const char *text = tm_edit_text(s, record, field, &len);
  const struct list *l = (const struct list *)(const void *)text;
  out->len = 0;
  int rc = tm_ffi_buf_put(out, "[", 1);
  for (uint32_t i = 0, at = len > 0 ? (o->kind == TM_RANKED_VALUES ? l->first : l->end) : 0; rc == 0 && len > 0 && i < l->n; i++) {
    const struct row *x = o->kind == TM_RANKED_VALUES ? row_at(text, at) : row_before(text, at);
    if (i > 0) rc = tm_ffi_buf_put(out, ",", 1);
    if (rc == 0) rc = row_json(o, x, out);
    at += o->kind == TM_RANKED_VALUES ? x->size : -x->size;
  }
  return rc != 0 ? rc : tm_ffi_buf_put(out, "]", 1);
}

int32_t tm_ffi_ranked_next(struct tm_state *s, const void *record, int32_t field, int32_t off, struct tm_value *row) {
  uint32_t len, at = (uint32_t)off;
  const char *text = tm_edit_text(s, record, field, &len);
  if (len == 0) return 0;
  const struct list *l = (const struct list *)(const void *)text;
  if (at == 0) at = l->first;
  if (at >= l->end) return 0;
  const struct row *x = row_at(text, at);
  *row = (struct tm_value){x->at, x->bytes, (int32_t)x->len, TM_VALUE_STRING};
  return (int32_t)(at + x->size);
}
