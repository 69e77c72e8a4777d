/* test_state_adopt.c - states that a run before left: found again by name and layout in the order in which they were made, or by their
 * address, with all that they hold; what is of another layout, or of other words, is not; what nobody asks for is told; one takes
 * the place of another. */
#include "../../host/state/key.h"
#include "../../host/state/queue.h"
#include "../../host/state/table.h"
#include "state_run.h"

static struct tm_key key;
static const struct tm_state_field fields[] = {
    {.off = 8, .kind = TM_FIELD_TEXT},
    {.off = 16, .kind = TM_FIELD_LIST, .key = TM_VALUE_NIL, .of = TM_VALUE_NUMBER, .max = 10},
};
enum { RECORD = 24, KEYS = 300 };

static void fill(struct tm_changes *c, struct tm_state *s, double from) {
  for (uint32_t id = 0; id < KEYS; id++) {
    struct tm_value v = {.num = id, .kind = TM_VALUE_NUMBER};
    run_key(&key, id);
    double *r = tm_ffi_state_write(s, &key);
    if (r == NULL || tm_ffi_text_set(s, r, 0, "left", 4) < 0 || tm_ffi_list_push(s, r, 1, &v) < 0) abort();
    r[0] = from + id;
    tm_ffi_changes_commit(c);
  }
}

/* how many keys do not hold what fill gave them */
static int wrong_of(struct tm_state *s, double from) {
  int wrong = s->keys != KEYS;
  for (uint32_t id = 0; id < KEYS; id++) {
    run_key(&key, id);
    const double *r = tm_ffi_state_find(s, &key);
    if (r == NULL) return KEYS;
    const struct tm_state_ref *ref = (const void *)(r + 1);
    wrong += r[0] != from + id || ref[0].n != 4 || memcmp(s->base + 8 * (size_t)ref[0].at, "left", 4) != 0 || ref[1].n != 1;
  }
  return wrong;
}

static int left_n(const struct tm_changes *c) {
  int n = 0;
  for (const struct tm_state *s = tm_ffi_states_left(c, NULL); s != NULL; s = tm_ffi_states_left(c, s)) n++;
  return n;
}

static void by_name_and_address(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *made[4];
  for (int i = 0; i < 4; i++) {
    made[i] = run_table(c, RECORD, 0, 0, fields, 2);
    fill(c, made[i], 1000 * i);
  }
  CHECK(left_n(c) == 0, "%d", left_n(c));
  CHECK(tm_ffi_state_adopt(c, tm_ffi_state_address(made[0])) == NULL, "one that somebody has");
  struct tm_state_cursor *walk = tm_ffi_cursor_new(made[1]);
  CHECK(walk != NULL, "a walk of the run before");
  tm_ffi_states_orphan(c);
  CHECK(left_n(c) == 4, "%d", left_n(c));

  struct tm_state_field numbers[2];
  memcpy(numbers, fields, sizeof numbers);
  numbers[1].of = TM_VALUE_STRING;
  struct tm_state_options o = {made[0]->name, fields, made[0]->name_len, 2, RECORD, 0, 0, 0, 0, NULL, 0, 0};
  o.max_keys = 50;
  o.on_full = TM_ON_FULL_OLDEST;
  CHECK(tm_ffi_state_new(c, &o) == NULL && c->refused == TM_REFUSED_ORDER, "one whose items have links: %d", c->refused);
  o.max_keys = 0;
  o.on_full = 0;
  o.fields_n = 1;
  CHECK(tm_ffi_state_new(c, &o) == NULL && c->refused == TM_REFUSED_FIELDS, "one with other fields: %d", c->refused);
  o.fields_n = 2;
  o.fields = numbers;
  CHECK(tm_ffi_state_new(c, &o) == NULL && c->refused == TM_REFUSED_FIELD && c->refused_field == 1, "one with other elements: %d", c->refused);
  o = (struct tm_state_options){"under tesT", fields, 10, 2, RECORD, 0, 0, 0, 0, NULL, 0, 0};
  struct tm_state *other = tm_ffi_state_new(c, &o);
  CHECK(other != NULL && other->keys == 0, "one of another name");

  CHECK(tm_ffi_state_adopt(c, tm_ffi_state_address(made[2])) == made[2], "by its address");
  CHECK(tm_ffi_state_adopt(c, tm_ffi_state_address(made[2])) == NULL, "twice");
  CHECK(tm_ffi_state_adopt(c, (double)(uintptr_t)&key) == NULL, "an address of something else");
  CHECK(run_table(c, RECORD, 0, 0, fields, 2) == made[0], "the first one first");
  /* a bound of the script that is another one now; in every order but that of records it is the same */
  numbers[1] = fields[1];
  numbers[1].max = 2;
  CHECK(run_table(c, RECORD, 0, 0, numbers, 2) == made[1], "the second one");
  CHECK(left_n(c) == 1 && tm_ffi_states_left(c, NULL) == made[3], "%d", left_n(c));
  for (int i = 0; i < 4; i++) CHECK(wrong_of(made[i], 1000 * i) == 0, "state %d", i);
  run_key(&key, 7);
  struct tm_value v = {.num = 1, .kind = TM_VALUE_NUMBER};
  void *r = tm_ffi_state_write(made[1], &key);
  for (int i = 0; i < 5; i++) CHECK(tm_ffi_list_push(made[1], r, 1, &v) >= 0, "%d", i);
  CHECK(((const struct tm_state_ref *)(const void *)((const char *)r + 16))->n == 2, "the new bound holds");
  tm_ffi_changes_commit(c);
  tm_ffi_state_free(made[3]);
  CHECK(run_table(c, RECORD, 0, 0, fields, 2)->keys == 0, "all are taken");
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are left", budget.used);
}

