/* result.c - a row of results: the fields of a record's key, a window's bounds and aggregates, written from the record in one call.
 *
 * A plan (struct tm_result) says of each member, in the order of the row, where in the record its value is. What a member's
 * value is, is what the aggregate's own function in Lua gives (lua/tidemill/aggregates): here are the cases in which that needs no
 * more than the record's cells; all others, and sinks of msgpack, are left to Lua, with nothing written (1).
 * So a row costs as much as its bytes, and leaves no guards in the trace of the batch. */
#include <math.h>

#include "../base/owned.h"
#include "../codec/member.h"
#include "../codec/number_text.h"
#include "../codec/out.h"
#include "../state/key.h"

enum { AT_MAX = 4, LUA = 1 };

static const double exact_max = 9007199254740992.0;  /* 2^53: integers below it are doubles */

struct result_member {
  struct tm_member key;
  const struct tm_cell *cells;    /* of a part of the key: its column; may be null */
  double scale;
  int32_t kind;                   /* enum tm_result_kind */
  int32_t at[AT_MAX];
};

struct tm_result {
  struct result_member *members;
  int32_t n;
  int32_t cap;
  int32_t has_key;
};

struct tm_result *tm_ffi_result_new(void) { return tm_owned_calloc(1, sizeof(struct tm_result)); }

int32_t tm_ffi_result_add(struct tm_result *p, const char *name, int32_t len, int32_t kind, const int32_t *at, double scale,
                          const struct tm_cell *cells) {
  if (p->n == p->cap) {
    int32_t cap = p->cap == 0 ? 8 : p->cap * 2;
    struct result_member *members = tm_owned_realloc(p->members, (size_t)cap * sizeof *members);
    if (members == NULL) return -1;
    p->members = members;
    p->cap = cap;
  }
  struct result_member *m = &p->members[p->n];
  int32_t rc = tm_member_init(&m->key, name, len);
  if (rc != 0) return rc;
  m->cells = cells;
  m->scale = scale;
  m->kind = kind;
  memcpy(m->at, at, sizeof m->at);
  p->has_key |= kind == TM_RESULT_KEY;
  p->n++;
  return 0;
}

/* ---- values ---- */

/* What a row is made from. */
struct origin {
  const struct tm_batch *batch;
  const struct tm_state *state;
  const char *record;
  const struct tm_value *parts;   /* of the record's key */
  int32_t parts_n;
  int32_t row;                    /* whose columns hold the key; TM_ROW_EMPTY: the record does */
  double bounds[2];
};

static double number_at(const struct origin *from, int32_t at) {
  double v;
  memcpy(&v, from->record + at, sizeof v);
  return v;
}

static struct tm_state_ref ref_at(const struct origin *from, int32_t at) {
  struct tm_state_ref ref;
  memcpy(&ref, from->record + at, sizeof ref);
  return ref;
}

static inline int32_t put_number(struct tm_buf *out, double v) {
  if (!isfinite(v)) return LUA;
  if (tm_buf_reserve(out, TM_NUMBER_ROOM) != 0) return -1;
  out->len = (int32_t)(tm_number_write(out->data + out->len, v) - out->data);
  return 0;
}

/* The pair h, l of a sum whose text is empty, as long as it is one double. */
static int32_t put_sum(struct tm_buf *out, const struct origin *from, const struct result_member *m) {
  double h = number_at(from, m->at[0]), l = number_at(from, m->at[1]);
  if (ref_at(from, m->at[2]).n != 0) return LUA;
  if (l == 0 && fabs(h) < exact_max) return put_number(out, h / m->scale);
  return fabs(h) < exact_max && (double)(int64_t)h != h ? put_number(out, h) : LUA;
}

static int32_t put_mean(struct tm_buf *out, const struct origin *from, const struct result_member *m) {
  double h = number_at(from, m->at[0]), l = number_at(from, m->at[1]), n = number_at(from, m->at[3]);
  if (n == 0) return tm_buf_put(out, "null", 4);
  if (ref_at(from, m->at[2]).n != 0 || l != 0 || !(fabs(h) < exact_max) || !(n * m->scale < exact_max)) return LUA;
  return put_number(out, h / (n * m->scale));
}

