/* test_state_sections.c - many small states in one, against an array of rows for each.
 *
 * Events write records, by keys and by rows of a batch, drop sections, all at once or some records at a time, and make several sections one;
 * they are committed or rolled back, and then every section is compared: its keys in order of first arrival, what they hold, what is not
 * there, and how many keys the state has. Each call is also tried with its first, second … allocation failing, which must change
 * nothing. Then the borders: numbers of sections, keys too long for one, a section in chunks. */
#include <math.h>

#include "../../host/base/buf.h"
#include "../../host/codec/json.h"
#include "../../host/state/table.h"
#include "state_run.h"

enum { SECTIONS = 9, CAP = 6000, BY_KEY = 20000, ROWS = 40, TEXT = 48 };

struct record { double first, value; struct tm_state_ref text, order; };
struct ref_record { uint32_t id; double first, value; uint32_t text; };
struct ref { uint32_t n; struct ref_record e[CAP]; };

static const double numbers[SECTIONS] = {1, 2, 256, -1, 0, 0.5, INFINITY, -1e300, 9007199254740992.0};
static struct ref now[SECTIONS], before[SECTIONS];
static struct tm_batch batch;
static struct tm_key_columns cols;
static struct tm_key key;
static double serial;       /* the next record's `first` */
static int failed;          /* calls that had no memory */

/* ids from BY_KEY on are rows of the batch */
static void make_key(uint32_t id) {
  if (id < BY_KEY) run_key(&key, id);
  else tm_ffi_key_row(&key, &batch, &cols, (int32_t)(id - BY_KEY));
}

static int32_t text_of(uint32_t id, char *text) { return snprintf(text, TEXT, "%u%.*s", id, (int)(id % 30), "..............................."); }

static struct ref_record *ref_find(struct ref *r, uint32_t id) {
  for (uint32_t i = 0; i < r->n; i++)
    if (r->e[i].id == id) return r->e + i;
  return NULL;
}

static void copy(struct ref *to, const struct ref *from) {
  for (int i = 0; i < SECTIONS; i++) {
    to[i].n = from[i].n;
    memcpy(to[i].e, from[i].e, from[i].n * sizeof from[i].e[0]);
  }
}

/* ---- comparing ---- */

static int is_key(struct tm_state *s, const void *record, uint32_t id) {
  int32_t len;
  const char *bytes = tm_ffi_state_key(s, record, &len);
  make_key(id);
  return len == key.len && memcmp(bytes, key.bytes, (size_t)len) == 0;
}

static const char *record_differs(struct tm_state *s, const struct record *r, const struct ref_record *want) {
  char text[TEXT];
  if (r == NULL) return "a record is not there";
  if (!is_key(s, r, want->id)) return "a key, or its place";
  if (r->first != want->first || r->value != want->value) return "what a record holds";
  if (want->text == 0) return r->text.at == 0 ? NULL : "a text that was not set";
  int32_t len = text_of(want->text, text);
  return r->text.n == (uint32_t)len && memcmp(s->base + 8 * (size_t)r->text.at, text, (size_t)len) == 0 ? NULL : "a text";
}

static const char *differs(struct tm_state *s) {
  double keys = 0;
  for (int i = 0; i < SECTIONS; i++) {
    struct ref *r = now + i;
    keys += r->n + (r->n > 0);   /* and its head */
    for (uint32_t k = 0; k < r->n; k++) {
      const char *what = record_differs(s, tm_ffi_section_at(s, numbers[i], k + 1), r->e + k);
      if (what != NULL) return what;
    }
    if (tm_ffi_section_at(s, numbers[i], 0) != NULL || tm_ffi_section_at(s, numbers[i], r->n + 1) != NULL ||
        tm_ffi_section_at(s, numbers[i], 0.5) != NULL || tm_ffi_section_at(s, numbers[i], NAN) != NULL) return "a record in no place";
    struct ref *other = now + run_below(SECTIONS);
    if (r->n == 0) continue;
    const struct ref_record *e = r->e + run_below(r->n), *peer = ref_find(other, e->id);
    const void *found = tm_ffi_section_peer(s, numbers[other - now], tm_ffi_section_at(s, numbers[i], e - r->e + 1));
    if (found == NULL ? peer != NULL : peer == NULL || record_differs(s, found, peer) != NULL) return "a peer";
  }
  return s->keys == keys ? NULL : "how many keys";
}

