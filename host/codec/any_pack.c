/* any_pack.c - Lua bytes as msgpack in one form for each value (any.h).
 *
 * One walk. The members of a table are packed as they come and noted; when the table ends they are put in order behind
 * its head, from a copy. The notes of all open tables lie in one stack. The bytes come from LuaJIT or from any.lua and are
 * trusted in their structure; they have TM_PAD readable bytes behind them or end inside an allocation. */
#include <stdlib.h>

#include "../base/buf.h"
#include "any.h"
#include "msgpack_bytes.h"
#include "../abi_c.h"

enum key_kind { KEY_NUMBER, KEY_STRING, KEY_FALSE, KEY_TRUE };  /* in the order of pairs */

/* A member of a table: where it lies in the output, and its key. */
struct member {
  double num;
  const char *text;         /* of the key, in the input */
  uint32_t len;
  enum key_kind kind;
  int32_t start, value, end;
};

struct packer {
  const char *p, *end;
  struct tm_buf *out;
  struct tm_buf *members;   /* of struct member: all open tables' */
  struct tm_buf *copy;
  int32_t rc;
};

/* ---- heads and numbers ---- */

static int32_t put_be(struct tm_buf *out, unsigned lead, uint64_t v, int32_t n) {
  char bytes[9] = {(char)lead};
  for (int32_t i = 0; i < n; i++) bytes[1 + i] = (char)(v >> 8 * (n - 1 - i));
  return tm_buf_put(out, bytes, n + 1);
}

/* short: lead byte of the form with the count in it, if there are `most` at most; then those of 8 (0: none), 16, 32 bits */
static int32_t put_head(struct tm_buf *out, unsigned fixed, uint32_t most, unsigned lead8, unsigned lead16, unsigned lead32, uint32_t n) {
  if (n <= most) return put_be(out, fixed | n, 0, 0);
  if (lead8 != 0 && n <= UINT8_MAX) return put_be(out, lead8, n, 1);
  return n <= UINT16_MAX ? put_be(out, lead16, n, 2) : put_be(out, lead32, n, 4);
}
static int32_t put_str_head(struct tm_buf *out, uint32_t n) { return put_head(out, 0xa0, 31, 0xd9, 0xda, 0xdb, n); }

static int32_t put_int(struct tm_buf *out, int64_t v) {
  if (v >= -32 && v < 128) return put_be(out, (uint8_t)v, 0, 0);
  if (v >= 0) {
    return v <= UINT8_MAX    ? put_be(out, 0xcc, (uint64_t)v, 1)
           : v <= UINT16_MAX ? put_be(out, 0xcd, (uint64_t)v, 2)
           : v <= UINT32_MAX ? put_be(out, 0xce, (uint64_t)v, 4)
                             : put_be(out, 0xcf, (uint64_t)v, 8);
  }
  return v >= INT8_MIN    ? put_be(out, 0xd0, (uint64_t)v, 1)
         : v >= INT16_MIN ? put_be(out, 0xd1, (uint64_t)v, 2)
         : v >= INT32_MIN ? put_be(out, 0xd2, (uint64_t)v, 4)
                          : put_be(out, 0xd3, (uint64_t)v, 8);
}

static int32_t put_number(struct tm_buf *out, double v) {
  const double exact = 9007199254740992.0;
  uint64_t bits = 0x7ff8000000000000u;
  if (v >= -exact && v <= exact && v == (double)(int64_t)v && (v != 0 || !__builtin_signbit(v))) return put_int(out, (int64_t)v);
  if (v == v) memcpy(&bits, &v, sizeof bits);
  return put_be(out, 0xcb, bits, 8);
}

static int32_t put_bin_head(struct tm_buf *out, uint32_t n) {
  return n <= UINT8_MAX ? put_be(out, 0xc4, n, 1) : n <= UINT16_MAX ? put_be(out, 0xc5, n, 2) : put_be(out, 0xc6, n, 4);
}

static int32_t put_ext_head(struct tm_buf *out, int type, uint32_t n) {
  char t = (char)type;
  int32_t rc;
  switch (n) {
    case 1: rc = put_be(out, 0xd4, 0, 0); break;
    case 2: rc = put_be(out, 0xd5, 0, 0); break;
    case 4: rc = put_be(out, 0xd6, 0, 0); break;
    case 8: rc = put_be(out, 0xd7, 0, 0); break;
    case 16: rc = put_be(out, 0xd8, 0, 0); break;
    default: rc = n <= UINT8_MAX ? put_be(out, 0xc7, n, 1) : n <= UINT16_MAX ? put_be(out, 0xc8, n, 2) : put_be(out, 0xc9, n, 4);
  }
  return rc != 0 ? rc : tm_buf_put(out, &t, 1);
}

/* ---- reading Lua bytes ---- */

