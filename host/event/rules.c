/* rules.c - the conditions of many rules over columns of numbers, rule by rule.
 *
 * A chunk is up to 256 rows. What a rule compares lies in columns (features, fields, numbers for texts); a condition is a
 * graph of comparisons read off the rule's function (lua/tidemill/rules_compare.lua), walked by all rows of the chunk at once: a test
 * splits words of 64 rows into those for which it is surely true, surely false, and the others, whose rule the library calls as a
 * function. So there is no branch to guess, and nothing differs from calling it for every row.
 *
 *   rows of a rule   todo    all rows, or those that the index gave (tm_ffi_rules_add)
 *                    unknown todo where a feature that it needs is nil, or one that it reads is warming
 *                    hit     surely true; ask: Lua must; what Lua found is put to hit and error
 *
 * A rule that the index gives no row costs a bit in a word of 64 rules. What has matched is then put together by row, in the order
 * of rules. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "../abi_c.h"

enum { WORDS = TM_RULES_ROWS / 64, NODES_MAX = 64, MEASURED = 16, FEW = 6 };

struct node {
  int32_t column;
  int32_t op;
  int32_t on_true;               /* a later node, or enum tm_filter_end */
  int32_t on_false;
  double num;
};

struct rule {
  struct node *nodes;            /* NULL: the function is asked for every row */
  int32_t *needs;                /* columns that must be known; then those that may be nil, but not warming */
  int32_t nodes_n, needs_n, reads_n;
  int32_t indexed;
  uint64_t todo[WORDS], hit[WORDS], ask[WORDS], error[WORDS];
};

struct column {
  const double *num;
  const uint8_t *known;
  uint64_t is_nil[WORDS], is_known[WORDS], is_warming[WORDS];
};

struct rules {
  struct tm_rules pub;
  int32_t rules_n, columns_n, words;
  int32_t list_cap;
  uint64_t *active, *always;     /* a bit a rule */
  uint64_t left_out[WORDS];      /* rows that have failed */
  struct rule *rules;
  struct column *columns;
  double chunks;
};

struct split { uint64_t yes, no; };

static struct rules *own(struct tm_rules *r) { return (struct rules *)(void *)r; }

struct tm_rules *tm_ffi_rules_new(int32_t rules, int32_t columns) {
  struct rules *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->rules_n = rules;
  r->columns_n = columns;
  r->words = (rules + 63) / 64;
  r->rules = calloc((size_t)rules + 1, sizeof *r->rules);
  r->columns = calloc((size_t)columns + 1, sizeof *r->columns);
  r->active = calloc((size_t)r->words + 1, sizeof *r->active);
  r->always = calloc((size_t)r->words + 1, sizeof *r->always);
  r->pub.asking = calloc((size_t)rules + 1, sizeof *r->pub.asking);
  r->pub.stats = calloc((size_t)rules + 1, sizeof *r->pub.stats);
  r->pub.rows = calloc(TM_RULES_ROWS, sizeof *r->pub.rows);
  r->pub.from = calloc(TM_RULES_ROWS + 1, sizeof *r->pub.from);
  if (r->rules == NULL || r->columns == NULL || r->active == NULL || r->always == NULL || r->pub.asking == NULL ||
      r->pub.stats == NULL || r->pub.rows == NULL || r->pub.from == NULL) {
    tm_ffi_rules_free(&r->pub);
    return NULL;
  }
  return &r->pub;
}

void tm_ffi_rules_free(struct tm_rules *p) {
  struct rules *r = own(p);
  if (r == NULL) return;
  for (int32_t i = 0; r->rules != NULL && i < r->rules_n; i++) {
    free(r->rules[i].nodes);
    free(r->rules[i].needs);
  }
  free(r->rules);
  free(r->columns);
  free(r->active);
  free(r->always);
  free(r->pub.asking);
  free(r->pub.stats);
  free(r->pub.rows);
  free(r->pub.from);
  free(r->pub.list);
  free(r);
}

void tm_ffi_rules_column(struct tm_rules *p, int32_t column, const double *num, const uint8_t *known) {
  struct column *c = &own(p)->columns[column];
  c->num = num;
  c->known = known;
}

int32_t tm_ffi_rules_put(struct tm_rules *p, int32_t rule, int32_t indexed, const int32_t *needs, int32_t needs_n, const int32_t *reads,
                         int32_t reads_n) {
  struct rules *r = own(p);
  struct rule *x = &r->rules[rule];
  x->needs = malloc(sizeof *x->needs * (size_t)(needs_n + reads_n + 1));
  if (x->needs == NULL) return -1;
  for (int32_t i = 0; i < needs_n; i++) x->needs[i] = needs[i];
  for (int32_t i = 0; i < reads_n; i++) x->needs[needs_n + i] = reads[i];
  x->needs_n = needs_n;
  x->reads_n = reads_n;
  x->indexed = indexed;
  if (!indexed) r->always[rule / 64] |= UINT64_C(1) << rule % 64;
  return 0;
}