/* ---- calls, each tried until no allocation fails ---- */

static struct tm_budget budget;
static int faults;
static const char *wrong;   /* what a call that failed changed */

/* Was the call that gave this the last try? */
static int tried(struct tm_state *s, int32_t code, int n) {
  budget.fail_in = 0;
  if (code != TM_STATE_NO_MEMORY) return 1;
  failed++;
  if (wrong == NULL && (n == 0 || (wrong = differs(s)) != NULL)) wrong = wrong == NULL ? "no memory for nothing" : wrong;
  return wrong != NULL;
}

static int begin(int n) {
  budget.fail_in = faults ? n : 0;
  return faults ? n : 0;
}

static void write_one(struct tm_state *s, uint32_t section, uint32_t id) {
  struct ref *ref = now + section;
  struct ref_record *e = ref_find(ref, id);
  struct record *r = NULL;
  char text[TEXT];
  make_key(id);
  for (int n = 1, of;; n++) {
    of = begin(n);
    if (id < BY_KEY || run_below(2) == 0) r = tm_ffi_section_write(s, numbers[section], &key);
    else r = tm_ffi_section_write_row(s, numbers[section], &batch, &cols, (int32_t)(id - BY_KEY));
    if (tried(s, r == NULL ? s->code : 0, of)) break;
    make_key(id);
  }
  if (wrong != NULL) return;
  if (r == NULL || (s->code == TM_STATE_NEW) != (e == NULL)) {
    wrong = "the answer of a write";
    return;
  }
  if (e == NULL) {
    e = ref->e + ref->n++;
    *e = (struct ref_record){id, ++serial, 0, 0};
    if (r->first != 0 || r->value != 0 || r->text.at != 0) wrong = "a new record is not empty";
    r->first = e->first;
  }
  e->value = r->value = run_below(1000);
  if (run_below(3) == 0) {
    e->text = 1 + run_below(1000);
    int32_t len = text_of(e->text, text);
    if (tm_ffi_text_set(s, r, 0, text, len) < 0) wrong = "a text is not set";
  }
}

static void drop(struct tm_state *s, uint32_t section, uint32_t most) {
  struct ref *ref = now + section;
  uint32_t n = ref->n < most ? ref->n : most;
  int32_t code;
  for (int t = 1, of;; t++) {
    of = begin(t);
    code = tm_ffi_section_drop(s, numbers[section], (int32_t)most);
    if (tried(s, code, of)) break;
  }
  if (wrong != NULL) return;
  if (code != (n < ref->n ? TM_STATE_MORE : TM_STATE_OK)) wrong = "the answer of a drop";
  ref->n -= n;
  memmove(ref->e, ref->e + n, ref->n * sizeof ref->e[0]);
}

/* one that has none of the records, or SECTIONS */
static uint32_t empty_section(void) {
  uint32_t i = run_below(SECTIONS), n = 0;
  while (n < SECTIONS && now[i].n > 0) i = (i + 1) % SECTIONS, n++;
  return n < SECTIONS ? i : SECTIONS;
}

