/* json_text.c - reading single values out of text that the reader has found valid.
 *
 * Three questions Lua asks: where is this member (find), what does this string say (unescape), and what is all
 * of this value (tape: the value flattened in pre-order, from which tables are made). Runs in the worker, on text
 * it owns; keeps no state of its own. The tape's memory belongs to the caller.
 *
 * Every question costs time linear in the text, whatever the text is: names are hashed with a seed that differs
 * between runs, nesting is kept on an explicit stack. */
#include <stdlib.h>

#include "../base/buf.h"
#include "../base/owned.h"
#include "json.h"
#include "json_walk.h"

/* ---- escapes ---- */

static inline uint32_t hex4(const char *p) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    /* '0'..'9' are 0x30.., letters of either case have bit 6 and start at 1 */
    uint32_t ch = (unsigned char)p[i];
    v = v << 4 | ((ch & 15) + (ch >> 6) * 9);
  }
  return v;
}

static inline int utf8_put(char *out, uint32_t c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 63));
    out[2] = (char)(0x80 | (c & 63));
    return 3;
  }
  out[0] = (char)(0xf0 | c >> 18);
  out[1] = (char)(0x80 | (c >> 12 & 63));
  out[2] = (char)(0x80 | (c >> 6 & 63));
  out[3] = (char)(0x80 | (c & 63));
  return 4;
}

/* one escape at *p (its backslash), moved behind it; out gets up to 4 bytes; returns their number */
static int escape_read(const char **p, char *out) {
  const char *s = *p;
  *p = s + 2;
  switch (s[1]) {
    case 'b': out[0] = '\b'; return 1;
    case 'f': out[0] = '\f'; return 1;
    case 'n': out[0] = '\n'; return 1;
    case 'r': out[0] = '\r'; return 1;
    case 't': out[0] = '\t'; return 1;
    case 'u': break;
    default: out[0] = s[1]; return 1;
  }
  uint32_t c = hex4(s + 2);
  *p = s + 6;
  if ((c & 0xfc00) == 0xd800) {
    c = 0x10000 + ((c & 0x3ff) << 10) + (hex4(s + 8) & 0x3ff);
    *p = s + 12;
  }
  return utf8_put(out, c);
}

int32_t tm_ffi_json_unescape(const char *text, int32_t len, struct tm_buf *out) {
  const char *p = text, *end = text + len;
  /* no escape is shorter than what it stands for */
  if (tm_buf_reserve(out, len) != 0) return -1;
  char *q = out->data + out->len;
  while (p < end) {
#ifdef __SSE2__
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    int mask = _mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
    _mm_storeu_si128((__m128i *)(void *)q, x);
    int run = mask != 0 ? __builtin_ctz((unsigned)mask) : 16;
    p += run;
    q += run;
    if (mask == 0 || p >= end) continue;
#else
    if (*p != '\\') {
      *q++ = *p++;
      continue;
    }
#endif
    q += escape_read(&p, q);
  }
  /* the last 16 bytes copied may reach beyond the string */
  q -= p - end;
  out->len = (int32_t)(q - out->data);
  return 0;
}

/* ---- names ---- */

/* A name given out byte by byte, unescaped. */
struct name_bytes {
  const char *p, *end;
  char decoded[4];
  int n, at;
  int escaped;
};

static inline int name_byte_next(struct name_bytes *b) {
  if (b->at < b->n) return (unsigned char)b->decoded[b->at++];
  if (b->p >= b->end) return -1;
  if (!b->escaped || *b->p != '\\') return (unsigned char)*b->p++;
  b->n = escape_read(&b->p, b->decoded);
  b->at = 1;
  return (unsigned char)b->decoded[0];
}

static inline struct name_bytes name_bytes_of(struct tm_json_name a) {
  return (struct name_bytes){.p = a.s, .end = a.s + a.len, .escaped = a.escaped};
}

int tm_json_name_match(struct tm_json_name a, struct tm_json_name b) {
  struct name_bytes x = name_bytes_of(a), y = name_bytes_of(b);
  for (;;) {
    int c = name_byte_next(&x);
    if (c != name_byte_next(&y)) return 0;
    if (c < 0) return 1;
  }
}

