/* rules.c - the conditions of many rules over columns of numbers, rule by rule.
 *
 * A chunk is up to 256 rows. What a rule looks at lies in columns (features, fields, numbers for texts); a condition is a graph read off
 * the rule's function (lua/tidemill/rules_condition.lua), walked by all rows of the chunk at once (rules_graph.h): words of 64 rows are
 * split into those for which it is surely true, surely false, and the others, whose rule the library calls as a function. So there is no
 * branch to guess, and nothing differs from calling it for every row.
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

#include "rules_graph.h"

enum { WORDS = TM_GRAPH_WORDS, MEASURED = 16, FEW = 6 };

struct rule {
  struct tm_graph_node *nodes;   /* NULL: the function is asked for every row */
  int32_t *needs;                /* columns that must be known; then those that may be nil, but not warming */
  int32_t *plain;                /* columns that must be known in rows that are plain; NULL: none are */
  int32_t nodes_n, needs_n, reads_n, plain_n;
  int32_t indexed;
  uint64_t todo[WORDS], hit[WORDS], ask[WORDS], error[WORDS];
};

struct rules {
  struct tm_rules pub;
  int32_t rules_n, columns_n, words;
  int32_t list_cap;
  uint64_t *active, *always;     /* a bit a rule */
  uint64_t left_out[WORDS];      /* rows that have failed */
  struct rule *rules;
  struct tm_graph_column *columns;
  double chunks;
};

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
    free(r->rules[i].plain);
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
  struct tm_graph_column *c = &own(p)->columns[column];
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

int32_t tm_ffi_rules_node(struct tm_rules *p, int32_t rule, int32_t op, int32_t a, int32_t b, int32_t to, double num, int32_t on_true,
                          int32_t on_false) {
  struct rule *x = &own(p)->rules[rule];
  if (x->nodes_n == TM_GRAPH_NODES_MAX) return -1;
  struct tm_graph_node *nodes = realloc(x->nodes, sizeof *nodes * (size_t)(x->nodes_n + 1));
  if (nodes == NULL) return -1;
  x->nodes = nodes;
  x->nodes[x->nodes_n++] = (struct tm_graph_node){op, a, b, to, on_true, on_false, num};
  return 0;
}

/* Numbers of a field of events, where they are at hand as such; Lua is asked about the others. */
void tm_ffi_rules_gather(const struct tm_cell *cells, const int32_t *home, int32_t n, double below, double *num, uint8_t *known) {
  for (int32_t j = 0; j < n; j++) {
    const struct tm_cell *c = &cells[home[j]];
    int32_t kind = c->tag & 15;
    num[j] = c->num;
    known[j] = kind == TM_KIND_ABSENT || kind == TM_KIND_NULL ? 0 : kind == TM_KIND_NUMBER && c->num < below && c->num > -below ? 1 : 3;
  }
}

void tm_ffi_rules_add(struct tm_rules *p, int32_t rule, int32_t row) {
  struct rules *r = own(p);
  r->rules[rule].todo[row / 64] |= UINT64_C(1) << row % 64;
  r->active[rule / 64] |= UINT64_C(1) << rule % 64;
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
    else if (is_few(rows)) tm_graph_walk_few(x->nodes, r->columns, w, rows, &x->hit[w], &x->ask[w]);
    else tm_graph_walk(x->nodes, x->nodes_n, r->columns, w, rows, &x->hit[w], &x->ask[w]);
    stat->called += count(x->ask[w]);
    any |= x->ask[w];
  }
  if (any != 0) r->pub.asking[r->pub.asking_n++] = at;
}

void tm_ffi_rules_judge(struct tm_rules *p, int32_t n) {
  struct rules *r = own(p);
  for (int32_t i = 0; i < r->columns_n; i++) tm_graph_column_begin(&r->columns[i], (n + 63) / 64);
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

int32_t tm_ffi_rules_plain(struct tm_rules *p, int32_t rule, const int32_t *columns, int32_t n) {
  struct rule *x = &own(p)->rules[rule];
  x->plain = malloc(sizeof *x->plain * (size_t)(n + 1));
  if (x->plain == NULL) return -1;
  for (int32_t i = 0; i < n; i++) x->plain[i] = columns[i];
  x->plain_n = n;
  return 0;
}

int32_t tm_ffi_rules_asked(struct tm_rules *p, int32_t rule) {
  struct rules *r = own(p);
  const struct rule *x = &r->rules[rule];
  uint64_t asked[WORDS];
  int32_t n = 0;
  for (int32_t w = 0; w * 64 < p->chunk; w++) {
    uint64_t plain = asked[w] = x->ask[w] & ~r->left_out[w];
    if (x->plain == NULL) continue;
    for (int32_t i = 0; i < x->plain_n; i++) plain &= r->columns[x->plain[i]].is_known[w];
    asked[w] &= ~plain;
    for (; plain != 0; plain &= plain - 1) p->rows[n++] = w * 64 + __builtin_ctzll(plain);
  }
  p->plain_n = n;
  for (int32_t w = 0; w * 64 < p->chunk; w++)
    for (; asked[w] != 0; asked[w] &= asked[w] - 1) p->rows[n++] = w * 64 + __builtin_ctzll(asked[w]);
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