int32_t tm_ffi_rules_test(struct tm_rules *p, int32_t rule, int32_t column, int32_t op, double num, int32_t on_true, int32_t on_false) {
  struct rule *x = &own(p)->rules[rule];
  if (x->nodes_n == NODES_MAX) return -1;
  struct node *nodes = realloc(x->nodes, sizeof *nodes * (size_t)(x->nodes_n + 1));
  if (nodes == NULL) return -1;
  x->nodes = nodes;
  x->nodes[x->nodes_n++] = (struct node){column, op, on_true, on_false, num};
  return 0;
}

/* Numbers of a field of events, where they are at hand as such; Lua is asked about the others. */
void tm_ffi_rules_gather(const struct tm_cell *cells, const int32_t *home, int32_t n, double *num, uint8_t *known) {
  for (int32_t j = 0; j < n; j++) {
    const struct tm_cell *c = &cells[home[j]];
    int32_t kind = c->tag & 15;
    num[j] = c->num;
    known[j] = kind == TM_KIND_ABSENT || kind == TM_KIND_NULL ? 0 : kind == TM_KIND_NUMBER && c->num - c->num == 0 ? 1 : 3;
  }
}

void tm_ffi_rules_add(struct tm_rules *p, int32_t rule, int32_t row) {
  struct rules *r = own(p);
  r->rules[rule].todo[row / 64] |= UINT64_C(1) << row % 64;
  r->active[rule / 64] |= UINT64_C(1) << rule % 64;
}

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

/* COMPARE(a, b): the rows of 64 for which it holds. */
#ifdef __SSE2__
#define COMPARE(compare)                                                                             \
  for (int32_t i = 0; i < 64; i += 8) {                                                              \
    uint32_t four = (uint32_t)_mm_movemask_pd(compare(_mm_loadu_pd(v + i), k)) |                     \
                    (uint32_t)_mm_movemask_pd(compare(_mm_loadu_pd(v + i + 2), k)) << 2 |            \
                    (uint32_t)_mm_movemask_pd(compare(_mm_loadu_pd(v + i + 4), k)) << 4 |            \
                    (uint32_t)_mm_movemask_pd(compare(_mm_loadu_pd(v + i + 6), k)) << 6;             \
    bits |= (uint64_t)four << i;                                                                     \
  }                                                                                                  \
  break
#define LESS _mm_cmplt_pd
#define LESS_EQUAL _mm_cmple_pd
#define GREATER _mm_cmpgt_pd
#define GREATER_EQUAL _mm_cmpge_pd
#define EQUAL _mm_cmpeq_pd
#else
#define COMPARE(compare)                                                       \
  for (int32_t i = 0; i < 64; i++) bits |= (uint64_t)(compare(v[i], k)) << i;  \
  break
#define LESS(a, b) ((a) < (b))
#define LESS_EQUAL(a, b) ((a) <= (b))
#define GREATER(a, b) ((a) > (b))
#define GREATER_EQUAL(a, b) ((a) >= (b))
#define EQUAL(a, b) ((a) == (b))
#endif

static uint64_t compare(const double *v, int32_t op, double num) {
#ifdef __SSE2__
  const __m128d k = _mm_set1_pd(num);
#else
  const double k = num;
#endif
  uint64_t bits = 0;
  switch (op) {
    case TM_FILTER_LT: COMPARE(LESS);
    case TM_FILTER_LE: COMPARE(LESS_EQUAL);
    case TM_FILTER_GT: COMPARE(GREATER);
    case TM_FILTER_GE: COMPARE(GREATER_EQUAL);
    default: COMPARE(EQUAL);
  }
  return bits;
}

/* As Lua compares: nil raises when it is ordered, and equals nothing but nil. What is neither yes nor no Lua is asked about. */
static struct split test(const struct node *node, const struct column *c, int32_t w) {
  const double *v = c->num + 64 * w;
  uint64_t known = c->is_known[w], bits;
  switch (node->op) {
    case TM_FILTER_EQ_NIL: return (struct split){c->is_nil[w], known};
    case TM_FILTER_TRUTH: return (struct split){known, c->is_nil[w]};
    case TM_FILTER_EQ_TRUE:
      bits = compare(v, TM_FILTER_EQ_NUMBER, 1) & known;
      return (struct split){bits, (known & ~bits) | c->is_nil[w]};
    case TM_FILTER_EQ_FALSE:
      bits = compare(v, TM_FILTER_EQ_NUMBER, 0) & known;
      return (struct split){bits, (known & ~bits) | c->is_nil[w]};
    case TM_FILTER_EQ_NUMBER:
      bits = compare(v, node->op, node->num) & known;
      return (struct split){bits, (known & ~bits) | c->is_nil[w]};
    default:
      bits = compare(v, node->op, node->num) & known;
      return (struct split){bits, known & ~bits};
  }
}

