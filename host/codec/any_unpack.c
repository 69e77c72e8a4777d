/* any_unpack.c - values of type `any` from msgpack: as Lua bytes, or as a tape where Lua bytes cannot say it (any.h).
 *
 * What comes is checked: structure, depth, kinds of keys, numbers that Lua would round. Nothing recurses. */
#include "../base/buf.h"
#include "any.h"
#include "cell.h"
#include "json_walk.h"
#include "msgpack_bytes.h"

/* The containers around the value at hand. */
struct nest {
  int32_t depth;
  uint64_t left[TM_ANY_DEPTH_MAX + 1];  /* keys and values still to come in each */
  uint8_t map[TM_ANY_DEPTH_MAX + 1];
};

/* The head at p, its payload within bounds: 1, or 0 it is broken. Keys are texts, numbers, booleans. */
static int head_read(const struct nest *n, const char *p, const char *end, struct tm_msgpack_head *h) {
  if (!tm_msgpack_head_read(p, end - p, h) || h->type == TM_MSGPACK_NEVER) return 0;
  uint64_t least = h->type == TM_MSGPACK_MAP ? 2 * (uint64_t)h->count : h->count;
  if (least > (uint64_t)(end - p - h->len)) return 0;
  if (n->depth == 0 || !n->map[n->depth] || (n->left[n->depth] & 1) != 0) return 1;
  return h->type <= TM_MSGPACK_STR && h->type != TM_MSGPACK_NIL;
}

/* The value with head h is passed, or entered: 1 there is more, 0 it was the last, -1 too deep. */
static int nest_step(struct nest *n, const struct tm_msgpack_head *h) {
  if (h->type >= TM_MSGPACK_ARRAY) {
    if (n->depth == TM_ANY_DEPTH_MAX) return -1;
    n->depth++;
    n->map[n->depth] = h->type == TM_MSGPACK_MAP;
    n->left[n->depth] = (uint64_t)h->count << n->map[n->depth];
  } else if (n->depth > 0) {
    n->left[n->depth]--;
  }
  while (n->depth > 0 && n->left[n->depth] == 0) {
    if (--n->depth > 0) n->left[n->depth]--;
  }
  return n->depth > 0;
}

/* An int or a float: 1, or 0 Lua would round it. NaN is the one that Lua can hold. */
static int number_read(const char *p, const struct tm_msgpack_head *h, double *v) {
  int negative;
  if (h->type == TM_MSGPACK_FLOAT) {
    *v = tm_msgpack_float_read(p);
    if (*v != *v) *v = tm_cell_num(0);
    return 1;
  }
  uint64_t bits = tm_msgpack_int_read(p, &negative);
  *v = negative ? (double)(int64_t)bits : (double)bits;
  return (negative ? 0 - bits : bits) <= UINT64_C(1) << 53;
}

/* ---- Lua bytes ---- */

static char *length_write(char *p, uint32_t n) {
  if (n < 0xe0) {
    *p++ = (char)n;
  } else if (n < 0x1fe0) {
    n -= 0xe0;
    *p++ = (char)(0xe0 | n >> 8);
    *p++ = (char)n;
  } else {
    *p++ = (char)0xff;
    memcpy(p, &n, sizeof n);
    p += sizeof n;
  }
  return p;
}

