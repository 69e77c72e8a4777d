/* filter.c - which rows of a batch a script's filter surely drops, found from the columns without calling it.
 *
 * A filter is a graph of tests of one field against a constant, read off the function's bytecode (lua/tidemill/filter.lua).
 * Each test splits rows into those for which it is surely true, surely false, and the others: where reading or comparing
 * might raise, or where only Lua can tell. Rows that come to DROP by sure tests alone are left out, the others go to the
 * function, which stays the judge. So the answer is the same as without, and a processor that would guess wrong at every
 * fourth row of a random field has nothing to guess: tests are bits of words of 64 rows. */
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "../base/owned.h"
#include "fields.h"

enum { NODES_MAX = 64, BLOCK = 64 };

/* kinds whose value reads as nil, a boolean or a number that is at hand: no string, and reading does not raise */
enum {
  KINDS_NIL = 1 << TM_KIND_ABSENT | 1 << TM_KIND_NULL,
  KINDS_PLAIN = KINDS_NIL | 1 << TM_KIND_FALSE | 1 << TM_KIND_TRUE | 1 << TM_KIND_NUMBER,
  KINDS_NO_NUMBER = KINDS_NIL | 1 << TM_KIND_FALSE | 1 << TM_KIND_TRUE | 1 << TM_KIND_STRING | 1 << TM_KIND_ESCAPED
};

struct node {
  int32_t field;
  int32_t op;
  int32_t on_true;             /* a node behind this one, or one of enum tm_filter_end */
  int32_t on_false;
  double num;
  char *text;
  int32_t len;
  uint8_t id;                  /* the text's in the field's words, 0: none; found anew for each batch */
};

struct tm_filter {
  struct tm_fields *fields;
  int32_t n;
  struct node nodes[NODES_MAX];
};

struct split { uint64_t yes, no; };

struct tm_filter *tm_ffi_filter_new(struct tm_fields *f) {
  struct tm_filter *filter = tm_owned_calloc(1, sizeof *filter);
  if (filter != NULL) filter->fields = f;
  return filter;
}

int32_t tm_ffi_filter_add(struct tm_filter *f, int32_t field, int32_t op, double num, const char *text, int32_t len,
                          int32_t on_true, int32_t on_false) {
  if (f->n == NODES_MAX || field <= 0 || field >= f->fields->n) return -1;
  struct node *node = &f->nodes[f->n];
  node->text = tm_owned_malloc((size_t)len + 1);
  if (node->text == NULL) return -1;
  if (len > 0) memcpy(node->text, text, (size_t)len);
  node->field = field;
  node->op = op;
  node->num = num;
  node->len = len;
  node->on_true = on_true;
  node->on_false = on_false;
  f->n++;
  return 0;
}

/* Which of n <= 64 codes are c: 16 at a time; at least 64 are readable. */
static inline uint64_t codes_equal(const uint8_t *codes, uint8_t c) {
  uint64_t bits = 0;
#ifdef __SSE2__
  const __m128i wanted = _mm_set1_epi8((char)c);
  for (int32_t i = 0; i < BLOCK; i += 16) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(codes + i));
    bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, wanted)) << i;
  }
#else
  for (int32_t i = 0; i < BLOCK; i++) bits |= (uint64_t)(codes[i] == c) << i;
#endif
  return bits;
}

/* Texts with an id are compared by it, the others by their bytes. */
static struct split equal_text(const struct node *node, const struct tm_field *field, int32_t base, const char *raw, uint64_t rows) {
  const struct tm_cell *cells = field->cells + base;
  struct split s = {0, 0};
  uint64_t odd = rows;
  if (field->words != NULL) {
    const uint8_t *codes = field->words->codes + base;
    odd &= codes_equal(codes, 0);
    s.yes = node->id != 0 ? codes_equal(codes, node->id) : 0;
    s.no = ~odd & ~s.yes;
  }
  for (; odd != 0; odd &= odd - 1) {
    int32_t i = __builtin_ctzll(odd), kind = cells[i].tag & 15;
    int same = kind == TM_KIND_STRING && cells[i].tag >> 4 == node->len &&
               memcmp(raw + cells[i].off, node->text, (size_t)node->len) == 0;
    if (same) s.yes |= UINT64_C(1) << i;
    else s.no |= (uint64_t)((KINDS_PLAIN | 1 << TM_KIND_STRING) >> kind & 1) << i;
  }
  return s;
}

