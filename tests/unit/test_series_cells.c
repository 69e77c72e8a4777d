/* test_series_cells.c - entries that are written cell by cell and read back: values of each kind, against the list of what was put, with
 * room in the record and beyond it; what is taken back; each allocation failing once; places that do not exist. */
#include <math.h>

#include "../../host/state/series.h"
#include "state_run.h"

enum { CELLS = 4, ROOM = 2, ENTRIES = 60, AT = 8 };

static const struct tm_state_field field = {AT, TM_FIELD_SERIES, 0, CELLS, 0, ROOM};
static const int32_t RECORD_SIZE = AT + (int32_t)sizeof(struct tm_state_ref) + ROOM * CELLS * TM_CELL_BYTES;

/* The value of a cell: its kind and content follow from its place. Texts are of different lengths, the empty one among them. */
static struct tm_value value_of(uint32_t i, uint32_t c, char *text, size_t room) {
  static const int32_t kinds[] = {TM_VALUE_NUMBER, TM_VALUE_STRING, TM_VALUE_ANY, TM_VALUE_TRUE, TM_VALUE_FALSE, TM_VALUE_NIL};
  struct tm_value v = {0, NULL, 0, c == 0 ? TM_VALUE_NUMBER : kinds[(i * 7 + c) % (sizeof kinds / sizeof *kinds)]};
  if (v.kind == TM_VALUE_NUMBER) v.num = i % 5 == 0 ? -0.0 : i * 1e15 + c / 8.0;
  if (v.kind != TM_VALUE_STRING && v.kind != TM_VALUE_ANY) return v;
  v.text = text;
  v.len = snprintf(text, room, "%.*s%u", (int)(i % 40), "........................................", i);
  if (i % 9 == 0) v.len = 0;
  return v;
}

static int push(struct tm_state *s, void *record, uint32_t i) {
  char text[CELLS][64];
  struct tm_value cells[CELLS];
  for (uint32_t c = 0; c < CELLS; c++) cells[c] = value_of(i, c, text[c], sizeof text[c]);
  return tm_ffi_series_push(s, record, 0, cells);
}

/* how many cells of the first n entries are not what was put */
static int differs(struct tm_state *s, void *record, uint32_t n) {
  int wrong = 0;
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t c = 0; c < CELLS; c++) {
      char text[64];
      struct tm_value want = value_of(i, c, text, sizeof text), got;
      if (tm_ffi_series_get(s, record, 0, (int32_t)i, (int32_t)c, &got) != 0) return 1000000;
      wrong += got.kind != want.kind || got.len != want.len || memcmp(&got.num, &want.num, sizeof got.num) != 0 ||
               (want.len > 0 && memcmp(got.text, want.text, (size_t)want.len) != 0);
    }
  }
  return wrong;
}

static uint32_t size_of(const void *record) { return ((const struct tm_state_ref *)(const void *)((const char *)record + AT))->n; }

static void test_values(void) {
  struct tm_budget budget;
  struct tm_key key = {0};
  struct tm_changes *c = run_changes(&budget, 1e9);
  struct tm_state *s = run_table(c, RECORD_SIZE, 0, 0, &field, 1);
  struct tm_value none;
  int wrong = 0;
  run_key(&key, 1);
  for (uint32_t i = 0; i < ENTRIES; i++) {
    for (int stays = i > 0 ? 0 : 1; stays < 2; stays++) {   /* each is taken back once; the first one leaves the record */
      void *record = tm_ffi_state_write(s, &key);
      wrong += push(s, record, i) != 0;
      if (stays == 1) run_commit(c);
      else tm_ffi_changes_rollback(c, 0);
      record = tm_ffi_state_write(s, &key);
      wrong += differs(s, record, i + (uint32_t)stays) + (size_of(record) != i + (uint32_t)stays);
      tm_ffi_changes_rollback(c, 0);
    }
  }
  CHECK(wrong == 0, "entries are what was put");
  void *record = tm_ffi_state_write(s, &key);
  CHECK(tm_ffi_series_get(s, record, 0, ENTRIES, 0, &none) == TM_STATE_RANGE && tm_ffi_series_get(s, record, 0, -1, 0, &none) == TM_STATE_RANGE &&
        tm_ffi_series_get(s, record, 0, 0, CELLS, &none) == TM_STATE_RANGE && tm_ffi_series_get(s, record, 0, 0, -1, &none) == TM_STATE_RANGE,
        "places that do not exist");
  struct tm_value nan[CELLS] = {{.kind = TM_VALUE_NUMBER}};
  nan[0].num = (double)NAN;
  CHECK(tm_ffi_series_push(s, record, 0, nan) == TM_STATE_TYPE && size_of(record) == ENTRIES && differs(s, record, ENTRIES) == 0,
        "what is no number is refused, and nothing has changed");
  tm_ffi_changes_rollback(c, 0);
  run_free(c);
}

/* The n-th allocation fails, until none does: nothing has changed then, and the same call succeeds later. */
static void test_memory(void) {
  int failed = 0, wrong = 0;
  for (int n = 1, done = 0; !done && n < 100; n++) {
    struct tm_budget budget;
    struct tm_key key = {0};
    struct tm_changes *c = run_changes(&budget, 1e9);
    struct tm_state *s = run_table(c, RECORD_SIZE, 0, 0, &field, 1);
    run_key(&key, 1);
    void *record = tm_ffi_state_write(s, &key);
    done = 1;
    budget.fail_in = n;
    for (uint32_t i = 0; i < ENTRIES; i++) {
      int code = push(s, record, i);
      if (code == 0) continue;
      failed++;
      done = 0;
      wrong += code != TM_STATE_NO_MEMORY || size_of(record) != i || differs(s, record, i) != 0;
      budget.fail_in = 0;
      wrong += push(s, record, i) != 0;
    }
    wrong += differs(s, record, ENTRIES);
    budget.fail_in = 0;
    tm_ffi_changes_commit(c);
    run_free(c);
  }
  CHECK(failed > 0, "allocations failed");
  CHECK(wrong == 0, "a failure changes nothing");
}

int main(void) {
  test_values();
  test_memory();
  return unit_end("series_cells");
}
