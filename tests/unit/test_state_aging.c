/* test_state_aging.c - elements that go by age, against rows of structs that are all looked at.
 *
 * A list, a map and a set with their times, written as their owner does (lua/tidemill/state_aged.lua): in and out of order of time, over
 * elements there are, some removed by hand, some pushed out by a bound. Events of writes and passes are committed or rolled back; after each
 * all is compared: elements, their order and times, and what the record knows of these. Each pass is also tried with its first, second
 * … allocation failing, which must change nothing. Then the borders that the header names. */
#include <math.h>

#include "../../host/state/table.h"
#include "state_run.h"

enum { CAP = 3000, KINDS = 3, LIST = 0, MAP = 1, SET = 2, TEXT = 64, AGES = sizeof(struct tm_ages), REF = sizeof(struct tm_state_ref) };
enum { RECORD = KINDS * AGES + 5 * REF };

/* where the elements of a kind are, and where their times */
static const int32_t held_in[KINDS] = {0, 2, 4}, times_in[KINDS] = {1, 3, 4};

struct element { uint32_t k, v; double time; };
struct box { uint32_t n; struct element e[CAP]; };
struct ref { struct box kind[KINDS]; };

static struct ref now, before;
static struct tm_key key;
static int failed;          /* passes that had no memory */

static struct tm_state *open_state(struct tm_changes *c, double max_keys, int32_t max) {
  const int32_t at = KINDS * AGES, nil = TM_VALUE_NIL;
  const struct tm_state_field fields[5] = {
    {at, TM_FIELD_LIST, 0, TM_VALUE_STRING, 0, max},
    {at + REF, TM_FIELD_LIST, 0, TM_VALUE_NUMBER, 0, max},
    {at + 2 * REF, TM_FIELD_MAP, nil, TM_VALUE_STRING, TM_ON_FULL_OLDEST, max},
    {at + 3 * REF, TM_FIELD_MAP, nil, TM_VALUE_NUMBER, TM_ON_FULL_OLDEST, max},
    {at + 4 * REF, TM_FIELD_MAP, nil, TM_VALUE_NUMBER, TM_ON_FULL_OLDEST, max},
  };
  return run_table(c, RECORD, max_keys, TM_ON_FULL_OLDEST, fields, 5);
}

static struct tm_ages *ages_of(void *record, int kind) { return (struct tm_ages *)record + kind; }

static struct tm_value number(double v) { return (struct tm_value){v, NULL, 0, TM_VALUE_NUMBER}; }

static struct tm_value text_of(uint32_t id, char *text) {
  int len = snprintf(text, TEXT, "%u%.*s", id, (int)(id % 40), "........................................");
  return (struct tm_value){0, text, len, TM_VALUE_STRING};
}

/* of two kinds, which differ */
static struct tm_value key_of(uint32_t id, char *text) { return id % 2 != 0 ? number(id) : text_of(id, text); }

static int same(const struct tm_value *a, const struct tm_value *b) {
  if (a->kind != b->kind) return 0;
  return a->kind == TM_VALUE_NUMBER ? a->num == b->num : a->len == b->len && memcmp(a->text, b->text, (size_t)a->len) == 0;
}

/* ---- the reference ---- */

static void cut(struct box *b, uint32_t i) {
  memmove(b->e + i, b->e + i + 1, (b->n - i - 1) * sizeof b->e[0]);
  b->n--;
}

static void put(struct box *b, uint32_t max, struct element e) {
  if (max > 0 && b->n == max) cut(b, 0);
  b->e[b->n++] = e;
}

static uint32_t find(const struct box *b, uint32_t k) {
  uint32_t i = 0;
  while (i < b->n && b->e[i].k != k) i++;
  return i;
}

static void pass(struct box *b, double upto) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < b->n; i++)
    if (b->e[i].time > upto) b->e[n++] = b->e[i];
  b->n = n;
}

