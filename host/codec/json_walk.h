/* json_walk.h - moving through JSON text that is known to be valid.
 *
 * Inline, because json_text.c and json_patch.c spend their time here. Nothing is checked again: the text passed
 * the reader's full check, and TM_PAD readable bytes lie behind it. Strings and nested values are skipped 16 bytes
 * at a time; nothing recurses. Positions are pointers into the text, cells hold offsets from its base.
 *
 * The text may have notes (note.h): in front of a value they are passed like white space; a string that begins with one is
 * OPAQUE.
 *
 * Names of members are compared unescaped: "am\u006funt" is "amount". */
#ifndef TM_CODEC_JSON_WALK_H
#define TM_CODEC_JSON_WALK_H

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "cell.h"
#include "json_scanner.h"
#include "note.h"

static inline double tm_cell_nan(void) { return tm_cell_num(0); }
/* 1 if the span leaves quotes out */
static inline int tm_cell_quoted(const struct tm_cell *c) {
  int kind = tm_cell_kind(c);
  return kind == TM_KIND_STRING || kind == TM_KIND_ESCAPED || kind == TM_KIND_OPAQUE;
}
static inline void tm_cell_set(struct tm_cell *c, int32_t off, int32_t len, int kind) {
  c->num = tm_cell_nan();
  c->off = off;
  c->tag = (int32_t)((uint32_t)len << 4) | kind;
}

static inline const char *tm_json_space_skip(const char *p) {
  /* between tokens nothing but space and notes is as small as a space */
  while (*p <= ' ' && *p >= '\t') p++;
  return p;
}

/* from behind the opening quote to the closing one; *escaped becomes 1 if there is a backslash between */
static inline const char *tm_json_string_skip(const char *p, int *escaped) {
  for (;;) {
#ifdef __SSE2__
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
    int mask = _mm_movemask_epi8(hit);
    if (mask == 0) {
      p += 16;
      continue;
    }
    p += __builtin_ctz((unsigned)mask);
#else
    while (*p != '"' && *p != '\\') p++;
#endif
    if (*p == '"') return p;
    *escaped = 1;
    p += 2;
  }
}

/* from the opening brace or bracket to behind the closing one */
static inline const char *tm_json_container_skip(const char *p) {
  int32_t depth = 0;
  int escaped = 0;
  for (;;) {
#ifdef __SSE2__
    /* '[' and '{', ']' and '}' differ in bit 5 alone */
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i folded = _mm_or_si128(x, _mm_set1_epi8(0x20));
    __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(folded, _mm_set1_epi8('{')), _mm_cmpeq_epi8(folded, _mm_set1_epi8('}')));
    int mask = _mm_movemask_epi8(_mm_or_si128(hit, _mm_cmpeq_epi8(x, _mm_set1_epi8('"'))));
    if (mask == 0) {
      p += 16;
      continue;
    }
    p += __builtin_ctz((unsigned)mask);
#endif
    char ch = *p++;
    if (ch == '"') p = tm_json_string_skip(p, &escaped) + 1;
    else if (ch == '{' || ch == '[') depth++;
    else if ((ch == '}' || ch == ']') && --depth == 0) return p;
  }
}

/* the end of the number at p */
static inline const char *tm_json_number_skip(const char *p, const char *end) {
#ifdef __SSE2__
  /* followed by white space, a comma or a closing bracket, none of which a number has */
  for (;; p += 16) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i folded = _mm_or_si128(x, _mm_set1_epi8(0x20));
    __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(',')), _mm_cmpeq_epi8(folded, _mm_set1_epi8('}')));
    int mask = _mm_movemask_epi8(_mm_or_si128(hit, _mm_cmplt_epi8(x, _mm_set1_epi8(0x21))));
    if (mask != 0 || end - p <= 16) {
      p += mask != 0 ? __builtin_ctz((unsigned)mask) : 16;
      return p < end ? p : end;
    }
  }
#else
  while (p < end && *p > ' ' && *p != ',' && *p != '}' && *p != ']') p++;
  return p;
#endif
}

/* The value at p, which ends at `end` at the latest: its span and kind into c (numbers as NUMBER, not yet read),
 * the place behind it as result. */
static inline const char *tm_json_value_skip(const char *base, const char *p, const char *end, struct tm_cell *c) {
  const char *q = p;
  int escaped = 0, kind = TM_KIND_NUMBER;
  switch (*p) {
    case '"':
      q = tm_json_string_skip(p + 1, &escaped);
      kind = tm_note_at(p + 1) ? TM_KIND_OPAQUE : escaped ? TM_KIND_ESCAPED : TM_KIND_STRING;
      tm_cell_set(c, (int32_t)(p + 1 - base), (int32_t)(q - p - 1), kind);
      return q + 1;
    case '{':
    case '[':
      kind = *p == '{' ? TM_KIND_OBJECT : TM_KIND_ARRAY;
      q = tm_json_container_skip(p);
      break;
    case 't':
      kind = TM_KIND_TRUE;
      q = p + 4;
      break;
    case 'f':
      kind = TM_KIND_FALSE;
      q = p + 5;
      break;
    case 'n':
      kind = TM_KIND_NULL;
      q = p + 4;
      break;
    default:
      q = tm_json_number_skip(p, end);
  }
  tm_cell_set(c, (int32_t)(p - base), (int32_t)(q - p), kind);
  return q;
}

