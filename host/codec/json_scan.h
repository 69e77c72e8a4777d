/* json_scan.h - the JSON decoder, as text for several instruction sets.
 *
 * Included once by each json_scan_*.c, which first defines the primitives for its instruction set:
 *   SCANNER, SCANNER_NAME                   the object to define, its name
 *   int32_t stops(p)                        bytes from p to the first '"', '\', control or non-ASCII byte; at most STEP
 *   int step_here(p, step)                  do the bytes at p equal step->text as far as step->mask goes?
 *   int quick_read(p, struct quick *)       a number without exponent, or as much of it as a step holds: 1; 0: cannot tell
 *   double quick_value(p, const struct quick *)   its value, with at most TM_JSON_DIGITS_SAFE digits
 *   int32_t find_lines(text, len, at, max)  see struct tm_json_scanner
 * so that everything is inlined into one loop per object. All scanners accept the same texts and write the same cells.
 *
 * A line is read in one pass without an index in front: from value to value by the learnt step (json_shape.h).
 * What limits the speed is not the number of instructions but that each place in the text follows from the one before;
 * so the lengths of values are guessed too, and the processor goes on while it still checks the guess.
 * Functions take the place in the text and return the place behind what they read, or NULL with s->error set. */
#include "json.h"
#include "json_scanner.h"

#include <string.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Where a step led; p is NULL after an error. */
struct place {
  const char *p;
  struct tm_json_key *key;
  int32_t to;
};

static const char *members(struct tm_json_scan *s, struct tm_json_level *lv, const char *p, int32_t depth);

static inline const char *space(const struct tm_json_scan *s, const char *p) {
  while (*p == ' ' || *p == '\t' || *p == '\r' || (*p == '\n' && s->lf)) p++;
  return p;
}

/* Hex digits of a \u escape at p (the first of four); -1 if there are not four. Reads no further than the first bad one. */
static int32_t hex4(const char *p) {
  int32_t v = 0;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    int32_t d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    if (d < 0) return -1;
    v = v << 4 | d;
  }
  return v;
}

/* p stands on a backslash; returns the place behind the escape (behind both halves of a pair), or NULL. */
static const char *escape(const char *p) {
  switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
      return p + 2;
    case 'u': {
      int32_t u = hex4(p + 2);
      if (u < 0 || (u >= 0xDC00 && u <= 0xDFFF)) return NULL;
      if (u < 0xD800 || u > 0xDBFF) return p + 6;
      if (p[6] != '\\' || p[7] != 'u') return NULL;
      u = hex4(p + 8);
      return u >= 0xDC00 && u <= 0xDFFF ? p + 12 : NULL;
    }
    default:
      return NULL;
  }
}

/* p stands on a byte >= 0x80; returns the place behind this character and all non-ASCII ones that follow it at
 * once, or NULL if one is not UTF-8 (RFC 3629). Words are compared little-endian. */
