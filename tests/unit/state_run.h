/* state_run.h - what the tests of keyed state share: a seeded random, a log with a budget, keys made of a number. */
#ifndef TM_TESTS_STATE_RUN_H
#define TM_TESTS_STATE_RUN_H

#include <stdint.h>

#include "../../host/abi_c.h"
#include "../../host/state/arena.h"
#include "unit.h"

static uint64_t run_state = 42;

static inline uint64_t run_random(void) {
  uint64_t z = (run_state += 0x9E3779B97F4A7C15u);

  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static inline uint32_t run_below(uint32_t n) { return (uint32_t)(run_random() >> 33) % n; }

/* ---- in an arena, with TIDEMILL_CHECK_CUTS=1: cuts behind random commits, copied out in random slices between later ones ---- */

static struct tm_arena *run_arena;
static struct tm_changes *run_arena_log;
static uint64_t run_arena_state = 7;
static uint32_t run_cuts, run_wait;

/* apart from the test's own, so that it does the same with an arena and without */
static inline uint32_t run_arena_below(uint32_t n) {
  run_arena_state = run_arena_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(run_arena_state >> 33) % n;
}

static inline void run_emitted(void *ctx, uint64_t offset, const void *bytes, size_t len) {
  double *sum = ctx;
  (void)offset;
  (void)bytes;
  *sum += (double)len;
}

static inline void run_slice(size_t most) {
  static double emitted;
  if (tm_arena_copy(run_arena, run_emitted, &emitted, most) != 0 || run_wait-- > 0) return;
  /* seldom when there were many, or the memory is large: each is a pass over all of it */
  run_wait = run_arena_below(++run_cuts / 2 + 2) * (1 + (uint32_t)(run_arena_log->budget->used / 1e6));
  if (tm_arena_cut(run_arena) != 0) abort();
  tm_arena_check(run_arena);
}

static inline void run_commit(struct tm_changes *c) {
  static const size_t most[] = {0, 64, 640, 8192, 1 << 20, SIZE_MAX};
  tm_ffi_changes_commit(c);
  if (c == run_arena_log) run_slice(most[run_arena_below(sizeof most / sizeof most[0])]);
}

static inline void run_free(struct tm_changes *c) {
  if (c == run_arena_log && c != NULL) {
    tm_ffi_changes_rollback(c, 0);
    /* one more cut, and all of it */
    for (int i = 0; i < 3; i++) {
      run_wait = 0;
      run_slice(SIZE_MAX);
    }
    CHECK(run_cuts > 0, "no cut");
  }
  tm_ffi_changes_free(c);
  if (c != run_arena_log) return;
  tm_arena_free(run_arena);
  run_arena = NULL;
  run_arena_log = NULL;
}

static inline struct tm_changes *run_changes(struct tm_budget *budget, double limit) {
  *budget = (struct tm_budget){limit, 0, 0};
  double seed = (double)run_random();
  /* one log at a time lies in an arena */
  int wanted = run_arena == NULL && tm_arena_check_wanted();
  if (wanted) {
    run_arena = tm_arena_new(NULL, (size_t)128 << 30, NULL);
    if (run_arena == NULL) abort();
    run_cuts = run_wait = 0;
  }
  struct tm_changes *c = wanted ? tm_changes_new_in(run_arena, budget, seed) : tm_ffi_changes_new(budget, seed);
  if (c == NULL) abort();
  if (wanted) run_arena_log = c;
  return c;
}

#define tm_ffi_changes_commit(c) run_commit(c)
#define tm_ffi_changes_free(c) run_free(c)

static inline struct tm_state *run_table(struct tm_changes *c, int32_t record_size, double max_keys, int32_t on_full,
                                         const struct tm_state_field *fields, int32_t fields_n) {
  struct tm_state_options o = {"under test", fields, 10, fields_n, record_size, on_full, max_keys, 0, 0, NULL, 0, 0};
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