/* COMPARE(a, b): the rows for which it holds; a cell's num is its number, or NaN, for which it never does. */
#ifdef __SSE2__
#define COMPARE(compare)                                                                   \
  for (int32_t i = 0; i < n; i += 2) {                                                     \
    __m128d v = _mm_loadh_pd(_mm_load_sd(&cells[i].num), &cells[i + 1].num);               \
    s.yes |= (uint64_t)(uint32_t)_mm_movemask_pd(compare(v, k)) << i;                      \
    s.no |= (uint64_t)(uint32_t)_mm_movemask_pd(_mm_cmpord_pd(v, v)) << i;                 \
  }                                                                                        \
  break
#define LESS _mm_cmplt_pd
#define LESS_EQUAL _mm_cmple_pd
#define GREATER _mm_cmpgt_pd
#define GREATER_EQUAL _mm_cmpge_pd
#define EQUAL _mm_cmpeq_pd
#else
#define COMPARE(compare)                                   \
  for (int32_t i = 0; i < n; i++) {                        \
    double v = cells[i].num;                               \
    s.yes |= (uint64_t)(compare(v, k)) << i;               \
    s.no |= (uint64_t)(v == v) << i;                       \
  }                                                        \
  break
#define LESS(a, b) ((a) < (b))
#define LESS_EQUAL(a, b) ((a) <= (b))
#define GREATER(a, b) ((a) > (b))
#define GREATER_EQUAL(a, b) ((a) >= (b))
#define EQUAL(a, b) ((a) == (b))
#endif

/* What is no number raises when it is ordered, and equals none. A column has a cell behind its last row. */
static struct split compare_number(const struct node *node, const struct tm_cell *cells, int32_t n) {
  struct split s = {0, 0};
#ifdef __SSE2__
  const __m128d k = _mm_set1_pd(node->num);
#else
  const double k = node->num;
#endif
  switch (node->op) {
    case TM_FILTER_LT: COMPARE(LESS);
    case TM_FILTER_LE: COMPARE(LESS_EQUAL);
    case TM_FILTER_GT: COMPARE(GREATER);
    case TM_FILTER_GE: COMPARE(GREATER_EQUAL);
    default: COMPARE(EQUAL);
  }
  s.no &= ~s.yes;
  if (node->op == TM_FILTER_EQ_NUMBER)
    for (int32_t i = 0; i < n; i++) s.no |= (uint64_t)(KINDS_NO_NUMBER >> (cells[i].tag & 15) & 1) << i;
  return s;
}

/* By kind alone; yes and no are sets of kinds. */
static struct split by_kind(const struct tm_cell *cells, int32_t n, uint32_t yes, uint32_t no) {
  struct split s = {0, 0};
  for (int32_t i = 0; i < n; i++) {
    uint32_t kind = (uint32_t)cells[i].tag & 15;
    s.yes |= (uint64_t)(yes >> kind & 1) << i;
    s.no |= (uint64_t)(no >> kind & 1) << i;
  }
  return s;
}