static struct tm_ages true_ages(const struct box *b) {
  struct tm_ages a = {INFINITY, -INFINITY, 0};
  for (uint32_t i = 0; i < b->n; i++) {
    double time = b->e[i].time;
    if (time < a.least) a.least = time;
    if (time > a.top) a.top = time;
    if (a.top - time > a.slack) a.slack = a.top - time;
  }
  return a;
}

/* ---- comparing ---- */

static const char *list_differs(struct tm_state *s, const void *record, const struct box *b) {
  struct tm_value v, time, want;
  char text[TEXT];
  for (uint32_t i = 0; i < b->n; i++) {
    want = text_of(b->e[i].v, text);
    if (tm_ffi_list_get(s, record, 0, i + 1, &v) != 0 || !same(&v, &want)) return "an element of the list";
    if (tm_ffi_list_get(s, record, 1, i + 1, &time) != 0 || time.num != b->e[i].time) return "a time of the list";
  }
  return tm_ffi_list_get(s, record, 0, b->n + 1, &v) == TM_STATE_RANGE && tm_ffi_list_get(s, record, 1, b->n + 1, &v) == TM_STATE_RANGE
             ? NULL : "the length of the list";
}

static const char *map_differs(struct tm_state *s, const void *record, int kind, const struct box *b) {
  struct tm_value k, v, time, want;
  char text[TEXT];
  double at = 0, time_at = 0;
  for (uint32_t i = 0; i < b->n; i++) {
    at = tm_ffi_map_next(s, record, held_in[kind], at, &k, &v);
    want = key_of(b->e[i].k, text);
    if (at == 0 || !same(&k, &want)) return "an element, or its place";
    if (tm_ffi_map_get(s, record, times_in[kind], &k, &time) != 0 || time.num != b->e[i].time) return "a time";
    time_at = tm_ffi_map_next(s, record, times_in[kind], time_at, &k, NULL);
    if (time_at == 0 || !same(&k, &want)) return "the place of a time";
    want = text_of(b->e[i].v, text);
    if (kind == MAP && !same(&v, &want)) return "a value";
  }
  /* behind the last one, or of an empty one from the front */
  return tm_ffi_map_next(s, record, held_in[kind], at, NULL, NULL) == 0 && tm_ffi_map_next(s, record, times_in[kind], time_at, NULL, NULL) == 0
             ? NULL : "a walk goes on";
}

/* exact: the kinds whose least time must be known exactly, a bit each */
static const char *differs(struct tm_state *s, const void *record, int exact) {
  for (int kind = 0; kind < KINDS; kind++) {
    const struct box *b = now.kind + kind;
    const char *what = kind == LIST ? list_differs(s, record, b) : map_differs(s, record, kind, b);
    if (what != NULL) return what;
    struct tm_ages is = true_ages(b), said = ((const struct tm_ages *)record)[kind];
    if (b->n == 0 && (exact >> kind & 1) == 0) continue;
    if (said.least > is.least || ((exact >> kind & 1) != 0 && said.least != is.least)) return "the least time";
    if (said.top < is.top) return "the largest time";
    if (said.slack < is.slack) return "the slack";
  }
  return NULL;
}

/* ---- what the owner does ---- */

static void note(struct tm_ages *a, double t) {
  if (a->top < t) a->top = t;
  else if (a->top - t > a->slack) a->slack = a->top - t;
  if (t < a->least) a->least = t;
}

/* the first one: nothing is known of those that were there */
static void begin(struct tm_ages *a, uint32_t n) {
  if (n == 0) *a = (struct tm_ages){INFINITY, -INFINITY, 0};
}