static uint32_t read_length(struct packer *w) {
  uint32_t n = (unsigned char)*w->p++;
  if (n < 0xe0) return n;
  if (n < 0xff) return ((n & 0x1f) << 8 | (unsigned char)*w->p++) + 0xe0;
  memcpy(&n, w->p, sizeof n);
  w->p += sizeof n;
  return n;
}

static double read_number(struct packer *w) {
  double v;
  memcpy(&v, w->p, sizeof v);
  w->p += sizeof v;
  return v;
}

static int fail(struct packer *w, int32_t rc) {
  w->rc = rc;
  return 0;
}

/* Functions that write return 1, or 0 with w->rc set. */
static inline int done(struct packer *w, int32_t rc) { return rc == 0 ? 1 : fail(w, -1); }

/* ---- tables ---- */

static int put_value(struct packer *w, int32_t depth);

static struct member *members_at(const struct packer *w, int32_t i) { return (struct member *)(void *)w->members->data + i; }
static int32_t members_n(const struct packer *w) { return w->members->len / (int32_t)sizeof(struct member); }

/* Reads a key, which the member gets; it is not written yet. */
static int key_read(struct packer *w, struct member *m) {
  const char *start = w->p;
  unsigned char tag = (unsigned char)*w->p;
  *m = (struct member){0};
  if (tag >= TM_LUA_STRING) {
    m->kind = KEY_STRING;
    m->len = read_length(w) - TM_LUA_STRING;
    m->text = w->p;
    w->p += m->len;
    return 1;
  }
  w->p++;
  switch (tag) {
    case TM_LUA_NUMBER:
      m->kind = KEY_NUMBER;
      m->num = read_number(w);
      return 1;
    case TM_LUA_FALSE:
    case TM_LUA_TRUE: m->kind = tag == TM_LUA_TRUE ? KEY_TRUE : KEY_FALSE; return 1;
    case TM_LUA_POINTER32:
    case TM_LUA_POINTER64: return fail(w, TM_ANY_VIEW);
    default: w->p = start; return fail(w, TM_ANY_OTHER);
  }
}

static int key_put(struct packer *w, const struct member *m) {
  switch (m->kind) {
    case KEY_NUMBER: return done(w, put_number(w->out, m->num));
    case KEY_STRING: return done(w, put_str_head(w->out, m->len)) && done(w, tm_buf_put(w->out, m->text, (int32_t)m->len));
    default: return done(w, put_be(w->out, m->kind == KEY_TRUE ? 0xc3 : 0xc2, 0, 0));
  }
}

/* The member whose key is m's, with the value at hand. */
static int member_put(struct packer *w, struct member *m, int32_t depth) {
  m->start = w->out->len;
  if (!key_put(w, m)) return 0;
  m->value = w->out->len;
  if (!put_value(w, depth)) return 0;
  m->end = w->out->len;
  return done(w, tm_buf_put(w->members, (const char *)m, sizeof *m));
}

static int items_put(struct packer *w, uint32_t n, uint32_t from, int32_t depth) {
  for (uint32_t i = 0; i < n; i++) {
    struct member m = {.kind = KEY_NUMBER, .num = from + i};
    if ((unsigned char)*w->p == TM_LUA_NIL) {
      w->p++;
      continue;
    }
    if (!member_put(w, &m, depth)) return 0;
  }
  return 1;
}

static int pairs_put(struct packer *w, uint32_t n, int32_t depth) {
  for (uint32_t i = 0; i < n; i++) {
    struct member m;
    if (!key_read(w, &m) || !member_put(w, &m, depth)) return 0;
  }
  return 1;
}

static int in_order(const void *a, const void *b) {
  const struct member *x = a, *y = b;
  if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
  if (x->kind == KEY_NUMBER) return (x->num > y->num) - (x->num < y->num);
  if (x->kind != KEY_STRING) return 0;
  int rc = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
  return rc != 0 ? rc : (x->len > y->len) - (x->len < y->len);
}

static void sort(struct member *list, int32_t n) {
  enum { SMALL = 16 };
  if (n > SMALL) {
    qsort(list, (size_t)n, sizeof *list, in_order);
    return;
  }
  for (int32_t i = 1; i < n; i++) {
    struct member m = list[i];
    int32_t k = i;
    for (; k > 0 && in_order(&list[k - 1], &m) > 0; k--) list[k] = list[k - 1];
    list[k] = m;
  }
}

/* The table's members, from `first` on, packed from `start` on: its head, and the members in order behind it. */
static int table_end(struct packer *w, int32_t first, int32_t start) {
  int32_t n = members_n(w) - first, len = w->out->len - start, array = n > 0;
  struct member *list = members_at(w, first);
  sort(list, n);
  for (int32_t i = 0; i < n && array; i++) array = list[i].kind == KEY_NUMBER && list[i].num == i + 1;
  w->copy->len = 0;
  if (tm_buf_put(w->copy, w->out->data + start, len) != 0) return fail(w, -1);
  w->out->len = start;
  int32_t rc = array ? put_head(w->out, 0x90, 15, 0, 0xdc, 0xdd, (uint32_t)n) : put_head(w->out, 0x80, 15, 0, 0xde, 0xdf, (uint32_t)n);
  for (int32_t i = 0; i < n && rc == 0; i++) {
    int32_t from = array ? list[i].value : list[i].start;
    rc = tm_buf_put(w->out, w->copy->data + from - start, list[i].end - from);
  }
  w->members->len = first * (int32_t)sizeof(struct member);
  return done(w, rc);
}