/* eight bytes more */
static inline uint64_t hash_mix(uint64_t h, uint64_t w) {
  unsigned __int128 product = (unsigned __int128)(h ^ w) * 0x9e3779b97f4a7c15ULL;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* the n < 8 bytes at s in the low bytes of a word, read without reaching beyond them */
static inline uint64_t word_tail(const char *s, int32_t n) {
  if (n >= 4) {
    uint32_t low, high;
    memcpy(&low, s, 4);
    memcpy(&high, s + n - 4, 4);
    return low | (uint64_t)high << (8 * (n - 4));
  }
  if (n == 0) return 0;
  /* one, two or three bytes: the first, the middle and the last are all there are */
  return (uint64_t)(unsigned char)s[0] | (uint64_t)(unsigned char)s[n / 2] << (8 * (n / 2)) |
         (uint64_t)(unsigned char)s[n - 1] << (8 * (n - 1));
}

uint32_t tm_json_name_hash(struct tm_json_name a) {
  /* seeded by where the program was loaded: nobody outside can choose names that collide */
  static const char anchor = 0;
  uint64_t h = 0xcbf29ce484222325ULL ^ (uint64_t)(uintptr_t)&anchor, w = 0;
  int32_t i = 0;
  if (!a.escaped && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
    for (; a.len - i >= 8; i += 8) {
      memcpy(&w, a.s + i, 8);
      h = hash_mix(h, w);
    }
    w = word_tail(a.s + i, a.len - i);
    i = a.len;
  } else {
    struct name_bytes b = name_bytes_of(a);
    for (int c; (c = name_byte_next(&b)) >= 0; i++) {
      w |= (uint64_t)c << (8 * (i & 7));
      if ((i & 7) != 7) continue;
      h = hash_mix(h, w);
      w = 0;
    }
  }
  h = hash_mix(hash_mix(h, w), (uint64_t)i);
  return (uint32_t)(h ^ h >> 32);
}

int tm_json_seen_init(struct tm_json_seen *s, const char *base, const struct tm_cell *cells, int32_t n) {
  s->base = base;
  s->cells = cells;
  s->slots = s->small;
  s->kept = 0;
  s->mask = 0;
  s->linear = n <= TM_SEEN_LINEAR;
  if (s->linear) return 0;
  uint32_t size = TM_SEEN_SMALL;
  while (size < (uint32_t)n * 2) size *= 2;
  s->mask = size - 1;
  if (size == TM_SEEN_SMALL) {
    memset(s->small, 0, sizeof s->small);
    return 0;
  }
  s->slots = calloc(size, sizeof *s->slots);
  return s->slots != NULL ? 0 : -1;
}

int tm_json_seen_add(struct tm_json_seen *s, int32_t i) {
  struct tm_json_name name = tm_json_name_get(s->base, &s->cells[i]);
  if (s->linear) {
    for (int32_t k = 0; k < s->kept; k++)
      if (tm_json_name_equal(name, tm_json_name_get(s->base, &s->cells[s->slots[k]]))) return 0;
    s->slots[s->kept++] = i;
    return 1;
  }
  uint32_t at = tm_json_name_hash(name) & s->mask;
  for (; s->slots[at] != 0; at = (at + 1) & s->mask)
    if (tm_json_name_equal(name, tm_json_name_get(s->base, &s->cells[s->slots[at] - 1]))) return 0;
  s->slots[at] = i + 1;
  return 1;
}

void tm_json_seen_fini(struct tm_json_seen *s) {
  if (s->slots != s->small) free(s->slots);
}

/* ---- find ---- */

void tm_ffi_json_find(const char *text, int32_t len, const char *name, int32_t name_len, struct tm_cell *out) {
  struct tm_json_members m;
  struct tm_json_name wanted = {name, name_len, 0};
  struct tm_cell key, value;
  tm_cell_set(out, 0, 0, TM_KIND_ABSENT);
  if (len < 2 || text[0] != '{') return;
  tm_json_members_init(&m, text, len);
  while (tm_json_members_next(&m, &key, &value))
    if (tm_json_name_equal(tm_json_name_get(text, &key), wanted)) *out = value;
  if (tm_cell_kind(out) == TM_KIND_NUMBER) tm_json_number_read(text, out);
}

/* ---- tape ---- */

/* An object or array not yet closed. While it is open, the num of each of its key cells holds the index of the
 * key before it (as bits, -1 none), so that finding duplicates needs no memory of its own. */
struct frame {
  int32_t head;        /* its cell */
  int32_t members;
  int32_t last_key;    /* the cell of its latest key; -1 none */
};

struct taper {
  struct tm_tape *t;
  const char *text;
  const char *end;
  int depth;
  struct frame stack[TM_JSON_DEPTH_MAX];
};

static inline void link_set(struct tm_cell *c, int32_t index) {
  int64_t bits = index;
  memcpy(&c->num, &bits, 8);
}
static inline int32_t link_get(const struct tm_cell *c) {
  int64_t bits;
  memcpy(&bits, &c->num, 8);
  return (int32_t)bits;
}

/* room for two more cells, a key and a value */
int tm_tape_grow(struct tm_tape *t) {
  if (t->cap > INT32_MAX / 2 / (int32_t)sizeof *t->cells) return -1;
  int32_t cap = t->cap < 64 ? 64 : t->cap * 2;
  struct tm_cell *cells = tm_owned_realloc(t->cells, (size_t)cap * sizeof *cells);
  if (cells == NULL) return -1;
  t->cells = cells;
  t->cap = cap;
  return 0;
}

/* takes out the members whose key was marked; keys are linked forward */
static void duplicates_remove(struct tm_tape *t, struct frame *f, int32_t first) {
  int32_t to = first;
  for (int32_t key = first; key >= 0;) {
    int32_t next = link_get(&t->cells[key]);
    int32_t end = next >= 0 ? next : t->n;
    if (tm_cell_kind(&t->cells[key]) == TM_KIND_ABSENT) {
      f->members--;
    } else {
      memmove(&t->cells[to], &t->cells[key], (size_t)(end - key) * sizeof *t->cells);
      t->cells[to].num = tm_cell_nan();
      to += end - key;
    }
    key = next;
  }
  t->n = to;
}

/* keeps the last of each name of the object just ended */
static int names_settle(struct taper *w, struct frame *f) {
  struct tm_cell *cells = w->t->cells;
  struct tm_json_seen seen;
  int32_t next = -1, key = f->last_key, doubled = 0;
  if (f->members == 1) {
    cells[key].num = tm_cell_nan();
    return 0;
  }
  if (tm_json_seen_init(&seen, w->text, cells, f->members) != 0) return -1;
  while (key >= 0) {
    int32_t before = link_get(&cells[key]);
    if (!tm_json_seen_add(&seen, key)) {
      cells[key].tag = TM_KIND_ABSENT;
      doubled = 1;
    }
    link_set(&cells[key], next);
    next = key;
    key = before;
  }
  tm_json_seen_fini(&seen);
  if (doubled) {
    duplicates_remove(w->t, f, next);
    return 0;
  }
  for (key = next; key >= 0; key = next) {
    next = link_get(&cells[key]);
    cells[key].num = tm_cell_nan();
  }
  return 0;
}

/* p is behind the bracket that ends the innermost frame */
static int frame_close(struct taper *w, const char *p) {
  struct frame *f = &w->stack[--w->depth];
  if (f->last_key >= 0 && names_settle(w, f) != 0) return -1;
  struct tm_cell *head = &w->t->cells[f->head];
  head->tag |= (int32_t)((uint32_t)(p - w->text - head->off) << 4);
  head->num = f->members;
  return 0;
}

/* a member's key, if the innermost frame is an object; returns where its value starts */
static const char *member_begin(struct taper *w, const char *p) {
  struct frame *f = &w->stack[w->depth - 1];
  struct tm_tape *t = w->t;
  f->members++;
  if (tm_cell_kind(&t->cells[f->head]) == TM_KIND_ARRAY) return p;
  struct tm_cell *key = &t->cells[t->n];
  p = tm_json_space_skip(tm_json_value_skip(w->text, p, w->end, key));
  link_set(key, f->last_key);
  f->last_key = t->n++;
  return tm_json_space_skip(p + 1);
}

/* The value at p, its cell included. An object or array that is not empty is only opened. NULL: out of memory. */
static const char *value_begin(struct taper *w, const char *p) {
  struct tm_cell *c = &w->t->cells[w->t->n++];
  if (*p != '{' && *p != '[') {
    p = tm_json_value_skip(w->text, p, w->end, c);
    if (tm_cell_kind(c) == TM_KIND_NUMBER) tm_json_number_read(w->text, c);
    return p;
  }
  if (w->depth == TM_JSON_DEPTH_MAX) return NULL;
  tm_cell_set(c, (int32_t)(p - w->text), 0, *p == '{' ? TM_KIND_OBJECT : TM_KIND_ARRAY);
  w->stack[w->depth++] = (struct frame){w->t->n - 1, 0, -1};
  p = tm_json_space_skip(p + 1);
  if (*p != '}' && *p != ']') return p;
  return frame_close(w, p + 1) == 0 ? p + 1 : NULL;
}

int32_t tm_ffi_json_tape(const char *text, int32_t len, struct tm_tape *t) {
  struct taper w;
  w.t = t;
  w.text = text;
  w.end = text + len;
  w.depth = 0;
  t->n = 0;
  const char *p = tm_json_space_skip(text);
  for (;;) {
    int before = w.depth;
    if (t->cap - t->n < 2 && tm_tape_grow(t) != 0) return -1;
    p = value_begin(&w, p);
    if (p == NULL) return -1;
    if (w.depth == before) {
      /* the value is complete: end what ends with it */
      while (w.depth > 0 && *(p = tm_json_space_skip(p)) != ',')
        if (frame_close(&w, ++p) != 0) return -1;
      if (w.depth == 0) return 0;
      p = tm_json_space_skip(p + 1);
    }
    if (t->cap - t->n < 2 && tm_tape_grow(t) != 0) return -1;
    p = member_begin(&w, p);
  }
}