static int32_t list_push(struct tm_state *s, void *record, uint32_t max, uint32_t id, double t) {
  struct box *b = now.kind + LIST;
  struct tm_value time = number(t), v;
  char text[TEXT];
  begin(ages_of(record, LIST), b->n);
  v = text_of(id, text);
  int32_t code = tm_ffi_list_push(s, record, 0, &v);
  if (code >= 0) code = tm_ffi_list_push(s, record, 1, &time);
  if (code < 0) return code;
  note(ages_of(record, LIST), t);
  put(b, max, (struct element){0, id, t});
  return 0;
}

static int32_t list_set(struct tm_state *s, void *record, uint32_t id, double t) {
  struct box *b = now.kind + LIST;
  struct tm_ages *a = ages_of(record, LIST);
  uint32_t i = run_below(b->n);
  struct tm_value time = number(t), v;
  char text[TEXT];
  v = text_of(id, text);
  int32_t code = tm_ffi_list_set(s, record, 0, i + 1, &v);
  if (code < 0) return code;
  b->e[i].v = id;
  if (b->e[i].time >= t) return 0;
  code = tm_ffi_list_set(s, record, 1, i + 1, &time);
  if (code < 0) return code;
  b->e[i].time = t;
  note(a, t);
  if (t - a->least > a->slack) a->slack = t - a->least;  /* those behind it may be as much older as any */
  return 0;
}

static int32_t list_take(struct tm_state *s, void *record, int first) {
  struct box *b = now.kind + LIST;
  int32_t code = first ? tm_ffi_list_shift(s, record, 1, NULL) : tm_ffi_list_pop(s, record, 1, NULL);
  if (code >= 0) code = first ? tm_ffi_list_shift(s, record, 0, NULL) : tm_ffi_list_pop(s, record, 0, NULL);
  if (code >= 0) cut(b, first ? 0 : b->n - 1);
  return code;
}

static int32_t map_remove(struct tm_state *s, void *record, int kind, uint32_t id) {
  struct box *b = now.kind + kind;
  uint32_t i = find(b, id);
  struct tm_value k;
  char text[TEXT];
  if (i == b->n) return 0;
  k = key_of(id, text);
  int32_t code = tm_ffi_map_remove(s, record, times_in[kind], &k);
  if (code >= 0 && kind == MAP) code = tm_ffi_map_remove(s, record, held_in[MAP], &k);
  if (code >= 0) cut(b, i);
  return code;
}

static int32_t map_set(struct tm_state *s, void *record, int kind, uint32_t max, uint32_t id, double t) {
  struct box *b = now.kind + kind;
  struct tm_value k, v, time = number(t);
  char text[TEXT], value[TEXT];
  uint32_t i = find(b, id), what = run_below(1000);
  int later = i < b->n && b->e[i].time >= t;
  int32_t code = later ? 0 : map_remove(s, record, kind, id);
  if (code < 0) return code;
  if (!later) begin(ages_of(record, kind), b->n);
  k = key_of(id, text);
  v = text_of(what, value);
  if (kind == MAP) code = tm_ffi_map_set(s, record, 2, &k, &v);
  if (code >= 0 && !later) code = tm_ffi_map_set(s, record, times_in[kind], &k, &time);
  if (code < 0) return code;
  if (later) {
    if (kind == MAP) b->e[i].v = what;
    return 0;
  }
  note(ages_of(record, kind), t);
  put(b, max, (struct element){id, what, t});
  return 0;
}

static int32_t owner_writes(struct tm_state *s, void *record, int kind, uint32_t max, uint32_t ids, double t) {
  uint32_t what = run_below(10), n = now.kind[kind].n;
  if (kind != LIST) return what == 0 ? map_remove(s, record, kind, run_below(ids)) : map_set(s, record, kind, max, run_below(ids), t);
  if (what == 0 && n > 0) return list_take(s, record, (int)run_below(2));
  return what < 3 && n > 0 ? list_set(s, record, run_below(1000), t) : list_push(s, record, max, run_below(1000), t);
}

