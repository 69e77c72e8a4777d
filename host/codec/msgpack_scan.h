/* msgpack_scan.h - the msgpack decoder, as text for several instruction sets.
 *
 * Included once by each msgpack_scan_*.c, which first defines
 *   SCANNER                                 the function to define
 *   int step_here(p, step)                  do the bytes at p equal step->text as far as step->mask goes?
 *   int not_ascii(p, n)                     is any of the n < 32 bytes at p not ASCII?
 * so that everything is inlined into one loop per object. Both may read TM_PAD / 2 bytes from p on.
 *
 * Keys are learnt as those of JSON are (json_shape.h). A step is the bytes of the next key and, while that keeps coming, the
 * lead byte of its value; so one compare tells which key comes, what its value is and where it ends, and the place behind
 * does not wait for a byte of the text. Where the lead byte changes, the step ends with the key.
 *
 *   8d  a2 't' 's' cf 0000018b…  a2 'i' 'd' ce …
 *       |__ step ___|            |__ step ___|
 *
 * Functions take the place in the text and return the place behind what they read, or NULL with r->fault set. */
#include "cell.h"
#include "json.h"
#include "msgpack_scanner.h"

#include <string.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

static const char *members(struct tm_msgpack_reader *r, struct tm_json_level *lv, const char *p, uint32_t count, int32_t depth);

/* ---- cells ---- */

static inline void cell_put(struct tm_msgpack_reader *r, const struct tm_json_key *k, const char *text, uint32_t len, int kind,
                            double num) {
  struct tm_cell *c = &k->cells[r->row];
  /* A second value of this name: what the first one held goes. */
  if (UNLIKELY(c->tag != TM_KIND_ABSENT)) {
    r->twice = 1;
    if (k->words != NULL) k->words->codes[r->row] = 0;
    if (k->flags & TM_JSON_KEY_LEVEL) tm_json_level_clear(k->level, r->row);
  }
  c->num = num;
  c->off = (int32_t)(text - r->base);
  c->tag = (int32_t)(len << 4 | (uint32_t)kind);
}

static inline void string_put(struct tm_msgpack_reader *r, const struct tm_json_key *k, const char *text, uint32_t len,
                              int32_t head) {
  cell_put(r, k, text, len, TM_KIND_STRING, tm_cell_num(head));
  if (k->words != NULL) k->words->codes[r->row] = tm_words_id(k->words, text, (int32_t)len);
}

/* A value of fixed length that is no str. */
static inline void scalar_put(struct tm_msgpack_reader *r, const struct tm_json_key *k, const char *p, uint32_t len) {
  const uint64_t exact = UINT64_C(1) << 53;
  int negative;
  double num = tm_cell_num(0);
  int kind;
  switch (tm_msgpack_leads[(unsigned char)*p].type) {
    case TM_MSGPACK_INT: {
      uint64_t v = tm_msgpack_int_read(p, &negative);
      kind = (negative ? 0 - v : v) > exact ? TM_KIND_BIGINT : TM_KIND_NUMBER;
      if (kind == TM_KIND_NUMBER) num = negative ? (double)(int64_t)v : (double)v;
      break;
    }
    case TM_MSGPACK_FLOAT: {
      double v = tm_msgpack_float_read(p);
      kind = TM_KIND_NUMBER;
      if (v == v) num = v;
      break;
    }
    case TM_MSGPACK_NIL: kind = TM_KIND_NULL; break;
    case TM_MSGPACK_FALSE: kind = TM_KIND_FALSE; break;
    case TM_MSGPACK_TRUE: kind = TM_KIND_TRUE; break;
    default: kind = TM_KIND_OPAQUE;
  }
  cell_put(r, k, p, len, kind, num);
}

/* ---- values ---- */

static const char *fail(struct tm_msgpack_reader *r, enum tm_msgpack_fault fault) {
  r->fault = fault;
  return NULL;
}

/* An object whose members are fields. */
static const char *object(struct tm_msgpack_reader *r, struct tm_json_key *k, const char *p, uint32_t count, int32_t depth) {
  if (depth >= TM_JSON_DEPTH_MAX) return fail(r, TM_MSGPACK_DEEP);
  /* Before its members are read: cell_put would come too late. */
  if (k->cells[r->row].tag != TM_KIND_ABSENT) {
    r->twice = 1;
    if (k->words != NULL) k->words->codes[r->row] = 0;
    tm_json_level_clear(k->level, r->row);
  }
  k->cells[r->row] = k->cells[TM_ROW_EMPTY];
  return members(r, k->level, p, count, depth + 1);
}

/* A value whose length its lead byte does not tell. */
static __attribute__((noinline)) const char *value_other(struct tm_msgpack_reader *r, struct tm_json_key *k, const char *p,
                                                         int32_t depth) {
  struct tm_msgpack_head h;
  if (!tm_msgpack_head_read(p, r->end - p, &h)) return fail(r, TM_MSGPACK_SHORT);
  const char *end = p + h.len;
  if (tm_msgpack_has_bytes(&h)) {
    if ((int64_t)h.count > r->end - end) return fail(r, TM_MSGPACK_SHORT);
    if (h.type == TM_MSGPACK_STR) {
      if (!tm_msgpack_utf8(end, h.count)) return fail(r, TM_MSGPACK_UTF8);
      if (k->cells != NULL) string_put(r, k, end, h.count, h.len);
      return end + h.count;
    }
    if (k->cells != NULL) cell_put(r, k, p, (uint32_t)h.len + h.count, TM_KIND_OPAQUE, tm_cell_num(0));
    return end + h.count;
  }
  if (h.type == TM_MSGPACK_NEVER) return fail(r, TM_MSGPACK_C1);
  if (h.type == TM_MSGPACK_MAP && k->flags & TM_JSON_KEY_LEVEL) {
    if ((end = object(r, k, end, h.count, depth)) == NULL) return NULL;
  } else {
    end = p;
    enum tm_msgpack_fault fault = tm_msgpack_check(&end, r->end, depth);
    if (fault != TM_MSGPACK_FINE) return fail(r, fault);
  }
  if (k->cells != NULL) {
    int kind = h.type == TM_MSGPACK_MAP ? TM_KIND_OBJECT : TM_KIND_ARRAY;
    cell_put(r, k, p, (uint32_t)(end - p), kind, tm_cell_num(0));
  }
  return end;
}

