/* rules_graph.c - walking the conditions of rules (rules_graph.h): 64 rows at a time without a branch on what they hold, or one by one.
 *
 * Arithmetic is what LuaJIT does with doubles: IEEE 754, a % b is a - floor(a / b) * b. Where its compiler and its interpreter may
 * differ (min and max of NaN, or of zeros of both signs), Lua is asked. Both ways of walking use the same functions of two doubles. */
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "rules_graph.h"

struct split { uint64_t yes, no; };
/* two doubles, where doubles may lie */
typedef double pair __attribute__((vector_size(16)));
typedef double loose_pair __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t pair_bits __attribute__((vector_size(16)));

/* An operand of 64 rows: step 0 is the same pair for all of them. */
struct operand {
  const double *v;
  int32_t step;
  uint64_t known;
};

/* Which of 64 codes are c. */
static uint64_t codes_equal(const uint8_t *codes, uint8_t c) {
  uint64_t bits = 0;
#ifdef __SSE2__
  const __m128i wanted = _mm_set1_epi8((char)c);
  for (int32_t i = 0; i < 64; i += 16) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(codes + i));
    bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, wanted)) << i;
  }
#else
  for (int32_t i = 0; i < 64; i++) bits |= (uint64_t)(codes[i] == c) << i;
#endif
  return bits;
}

void tm_graph_column_begin(struct tm_graph_column *c, int32_t words) {
  for (int32_t w = 0; w < words; w++) {
    c->is_nil[w] = codes_equal(c->known + 64 * w, 0);
    c->is_known[w] = codes_equal(c->known + 64 * w, 1);
    c->is_warming[w] = codes_equal(c->known + 64 * w, 2);
  }
}

/* Comparing ------------------------------------------------------------------------------------------ */

/* COMPARE(operation): the rows of 64 for which it holds between x and y; step 0 of y: a constant. */
#ifdef __SSE2__
#define FOUR(operation, i, j)                                                                                        \
  ((uint32_t)_mm_movemask_pd(operation(_mm_loadu_pd(x + (i)), _mm_loadu_pd(y + (j)))))
#define COMPARE(operation)                                                                                           \
  for (int32_t i = 0; i < 64; i += 8) {                                                                              \
    int32_t j = i & step;                                                                                            \
    uint32_t eight = FOUR(operation, i, j) | FOUR(operation, i + 2, j + (2 & step)) << 2 |                           \
                     FOUR(operation, i + 4, j + (4 & step)) << 4 | FOUR(operation, i + 6, j + (6 & step)) << 6;      \
    bits |= (uint64_t)eight << i;                                                                                    \
  }                                                                                                                  \
  break
#define LESS _mm_cmplt_pd
#define LESS_EQUAL _mm_cmple_pd
#define GREATER _mm_cmpgt_pd
#define GREATER_EQUAL _mm_cmpge_pd
#define EQUAL _mm_cmpeq_pd
#else
#define COMPARE(operation)                                                                    \
  for (int32_t i = 0; i < 64; i++) bits |= (uint64_t)(operation(x[i], y[i & step])) << i;     \
  break
#define LESS(a, b) ((a) < (b))
#define LESS_EQUAL(a, b) ((a) <= (b))
#define GREATER(a, b) ((a) > (b))
#define GREATER_EQUAL(a, b) ((a) >= (b))
#define EQUAL(a, b) ((a) == (b))
#endif

static inline uint64_t compare(const double *x, int32_t op, const double *y, int32_t step) {
  uint64_t bits = 0;
  switch (op) {
    case TM_FILTER_LT: case TM_RULE_LT: COMPARE(LESS);
    case TM_FILTER_LE: case TM_RULE_LE: COMPARE(LESS_EQUAL);
    case TM_FILTER_GT: COMPARE(GREATER);
    case TM_FILTER_GE: COMPARE(GREATER_EQUAL);
    default: COMPARE(EQUAL);
  }
  return bits;
}

static uint64_t compare_constant(const double *x, int32_t op, double num) {
  const double y[2] = {num, num};
  return compare(x, op, y, 0);
}

