/* test_state_recycle.c - states that are filled and emptied again and again, as those of windows are.
 *
 * Rounds of any size put keys with texts, short and of many blocks, and lists; each round is compared with what was put,
 * then recycled. Memory may follow the rounds down and never grows by their number; the budget is settled to the byte;
 * every n-th allocation fails in a state that was recycled. */
#include <sys/resource.h>

#include "../../host/state/key.h"
#include "../../host/state/table.h"
#include "state_run.h"

enum { TEXT_MAX = 200000 };

static struct tm_key key;
static char text[TEXT_MAX];
static const struct tm_state_field fields[] = {
    {.off = 8, .kind = TM_FIELD_TEXT},
    {.off = 16, .kind = TM_FIELD_LIST, .key = TM_VALUE_NIL, .of = TM_VALUE_NUMBER, .max = 1000},
};
enum { RECORD = 24 };

static int32_t text_len(uint32_t id) { return (int32_t)(id % 97 == 0 ? 20000 + id * 31 % (TEXT_MAX - 20010) : id % 60); }

/* where in text the id-th key's lies */
static const char *text_of(uint32_t id) { return text + id % 7; }

/* puts the id-th key: 0, or -1 with nothing changed */
static int put(struct tm_changes *c, struct tm_state *s, uint32_t id, int values) {
  struct tm_value v = {.num = id, .kind = TM_VALUE_NUMBER};
  run_key(&key, id);
  double *r = tm_ffi_state_write(s, &key);
  if (r == NULL || s->code != TM_STATE_NEW || r[0] != 0) goto fail;
  r[0] = id;
  if (values && tm_ffi_text_set(s, r, 0, text_of(id), text_len(id)) < 0) goto fail;
  for (uint32_t i = 0; values && i < id % 5; i++) {
    if (tm_ffi_list_push(s, r, 1, &v) < 0) goto fail;
  }
  tm_ffi_changes_commit(c);
  return 0;
fail:
  tm_ffi_changes_rollback(c, 0);
  return -1;
}

static uint32_t wrong_of(struct tm_state *s, uint32_t n, int values) {
  uint32_t wrong = s->keys != n, seen = 0;
  for (uint32_t id = 0; id < n; id++) {
    run_key(&key, id);
    const double *r = tm_ffi_state_find(s, &key);
    if (r == NULL || r[0] != id) {
      wrong++;
      continue;
    }
    if (!values) continue;
    const struct tm_state_ref *ref = (const void *)(r + 1);
    int32_t len = text_len(id);
    wrong += (int32_t)ref[0].n != len || (len > 0 && memcmp(s->base + 8 * (size_t)ref[0].at, text_of(id), (size_t)len) != 0);
    struct tm_value v;
    wrong += ref[1].n != id % 5 || (id % 5 > 0 && (tm_ffi_list_get(s, r, 1, id % 5, &v) < 0 || v.num != id));
  }
  struct tm_state_cursor *w = tm_ffi_cursor_new(s);
  for (const double *r; (r = tm_ffi_cursor_next(w)) != NULL; seen++) wrong += r[0] != seen;
  tm_ffi_cursor_free(w);
  run_key(&key, n);
  return wrong + (seen != n) + (tm_ffi_state_find(s, &key) != NULL);
}

static void rounds(int values, uint32_t most, int n) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD, 0, 0, fields, 2);
  double highest = 0, before = budget.used;
  for (int round = 0; round < n; round++) {
    uint32_t keys = round == 0 ? most : run_below(most);
    int failed = 0;
    for (uint32_t id = 0; id < keys; id++) failed += put(c, s, id, values) != 0;
    uint32_t wrong = failed == 0 ? wrong_of(s, keys, values) : (uint32_t)failed;
    CHECK(wrong == 0, "round %d of %u keys: %u wrong", round, keys, wrong);
    if (round == 0) highest = budget.used;
    CHECK(budget.used <= highest * 1.3 + 1e6, "round %d: %.0f bytes, %.0f in the largest", round, budget.used, highest);
    int back = tm_ffi_state_recycle(s);
    CHECK(back == 0 && s->keys == 0, "recycle: %d", back);
    if (run_below(2)) tm_ffi_changes_commit(c);
  }
  /* few keys a round: what the largest round took goes back */
  for (int round = 0; round < 20; round++) {
    for (uint32_t id = 1; id < 20; id++) put(c, s, id, 0);
    tm_ffi_state_recycle(s);
    tm_ffi_changes_commit(c);
  }
  while (tm_ffi_changes_care(c, 100)) {}
  CHECK(budget.used < before + 512 * 1024, "%.0f bytes stay", budget.used - before);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