/* The records of some sections become those of an empty one, values added up; without a fault none is left out. */
static void merge(struct tm_changes *c, struct tm_state *s) {
  static struct ref_record want[SECTIONS * CAP];
  uint32_t into = empty_section(), n = 0, left_out = 0;
  struct tm_section_merge m = {.first = 0};
  uint32_t sections = into == SECTIONS ? 0 : 1 + run_below(4);
  for (uint32_t i = 0; i < sections; i++) {
    uint32_t section = run_below(SECTIONS), k = 0;
    while (k < (uint32_t)m.n && m.sections[k] != numbers[section]) k++;
    if (section == into || k < (uint32_t)m.n) continue;
    m.sections[m.n++] = numbers[section];
    memcpy(want + n, now[section].e, now[section].n * sizeof want[0]);
    n += now[section].n;
  }
  if (into == SECTIONS) return;
  /* in order of `first`, which is another number for each but those that came of an earlier one: then that of the earlier in the list */
  for (uint32_t i = 1; i < n; i++)
    for (uint32_t k = i; k > 0 && want[k - 1].first > want[k].first; k--) {
      struct ref_record e = want[k];
      want[k] = want[k - 1], want[k - 1] = e;
    }
  m.into = numbers[into];
  tm_ffi_section_merge_begin(s, &m);
  for (uint32_t i = 0; i <= n && wrong == NULL; i++) {
    if (faults && run_below(4) == 0) budget.fail_in = 1 + run_below(3);
    int32_t code = tm_ffi_section_merge_next(s, &m);
    budget.fail_in = 0;
    if (i == n || code <= 0) {
      if (code == TM_STATE_NO_MEMORY && i < n) left_out++, failed++;
      else if (i < n || code != 0) wrong = "how many are visited";
      else continue;
      if (wrong == NULL) wrong = differs(s);
      continue;
    }
    struct ref_record *e = ref_find(now + into, want[i].id);
    struct record *r = m.record;
    const struct record *from = m.from;
    if (m.fresh != (e == NULL)) wrong = "what is fresh";
    else if (!is_key(s, r, want[i].id) || !is_key(s, from, want[i].id)) wrong = "which is visited";
    else if (from->first != want[i].first || from->value != want[i].value) wrong = "what is visited";
    if (wrong != NULL) return;
    if (e == NULL) {
      e = now[into].e + now[into].n++;
      *e = (struct ref_record){want[i].id, want[i].first, 0, 0};
      if (r->text.at != 0 || r->value != 0) wrong = "a fresh record is not empty";
    }
    e->value += want[i].value;
    r->value += from->value;
    if (wrong == NULL) wrong = record_differs(s, r, e);
    if (run_below(20) == 0) {   /* it rests across commits */
      tm_ffi_changes_commit(c);
      copy(before, now);
    }
  }
  if (left_out > 0 && !faults && wrong == NULL) wrong = "some are left out";
}

/* ---- long runs ---- */

static void one(struct tm_changes *c, struct tm_state *s, uint32_t ids) {
  uint32_t what = run_below(24), section = run_below(SECTIONS);
  if (what == 0) merge(c, s);
  else if (what == 1) drop(s, section, CAP);
  else if (what == 2) drop(s, section, run_below(8));
  else write_one(s, section, run_below(4) == 0 ? BY_KEY + run_below(ROWS) : run_below(ids));
}

static struct tm_state *open_state(struct tm_changes *c) {
  static const struct tm_state_field fields[2] = {
    {offsetof(struct record, text), TM_FIELD_TEXT, 0, TM_VALUE_STRING, 0, 0},
    {offsetof(struct record, order), TM_FIELD_LIST, 0, TM_VALUE_STRING, 0, 0},
  };
  struct tm_state_options o = {"under test", fields, 10, 2, sizeof(struct record), 0, 0, 0, 1, NULL, 0, 0};
  struct tm_state *s = tm_ffi_state_new(c, &o);
  if (s == NULL) abort();
  return s;
}