/* gives a NUMBER cell its value, and its true kind if that is another */
static inline void tm_json_number_read(const char *base, struct tm_cell *c) {
  const char *p = base + c->off, *end = p + tm_cell_len(c);
  int negative = *p == '-';
  int32_t places = 0, behind_point = 0;
  int64_t m = 0;
  if (end - p <= TM_JSON_DIGITS_SAFE) {
    for (p += negative; p < end; p++) {
      if ((unsigned char)(*p - '0') < 10) m = m * 10 + (*p - '0'), places += behind_point;
      else if (*p == '.') behind_point = 1;
      else break;
    }
    if (p == end) {
      double v = behind_point ? (double)m / tm_json_pow10[places] : (double)m;
      c->num = negative ? -v : v;
      return;
    }
  }
  tm_json_number_cell(base + c->off, tm_cell_len(c), 1, c);
  if (tm_cell_kind(c) != TM_KIND_NUMBER && c->off >= TM_NOTE && tm_note_at(base + c->off - TM_NOTE)) tm_note_number(base, c);
}

/* The members of one object, one after the other. */
struct tm_json_members {
  const char *base;   /* the object's text */
  const char *p;      /* the next key's quote; NULL: no more */
  const char *end;
};

static inline void tm_json_members_init(struct tm_json_members *m, const char *text, int32_t len) {
  m->base = text;
  m->end = text + len;
  m->p = tm_json_space_skip(text + 1);
  if (*m->p != '"') m->p = NULL;
}

/* the next member: 1, or 0 if there is none. Numbers are not yet read. */
static inline int tm_json_members_next(struct tm_json_members *m, struct tm_cell *key, struct tm_cell *value) {
  if (m->p == NULL) return 0;
  int escaped = 0;
  const char *start = m->p + 1;
  const char *q = tm_json_string_skip(start, &escaped);
  tm_cell_set(key, (int32_t)(start - m->base), (int32_t)(q - start), escaped ? TM_KIND_ESCAPED : TM_KIND_STRING);
  q = tm_json_space_skip(q + 1);
  q = tm_json_space_skip(q + 1);
  q = tm_json_space_skip(tm_json_value_skip(m->base, q, m->end, value));
  m->p = *q == ',' ? tm_json_space_skip(q + 1) : NULL;
  return 1;
}

/* room for more cells in a tape: 0, or -1 out of memory (json_text.c) */
int tm_tape_grow(struct tm_tape *t);

/* ---- names (json_text.c) ---- */

/* A name as it lies in text, or as plain UTF-8 (escaped = 0). */
struct tm_json_name {
  const char *s;
  int32_t len;
  int32_t escaped;
};

static inline struct tm_json_name tm_json_name_get(const char *base, const struct tm_cell *key) {
  return (struct tm_json_name){base + key->off, tm_cell_len(key), tm_cell_kind(key) == TM_KIND_ESCAPED};
}

/* the same once unescaped? (slow way: at least one has escapes) */
int tm_json_name_match(struct tm_json_name a, struct tm_json_name b);
/* of the unescaped name; differs between runs, so it may decide speed and nothing else */
uint32_t tm_json_name_hash(struct tm_json_name a);

static inline int tm_json_name_equal(struct tm_json_name a, struct tm_json_name b) {
  if ((a.escaped | b.escaped) == 0) return a.len == b.len && memcmp(a.s, b.s, (size_t)a.len) == 0;
  return tm_json_name_match(a, b);
}

/* Which names of an object were met; walked from the last member to the first it tells duplicates. Cells and text
 * must stay where they are while it is used. */
enum { TM_SEEN_LINEAR = 8, TM_SEEN_SMALL = 128 };
struct tm_json_seen {
  const char *base;
  const struct tm_cell *cells;
  int32_t *slots;                   /* index + 1 of a key cell; `small`, or heap; in use beyond TM_SEEN_LINEAR names */
  uint32_t mask;
  int32_t linear;                   /* up to this many names there is no table */
  int32_t kept;
  int32_t small[TM_SEEN_SMALL];
};

/* for `n` names at most: 0, or -1 out of memory */
int tm_json_seen_init(struct tm_json_seen *s, const char *base, const struct tm_cell *cells, int32_t n);
/* 1: the name of cells[i] is new, 0: it was there before */
int tm_json_seen_add(struct tm_json_seen *s, int32_t i);
void tm_json_seen_fini(struct tm_json_seen *s);

#endif
