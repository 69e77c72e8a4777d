/* counters.c - the description of struct tm_counters, made from counters.def.
 *
 * The struct is nothing but 64-bit words in the table's order, which is what lets an index stand for a name;
 * the assertion below holds it to that. */
#include "counters.h"

#include <string.h>

#include "err.h"

_Static_assert(sizeof(struct tm_counters) == sizeof(uint64_t) * TM_COUNTERS_N, "counters are 64-bit words");

const struct tm_counter_info tm_counters_list[] = {
#define TM_COUNTER(name, unit, shown, sentence) { #name, unit, TM_COUNTER_SHOWN_##shown, sentence },
#include "counters.def"
#undef TM_COUNTER
};

uint64_t tm_counters_get(const struct tm_counters *c, int i) {
  uint64_t v;

  TM_ASSERT(i >= 0 && i < TM_COUNTERS_N);
  memcpy(&v, (const char *)c + (size_t)i * sizeof v, sizeof v);
  return v;
}
