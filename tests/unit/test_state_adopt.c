/* test_state_adopt.c - states that a run before left: found again by name and layout in the order in which they were made, or by their
 * address, with all that they hold; what is of another layout is not; what nobody asks for is told. */
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

int main(void) {
  by_name_and_address();
  waiting();
  return unit_end("test_state_adopt");
}