/* n values from [1] on: an array, unless one of them is a hole. 1 done, 0 failed, -1 there is a hole: nothing is done. */
static int array_put(struct packer *w, uint32_t n, int32_t depth) {
  const char *from = w->p;
  int32_t start = w->out->len;
  if (!done(w, put_head(w->out, 0x90, 15, 0, 0xdc, 0xdd, n))) return 0;
  for (uint32_t i = 0; i < n; i++) {
    if ((unsigned char)*w->p == TM_LUA_NIL) {
      w->p = from;
      w->out->len = start;
      return -1;
    }
    if (!put_value(w, depth)) return 0;
  }
  return 1;
}

static int table_put(struct packer *w, unsigned tag, int32_t depth) {
  int32_t first = members_n(w), start = w->out->len, ok = 1;
  uint32_t items = 0, pairs = 0;
  if (depth > TM_ANY_DEPTH_MAX) return fail(w, TM_ANY_OTHER);
  if (tag != TM_LUA_HASH) items = read_length(w);
  if (tag == TM_LUA_ITEMS1 || tag == TM_LUA_MIXED1) items--;
  if (tag != TM_LUA_ITEMS0 && tag != TM_LUA_ITEMS1) pairs = read_length(w);
  if (tag == TM_LUA_ITEMS1 && items > 0 && (ok = array_put(w, items, depth)) >= 0) return ok;
  ok = items_put(w, items, tag == TM_LUA_ITEMS1 || tag == TM_LUA_MIXED1, depth) && pairs_put(w, pairs, depth);
  return ok && table_end(w, first, start);
}

/* ---- values ---- */

/* A table with a metatable: only what it says when the table is empty counts. */
static int meta_put(struct packer *w, int32_t depth) {
  uint32_t which = read_length(w);
  unsigned char tag = (unsigned char)*w->p++;
  if (which == TM_LUA_META_NULL) return done(w, put_be(w->out, 0xc0, 0, 0));
  if (tag == TM_LUA_EMPTY) return done(w, put_be(w->out, 0x90, 0, 0));
  return table_put(w, tag, depth + 1);
}

static int opaque_put(struct packer *w) {
  int bin = *w->p++ == 1, type = bin ? 0 : (unsigned char)*w->p++;
  uint32_t n = read_length(w);
  const char *s = w->p;
  w->p += n;
  return done(w, bin ? put_bin_head(w->out, n) : put_ext_head(w->out, type, n)) && done(w, tm_buf_put(w->out, s, (int32_t)n));
}

static int put_value(struct packer *w, int32_t depth) {
  unsigned char tag = (unsigned char)*w->p;
  if (tag >= TM_LUA_STRING) {
    uint32_t n = read_length(w) - TM_LUA_STRING;
    const char *s = w->p;
    w->p += n;
    return done(w, put_str_head(w->out, n)) && done(w, tm_buf_put(w->out, s, (int32_t)n));
  }
  w->p++;
  switch (tag) {
    case TM_LUA_NUMBER: return done(w, put_number(w->out, read_number(w)));
    case TM_LUA_FALSE: return done(w, put_be(w->out, 0xc2, 0, 0));
    case TM_LUA_TRUE: return done(w, put_be(w->out, 0xc3, 0, 0));
    case TM_LUA_NULL: return done(w, put_be(w->out, 0xc0, 0, 0));
    case TM_LUA_EMPTY: return done(w, put_be(w->out, 0x80, 0, 0));
    case TM_LUA_META: return meta_put(w, depth);
    case TM_LUA_OPAQUE: return opaque_put(w);
    case TM_LUA_HASH:
    case TM_LUA_ITEMS0:
    case TM_LUA_MIXED0:
    case TM_LUA_ITEMS1:
    case TM_LUA_MIXED1: return table_put(w, tag, depth + 1);
    default: return fail(w, TM_ANY_OTHER);
  }
}

int32_t tm_ffi_any_pack(struct tm_buf *out, const char *lua, int32_t len) {
  static struct tm_buf members, copy;
  if (members.cap_max == 0) {
    tm_buf_init(&members, INT32_MAX - TM_PAD);
    tm_buf_init(&copy, INT32_MAX - TM_PAD);
  }
  members.len = 0;
  struct packer w = {lua, lua + len, out, &members, &copy, 0};
  int32_t start = out->len;
  if (put_value(&w, 0)) return 0;
  out->len = start;
  return w.rc;
}