/* One row alone: where it ends, enum tm_filter_end. */
static int32_t walk_row(const struct rule *x, const struct rules *r, int32_t w, int32_t bit) {
  int32_t k = 0;
  while (k >= 0) {
    const struct node *node = &x->nodes[k];
    const struct column *c = &r->columns[node->column];
    double v = c->num[w * 64 + bit];
    int known = (int)(c->is_known[w] >> bit & 1), nil = (int)(c->is_nil[w] >> bit & 1), yes;
    switch (node->op) {
      case TM_FILTER_EQ_NIL: yes = nil; break;
      case TM_FILTER_TRUTH: yes = known; break;
      case TM_FILTER_EQ_TRUE: yes = known && v == 1; break;
      case TM_FILTER_EQ_FALSE: yes = known && v == 0; break;
      case TM_FILTER_EQ_NUMBER: yes = known && v == node->num; break;
      case TM_FILTER_LT: yes = v < node->num; nil = 0; break;
      case TM_FILTER_LE: yes = v <= node->num; nil = 0; break;
      case TM_FILTER_GT: yes = v > node->num; nil = 0; break;
      default: yes = v >= node->num; nil = 0; break;
    }
    if (!known && !nil) return TM_FILTER_KEEP;
    k = yes ? node->on_true : node->on_false;
  }
  return k;
}

static void walk_few(struct rule *x, const struct rules *r, int32_t w, uint64_t rows) {
  uint64_t hit = 0, ask = 0;
  for (; rows != 0; rows &= rows - 1) {
    int32_t end = walk_row(x, r, w, __builtin_ctzll(rows));
    if (end == TM_FILTER_MATCH) hit |= rows & -rows;
    else if (end == TM_FILTER_KEEP) ask |= rows & -rows;
  }
  x->hit[w] = hit;
  x->ask[w] = ask;
}

static void walk(struct rule *x, const struct rules *r, int32_t w, uint64_t rows) {
  uint64_t reached[NODES_MAX], hit = 0, ask = 0;
  memset(reached, 0, sizeof *reached * (size_t)x->nodes_n);
  reached[0] = rows;
  for (int32_t k = 0; k < x->nodes_n; k++) {
    const struct node *node = &x->nodes[k];
    uint64_t here = reached[k];
    if (here == 0) continue;
    struct split s = test(node, &r->columns[node->column], w);
    ask |= here & ~(s.yes | s.no);
    s.yes &= here;
    s.no &= here;
    if (node->on_true >= 0) reached[node->on_true] |= s.yes;
    else if (node->on_true == TM_FILTER_MATCH) hit |= s.yes;
    else if (node->on_true == TM_FILTER_KEEP) ask |= s.yes;
    if (node->on_false >= 0) reached[node->on_false] |= s.no;
    else if (node->on_false == TM_FILTER_MATCH) hit |= s.no;
    else if (node->on_false == TM_FILTER_KEEP) ask |= s.no;
  }
  x->hit[w] = hit;
  x->ask[w] = ask;
}

static void columns_begin(struct rules *r, int32_t words) {
  for (int32_t i = 0; i < r->columns_n; i++) {
    struct column *c = &r->columns[i];
    for (int32_t w = 0; w < words; w++) {
      c->is_nil[w] = codes_equal(c->known + 64 * w, 0);
      c->is_known[w] = codes_equal(c->known + 64 * w, 1);
      c->is_warming[w] = codes_equal(c->known + 64 * w, 2);
    }
  }
}

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* How many bits, where most words are empty or full. */
static int32_t count(uint64_t bits) {
  if (bits == 0) return 0;
  return bits == ~UINT64_C(0) ? 64 : __builtin_popcountll(bits);
}

static int is_few(uint64_t bits) {
  for (int32_t i = 0; i < FEW && bits != 0; i++) bits &= bits - 1;
  return bits == 0;
}

