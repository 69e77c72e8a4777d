/* state_run.h - what the tests of keyed state share: a seeded random, a log with a budget, keys made of a number. */
#ifndef TM_TESTS_STATE_RUN_H
#define TM_TESTS_STATE_RUN_H

#include <stdint.h>

#include "../../host/abi_c.h"
#include "unit.h"

static uint64_t run_state = 42;

static inline uint64_t run_random(void) {
  uint64_t z = (run_state += 0x9E3779B97F4A7C15u);

  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static inline uint32_t run_below(uint32_t n) { return (uint32_t)(run_random() >> 33) % n; }

static inline struct tm_changes *run_changes(struct tm_budget *budget, double limit) {
  *budget = (struct tm_budget){limit, 0, 0};
  struct tm_changes *c = tm_ffi_changes_new(budget, (double)run_random());
  if (c == NULL) abort();
  return c;
}

static inline struct tm_state *run_table(struct tm_changes *c, int32_t record_size, double max_keys, int32_t on_full,
                                         const struct tm_state_field *fields, int32_t fields_n) {
  struct tm_state_options o = {"under test", fields, 10, fields_n, record_size, on_full, max_keys, 0, 0};
  struct tm_state *s = tm_ffi_state_new(c, &o);
  if (s == NULL) abort();
  return s;
}

/* the id-th key: numbers, strings of many lengths, composites; different ids give different keys */
static inline void run_key(struct tm_key *k, uint32_t id) {
  char text[400];
  k->len = 0;
  switch (id & 3) {
    case 0:
      tm_ffi_key_number(k, (id & 4) != 0 ? -(double)id : id);
      break;
    case 1:
      tm_ffi_key_string(k, text, snprintf(text, sizeof text, "%u", id - 1));
      break;
    case 2:
      memset(text, 'x', sizeof text);
      tm_ffi_key_string(k, text, snprintf(text, sizeof text, "%0*u", (int)(10 + id % 150), id));
      break;
    default:
      tm_ffi_key_string(k, text, snprintf(text, sizeof text, "card%u", id % 7));
      tm_ffi_key_number(k, id + 0.5);
      tm_ffi_key_boolean(k, (id & 4) != 0);
  }
}

#endif