static const char *utf8_run(const char *p) {
  do {
    const unsigned char *u = (const unsigned char *)p;
    uint32_t w = (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
    if ((w & 0xC0E0u) == 0x80C0u) {
      if ((w & 0x1Eu) == 0) return NULL;
      p += 2;
    } else if ((w & 0xC0C0F0u) == 0x8080E0u) {
      uint32_t top = w & 0x200Fu;
      if (top == 0 || top == 0x200Du) return NULL;
      p += 3;
    } else if ((w & 0xC0C0C0F8u) == 0x808080F0u) {
      uint32_t top = (w & 7u) << 2 | (w >> 12 & 3u);
      if (top == 0 || top > 16) return NULL;
      p += 4;
    } else {
      return NULL;
    }
  } while (*p & 0x80);
  return p;
}

/* p lies in a string, nothing before it left to check; returns its closing quote, or NULL. */
static __attribute__((noinline)) const char *string_end(const char *p, int32_t *kind) {
  for (;;) {
    int32_t n = stops(p);
    p += n;
    if (n == STEP) continue;
    if (*p == '"') return p;
    if (*p == '\\') {
      *kind = TM_KIND_ESCAPED;
      p = escape(p);
    } else if (*p & 0x80) {
      p = utf8_run(p);
    } else {
      return NULL;
    }
    if (p == NULL) return NULL;
  }
}

/* p stands behind the opening quote; returns the closing quote, or NULL. */
static inline const char *string(const char *p, int32_t *kind) {
  *kind = TM_KIND_STRING;
  p += stops(p);
  if (LIKELY(*p == '"')) return p;
  return string_end(p, kind);
}

/* p stands on the first letter; returns the place behind true, false or null, or NULL. */
static inline const char *literal(const char *p, int32_t *kind) {
  if (memcmp(p, "true", 4) == 0) {
    *kind = TM_KIND_TRUE;
    return p + 4;
  }
  if (memcmp(p, "null", 4) == 0) {
    *kind = TM_KIND_NULL;
    return p + 4;
  }
  *kind = TM_KIND_FALSE;
  return memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
}

static inline int is_digit(char c) {
  return (unsigned char)(c - '0') < 10;
}

/* p stands on the first byte; returns the place behind the number, or NULL. */
static inline const char *number(const char *p) {
  struct quick q;
  if (LIKELY(quick_read(p, &q)) && (p[q.end] | 32) != 'e' && !is_digit(p[q.end]) && p[q.end] != '.') return p + q.end;
  return tm_json_number_end(p);
}

/* One value that nobody reads. No recursion: a bit for each open bracket tells an object from an array. depth: of
 * brackets open around it. */
static const char *skip(struct tm_json_scan *s, const char *p, int32_t depth) {
  uint64_t objects[TM_JSON_DEPTH_MAX / 64 + 1];
  int32_t kind, outer = depth;
  objects[depth >> 6] = 0;
value:
  p = space(s, p);
  switch (*p) {
    case '"':
      if ((p = string(p + 1, &kind)) == NULL) return NULL;
      p++;
      break;
    case '{':
    case '[':
      if (++depth > TM_JSON_DEPTH_MAX) {
        s->error = TM_LINE_TOO_DEEP;
        return NULL;
      }
      if ((depth & 63) == 0) objects[depth >> 6] = 0;
      objects[depth >> 6] &= ~(UINT64_C(1) << (depth & 63));
      objects[depth >> 6] |= (uint64_t)(*p == '{') << (depth & 63);
      int object = *p == '{';
      p = space(s, p + 1);
      if (*p == (object ? '}' : ']')) goto close;
      if (object) goto key;
      goto value;
    case 't': case 'f': case 'n':
      if ((p = literal(p, &kind)) == NULL) return NULL;
      break;
    default:
      if ((p = number(p)) == NULL) return NULL;
  }
behind:
  if (depth == outer) return p;
  p = space(s, p);
  int in_object = objects[depth >> 6] >> (depth & 63) & 1;
  if (*p == ',') {
    p++;
    if (in_object) goto key;
    goto value;
  }
  if (*p != (in_object ? '}' : ']')) return NULL;
close:
  p++;
  depth--;
  goto behind;
key:
  p = space(s, p);
  if (*p != '"' || (p = string(p + 1, &kind)) == NULL) return NULL;
  p = space(s, p + 1);
  if (*p != ':') return NULL;
  p++;
  goto value;
}

/* Unescapes the name p..end into the shape's scratch; its length, or one beyond name_max if it is longer than any
 * name kept. The text is valid. */
static int32_t name_unescape(const struct tm_json_shape *shape, const char *p, const char *end) {
  static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
  char *out = shape->name;
  int32_t n = 0;
  while (p < end) {
    if (n > shape->name_max) return n;
    if (*p != '\\') {
      out[n++] = *p++;
      continue;
    }
    if (p[1] != 'u') {
      const char *at = plain;
      while (*at != p[1]) at += 2;
      out[n++] = at[1];
      p += 2;
      continue;
    }
    uint32_t u = (uint32_t)hex4(p + 2);
    p += 6;
    if (u >= 0xD800 && u <= 0xDBFF) {
      u = 0x10000 + ((u & 0x3FF) << 10) + ((uint32_t)hex4(p + 2) & 0x3FF);
      p += 6;
    }
    if (u < 0x80) {
      out[n++] = (char)u;
      continue;
    }
    int more = u < 0x800 ? 1 : u < 0x10000 ? 2 : 3;
    out[n++] = (char)((0xFF00 >> (more + 1)) | (u >> 6 * more));
    while (more-- > 0) out[n++] = (char)(0x80 | (u >> 6 * more & 0x3F));
  }
  return n;
}

static inline void cell_put(struct tm_json_scan *s, const struct tm_json_key *k, const char *text, int32_t len,
                            int32_t kind, double num) {
  struct tm_cell *c = &k->cells[s->row];
  /* A second value of this name: what the first one held goes. */
  if (UNLIKELY(c->tag != TM_KIND_ABSENT)) {
    s->twice = 1;
    if (k->words != NULL) k->words->codes[s->row] = 0;
    if (k->flags & TM_JSON_KEY_LEVEL) tm_json_level_clear(k->level, s->row);
  }
  c->num = num;
  c->off = (int32_t)(text - s->base) + s->shift;
  c->tag = (int32_t)((uint32_t)len << 4 | (uint32_t)kind);
}

static inline double nan_num(void) {
  static const uint64_t bits = 0x7FF8000000000000u;
  double d;
  memcpy(&d, &bits, sizeof d);
  return d;
}

/* A string of a field. */
static inline void string_put(struct tm_json_scan *s, const struct tm_json_key *k, const char *text, int32_t len,
                              int32_t kind) {
  cell_put(s, k, text, len, kind, nan_num());
  if (k->words != NULL && kind == TM_KIND_STRING) k->words->codes[s->row] = tm_words_id(k->words, text, len);
}

/* A number of a field, q what quick_read found. */
static inline void number_put(struct tm_json_scan *s, const struct tm_json_key *k, const char *p,
                              const struct quick *q) {
  if (LIKELY(q->digits <= TM_JSON_DIGITS_SAFE)) {
    double v = k->flags & TM_JSON_KEY_NUMBER ? quick_value(p, q) : nan_num();
    cell_put(s, k, p, q->end, TM_KIND_NUMBER, v);
    return;
  }
  struct tm_cell c;
  tm_json_number_cell(p, q->end, k->flags & TM_JSON_KEY_NUMBER, &c);
  cell_put(s, k, p, q->end, c.tag & 15, c.num);
}

/* A number that quick_read cannot tell. */
static __attribute__((noinline)) const char *number_other(struct tm_json_scan *s, const struct tm_json_key *k,
                                                          const char *p) {
  const char *end = tm_json_number_end(p);
  if (end == NULL || k->cells == NULL) return end;
  struct tm_cell c;
  tm_json_number_cell(p, (int32_t)(end - p), k->flags & TM_JSON_KEY_NUMBER, &c);
  cell_put(s, k, p, (int32_t)(end - p), c.tag & 15, c.num);
  return end;
}

/* The expected step is not at p: the one before it, or something to parse. `value` is where the value before p begins:
 * if that is a number which quick_read broke off (at an exponent, or after its bytes), it is read again. */
static __attribute__((noinline)) struct place step_other(struct tm_json_scan *s, struct tm_json_level *lv,
                                                         struct tm_json_key *last, const char *p, const char *value) {
  static const struct place none;
  struct tm_json_key *k;
  int32_t kind;
  if (step_here(p, &last->alt)) {
    struct tm_json_step found = last->alt;
    last->alt = last->step;
    last->step = found;
    return (struct place){p + found.len, found.key, found.to};
  }
  if ((*value == '-' || is_digit(*value)) && (is_digit(*p) || *p == '.' || (*p | 32) == 'e')) {
    if ((p = number_other(s, last, value)) == NULL) return none;
  }
  const char *from = p;
  p = space(s, p);
  if (*p == '}') {
    tm_json_step_learn(last, from, p + 1 - from, TM_JSON_TO_END, &lv->other);
    return (struct place){p + 1, &lv->other, TM_JSON_TO_END};
  }
  if (last != &lv->start) {
    if (*p != ',') return none;
    p = space(s, p + 1);
  }
  if (*p != '"') return none;
  const char *name = p + 1;
  if ((p = string(name, &kind)) == NULL) return none;
  if (kind == TM_KIND_STRING) {
    k = tm_json_level_find(s->shape, lv, name, (int32_t)(p - name));
  } else {
    int32_t n = name_unescape(s->shape, name, p);
    k = tm_json_level_find(s->shape, lv, s->shape->name, n);
  }
  p = space(s, p + 1);
  if (*p != ':') return none;
  p = space(s, p + 1);
  int to = *p == '"' ? TM_JSON_TO_STRING : TM_JSON_TO_VALUE;
  p += *p == '"';
  tm_json_step_learn(last, from, p - from, to, k);
  return (struct place){p, k, to};
}

/* A value of key k that is no string, nor a number as quick_read reads them. */
static __attribute__((noinline)) const char *value_other(struct tm_json_scan *s, struct tm_json_key *k, const char *p,
                                                         int32_t depth) {
  const char *end;
  int32_t kind = TM_KIND_NUMBER;
  if (*p == '{' || *p == '[') {
    kind = *p == '{' ? TM_KIND_OBJECT : TM_KIND_ARRAY;
    if (kind == TM_KIND_ARRAY || !(k->flags & TM_JSON_KEY_LEVEL)) {
      end = skip(s, p, depth);
    } else if (depth >= TM_JSON_DEPTH_MAX) {
      s->error = TM_LINE_TOO_DEEP;
      return NULL;
    } else {
      /* Before its members are read: cell_put would come too late. */
      if (k->cells[s->row].tag != TM_KIND_ABSENT) {
        s->twice = 1;
        if (k->words != NULL) k->words->codes[s->row] = 0;
        tm_json_level_clear(k->level, s->row);
      }
      k->cells[s->row] = k->cells[TM_ROW_EMPTY];
      end = members(s, k->level, p + 1, depth + 1);
    }
  } else if (*p == 't' || *p == 'f' || *p == 'n') {
    end = literal(p, &kind);
  } else {
    return number_other(s, k, p);
  }
  if (end != NULL && k->cells != NULL) cell_put(s, k, p, (int32_t)(end - p), kind, nan_num());
  return end;
}

/* p + n, n being the length of a value of k that was just measured. If it was guessed right the place behind it does
 * not depend on the measurement, which only has to confirm it. */
static inline const char *pass(struct tm_json_key *k, const char *p, int32_t n) {
  int64_t guess = k->guess;
  /* Or the compiler sees that both are the same. */
  __asm__("" : "+r"(guess));
  if (n == k->guess) return p + guess;
  k->guess = n | k->guess_off;
  if (UNLIKELY(--k->patience == 0)) tm_json_key_tune(k);
  return p + n;
}

/* The members of an object of level lv; p stands behind its brace, depth counts it. This is the hot loop. */
static const char *members(struct tm_json_scan *s, struct tm_json_level *lv, const char *p, int32_t depth) {
  struct tm_json_key *k = &lv->start;
  const char *value = p - 1;
  for (;;) {
    int32_t to, kind;
    if (LIKELY(step_here(p, &k->step))) {
      p += k->step.len;
      to = k->step.to;
      k = k->step.key;
    } else {
      struct place at = step_other(s, lv, k, p, value);
      if (UNLIKELY(at.p == NULL)) return NULL;
      p = at.p;
      to = at.to;
      k = at.key;
    }
    if (to == TM_JSON_TO_STRING) {
    string_value:;
      const char *text = p;
      int32_t n = stops(text);
      value = text - 1;
      kind = TM_KIND_STRING;
      if (LIKELY(text[n] == '"')) {
        p = pass(k, text, n);
      } else {
        if ((p = string_end(text + n, &kind)) == NULL) return NULL;
        n = (int32_t)(p - text);
      }
      if (k->cells != NULL) string_put(s, k, text, n, kind);
      p++;
    } else if (to == TM_JSON_TO_VALUE) {
      struct quick q;
    value:
      value = p;
      /* One test for '-' and the digits, because signs are random; the two characters between fail in quick_read. */
      if ((unsigned char)(*p - '-') <= '9' - '-' && LIKELY(quick_read(p, &q))) {
        if (k->cells != NULL) number_put(s, k, p, &q);
        p = pass(k, p, q.end);
      } else if (*p == '"') {
        /* The step was learnt from a value of another kind, or with less white space. */
        p++;
        goto string_value;
      } else if (*p == ' ' || *p == '\t' || *p == '\r') {
        p++;
        goto value;
      } else if ((p = value_other(s, k, p, depth)) == NULL) {
        return NULL;
      }
    } else {
      return p;
    }
  }
}

static int32_t read_line(struct tm_json_scan *s, const char *p, const char **object, int32_t *object_len) {
  s->error = TM_LINE_SYNTAX;
  if (UNLIKELY(*p != '{')) {
    p = space(s, p);
    if (p == s->end) return -1;
    if (*p != '{') {
      p = skip(s, p, 0);
      if (p == NULL) return s->error;
      return space(s, p) == s->end ? TM_LINE_NOT_OBJECT : TM_LINE_SYNTAX;
    }
  }
  *object = p;
  p = members(s, s->shape->root, p + 1, 1);
  if (UNLIKELY(p == NULL)) return s->error;
  *object_len = (int32_t)(p - *object);
  if (LIKELY(p == s->end)) return TM_LINE_OK;
  return space(s, p) == s->end ? TM_LINE_OK : TM_LINE_SYNTAX;
}

static void read_object(struct tm_json_scan *s, const char *p) {
  members(s, s->shape->root, p + 1, 1);
}

static int32_t read_text(struct tm_json_scan *s, const char *p) {
  s->error = TM_LINE_SYNTAX;
  p = skip(s, p, 0);
  return p != NULL && space(s, p) == s->end ? 0 : -1;
}

const struct tm_json_scanner SCANNER = {
    .name = SCANNER_NAME,
    .lines = find_lines,
    .line = read_line,
    .object = read_object,
    .text = read_text,
};
