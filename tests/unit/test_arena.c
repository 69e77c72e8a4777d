/* test_arena.c - the arena of keyed state: what it refuses, how much a change copies out, addresses that are used again, and states that are
 * not what is asked for. Then the other tests of keyed state once more, each in an arena that is cut at random and checked.
 *
 * What is expected of bytes is counted by hand: the lines that hold what changed, and as many again for what the table itself keeps. */
#include <libgen.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../host/base/err.h"
#include "../../host/state/arena_own.h"
#include "../../host/state/series.h"
#include "../../host/state/table.h"
#include "state_run.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

static const size_t RESERVE = (size_t)64 << 30;

static void counted(void *ctx, uint64_t offset, const void *bytes, size_t len) {
  double *sum = ctx;
  (void)offset;
  if (bytes != NULL) *sum += (double)len;
}

/* a cut, all of it copied out: how many bytes */
static double cut(struct tm_arena *a) {
  double sum = 0;
  if (tm_arena_cut(a) != 0) abort();
  while (tm_arena_copy(a, counted, &sum, 65536) != 0) continue;
  return sum;
}

/* ---- what it refuses ---- */

static void refusals(void) {
  struct tm_err err;
  char page[TM_ARENA_PAGE] = {1};
  struct tm_arena *a = tm_arena_new(NULL, RESERVE, &err), *b;
  CHECK(a != NULL && tm_arena_reserve(a) == RESERVE, "64 GiB");
  CHECK(tm_arena_new(tm_arena_base(a), RESERVE, &err) == NULL && strstr(err.detail, "something else may lie there") != NULL, "taken");
  CHECK(tm_arena_new(NULL, 12345, &err) == NULL && strstr(err.detail, "12345") != NULL, "a size");
  CHECK(tm_arena_apply(a, RESERVE - 64, page, 64) == 0 && tm_arena_apply(a, RESERVE - 64, page, 65) != 0, "the end");
  CHECK(tm_arena_apply(a, RESERVE + 1, page, 1) != 0 && tm_arena_apply(a, UINT64_MAX, page, 64) != 0, "beyond");
  CHECK(tm_arena_zero(a, RESERVE, TM_ARENA_PAGE) != 0 && tm_arena_zero(a, TM_ARENA_PAGE, UINT64_MAX - 4095) != 0, "zeroes beyond");
  CHECK(tm_arena_zero(a, 64, TM_ARENA_PAGE) != 0 && tm_arena_zero(a, 0, 100) != 0, "no pages");
  struct tm_budget budget = {0, 0, 0};
  CHECK(tm_changes_resume(a, &budget, &err) == NULL && strstr(err.detail, "there is no state in it") != NULL, "nothing: %s", err.detail);
  b = tm_arena_new(NULL, RESERVE, &err);
  CHECK(b != NULL && tm_arena_base(b) != tm_arena_base(a), "two of them");
  CHECK(tm_arena_differ(a, b) == RESERVE - 64, "the byte that was put there");
  tm_arena_zero(a, RESERVE - TM_ARENA_PAGE, TM_ARENA_PAGE);
  CHECK(tm_arena_differ(a, b) == UINT64_MAX, "no difference");
  tm_arena_free(b);
  struct tm_changes *c = tm_changes_new_in(a, &budget, 1);
  CHECK(c != NULL && tm_arena_apply(a, 0, page, 64) != 0, "not into what is written");
  cut(a);
  /* the bytes of an arena put back at another address */
  b = tm_arena_new(NULL, RESERVE, &err);
  CHECK(tm_arena_apply(b, 0, tm_arena_base(a), TM_ARENA_PAGE) == 0, "apply");
  CHECK(tm_changes_resume(b, &budget, &err) == NULL && strstr(err.detail, "at another address") != NULL, "%s", err.detail);
  tm_arena_free(b);
  tm_arena_enter(a);
  (tm_ffi_changes_free)(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
  tm_arena_free(a);
}

/* ---- what a change costs ---- */

enum { KEYS = 200000, TEXT = 10240 };

static void touch(struct tm_changes *c, struct tm_state *s, uint32_t n, uint32_t from) {
  struct tm_key k;
  for (uint32_t i = 0; i < n; i++) {
    k.len = 0;
    tm_ffi_key_number(&k, n < KEYS ? run_below(KEYS) : from + i);
    double *r = tm_ffi_state_write(s, &k);
    r[0]++;
    tm_ffi_changes_commit(c);
  }
}

static void bytes(void) {
  static const struct tm_state_field text_field = {8, TM_FIELD_TEXT, 0, 0, 0, 0};
  struct tm_budget budget = {0, 0, 0};
  struct tm_arena *a = tm_arena_new(NULL, RESERVE, NULL);
  struct tm_changes *c = tm_changes_new_in(a, &budget, 1);
  struct tm_state *s = run_table(c, 32, 0, 0, NULL, 0), *t = run_table(c, 16, 0, 0, &text_field, 1);
  touch(c, s, KEYS, 0);
  double all = cut(a);
  CHECK(all >= KEYS * 40.0 && all < KEYS * 90.0, "%.0f bytes for %d new keys", all, KEYS);
  while (tm_ffi_changes_care(c, 1000) != 0) continue;
  cut(a);
  CHECK(cut(a) == 0, "nothing changed");
  for (uint32_t share = 100; share >= 1; share /= 10) {
    uint32_t n = KEYS / share == KEYS ? KEYS - 1 : KEYS / share;
    touch(c, s, n, 0);
    double out = cut(a);
    /* an item of 48 bytes lies in two lines at most; a little for the table itself */
    CHECK(out <= n * 128.0 + 8192 && out >= (share == 1 ? 0.5 : 0.9) * n * 64.0, "%.0f bytes for %u changed records", out, n);
  }
  char value[TEXT];
  memset(value, 'v', sizeof value);
  struct tm_key k = {0};
  tm_ffi_key_number(&k, 1);
  void *r = tm_ffi_state_write(t, &k);
  CHECK(tm_ffi_text_set(t, r, 0, value, TEXT) == TM_STATE_OK, "set");
  tm_ffi_changes_commit(c);
  double out = cut(a);
  CHECK(out >= TEXT && out < 2 * TEXT, "%.0f bytes for a text of 10 KiB", out);
  const struct tm_state_ref *ref = (const struct tm_state_ref *)(const void *)((char *)r + 8);
  uint32_t at = ref->at;
  memset(value + 5000, 'w', 16);
  CHECK(tm_ffi_text_patch(t, r, 0, value, TEXT) == TM_STATE_NEW && ref->at == at, "patched in its place");
  CHECK(memcmp(t->base + 8 * (size_t)at, value, TEXT) == 0, "the text");
  tm_ffi_changes_commit(c);
  out = cut(a);
  CHECK(out <= 12 * 64, "%.0f bytes for 16 of a text of 10 KiB", out);
  value[0] = 'x';
  value[TEXT - 1] = 'x';
  tm_ffi_text_patch(t, r, 0, value, TEXT);
  tm_ffi_changes_rollback(c, 0);
  value[0] = value[TEXT - 1] = 'v';
  CHECK(memcmp(t->base + 8 * (size_t)at, value, TEXT) == 0, "rolled back");
  CHECK(tm_ffi_text_patch(t, r, 0, value, TEXT) == TM_STATE_OK, "as before");
  CHECK(tm_ffi_text_patch(t, r, 0, value, 100) == TM_STATE_NEW && ref->n == 100, "a shorter one");
  (tm_ffi_changes_free)(c);
  tm_arena_free(a);
}

/* ---- addresses ---- */

static void addresses(void) {
  struct tm_budget budget = {0, 0, 0};
  struct tm_arena *a = tm_arena_new(NULL, RESERVE, NULL);
  struct tm_changes *c = tm_changes_new_in(a, &budget, 1);
  struct tm_state *windows[20] = {NULL};
  uint64_t carved = 0;
  for (int round = 0; round < 200; round++) {
    struct tm_state **w = windows + run_below(20);
    tm_ffi_state_free(*w);
    *w = run_table(c, 8, 0, 0, NULL, 0);
    touch(c, *w, 200, 0);
    if (round % 3 == 0) tm_ffi_state_clear(*w);
    tm_ffi_changes_commit(c);
    while (tm_ffi_changes_care(c, 1000) != 0) continue;
    if (round % 10 == 0) cut(a);
    if (round == 150) carved = tm_arena_root(a)->carved;
  }
  CHECK(tm_arena_root(a)->carved == carved, "%.0f MiB of addresses more for windows that came and went", (double)(tm_arena_root(a)->carved - carved) / 1048576);
  for (int i = 0; i < 20; i++) tm_ffi_state_free(windows[i]);
  uint32_t n = 0;
  struct tm_state_options o = {"many", NULL, 4, 0, 8, 0, 0, 0, 0, NULL, 0, 0};
  while (n < 3000 && tm_ffi_state_new(c, &o) != NULL) n++;
  CHECK(n >= 100 && c->refused == TM_REFUSED_MEMORY, "%u states in 64 GiB, then code %d", n, c->refused);
  (tm_ffi_changes_free)(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
  tm_arena_free(a);
}

/* ---- other states than were put back ---- */

struct entry { uint64_t offset; size_t len; };
struct frame { char *bytes; size_t used; };

static void keep(void *ctx, uint64_t offset, const void *p, size_t len) {
  struct frame *f = ctx;
  struct entry e = {offset, len};
  memcpy(f->bytes + f->used, &e, sizeof e);
  memcpy(f->bytes + f->used + sizeof e, p, len);
  f->used += sizeof e + len;
}

static int32_t refused(struct tm_changes *c, struct tm_state_options o, double max_keys, int32_t fields_n, int32_t size, int32_t timed) {
  o.max_keys = max_keys;
  o.fields_n = fields_n;
  o.record_size = size;
  o.timed = timed;
  return tm_ffi_state_new(c, &o) == NULL ? c->refused : -1;
}

static void others(void) {
  struct tm_state_field fields[] = {{8, TM_FIELD_TEXT, 0, 0, 0, 0}, {16, TM_FIELD_LIST, 0, TM_VALUE_NUMBER, 0, 5}};
  struct tm_state_options o = {"orders", fields, 6, 2, 24, TM_ON_FULL_OLDEST, 100, 0, 0, NULL, 0, 0};
  struct tm_budget budget = {0, 0, 0}, second = {0, 0, 0};
  struct tm_err err;
  struct frame f = {mmap(NULL, RESERVE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), 0};
  struct tm_arena *a = tm_arena_new(NULL, RESERVE, NULL);
  const void *base = tm_arena_base(a);
  struct tm_changes *c = tm_changes_new_in(a, &budget, 1);
  for (int i = 0; i < 3; i++) touch(c, tm_ffi_state_new(c, &o), (uint32_t)i + 1, 0);
  cut(a);
  tm_arena_used(a, keep, &f);
  (tm_ffi_changes_free)(c);  /* what it has beside the arena */
  tm_arena_free(a);
  a = tm_arena_new(base, RESERVE, &err);
  for (size_t at = 0; at < f.used;) {
    struct entry e;
    memcpy(&e, f.bytes + at, sizeof e);
    CHECK(tm_arena_apply(a, e.offset, f.bytes + at + sizeof e, e.len) == 0, "apply");
    at += sizeof e + e.len;
  }
  c = tm_changes_resume(a, &second, &err);
  CHECK(c != NULL && second.used > 0, "resume: %s", c == NULL ? err.detail : "");
  CHECK(refused(c, o, 0, 2, 24, 0) == TM_REFUSED_ORDER, "without order of writing");
  CHECK(refused(c, o, 100, 1, 24, 0) == TM_REFUSED_FIELDS, "one field less");
  CHECK(refused(c, o, 100, 2, 32, 0) == TM_REFUSED_RECORD, "a longer record");
  CHECK(refused(c, o, 100, 2, 24, 1) == TM_REFUSED_TIMED, "timed");
  fields[1].of = TM_VALUE_STRING;
  CHECK(refused(c, o, 100, 2, 24, 0) == TM_REFUSED_FIELD && c->refused_field == 1, "another list");
  fields[1].of = TM_VALUE_NUMBER;
  fields[1].max = 9;
  struct tm_state *found[3];
  for (int i = 0; i < 3; i++) {
    found[i] = tm_ffi_state_new(c, &o);
    CHECK(found[i] != NULL && found[i]->keys == i + 1 && found[i]->adopted, "state %d in order of making", i);
  }
  CHECK(tm_table_of(found[0])->fields[1].max == 9, "what comes is bounded by the new max");
  CHECK(tm_ffi_state_adopt(c, tm_ffi_state_address(found[0])) == NULL, "not twice");
  struct tm_state *made = tm_ffi_state_new(c, &o);
  CHECK(made != NULL && made->keys == 0, "a fourth one is new");
  double sum = 0;
  if (tm_arena_cut(a) != 0) abort();
  tm_arena_check(a);
  while (tm_arena_copy(a, counted, &sum, 1000) != 0) continue;
  (tm_ffi_changes_free)(c);
  CHECK(second.used == 0, "%.0f bytes are still counted", second.used);
  tm_arena_free(a);
  munmap(f.bytes, RESERVE);
}

/* ---- sparse blocks are emptied ---- */

enum { MANY = 3000, LARGE = 3000 };

static int32_t number_key(struct tm_value *v, char *text, uint32_t i) {
  *v = (struct tm_value){.text = text, .len = snprintf(text, 40, "a key, and its number: %u", i), .kind = TM_VALUE_STRING};
  return v->len;
}

static void fill(struct tm_changes *c, struct tm_state *s, uint32_t id) {
  static const struct tm_marks marks = {4, 0, 1, 0, 0};
  char text[64];
  struct tm_value v;
  struct tm_key k = {0};
  uint32_t n = id % 100 == 0 ? LARGE : 1 + id % 12;
  tm_ffi_key_number(&k, id);
  double *r = tm_ffi_state_write(s, &k);
  struct tm_series series = tm_series_of(tm_table_of(s), r, 5);
  for (uint32_t i = 0; i < n; i++) {
    number_key(&v, text, i + id);
    tm_ffi_list_push(s, r, 1, &v);
    tm_ffi_map_set(s, r, 2, &v, &v);
    tm_ffi_map_set(s, r, 3, &v, NULL);
    tm_ffi_marks_add(s, r, &marks, i, 1);
    uint64_t *cell = tm_series_insert(&series, series.ref->n);
    if (tm_tagged_put(tm_table_of(s), &v, cell) != 0) abort();
  }
  tm_ffi_text_set(s, r, 0, v.text, v.len);
  tm_ffi_due_set(s, r, id);
  tm_ffi_changes_commit(c);
}

/* Removes most of what there is, cuts while the rest moves together, and looks whether it is still what it was. */
static void moves(void) {
  static const struct tm_state_field fields[] = {{8, TM_FIELD_TEXT, 0, 0, 0, 0}, {16, TM_FIELD_LIST, 0, TM_VALUE_STRING, 0, 0},
                                                 {24, TM_FIELD_MAP, TM_VALUE_STRING, TM_VALUE_STRING, 0, 0}, {32, TM_FIELD_SET, TM_VALUE_STRING, 0, 0, 0},
                                                 {40, TM_FIELD_MARKS, 0, 0, 0, 0}, {48, TM_FIELD_SERIES, 0, 1, 0, 3}};
  struct tm_state_options o = {"moving", fields, 6, 6, 80, TM_ON_FULL_OLDEST, 1e6, 1, 0, NULL, 0, 0};
  struct tm_budget budget = {0, 0, 0};
  struct tm_arena *a = tm_arena_new(NULL, RESERVE, NULL);
  struct tm_changes *c = tm_changes_new_in(a, &budget, 1);
  struct tm_state *s = tm_ffi_state_new(c, &o);
  for (uint32_t id = 0; id < MANY; id++) fill(c, s, id);
  tm_arena_cut(a);
  tm_arena_check(a);
  for (uint32_t id = 0; id < MANY; id++) {
    struct tm_key k = {0};
    tm_ffi_key_number(&k, id);
    if (id % 7 != 0 && tm_ffi_state_remove(s, (void *)(uintptr_t)tm_ffi_state_find(s, &k)) != 0) abort();
    if (id % 50 == 0) tm_ffi_changes_commit(c);
  }
  tm_ffi_changes_commit(c);
  double sum = 0;
  for (int turn = 0, more = 1; more; turn++) {
    more = tm_ffi_changes_care(c, 100);
    if (tm_arena_copy(a, counted, &sum, run_below(3) * 40000) != 0) continue;
    tm_arena_cut(a);
    tm_arena_check(a);
  }
  while (tm_arena_copy(a, counted, &sum, 1 << 20) != 0) continue;
  const struct tm_table *t = tm_table_of(s);
  CHECK(t->core.heap.page_bytes < 2.5 * t->core.heap.live_bytes, "%.0f bytes for %.0f", t->core.heap.page_bytes, t->core.heap.live_bytes);
  for (uint32_t id = 0; id < MANY; id += 7) {
    char text[64];
    struct tm_key k = {0};
    struct tm_value v, found;
    tm_ffi_key_number(&k, id);
    const double *r = tm_ffi_state_find(s, &k);
    uint32_t n = id % 100 == 0 ? LARGE : 1 + id % 12, i = run_below(n);
    number_key(&v, text, i + id);
    struct tm_series series = tm_series_of(tm_table_of(s), (void *)(uintptr_t)r, 5);
    CHECK(tm_ffi_list_get(s, r, 1, i + 1, &found) == 0 && found.len == v.len && memcmp(found.text, v.text, (size_t)v.len) == 0, "list");
    CHECK(tm_ffi_map_get(s, r, 2, &v, &found) == 0 && found.len == v.len && memcmp(found.text, v.text, (size_t)v.len) == 0, "map");
    CHECK(tm_ffi_map_get(s, r, 3, &v, &found) == 0, "set");
    tm_tagged_get(t, *tm_series_at(&series, i), &found);
    CHECK(series.ref->n == n && found.len == v.len && memcmp(found.text, v.text, (size_t)v.len) == 0, "series");
  }
  (tm_ffi_changes_free)(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
  tm_arena_free(a);
}

/* ---- the other tests ---- */

static void with_cuts(const char *folder) {
  static const char *const names[] = {
    "queue", "series", "partners", "aggregates", "any", "state_keys", "state_marks", "state_sections", "state_versions", "state_aging",
#ifndef SANITIZED /* these take minutes then */
    "turns", "state_table", "state_values", "state_due", "state_recycle",
#endif
  };
  setenv("TIDEMILL_CHECK_CUTS", "1", 1);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char path[4096];
    int status = -1;
    snprintf(path, sizeof path, "%s/test_%s", folder, names[i]);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      execl(path, path, (char *)NULL);
      _exit(127);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "TIDEMILL_CHECK_CUTS=1 %s", path);
  }
}

int main(int argc, char **argv) {
  (void)argc;
  refusals();
  bytes();
  addresses();
  others();
  moves();
  with_cuts(dirname(argv[0]));
  return unit_end("arena");
}
