/* test_rules_graph.c - conditions of rules over columns (host/event/rules_graph.h): random graphs, walked 64 rows at a time and row by row,
 * against a walk of one row in plain C with libm. Columns hold what is awkward: zeros of both signs, NaN, infinities, halves,
 * numbers around 2^52 and 2^53, tiny ones, and rows that are nil, warming or something else. */
#include <math.h>

#include "../../host/event/rules_graph.h"
#include "unit.h"

enum { COLUMNS = 4, ROUNDS = 20000 };

static uint64_t seed = 7;

static uint32_t next_random(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % n;
}

static double awkward(void) {
  static const double list[] = {0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, 3, -3, 7, 1e-320, -1e-320, 1e308, -1e308, 4503599627370495.5,
                                -4503599627370495.5, 4503599627370496.0, 9007199254740993.0, -9007199254740992.0, 0.49999999999999994};
  uint32_t k = next_random(30);
  if (k == 0) return (double)NAN;
  if (k == 1) return (double)INFINITY;
  if (k == 2) return -(double)INFINITY;
  if (k < 6) return ((double)next_random(2000) - 1000) / 16;
  return list[next_random(sizeof list / sizeof *list)];
}

static double num[COLUMNS][TM_RULES_ROWS];
static uint8_t known[COLUMNS][TM_RULES_ROWS + 64];
static struct tm_graph_column columns[COLUMNS];

static void columns_make(void) {
  for (int c = 0; c < COLUMNS; c++) {
    for (int i = 0; i < TM_RULES_ROWS; i++) {
      num[c][i] = awkward();
      known[c][i] = next_random(5) == 0 ? (uint8_t)next_random(4) : 1;
    }
    columns[c].num = num[c];
    columns[c].known = known[c];
    tm_graph_column_begin(&columns[c], TM_GRAPH_WORDS);
  }
}

/* The slow walk: where the row ends. */
static double temporaries[TM_RULE_TEMPORARIES];

static int number_of(int32_t of, const struct tm_graph_node *node, int row, double *v) {
  if (of == TM_RULE_CONSTANT) *v = node->num;
  else if (of < 0) *v = temporaries[-1 - of];
  else if (known[of][row] != 1) return 0;
  else *v = num[of][row];
  return 1;
}

static int is_in_doubt(double a, double b) {
  if (isnan(a) || isnan(b)) return memcmp(&a, &b, sizeof a) != 0 || isnan(a);
  return a == 0 && b == 0 && signbit(a) != signbit(b);
}

static int32_t slow(const struct tm_graph_node *nodes, int row) {
  int32_t k = 0;
  while (k >= 0) {
    const struct tm_graph_node *node = &nodes[k];
    double a = 0, b = 0, result = 0;
    int yes = 1, nil = node->a >= 0 && known[node->a][row] == 0, is = number_of(node->a, node, row, &a);
    if (node->op < TM_RULE_LT) {
      if (!is && !nil) return TM_FILTER_KEEP;
      switch (node->op) {
        case TM_FILTER_EQ_NIL: yes = nil; break;
        case TM_FILTER_TRUTH: yes = is; break;
        case TM_FILTER_EQ_TRUE: yes = is && a == 1; break;
        case TM_FILTER_EQ_FALSE: yes = is && a == 0; break;
        case TM_FILTER_EQ_NUMBER: yes = is && a == node->num; break;
        default:
          if (nil) return TM_FILTER_KEEP;
          yes = node->op == TM_FILTER_LT ? a < node->num : node->op == TM_FILTER_LE ? a <= node->num :
                node->op == TM_FILTER_GT ? a > node->num : a >= node->num;
      }
    } else {
      if (!is || !number_of(node->b, node, row, &b)) return TM_FILTER_KEEP;
      switch (node->op) {
        case TM_RULE_LT: yes = a < b; break;
        case TM_RULE_LE: yes = a <= b; break;
        case TM_RULE_EQ: yes = a == b; break;
        case TM_RULE_ADD: result = a + b; break;
        case TM_RULE_SUB: result = a - b; break;
        case TM_RULE_MUL: result = a * b; break;
        case TM_RULE_DIV: result = a / b; break;
        case TM_RULE_MOD: result = a - floor(a / b) * b; break;
        case TM_RULE_NEGATIVE: result = -a; break;
        case TM_RULE_ABS: result = fabs(a); break;
        case TM_RULE_FLOOR: result = floor(a); break;
        case TM_RULE_CEIL: result = ceil(a); break;
        case TM_RULE_SQRT: result = sqrt(a); break;
        default:
          if (is_in_doubt(a, b)) return TM_FILTER_KEEP;
          result = node->op == TM_RULE_MIN ? (a < b ? a : b) : a > b ? a : b;
      }
      if (node->op > TM_RULE_EQ) temporaries[node->to] = result;
    }
    k = yes ? node->on_true : node->on_false;
  }
  return k;
}