/* Events that wait are there again for who says how many values they have. */
static void waiting(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD, 0, 0, fields, 2);
  struct tm_table *t = tm_table_of(s);
  CHECK(tm_queue_init(t, 1) == 0, "no memory");
  struct tm_value v = {.num = 5, .kind = TM_VALUE_NUMBER};
  run_key(&key, 3);
  struct tm_seek seek = tm_seek_key(t->log, key.bytes, (uint32_t)key.len);
  CHECK(tm_queue_put(t, &seek, 100, &v) == 0, "no memory");
  tm_ffi_changes_commit(c);
  tm_ffi_states_orphan(c);
  CHECK(run_table(c, RECORD, 0, 0, fields, 2) == s, "not the same");
  CHECK(tm_queue_init(t, 2) != 0, "events of another shape");
  CHECK(tm_queue_init(t, 1) == 0, "of the same");
  struct tm_queued *e = tm_queue_first(t, 200);
  CHECK(e != NULL && e->time == 100, "it is gone");
  if (e != NULL) {
    struct tm_value out;
    tm_queued_value(e, 0, &out);
    CHECK(out.num == 5, "%g", out.num);
  }
  tm_ffi_changes_free(c);
}

static struct tm_state *made_with(struct tm_changes *c, const char *words, int beside, double max_keys) {
  struct tm_state_options o = {"changing", fields, 8, 2, RECORD, TM_ON_FULL_OLDEST, max_keys, 1, 0, words, (int32_t)strlen(words), beside};
  return tm_ffi_state_new(c, &o);
}

/* Which key goes next to make room, by putting one that is not there yet. */
static int oldest_is(struct tm_changes *c, struct tm_state *s, uint32_t id, uint32_t fresh) {
  run_key(&key, id);
  int was = tm_ffi_state_find(s, &key) != NULL;
  run_key(&key, fresh);
  if (tm_ffi_state_write(s, &key) == NULL) abort();
  tm_ffi_changes_commit(c);
  run_key(&key, id);
  return was && tm_ffi_state_find(s, &key) == NULL;
}

/* What the owner says of its cells is kept and compared; another state takes the place of one. */
static void words_and_replacing(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = made_with(c, "number n", 0, 4);
  CHECK(s->layout_len == 8 && memcmp(s->layout, "number n", 8) == 0, "%.*s", s->layout_len, s->layout);
  for (uint32_t id = 1; id <= 5; id++) {
    run_key(&key, id);
    if (tm_ffi_state_write(s, &key) == NULL) abort();
    tm_ffi_changes_commit(c);
  }
  CHECK(s->keys == 4 && s->evicted == 1, "%.0f, %.0f", s->keys, s->evicted);
  run_key(&key, 2);  /* now 3 is the one not written for longest */
  CHECK(tm_ffi_state_write(s, &key) != NULL, "no memory");
  tm_ffi_changes_commit(c);
  CHECK(tm_ffi_state_kept(c, "changing", 8) == NULL, "somebody has it");
  tm_ffi_states_orphan(c);
  CHECK(tm_ffi_state_kept(c, "changing", 8) == s && tm_ffi_state_kept(c, "changinG", 8) == NULL, "by its name");
  CHECK(made_with(c, "number m", 0, 4) == NULL && c->refused == TM_REFUSED_LAYOUT, "other words: %d", c->refused);
  CHECK(made_with(c, "number", 0, 4) == NULL && c->refused == TM_REFUSED_LAYOUT, "fewer words: %d", c->refused);

  struct tm_state *made = made_with(c, "number m", 1, 10);
  CHECK(made != NULL && made != s && made->keys == 0 && left_n(c) == 1, "one beside it");
  static const uint32_t order[] = {6, 5, 4, 3, 2};
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
    run_key(&key, order[i]);
    void *r = tm_ffi_state_write(made, &key);
    CHECK(r != NULL && tm_ffi_due_set(made, r, 100 * order[i]) >= 0, "no memory");
    tm_ffi_changes_commit(c);
  }
  struct tm_state_field less[2];
  memcpy(less, fields, sizeof less);
  less[1].max = 3;
  struct tm_state_options o = {"changing", less, 8, 2, RECORD, TM_ON_FULL_OLDEST, 5, 1, 0, "number m", 8, 0};
  tm_ffi_state_replace(made, s, &o);
  CHECK(left_n(c) == 0 && made->keys == 5 && made->evicted == 1, "%d, %.0f, %.0f", left_n(c), made->keys, made->evicted);
  CHECK(oldest_is(c, made, 6, 10), "what the other did not have comes first");
  CHECK(oldest_is(c, made, 3, 11), "then the order of the other");
  CHECK(oldest_is(c, made, 4, 12), "then 4");
  CHECK(oldest_is(c, made, 5, 13), "then 5");
  CHECK(tm_ffi_due_first(made) == 200, "%g", tm_ffi_due_first(made));
  struct tm_value v = {.num = 1, .kind = TM_VALUE_NUMBER};
  run_key(&key, 2);
  void *r = tm_ffi_state_write(made, &key);
  for (int i = 0; i < 5; i++) CHECK(tm_ffi_list_push(made, r, 1, &v) >= 0, "%d", i);
  CHECK(((const struct tm_state_ref *)(const void *)((const char *)r + 16))->n == 3, "the bound of a field");
  tm_ffi_changes_commit(c);
  tm_ffi_states_orphan(c);
  CHECK(made_with(c, "number m", 0, 5) == made, "it is found by its name");
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are left", budget.used);
}

int main(void) {
  by_name_and_address();
  words_and_replacing();
  waiting();
  return unit_end("test_state_adopt");
}