static void end(struct tm_changes *c, struct tm_state *s, uint32_t seed) {
  for (uint32_t i = 0; i < SECTIONS; i++) {
    while (tm_ffi_section_drop(s, numbers[i], 700) == TM_STATE_MORE) tm_ffi_changes_commit(c);
    tm_ffi_changes_commit(c);
  }
  while (tm_ffi_changes_care(c, 100000)) continue;
  CHECK(s->keys == 0, "seed %u: %.0f keys are left of nothing", seed, s->keys);
  CHECK(s->bytes < 512 * 1024, "seed %u: %.0f bytes are left of nothing", seed, s->bytes);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

static void run(uint32_t seed, int events, uint32_t ids, int with_faults) {
  run_state = seed;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = open_state(c);
  memset(now, 0, sizeof now);
  faults = with_faults;
  wrong = NULL;
  for (int i = 0; i < events && wrong == NULL; i++) {
    copy(before, now);
    for (uint32_t k = 1 + run_below(6); k > 0 && wrong == NULL; k--) one(c, s, ids);
    if (run_below(4) == 0) {
      tm_ffi_changes_rollback(c, 0);
      copy(now, before);
    } else {
      tm_ffi_changes_commit(c);
    }
    if (wrong == NULL) wrong = differs(s);
    CHECK(wrong == NULL, "seed %u, event %d: %s", seed, i, wrong);
    if (i % 16 == 0) tm_ffi_changes_care(c, 1000);
  }
  end(c, s, seed);
}

/* ---- borders ---- */

static void of_one_number(void) {
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = open_state(c);
  run_key(&key, 1);
  void *record = tm_ffi_section_write(s, 0.0, &key);
  CHECK(tm_ffi_section_write(s, -0.0, &key) == record && s->code == TM_STATE_OK, "0 and -0 are one section");
  CHECK(tm_ffi_section_at(s, -0.0, 1) == record && tm_ffi_section_peer(s, -0.0, record) == record, "read, too");
  CHECK(tm_ffi_section_drop(s, -0.0, 9) == TM_STATE_OK && s->keys == 0, "and dropped");
  CHECK(tm_ffi_section_drop(s, 5, 9) == TM_STATE_OK, "what is not there is dropped");
  CHECK(tm_ffi_section_at(s, 5, 1) == NULL && s->keys == 0, "asking makes nothing");
  struct tm_section_merge m = {.into = 5, .n = 0};
  tm_ffi_section_merge_begin(s, &m);
  CHECK(tm_ffi_section_merge_next(s, &m) == 0, "no sections become none");
  m.n = TM_SECTIONS_MERGED;
  for (int i = 0; i < m.n; i++) m.sections[i] = i + 100;
  tm_ffi_section_write(s, 163, &key);
  tm_ffi_section_merge_begin(s, &m);
  CHECK(tm_ffi_section_merge_next(s, &m) == 1 && m.fresh && tm_ffi_section_merge_next(s, &m) == 0, "as many as may be, one of them there");
  tm_ffi_changes_commit(c);
  tm_ffi_changes_free(c);
}

/* a section's number is part of the key that the table has */
static void long_keys(void) {
  static char text[TM_KEY_MAX];
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = open_state(c);
  int32_t len;
  memset(text, 'x', sizeof text);
  key.len = 0;
  CHECK(tm_ffi_key_string(&key, text, TM_KEY_MAX - 8 - 3) == 0 && key.len == TM_KEY_MAX - 8, "a key of %d bytes", key.len);
  void *record = tm_ffi_section_write(s, 1, &key);
  CHECK(record != NULL && tm_ffi_section_at(s, 1, 1) == record, "the longest there may be");
  tm_ffi_state_key(s, record, &len);
  CHECK(len == TM_KEY_MAX - 8, "its key has %d bytes", len);
  tm_ffi_changes_commit(c);
  key.len = 0;
  CHECK(tm_ffi_key_string(&key, text, TM_KEY_MAX - 8 - 2) == 0, "a byte more");
  CHECK(tm_ffi_section_write(s, 1, &key) == NULL && s->code == TM_STATE_TOO_LONG && s->keys == 2, "is too long");
  CHECK(tm_ffi_section_at(s, 1, 2) == NULL, "and not there");
  tm_ffi_changes_commit(c);
  tm_ffi_changes_free(c);
}

/* the log grows while many go at once: when it cannot, all of them are there as before */
static void drops_that_fail(void) {
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = open_state(c);
  memset(now, 0, sizeof now);
  wrong = NULL;
  faults = 0;
  for (uint32_t id = 0; id < 2000 && wrong == NULL; id++) {
    write_one(s, 3, id);
    tm_ffi_changes_commit(c);
  }
  faults = 1;
  int was = failed;
  drop(s, 3, 900);
  if (wrong == NULL) wrong = differs(s);
  CHECK(wrong == NULL && failed > was, "a drop of many: %s, %d had no memory", wrong, failed - was);
  end(c, s, 0);
}

static void rows_without_a_key(int32_t row) {
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = open_state(c);
  CHECK(tm_ffi_section_write_row(s, 1, &batch, &cols, row) == NULL && s->code == TM_STATE_NO_KEY && s->keys == 0, "a row without a key");
  CHECK(tm_ffi_section_write_row(s, 1, &batch, &cols, row + 1) == NULL && s->code == TM_STATE_NOT_KEY && s->keys == 0, "an array");
  tm_ffi_changes_free(c);
}

/* thousands of records: the order lies in chunks, and goes in parts that may be taken back */
static void large(void) {
  run_state = 5;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = open_state(c);
  memset(now, 0, sizeof now);
  faults = 0;
  wrong = NULL;
  for (uint32_t i = 0; i < 2 * CAP - 100; i++) {
    write_one(s, i % 2, i / 2 * 7919 % 9973);
    if (i % 100 == 0) tm_ffi_changes_commit(c);
    if (wrong != NULL) break;
  }
  tm_ffi_changes_commit(c);
  CHECK(wrong == NULL && (wrong = differs(s)) == NULL, "%s", wrong);
  for (int i = 0; i < 30 && wrong == NULL; i++) {
    copy(before, now);
    drop(s, 0, 300);
    if (i % 3 == 0) {
      tm_ffi_changes_rollback(c, 0);
      copy(now, before);
    } else {
      tm_ffi_changes_commit(c);
    }
    if (wrong == NULL) wrong = differs(s);
    CHECK(wrong == NULL, "in parts, %d: %s", i, wrong);
  }
  end(c, s, 5);
}

/* rows with a key each, then one without and one that can be none */
static void read_batch(struct tm_fields *fields) {
  static char text[TM_PAD + ROWS * 64 + 2 * TM_PAD];
  char *p = text + TM_PAD;
  int32_t lines, id = tm_ffi_fields_add(fields, 0, "p", 1);
  memset(text, ' ', TM_PAD);
  for (int i = 0; i < ROWS; i++) p += sprintf(p, i % 3 == 0 ? "{\"p\":%d.25}\n" : i % 3 == 1 ? "{\"p\":\"row %d\"}\n" : "{\"p\":\"\\u0078%d\"}\n", i);
  p += sprintf(p, "{}\n{\"p\":[1]}\n");
  batch.fields = fields;
  batch.line_first = 1;
  tm_json_decode(&batch, text + TM_PAD, (int32_t)(p - text - TM_PAD), 1, 1 << 20, &lines);
  cols = (struct tm_key_columns){{tm_ffi_fields_cells(fields, id)}, 1, 0};
}

int main(void) {
  struct tm_fields *fields = tm_fields_new();
  read_batch(fields);
  CHECK(batch.rows == ROWS + 2, "%d rows", batch.rows);
  for (uint32_t seed = 1; seed <= 10; seed++) {
    run(seed, 400, 12, 0);
    run(seed, 300, 300, 0);
    run(seed, 250, 30, 1);
  }
  CHECK(failed > 100, "%d calls had no memory", failed);
  of_one_number();
  long_keys();
  drops_that_fail();
  rows_without_a_key(ROWS);
  large();
  tm_fields_free(fields);
  return unit_end("state_sections");
}