/* A round no larger than the one before needs no new memory, neither of the budget nor of the system. */
static void nothing_new(void) {
  enum { KEYS = 30000 };
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD, 0, 0, fields, 2);
  struct tm_table *t = tm_table_of(s);
  double heap = 0;
  for (int round = 0; round < 4; round++) {
    struct rusage from, to;
    uint32_t slots = t->core.index.low;
    getrusage(RUSAGE_SELF, &from);
    for (uint32_t id = 0; id < KEYS; id++) {
      if (put(c, s, id, 0) != 0) abort();
    }
    getrusage(RUSAGE_SELF, &to);
    if (round > 0) {
      CHECK(t->core.heap.page_bytes <= heap, "%.0f bytes, %.0f before", t->core.heap.page_bytes, heap);
      CHECK(t->core.index.low == slots, "the index grew from %u to %u", slots, t->core.index.low);
      /* the log of arrivals alone, 120 KB, is new */
      CHECK(run_arena != NULL || to.ru_minflt - from.ru_minflt < 100, "%ld pages were new", to.ru_minflt - from.ru_minflt);
    }
    heap = t->core.heap.page_bytes;
    tm_ffi_state_recycle(s);
    tm_ffi_changes_commit(c);
  }
  tm_ffi_changes_free(c);
}

/* what cannot be emptied in a short call, or might be taken back, is cleared instead */
static void otherwise_cleared(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD, 0, 0, fields, 2);
  for (uint32_t id = 0; id < 300000; id++) {
    if (put(c, s, id, 0) != 0) abort();
  }
  CHECK(tm_ffi_state_recycle(s) == 0 && s->keys == 0 && c->used != 0, "a large one");
  tm_ffi_changes_rollback(c, 0);
  CHECK(wrong_of(s, 300000, 0) == 0, "taken back");
  tm_ffi_state_recycle(s);
  tm_ffi_changes_commit(c);
  while (tm_ffi_changes_care(c, 100)) {}
  CHECK(s->bytes < 64 * 1024, "%.0f bytes stay", s->bytes);
  for (uint32_t id = 0; id < 100; id++) put(c, s, id, 1);
  run_key(&key, 1000);
  tm_ffi_state_write(s, &key);
  tm_ffi_state_recycle(s);
  tm_ffi_changes_rollback(c, 0);
  CHECK(wrong_of(s, 100, 1) == 0, "taken back within an event");
  budget.limit = budget.used * 1.5;
  CHECK(tm_ffi_state_recycle(s) == 0 && c->used != 0, "where memory is short, nothing is kept");
  tm_ffi_changes_commit(c);
  tm_ffi_changes_free(c);
}

static void allocations_fail(void) {
  uint32_t failed = 0;
  for (int32_t nth = 1; nth < 400; nth++) {
    struct tm_budget budget;
    struct tm_changes *c = run_changes(&budget, 0);
    struct tm_state *s = run_table(c, RECORD, 0, 0, fields, 2);
    for (uint32_t id = 0; id < 300; id++) {
      if (put(c, s, id, 1) != 0) abort();
    }
    tm_ffi_state_recycle(s);
    budget.fail_in = nth;
    uint32_t there = 0;
    for (uint32_t id = 0; id < 200; id++) {
      while (put(c, s, id, 1) != 0) failed++;
      there++;
    }
    budget.fail_in = 0;
    uint32_t wrong = wrong_of(s, there, 1);
    if (wrong != 0) CHECK(0, "allocation %d fails: %u wrong", nth, wrong);
    tm_ffi_changes_free(c);
    if (budget.used != 0) CHECK(0, "allocation %d fails: %.0f bytes still counted", nth, budget.used);
  }
  CHECK(failed > 300, "%u allocations failed", failed);
}

int main(void) {
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + i * 7 % 26);
  rounds(0, 40000, 25);
  rounds(1, 1500, 25);
  nothing_new();
  otherwise_cleared();
  allocations_fail();
  return unit_end("state_recycle");
}