/* A pass that is tried until no allocation fails: NULL, or what was wrong. */
static const char *passes(struct tm_budget *budget, struct tm_state *s, void *record, int kind, double upto, int faults) {
  struct tm_ages was = *ages_of(record, kind);
  for (int n = 1;; n++) {
    budget->fail_in = faults ? n : 0;
    int32_t rc = tm_ffi_aging_pass(s, record, held_in[kind], times_in[kind], ages_of(record, kind), upto);
    budget->fail_in = 0;
    if (rc == 0) break;
    if (rc != TM_STATE_NO_MEMORY || !faults) return "a pass's answer";
    failed++;
    if (memcmp(&was, ages_of(record, kind), sizeof was) != 0) return "a pass that failed changed the ages";
    const char *what = differs(s, record, 0);
    if (what != NULL) return what;
  }
  pass(now.kind + kind, upto);
  return differs(s, record, 1 << kind);
}

/* ---- long runs ---- */

struct plan { uint32_t events, step, disorder, ids, max, keep; int faults; };

static const char *event(struct tm_changes *c, struct tm_budget *budget, struct tm_state *s, const struct plan *p, double *t) {
  const char *what = NULL;
  int undo = run_below(4) == 0, quiet = run_below(4) == 0, lost = 0;
  before = now;
  run_key(&key, 4);
  /* a pass alone needs no announcement */
  void *record = quiet ? (void *)(uintptr_t)tm_ffi_state_find(s, &key) : tm_ffi_state_write(s, &key);
  for (uint32_t i = quiet ? 0 : 1 + run_below(6); i > 0 && !lost; i--) {
    if (run_below(3) != 0) *t += run_below(p->step + 1);
    double own = *t - (run_below(3) == 0 ? run_below(p->disorder + 1) : 0);
    if (p->faults && run_below(8) == 0) budget->fail_in = 1 + run_below(4);
    lost = owner_writes(s, record, (int)run_below(KINDS), p->max, p->ids, own) < 0;
    budget->fail_in = 0;
  }
  for (int kind = 0; kind < KINDS && !lost && what == NULL; kind++) {
    const struct box *b = now.kind + kind;
    if (!quiet && run_below(3) != 0) continue;
    double upto = *t - p->keep + run_below(3);
    if (run_below(4) == 0 && b->n > 0) upto = b->e[run_below(b->n)].time - run_below(2);   /* a time there is, or just before */
    if (run_below(60) == 0) upto = run_below(2) != 0 ? INFINITY : -INFINITY;
    what = passes(budget, s, record, kind, upto, p->faults);
  }
  if (undo || lost) {
    tm_ffi_changes_rollback(c, 0);
    now = before;
  } else {
    tm_ffi_changes_commit(c);
  }
  return what;
}