/* One value, of a container what stands in front of its members. */
static int32_t lua_put(struct tm_buf *out, const char *p, const struct tm_msgpack_head *h) {
  enum { ROOM = 16 };
  double v;
  if (tm_buf_reserve(out, ROOM) != 0) return -1;
  char *q = out->data + out->len;
  switch (h->type) {
    case TM_MSGPACK_INT:
    case TM_MSGPACK_FLOAT:
      if (!number_read(p, h, &v)) return -2;
      *q++ = TM_LUA_NUMBER;
      memcpy(q, &v, sizeof v);
      q += sizeof v;
      break;
    case TM_MSGPACK_FALSE: *q++ = TM_LUA_FALSE; break;
    case TM_MSGPACK_TRUE: *q++ = TM_LUA_TRUE; break;
    case TM_MSGPACK_STR:
      q = length_write(q, h->count + TM_LUA_STRING);
      out->len = (int32_t)(q - out->data);
      return tm_buf_put(out, p + h->len, (int32_t)h->count);
    case TM_MSGPACK_ARRAY:
      *q++ = TM_LUA_META;
      *q++ = TM_LUA_META_ARRAY;
      *q++ = h->count > 0 ? TM_LUA_ITEMS1 : TM_LUA_EMPTY;
      if (h->count > 0) q = length_write(q, h->count + 1);
      break;
    case TM_MSGPACK_MAP:
      *q++ = h->count > 0 ? TM_LUA_HASH : TM_LUA_EMPTY;
      if (h->count > 0) q = length_write(q, h->count);
      break;
    default: return TM_ANY_OTHER;
  }
  out->len = (int32_t)(q - out->data);
  return 0;
}

int32_t tm_ffi_any_unpack(struct tm_buf *out, const char *p, int32_t len) {
  const char *end = p + len;
  struct tm_msgpack_head h;
  struct nest n;
  int more = 1;
  n.depth = 0;
  while (more) {
    if (!head_read(&n, p, end, &h)) return -2;
    int32_t rc = lua_put(out, p, &h);
    if (rc != 0) return rc;
    p += h.len + (tm_msgpack_has_bytes(&h) ? (int64_t)h.count : 0);
    more = nest_step(&n, &h);
    if (n.depth > TM_ANY_DEPTH_LUA) return TM_ANY_OTHER;
  }
  return p == end ? 0 : -2;
}

/* ---- tapes ---- */

static int32_t cell_fill(struct tm_cell *c, const char *base, const char *p, const struct tm_msgpack_head *h) {
  int32_t off = (int32_t)(p - base), whole = h->len + (int32_t)h->count;
  switch (h->type) {
    case TM_MSGPACK_INT:
    case TM_MSGPACK_FLOAT: tm_cell_set(c, off, h->len, TM_KIND_NUMBER); return number_read(p, h, &c->num) ? 0 : -2;
    case TM_MSGPACK_NIL: tm_cell_set(c, off, 1, TM_KIND_NULL); return 0;
    case TM_MSGPACK_FALSE: tm_cell_set(c, off, 1, TM_KIND_FALSE); return 0;
    case TM_MSGPACK_TRUE: tm_cell_set(c, off, 1, TM_KIND_TRUE); return 0;
    case TM_MSGPACK_STR: tm_cell_set(c, off + h->len, (int32_t)h->count, TM_KIND_STRING); return 0;
    case TM_MSGPACK_BIN:
    case TM_MSGPACK_EXT: tm_cell_set(c, off, whole, TM_KIND_OPAQUE); return 0;
    default:
      tm_cell_set(c, off, h->len, h->type == TM_MSGPACK_MAP ? TM_KIND_OBJECT : TM_KIND_ARRAY);
      c->num = h->count;
      return 0;
  }
}

int32_t tm_ffi_any_tape(const char *p, int32_t len, struct tm_tape *t) {
  const char *base = p, *end = p + len;
  struct tm_msgpack_head h;
  struct nest n;
  int more = 1;
  n.depth = 0;
  t->n = 0;
  while (more > 0) {
    if (!head_read(&n, p, end, &h)) return -2;
    if (t->n == t->cap && tm_tape_grow(t) != 0) return -1;
    if (cell_fill(&t->cells[t->n++], base, p, &h) != 0) return -2;
    p += h.len + (tm_msgpack_has_bytes(&h) ? (int64_t)h.count : 0);
    more = nest_step(&n, &h);
  }
  return more == 0 && p == end ? 0 : -2;
}

int32_t tm_ffi_any_opaque(const char *p, int32_t len, int32_t *type) {
  struct tm_msgpack_head h = {0};
  tm_msgpack_head_read(p, len, &h);
  *type = h.type == TM_MSGPACK_BIN ? TM_ANY_BYTES : (signed char)p[h.len - 1];
  return h.len;
}
