/* rules_graph.h - the condition of one rule, as a graph of tests and arithmetic over columns, walked by 64 rows at a time.
 *
 * A node is a test, which sends rows on one of two ways, or arithmetic, whose results go to a temporary for the nodes behind it.
 * Nodes only lead to later ones. Each row ends as a match, as none, or as one that Lua must be asked about: what is not surely a
 * number where one is needed, and what plain arithmetic might do in another way than LuaJIT.
 * No memory of its own but the nodes; one thread. */
#ifndef TM_EVENT_RULES_GRAPH_H
#define TM_EVENT_RULES_GRAPH_H

#include "../abi_c.h"

enum { TM_GRAPH_WORDS = TM_RULES_ROWS / 64, TM_GRAPH_NODES_MAX = 96 };

struct tm_graph_column {
  const double *num;
  const uint8_t *known;
  uint64_t is_nil[TM_GRAPH_WORDS], is_known[TM_GRAPH_WORDS], is_warming[TM_GRAPH_WORDS];   /* of the chunk at hand */
};

struct tm_graph_node {
  int32_t op;                    /* enum tm_filter_op or enum tm_rule_op */
  int32_t a, b;                  /* columns, temporaries, TM_RULE_CONSTANT (abi.h) */
  int32_t to;                    /* the temporary that arithmetic fills */
  int32_t on_true, on_false;     /* a later node, or enum tm_filter_end */
  double num;                    /* the constant */
};

/* the masks of a column for the first `words` words of rows */
void tm_graph_column_begin(struct tm_graph_column *c, int32_t words);
/* Walks `rows` of word w through n nodes: those that match, and those that Lua must be asked about. Any columns needed have begun. */
void tm_graph_walk(const struct tm_graph_node *nodes, int32_t n, const struct tm_graph_column *columns, int32_t w, uint64_t rows,
                   uint64_t *hit, uint64_t *ask);
/* the same, row by row: faster for a few */
void tm_graph_walk_few(const struct tm_graph_node *nodes, const struct tm_graph_column *columns, int32_t w, uint64_t rows, uint64_t *hit,
                       uint64_t *ask);

#endif