/* A column against a constant, as Lua compares: nil raises when it is ordered, and equals nothing but nil. What is neither yes nor no
 * Lua is asked about. */
static struct split test_column(const struct tm_graph_node *node, const struct tm_graph_column *c, int32_t w) {
  const double *v = c->num + 64 * w;
  uint64_t known = c->is_known[w], bits;
  switch (node->op) {
    case TM_FILTER_EQ_NIL: return (struct split){c->is_nil[w], known};
    case TM_FILTER_TRUTH: return (struct split){known, c->is_nil[w]};
    case TM_FILTER_EQ_TRUE:
      bits = compare_constant(v, TM_FILTER_EQ_NUMBER, 1) & known;
      return (struct split){bits, (known & ~bits) | c->is_nil[w]};
    case TM_FILTER_EQ_FALSE:
      bits = compare_constant(v, TM_FILTER_EQ_NUMBER, 0) & known;
      return (struct split){bits, (known & ~bits) | c->is_nil[w]};
    case TM_FILTER_EQ_NUMBER:
      bits = compare_constant(v, node->op, node->num) & known;
      return (struct split){bits, (known & ~bits) | c->is_nil[w]};
    default:
      bits = compare_constant(v, node->op, node->num) & known;
      return (struct split){bits, known & ~bits};
  }
}

/* Arithmetic ----------------------------------------------------------------------------------------- */

static inline pair_bits bits_of(pair x) { return (pair_bits)x; }
static inline pair pair_of(pair_bits x) { return (pair)x; }
static inline pair both(double x) { return (pair){x, x}; }

static inline pair pair_abs(pair x) { return pair_of(bits_of(x) & ~bits_of(both(-0.0))); }
static inline pair pair_negative(pair x) { return pair_of(bits_of(x) ^ bits_of(both(-0.0))); }

/* The largest whole number that is not above: beyond 2^52, and NaN, itself. Adding 2^52 rounds, one less where that was up. */
static inline pair pair_floor(pair x) {
  pair absolute = pair_abs(x), large = both(4503599627370496.0);
  pair whole = (absolute + large) - large;
  whole = pair_of(bits_of(whole) | (bits_of(x) & bits_of(both(-0.0))));
  whole -= pair_of((pair_bits)(whole > x) & bits_of(both(1.0)));
  pair_bits small = (pair_bits)(absolute < large);
  return pair_of((bits_of(whole) & small) | (bits_of(x) & ~small));
}

static inline pair pair_ceil(pair x) { return pair_negative(pair_floor(pair_negative(x))); }
static inline pair pair_mod(pair x, pair y) { return x - pair_floor(x / y) * y; }
static inline pair pair_sqrt(pair x) {
#ifdef __SSE2__
  return (pair)_mm_sqrt_pd((__m128d)x);
#else
  return (pair){__builtin_sqrt(x[0]), __builtin_sqrt(x[1])};
#endif
}
static inline pair pair_min(pair x, pair y) {
  pair_bits less = (pair_bits)(x < y);
  return pair_of((bits_of(x) & less) | (bits_of(y) & ~less));
}
static inline pair pair_max(pair x, pair y) {
  pair_bits less = (pair_bits)(x < y);
  return pair_of((bits_of(y) & less) | (bits_of(x) & ~less));
}

/* Where min and max are in doubt: neither is less, nor are they the same bits. */
static inline pair_bits pair_doubt(pair x, pair y) {
  return ~((pair_bits)(x < y) | (pair_bits)(y < x) | ((pair_bits)(x == y) & (bits_of(x) == bits_of(y))));
}

static uint64_t load_doubt(pair_bits doubt, int32_t i) {
  return ((uint64_t)doubt[0] & 1) << i | ((uint64_t)doubt[1] & 1) << (i + 1);
}

#define EACH(result)                                                     \
  for (int32_t i = 0; i < 64; i += 2) {                                  \
    pair a = *(const loose_pair *)(const void *)(x->v + (i & x->step));  \
    pair b = *(const loose_pair *)(const void *)(y->v + (i & y->step));  \
    (void)b;                                                             \
    *(pair *)(void *)(to + i) = (result);                                \
  }                                                                      \
  break

