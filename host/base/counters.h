/* counters.h - struct tm_counters and its description, both made from counters.def.
 *
 * The struct lies in memory shared by control and the worker; each counter has one writer, is a naturally
 * aligned 64-bit word and only grows, so reading needs no lock. It survives a worker's death. */
#ifndef TM_BASE_COUNTERS_H
#define TM_BASE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

struct tm_counters {
#define TM_COUNTER(name, unit, shown, sentence) uint64_t name;
#include "counters.def"
#undef TM_COUNTER
};

enum {
#define TM_COUNTER(name, unit, shown, sentence) TM_COUNTER_INDEX_##name,
#include "counters.def"
#undef TM_COUNTER
  TM_COUNTERS_N
};

/* Where the end summary shows a counter. */
enum tm_counter_shown { TM_COUNTER_SHOWN_ALWAYS, TM_COUNTER_SHOWN_IF_ANY, TM_COUNTER_SHOWN_JSON };

struct tm_counter_info {
  const char *name;       /* as in the struct, e.g. "events_in" */
  const char *unit;       /* "events", "lines", "rows", "bytes", "times" */
  enum tm_counter_shown shown;
  const char *sentence;   /* for people */
};

/* TM_COUNTERS_N entries, in the struct's order. */
extern const struct tm_counter_info tm_counters_list[];

/* The value of entry i of the list. */
uint64_t tm_counters_get(const struct tm_counters *c, int i);

#endif