static void run(uint32_t seed, struct plan p) {
  struct tm_budget budget;
  const char *what = NULL;
  run_state = seed;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = open_state(c, 0, (int32_t)p.max);
  double t = run_below(2) != 0 ? -1e6 : 1.7e12;
  memset(&now, 0, sizeof now);
  run_key(&key, 4);
  void *record = tm_ffi_state_write(s, &key);
  for (int kind = 0; kind < KINDS; kind++) begin(ages_of(record, kind), 0);
  tm_ffi_changes_commit(c);
  for (uint32_t i = 0; i < p.events && what == NULL; i++) {
    what = event(c, &budget, s, &p, &t);
    run_key(&key, 4);
    if (what == NULL) what = differs(s, tm_ffi_state_find(s, &key), 0);
    CHECK(what == NULL, "seed %u, event %u: %s", seed, i, what);
    if (i % 16 == 0) tm_ffi_changes_care(c, 1000);
  }
  run_key(&key, 4);
  tm_ffi_state_remove(s, (void *)(uintptr_t)tm_ffi_state_find(s, &key));
  tm_ffi_changes_commit(c);
  while (tm_ffi_changes_care(c, 100000)) continue;
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

/* ---- borders ---- */

static void *write_id(struct tm_state *s, uint32_t id) {
  run_key(&key, id);
  return tm_ffi_state_write(s, &key);
}

/* what goes by age is no writing of its key: the one not written for longest makes room, passed or not */
static void passes_are_no_writing(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = open_state(c, 2, 0);
  memset(&now, 0, sizeof now);
  for (uint32_t id = 1; id <= 2; id++) {
    void *record = write_id(s, id);
    memset(&now, 0, sizeof now);
    for (int kind = 0; kind < KINDS; kind++)
      for (uint32_t i = 0; i < 20; i++) CHECK((kind == LIST ? list_push(s, record, 0, i, i) : map_set(s, record, kind, 0, i, i)) == 0, "written");
    tm_ffi_changes_commit(c);
  }
  run_key(&key, 1);
  void *first = (void *)(uintptr_t)tm_ffi_state_find(s, &key);
  for (int kind = 0; kind < KINDS; kind++)
    CHECK(tm_ffi_aging_pass(s, first, held_in[kind], times_in[kind], ages_of(first, kind), 9) == 0, "ten of kind %d go", kind);
  tm_ffi_changes_commit(c);
  write_id(s, 3);
  tm_ffi_changes_commit(c);
  run_key(&key, 1);
  CHECK(tm_ffi_state_find(s, &key) == NULL, "the key not written for longest made room");
  run_key(&key, 2);
  CHECK(tm_ffi_state_find(s, &key) != NULL, "the one written later is there");
  tm_ffi_changes_free(c);
}

static void of_a_record_that_went(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = open_state(c, 0, 0);
  void *record = write_id(s, 1);
  memset(&now, 0, sizeof now);
  for (int kind = 0; kind < KINDS; kind++) begin(ages_of(record, kind), 0);
  CHECK(list_push(s, record, 0, 1, 5) == 0, "written");
  tm_ffi_changes_commit(c);
  for (int kind = 0; kind < KINDS; kind++) {
    const char *what = passes(&budget, s, record, kind, 4, 0);   /* nothing to do, or nothing there */
    CHECK(what == NULL, "kind %d: %s", kind, what);
  }
  tm_ffi_state_remove(s, record);
  struct tm_ages was = *ages_of(record, LIST);
  for (int kind = 0; kind < KINDS; kind++)
    CHECK(tm_ffi_aging_pass(s, record, held_in[kind], times_in[kind], ages_of(record, kind), 4) == TM_STATE_GONE, "gone, with nothing to do");
  CHECK(tm_ffi_aging_pass(s, record, 0, 1, ages_of(record, LIST), 5) == TM_STATE_GONE, "the record is gone");
  CHECK(memcmp(&was, ages_of(record, LIST), sizeof was) == 0, "nothing is done to it");
  tm_ffi_changes_rollback(c, 0);
  const char *what = passes(&budget, s, record, LIST, 5, 0);
  CHECK(what == NULL && now.kind[LIST].n == 0, "it is back, and its element goes: %s", what);
  tm_ffi_changes_free(c);
}

int main(void) {
  for (uint32_t seed = 1; seed <= 12; seed++) {
    run(seed, (struct plan){600, 3, 0, 12, 0, 30, 0});           /* in order, few: maps as rows */
    run(seed, (struct plan){600, 3, 20, 40, 7, 30, 0});          /* out of order, with a bound */
    run(seed, (struct plan){600, 2, 200, 400, 0, 300, 0});       /* lists and maps of hundreds, with holes */
    run(seed, (struct plan){400, 2, 60, 100, 0, 60, 1});
    run(seed, (struct plan){400, 1, 5, 30, 12, 10, 1});
  }
  run(99, (struct plan){1500, 2, 1000, 2500, 0, 1500, 0});
  CHECK(failed > 100, "%d passes had no memory", failed);
  passes_are_no_writing();
  of_a_record_that_went();
  return unit_end("state_aging");
}