/* ---- members ---- */

/* A key and the place behind it; p is NULL after a fault. */
struct place {
  const char *p;
  struct tm_json_key *key;
};

/* p[0..len) is the next key, `k`: expect it behind `from` from now on, with the lead byte of its value, unless that is
 * known to change. */
static void learn(struct tm_msgpack_reader *r, struct tm_json_key *from, const char *p, ptrdiff_t len,
                  struct tm_json_key *k) {
  int32_t size = 0;
  if (from->step.key != k && from->alt.key != k && len < TM_JSON_STEP && p + len < r->end) {
    size = tm_msgpack_leads[(unsigned char)p[len]].size;
  }
  ptrdiff_t n = len + (size != 0);
  tm_json_step_learn(from, p, n, TM_JSON_TO_VALUE, k);
  /* not every text is taken */
  if (n > TM_JSON_STEP || from->step.len != n || memcmp(from->step.text, p, (size_t)n) != 0) return;
  from->step.len = (uint8_t)len;
  from->step.size = (uint16_t)size;
}

/* The expected key is not at p: the one before it, or something to parse. */
static __attribute__((noinline)) struct place key_other(struct tm_msgpack_reader *r, struct tm_json_level *lv,
                                                        struct tm_json_key *from, const char *p) {
  struct tm_msgpack_head h;
  if (step_here(p, &from->alt) && from->alt.to != TM_JSON_TO_END) {
    struct tm_json_step found = from->alt;
    from->alt = from->step;
    from->step = found;
    return (struct place){p + found.len, found.key};
  }
  if (!tm_msgpack_head_read(p, r->end - p, &h)) return (struct place){fail(r, TM_MSGPACK_SHORT), NULL};
  if (h.type == TM_MSGPACK_NEVER) return (struct place){fail(r, TM_MSGPACK_C1), NULL};
  if (h.type != TM_MSGPACK_STR) return (struct place){fail(r, TM_MSGPACK_KEY), NULL};
  const char *name = p + h.len;
  if ((int64_t)h.count > r->end - name) return (struct place){fail(r, TM_MSGPACK_SHORT), NULL};
  if (!tm_msgpack_utf8(name, h.count)) return (struct place){fail(r, TM_MSGPACK_UTF8), NULL};
  struct tm_json_key *k = tm_json_level_find(r->shape, lv, name, (int32_t)h.count);
  learn(r, from, p, h.len + (ptrdiff_t)h.count, k);
  return (struct place){name + h.count, k};
}

/* p + n, n being the length of a value of k. If it was guessed right the place behind it does not depend on the byte that
 * told it, which only has to confirm it. */
static inline const char *pass(struct tm_json_key *k, const char *p, int32_t n) {
  int64_t guess = k->guess;
  /* Or the compiler sees that both are the same. */
  __asm__("" : "+r"(guess));
  if (n == k->guess) return p + guess;
  k->guess = n | k->guess_off;
  if (UNLIKELY(--k->patience == 0)) tm_json_key_tune(k);
  return p + n;
}

/* `count` members of an object of level lv from p on, depth counts it. This is the hot loop. */
static const char *members(struct tm_msgpack_reader *r, struct tm_json_level *lv, const char *p, uint32_t count,
                           int32_t depth) {
  struct tm_json_key *k = &lv->start;
  for (; count > 0; count--) {
    const char *value;
    int32_t size = 0;
    if (LIKELY(step_here(p, &k->step)) && LIKELY(k->step.to != TM_JSON_TO_END)) {
      value = p + k->step.len;
      size = k->step.size;
      k = k->step.key;
    } else {
      struct place at = key_other(r, lv, k, p);
      if (UNLIKELY(at.p == NULL)) return NULL;
      value = at.p;
      k = at.key;
    }
    if (LIKELY(size != 0)) {
      p = value + size;
    } else if ((size = tm_msgpack_leads[(unsigned char)*value].size) != 0) {
      p = pass(k, value, size);
    } else if ((p = value_other(r, k, value, depth)) == NULL) {
      return NULL;
    } else {
      continue;
    }
    if (UNLIKELY(p > r->end)) return fail(r, TM_MSGPACK_SHORT);
    if (((unsigned char)*value & 0xe0) == 0xa0) {
      uint32_t n = (uint32_t)size - 1;
      if (UNLIKELY(not_ascii(value + 1, n)) && !tm_msgpack_utf8(value + 1, n)) return fail(r, TM_MSGPACK_UTF8);
      if (k->cells != NULL) string_put(r, k, value + 1, n, 1);
    } else if (k->cells != NULL) {
      scalar_put(r, k, value, (uint32_t)size);
    }
  }
  return p;
}

const char *SCANNER(struct tm_msgpack_reader *r, const char *p) {
  struct tm_msgpack_head h;
  if (!tm_msgpack_head_read(p, r->end - p, &h)) return fail(r, TM_MSGPACK_SHORT);
  if (h.type != TM_MSGPACK_MAP) {
    r->fault = tm_msgpack_check(&p, r->end, 0);
    return NULL;
  }
  return members(r, r->shape->root, p + h.len, h.count, 1);
}