/* Fills 64 results; returns the rows that are in doubt. */
static uint64_t compute(int32_t op, const struct operand *x, const struct operand *y, double *to) {
  uint64_t doubt = 0;
  if (op == TM_RULE_MIN || op == TM_RULE_MAX) {
    for (int32_t i = 0; i < 64; i += 2) {
      pair a = *(const loose_pair *)(const void *)(x->v + (i & x->step)), b = *(const loose_pair *)(const void *)(y->v + (i & y->step));
      doubt |= load_doubt(pair_doubt(a, b), i);
    }
  }
  switch (op) {
    case TM_RULE_ADD: EACH(a + b);
    case TM_RULE_SUB: EACH(a - b);
    case TM_RULE_MUL: EACH(a * b);
    case TM_RULE_DIV: EACH(a / b);
    case TM_RULE_MOD: EACH(pair_mod(a, b));
    case TM_RULE_NEGATIVE: EACH(pair_negative(a));
    case TM_RULE_ABS: EACH(pair_abs(a));
    case TM_RULE_FLOOR: EACH(pair_floor(a));
    case TM_RULE_CEIL: EACH(pair_ceil(a));
    case TM_RULE_SQRT: EACH(pair_sqrt(a));
    case TM_RULE_MIN: EACH(pair_min(a, b));
    default: EACH(pair_max(a, b));
  }
  return doubt;
}

/* Walking -------------------------------------------------------------------------------------------- */

#define ALL (~UINT64_C(0))

/* The operand `of` of 64 rows. constant: two doubles that may be used for it. */
static struct operand operand_of(int32_t of, const struct tm_graph_column *columns, int32_t w, double (*temporaries)[64],
                                 const double *constant) {
  if (of >= 0) return (struct operand){columns[of].num + 64 * w, ~0, columns[of].is_known[w]};
  if (of == TM_RULE_CONSTANT) return (struct operand){constant, 0, ALL};
  return (struct operand){temporaries[-1 - of], ~0, ALL};
}

/* One node: where rows go. Arithmetic sends those that it is sure of on as yes. */
static struct split step(const struct tm_graph_node *node, const struct tm_graph_column *columns, int32_t w, double (*temporaries)[64]) {
  if (node->op < TM_RULE_LT && node->a >= 0) return test_column(node, &columns[node->a], w);
  const double constant[2] = {node->num, node->num};
  struct operand x = operand_of(node->a, columns, w, temporaries, constant);
  if (node->op < TM_RULE_LT) {
    uint64_t bits = compare(x.v, node->op, constant, 0);
    return (struct split){bits, ~bits};
  }
  struct operand y = operand_of(node->b, columns, w, temporaries, constant);
  uint64_t sure = x.known & y.known;
  if (node->op <= TM_RULE_EQ) {
    uint64_t bits = compare(x.v, node->op, y.v, y.step);
    return (struct split){bits & sure, ~bits & sure};
  }
  return (struct split){sure & ~compute(node->op, &x, &y, temporaries[node->to]), 0};
}

/* Sends rows where an end or a later node is. */
static inline void send(int32_t to, uint64_t rows, uint64_t *reached, uint64_t *hit, uint64_t *ask) {
  if (to >= 0) reached[to] |= rows;
  else if (to == TM_FILTER_MATCH) *hit |= rows;
  else if (to == TM_FILTER_KEEP) *ask |= rows;
}

void tm_graph_walk(const struct tm_graph_node *nodes, int32_t n, const struct tm_graph_column *columns, int32_t w, uint64_t rows,
                   uint64_t *hit, uint64_t *ask) {
  uint64_t reached[TM_GRAPH_NODES_MAX];
  double temporaries[TM_RULE_TEMPORARIES][64] __attribute__((aligned(16)));
  memset(reached, 0, sizeof *reached * (size_t)n);
  reached[0] = rows;
  *hit = *ask = 0;
  for (int32_t k = 0; k < n; k++) {
    const struct tm_graph_node *node = &nodes[k];
    uint64_t here = reached[k];
    if (here == 0) continue;
    struct split s = step(node, columns, w, temporaries);
    *ask |= here & ~(s.yes | s.no);
    send(node->on_true, here & s.yes, reached, hit, ask);
    send(node->on_false, here & s.no, reached, hit, ask);
  }
}