/* A kept value (aggregates/kept.lua): its number, kind and text. */
static int32_t put_kept(struct tm_buf *out, const struct origin *from, const struct result_member *m) {
  enum { NOTHING = 0, NUMBER = 1, TEXT = 2, IS_FALSE = 3, IS_TRUE = 4 };
  double kind = number_at(from, m->at[1]);
  if (kind == NUMBER) return put_number(out, number_at(from, m->at[0]));
  if (kind == NOTHING) return tm_buf_put(out, "null", 4);
  if (kind == IS_FALSE) return tm_buf_put(out, "false", 5);
  if (kind == IS_TRUE) return tm_buf_put(out, "true", 4);
  if (kind != TEXT) return LUA;
  struct tm_state_ref ref = ref_at(from, m->at[2]);
  return tm_ffi_json_string(out, ref.n > 0 ? from->state->base + 8 * (int64_t)ref.at : "", (int32_t)ref.n);
}

static int32_t put_part(struct tm_buf *out, const struct tm_value *part) {
  switch (part->kind) {
    case TM_VALUE_NUMBER: return put_number(out, part->num);
    case TM_VALUE_STRING: return tm_ffi_json_string(out, part->text, part->len);
    case TM_VALUE_INTEGER: return tm_buf_put(out, part->text, part->len);
    case TM_VALUE_TRUE: return tm_buf_put(out, "true", 4);
    case TM_VALUE_FALSE: return tm_buf_put(out, "false", 5);
    default: return LUA;
  }
}

static int32_t put_value(struct tm_buf *out, const struct origin *from, const struct result_member *m) {
  switch (m->kind) {
    case TM_RESULT_NUMBER: return put_number(out, number_at(from, m->at[0]));
    case TM_RESULT_COUNT: return put_number(out, ref_at(from, m->at[0]).n);
    case TM_RESULT_SUM: return put_sum(out, from, m);
    case TM_RESULT_MEAN: return put_mean(out, from, m);
    case TM_RESULT_KEPT: return put_kept(out, from, m);
    case TM_RESULT_BOUND: return put_number(out, from->bounds[m->at[0]]);
    default:
      if (from->row != TM_ROW_EMPTY && m->cells != NULL) return tm_member_cell(out, from->batch, &m->cells[from->row]);
      return m->at[0] < from->parts_n ? put_part(out, &from->parts[m->at[0]]) : LUA;
  }
}

/* A part of the key that the row leaves out. */
static int is_absent(const struct origin *from, const struct result_member *m) {
  return m->kind == TM_RESULT_KEY && from->row == TM_ROW_EMPTY &&
         (m->at[0] >= from->parts_n || from->parts[m->at[0]].kind == TM_VALUE_NIL);
}

static int32_t put_members(struct tm_buf *out, const struct tm_result *p, const struct origin *from) {
  int32_t start = out->len;
  for (const struct result_member *m = p->members, *last = m + p->n; m < last; m++) {
    if (is_absent(from, m)) continue;
    if (tm_buf_reserve(out, m->key.len) != 0) return -1;
    out->len = (int32_t)(tm_member_put(out->data + out->len, &m->key) - out->data);
    int32_t rc = put_value(out, from, m);
    if (rc != 0) return rc;
  }
  if (out->len == start && tm_buf_put(out, ",", 1) != 0) return -1;
  out->data[start] = '{';  /* in place of the first comma */
  return tm_buf_put(out, "}", 1);
}

int32_t tm_ffi_result_put(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t home, const struct tm_result *p,
                          struct tm_state *s, const void *record, int32_t row, double window_from, double window_to) {
  if (o->format == TM_FORMAT_MSGPACK) return LUA;
  struct tm_value parts[TM_KEY_PARTS_MAX];
  struct origin from = {.batch = b, .state = s, .record = record, .parts = parts, .row = row, .bounds = {window_from, window_to}};
  if (p->has_key && row == TM_ROW_EMPTY) {
    int32_t len;
    const char *key = tm_ffi_state_key(s, record, &len);
    from.parts_n = tm_ffi_key_parts(key, len, parts);
  }
  tm_ffi_out_begin(o, b, home);
  int32_t start = o->buf.len, rc = put_members(&o->buf, p, &from);
  if (rc == 0) rc = tm_ffi_out_end(o, f);
  if (rc != 0) o->buf.len = start;
  return rc;
}