static int32_t target(int k, int n) {
  static const int32_t ends[] = {TM_FILTER_DROP, TM_FILTER_MATCH, TM_FILTER_KEEP};
  if (k + 1 < n && next_random(4) != 0) return k + 1 + (int32_t)next_random((uint32_t)(n - k - 1));
  return ends[next_random(3)];
}

/* Arithmetic first, one behind the other, so that temporaries hold something; then tests. */
static int graph_make(struct tm_graph_node *nodes) {
  int computes = (int)next_random(5), n = computes + 1 + (int)next_random(6);
  for (int k = 0; k < n; k++) {
    struct tm_graph_node *node = &nodes[k];
    int filled = k < computes ? k : computes;
    node->num = awkward();
    node->a = filled > 0 && next_random(2) ? -1 - (int32_t)next_random((uint32_t)filled) : (int32_t)next_random(COLUMNS);
    node->b = filled > 0 && next_random(3) == 0 ? -1 - (int32_t)next_random((uint32_t)filled) :
              next_random(2) ? (int32_t)next_random(COLUMNS) : TM_RULE_CONSTANT;
    node->to = k;
    if (k < computes) {
      node->op = TM_RULE_ADD + (int32_t)next_random(TM_RULE_SQRT - TM_RULE_ADD + 1);
      if (node->op >= TM_RULE_NEGATIVE) node->b = TM_RULE_CONSTANT;
      else if (node->b != TM_RULE_CONSTANT && next_random(4) == 0) node->a = TM_RULE_CONSTANT;
      node->on_true = k + 1;
      node->on_false = TM_FILTER_KEEP;
      continue;
    }
    node->op = next_random(2) ? TM_RULE_LT + (int32_t)next_random(3) : TM_FILTER_EQ_NUMBER + (int32_t)next_random(9);
    /* a temporary is a number: what it is otherwise is known without a test */
    if (node->op >= TM_FILTER_TRUTH && node->op < TM_RULE_LT) node->a = (int32_t)next_random(COLUMNS);
    node->on_true = target(k, n);
    node->on_false = target(k, n);
  }
  return n;
}

int main(void) {
  uint64_t ends[3] = {0, 0, 0};
  for (int round = 0; round < ROUNDS; round++) {
    struct tm_graph_node nodes[TM_GRAPH_NODES_MAX];
    if (round % 100 == 0) columns_make();
    int n = graph_make(nodes), w = (int)next_random(TM_GRAPH_WORDS), wrong = 0;
    uint64_t rows = next_random(8) == 0 ? ~UINT64_C(0) : (uint64_t)next_random(UINT32_MAX) << 32 | next_random(UINT32_MAX);
    uint64_t hit, ask, hit_few, ask_few, hit_slow = 0, ask_slow = 0;
    tm_graph_walk(nodes, n, columns, w, rows, &hit, &ask);
    tm_graph_walk_few(nodes, columns, w, rows, &hit_few, &ask_few);
    for (int i = 0; i < 64; i++) {
      if (!(rows >> i & 1)) continue;
      int32_t end = slow(nodes, w * 64 + i);
      if (end == TM_FILTER_MATCH) hit_slow |= UINT64_C(1) << i;
      if (end == TM_FILTER_KEEP) ask_slow |= UINT64_C(1) << i;
      ends[end == TM_FILTER_MATCH ? 0 : end == TM_FILTER_KEEP ? 1 : 2]++;
    }
    wrong = hit != hit_slow || ask != ask_slow || hit_few != hit_slow || ask_few != ask_slow;
    CHECK(!wrong, "round %d: hit %llx few %llx slow %llx, ask %llx few %llx slow %llx", round, (unsigned long long)hit,
          (unsigned long long)hit_few, (unsigned long long)hit_slow, (unsigned long long)ask, (unsigned long long)ask_few,
          (unsigned long long)ask_slow);
    if (wrong && unit_failed > 5) break;
  }
  CHECK(ends[0] > 10000 && ends[1] > 10000 && ends[2] > 10000, "rows end in all three ways");
  return unit_end("rules_graph");
}