static void judge(struct rules *r, int32_t at, int32_t n) {
  struct rule *x = &r->rules[at];
  struct tm_rule_stat *stat = &r->pub.stats[at];
  uint64_t any = 0;
  for (int32_t w = 0; w * 64 < n; w++) {
    uint64_t all = n - w * 64 < 64 ? (UINT64_C(1) << (n - w * 64)) - 1 : ~UINT64_C(0);
    uint64_t rows = (x->indexed ? x->todo[w] : all) & ~r->left_out[w], known = ~UINT64_C(0);
    x->todo[w] = x->error[w] = x->hit[w] = x->ask[w] = 0;
    if (rows == 0) continue;
    for (int32_t i = 0; i < x->needs_n; i++) known &= r->columns[x->needs[i]].is_known[w];
    for (int32_t i = 0; i < x->reads_n; i++) known &= ~r->columns[x->needs[x->needs_n + i]].is_warming[w];
    stat->looked += count(rows);
    stat->unknowns += count(rows & ~known);
    rows &= known;
    if (x->nodes == NULL) x->ask[w] = rows;
    else if (is_few(rows)) walk_few(x, r, w, rows);
    else walk(x, r, w, rows);
    any |= x->ask[w];
  }
  if (any != 0) r->pub.asking[r->pub.asking_n++] = at;
}

void tm_ffi_rules_judge(struct tm_rules *p, int32_t n) {
  struct rules *r = own(p);
  columns_begin(r, (n + 63) / 64);
  p->asking_n = 0;
  p->chunk = n;
  memset(r->left_out, 0, sizeof r->left_out);
  r->chunks += 1;
  p->measuring = (int64_t)r->chunks % MEASURED == 1;
  for (int32_t k = 0; k < r->words; k++) {
    r->active[k] |= r->always[k];
    for (uint64_t bits = r->active[k]; bits != 0; bits &= bits - 1) {
      int32_t at = k * 64 + __builtin_ctzll(bits);
      if (!p->measuring) {
        judge(r, at, n);
        continue;
      }
      double from = now_ns();
      judge(r, at, n);
      p->stats[at].ns += now_ns() - from;
      p->stats[at].timed += n;
    }
  }
}

void tm_ffi_rules_clock(struct tm_rules *p, int32_t rule, int32_t ends) {
  p->stats[rule].ns += ends ? now_ns() : -now_ns();
}

int32_t tm_ffi_rules_asked(struct tm_rules *p, int32_t rule) {
  struct rules *r = own(p);
  int32_t n = 0;
  for (int32_t w = 0; w * 64 < p->chunk; w++)
    for (uint64_t bits = r->rules[rule].ask[w] & ~r->left_out[w]; bits != 0; bits &= bits - 1) p->rows[n++] = w * 64 + __builtin_ctzll(bits);
  return n;
}

void tm_ffi_rules_answer(struct tm_rules *p, int32_t rule, int32_t row, int32_t error) {
  struct rule *x = &own(p)->rules[rule];
  uint64_t bit = UINT64_C(1) << row % 64;
  if (error) x->error[row / 64] |= bit;
  else x->hit[row / 64] |= bit;
}

void tm_ffi_rules_leave_out(struct tm_rules *p, int32_t row) { own(p)->left_out[row / 64] |= UINT64_C(1) << row % 64; }

/* What has matched of 64 rows, or raised; counts first where each row's begins, then fills. */
int32_t tm_ffi_rules_collect(struct tm_rules *p) {
  struct rules *r = own(p);
  int32_t *from = p->from, n = p->chunk, total = 0;
  memset(from, 0, sizeof *from * (size_t)(n + 1));
  for (int pass = 0; pass < 2; pass++) {
    for (int32_t k = 0; k < r->words; k++) {
      for (uint64_t bits = r->active[k]; bits != 0; bits &= bits - 1) {
        int32_t at = k * 64 + __builtin_ctzll(bits);
        struct rule *x = &r->rules[at];
        for (int32_t w = 0; w * 64 < n; w++) {
          uint64_t hit = x->hit[w] & ~r->left_out[w], error = x->error[w] & ~r->left_out[w];
          if (pass == 0) {
            p->stats[at].hits += count(hit);
            p->stats[at].errors += count(error);
          }
          for (uint64_t some = hit | error; some != 0; some &= some - 1) {
            int32_t bit = __builtin_ctzll(some), row = w * 64 + bit;
            if (pass == 0) from[row + 1]++;
            else p->list[from[row]++] = at * 2 + (int32_t)(error >> bit & 1);
          }
        }
      }
    }
    if (pass == 0) {
      for (int32_t i = 0; i < n; i++) from[i + 1] += from[i];
      total = from[n];
      if (total > r->list_cap) {
        int32_t cap = total < 4096 ? 4096 : total + total / 2;
        int32_t *list = realloc(p->list, sizeof *list * (size_t)cap);
        if (list == NULL) return -1;
        p->list = list;
        r->list_cap = cap;
      }
    }
  }
  for (int32_t i = n; i > 0; i--) from[i] = from[i - 1];
  from[0] = 0;
  memset(r->active, 0, sizeof *r->active * (size_t)r->words);
  return total;
}