static struct split test(const struct node *node, const struct tm_field *field, int32_t base, const char *raw, int32_t n,
                         uint64_t rows) {
  const uint32_t strings = 1U << TM_KIND_STRING | 1U << TM_KIND_ESCAPED, readable = KINDS_PLAIN | strings;
  const struct tm_cell *cells = field->cells + base;
  switch (node->op) {
    case TM_FILTER_EQ_TEXT: return equal_text(node, field, base, raw, rows);
    case TM_FILTER_TRUTH:
      return by_kind(cells, n, readable & ~(uint32_t)(KINDS_NIL | 1 << TM_KIND_FALSE), KINDS_NIL | 1 << TM_KIND_FALSE);
    case TM_FILTER_EQ_NIL: return by_kind(cells, n, KINDS_NIL, readable & ~(uint32_t)KINDS_NIL);
    case TM_FILTER_EQ_FALSE: return by_kind(cells, n, 1U << TM_KIND_FALSE, readable & ~(1U << TM_KIND_FALSE));
    case TM_FILTER_EQ_TRUE: return by_kind(cells, n, 1U << TM_KIND_TRUE, readable & ~(1U << TM_KIND_TRUE));
    case TM_FILTER_KINDS: return by_kind(cells, n, (uint32_t)node->num, ~(uint32_t)node->num);
    default: return compare_number(node, cells, n);
  }
}

static inline void reach(uint64_t *reached, uint64_t *dropped, int32_t to, uint64_t rows) {
  if (to >= 0) reached[to] |= rows;
  else if (to == TM_FILTER_DROP) *dropped |= rows;
}

static void find_words(struct tm_filter *f) {
  for (int32_t i = 0; i < f->n; i++) {
    struct node *node = &f->nodes[i];
    const struct tm_words *words = f->fields->list[node->field].words;
    node->id = node->op == TM_FILTER_EQ_TEXT && words != NULL ? tm_words_known(words, node->text, node->len) : 0;
  }
}

void tm_ffi_filter_flags(struct tm_filter *f, const struct tm_batch *b, int32_t n, uint32_t bit, uint32_t *flags, uint8_t *unsure) {
  find_words(f);
  for (int32_t base = 0; base < n; base += BLOCK) {
    int32_t left = n - base < BLOCK ? n - base : BLOCK;
    uint64_t all = left == BLOCK ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
    uint64_t reached[NODES_MAX] = {all}, dropped = 0, matched = 0;
    for (int32_t k = 0; k < f->n; k++) {
      if (reached[k] == 0) continue;
      const struct node *node = &f->nodes[k];
      struct split s = test(node, &f->fields->list[node->field], base, b->raw, left, reached[k]);
      uint64_t yes = reached[k] & s.yes, no = reached[k] & s.no;
      reach(reached, &dropped, node->on_true, yes);
      reach(reached, &dropped, node->on_false, no);
      matched |= (node->on_true == TM_FILTER_MATCH ? yes : 0) | (node->on_false == TM_FILTER_MATCH ? no : 0);
    }
    for (uint64_t rows = matched; rows != 0; rows &= rows - 1) flags[base + __builtin_ctzll(rows)] |= bit;
    for (uint64_t rows = all & ~matched & ~dropped; rows != 0; rows &= rows - 1) unsure[base + __builtin_ctzll(rows)] = 1;
  }
}

int32_t tm_ffi_filter_rows(struct tm_filter *f, const struct tm_batch *b, int32_t first, int32_t last, int32_t *rows) {
  int32_t found = 0;
  if (f == NULL) {
    for (int32_t row = first; row <= last; row++) rows[found++] = row;
    return found;
  }
  find_words(f);
  for (int32_t base = first; base <= last; base += BLOCK) {
    int32_t n = last + 1 - base < BLOCK ? last + 1 - base : BLOCK;
    uint64_t all = n == BLOCK ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
    uint64_t reached[NODES_MAX] = {all}, dropped = 0;
    for (int32_t k = 0; k < f->n; k++) {
      if (reached[k] == 0) continue;
      const struct node *node = &f->nodes[k];
      struct split s = test(node, &f->fields->list[node->field], base, b->raw, n, reached[k]);
      reach(reached, &dropped, node->on_true, reached[k] & s.yes);
      reach(reached, &dropped, node->on_false, reached[k] & s.no);
    }
    for (uint64_t kept = all & ~dropped; kept != 0; kept &= kept - 1) rows[found++] = base + __builtin_ctzll(kept);
  }
  return found;
}