/* A row alone -----------------------------------------------------------------------------------------
 * Numbers of a row that is known, and where it goes: 1 yes, 0 no, -1 Lua must be asked. */

struct one {
  double v;
  int known;
};

static struct one one_of(int32_t of, const struct tm_graph_column *columns, int32_t w, int32_t bit, const double *temporaries, double num) {
  if (of >= 0) return (struct one){columns[of].num[w * 64 + bit], (int)(columns[of].is_known[w] >> bit & 1)};
  return (struct one){of == TM_RULE_CONSTANT ? num : temporaries[-1 - of], 1};
}

static int step_one(const struct tm_graph_node *node, const struct tm_graph_column *columns, int32_t w, int32_t bit, double *temporaries) {
  struct one x = one_of(node->a, columns, w, bit, temporaries, node->num), y;
  int nil = node->a >= 0 ? (int)(columns[node->a].is_nil[w] >> bit & 1) : 0;
  switch (node->op) {
    case TM_FILTER_EQ_NIL: return nil ? 1 : x.known ? 0 : -1;
    case TM_FILTER_TRUTH: return x.known ? 1 : nil ? 0 : -1;
    case TM_FILTER_EQ_TRUE: return x.known ? x.v == 1 : nil ? 0 : -1;
    case TM_FILTER_EQ_FALSE: return x.known ? x.v == 0 : nil ? 0 : -1;
    case TM_FILTER_EQ_NUMBER: return x.known ? x.v == node->num : nil ? 0 : -1;
    case TM_FILTER_LT: return x.known ? x.v < node->num : -1;
    case TM_FILTER_LE: return x.known ? x.v <= node->num : -1;
    case TM_FILTER_GT: return x.known ? x.v > node->num : -1;
    case TM_FILTER_GE: return x.known ? x.v >= node->num : -1;
    default: break;
  }
  y = one_of(node->b, columns, w, bit, temporaries, node->num);
  if (!x.known || !y.known) return -1;
  pair a = both(x.v), b = both(y.v), result;
  switch (node->op) {
    case TM_RULE_LT: return x.v < y.v;
    case TM_RULE_LE: return x.v <= y.v;
    case TM_RULE_EQ: return x.v == y.v;
    case TM_RULE_ADD: result = a + b; break;
    case TM_RULE_SUB: result = a - b; break;
    case TM_RULE_MUL: result = a * b; break;
    case TM_RULE_DIV: result = a / b; break;
    case TM_RULE_MOD: result = pair_mod(a, b); break;
    case TM_RULE_NEGATIVE: result = pair_negative(a); break;
    case TM_RULE_ABS: result = pair_abs(a); break;
    case TM_RULE_FLOOR: result = pair_floor(a); break;
    case TM_RULE_CEIL: result = pair_ceil(a); break;
    case TM_RULE_SQRT: result = pair_sqrt(a); break;
    default:
      if (pair_doubt(a, b)[0] != 0) return -1;
      result = node->op == TM_RULE_MIN ? pair_min(a, b) : pair_max(a, b);
      break;
  }
  temporaries[node->to] = result[0];
  return 1;
}

void tm_graph_walk_few(const struct tm_graph_node *nodes, const struct tm_graph_column *columns, int32_t w, uint64_t rows, uint64_t *hit,
                       uint64_t *ask) {
  double temporaries[TM_RULE_TEMPORARIES];
  *hit = *ask = 0;
  for (; rows != 0; rows &= rows - 1) {
    int32_t k = 0;
    while (k >= 0) {
      int went = step_one(&nodes[k], columns, w, __builtin_ctzll(rows), temporaries);
      k = went < 0 ? TM_FILTER_KEEP : went ? nodes[k].on_true : nodes[k].on_false;
    }
    if (k == TM_FILTER_MATCH) *hit |= rows & -rows;
    else if (k == TM_FILTER_KEEP) *ask |= rows & -rows;
  }
}
