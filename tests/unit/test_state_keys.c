/* test_state_keys.c - keys as bytes: what is equal, what differs, from Lua's values and from cells; parts read back; rows
 * looked up with and without looking ahead.
 *
 * What is expected is api.md's and semantics.md's sentences, written as a table of texts and the values they stand for.
 * Looking ahead is a hint: each answer is compared with the one of a key made by hand, also after cells were written
 * over, a batch was read into the same memory, rows were absent or passed over, and keys went, were taken back or moved. */
#include <math.h>

#include "../../host/base/buf.h"
#include "../../host/codec/json.h"
#include "../../host/state/table.h"
#include "state_run.h"

static struct tm_key a, b;
static struct tm_batch batch;
static struct tm_fields *columns;
static char text[1 << 20];

/* reads text as NDJSON; column `name` */
static const struct tm_cell *read_column(const char *ndjson, const char *name, int want) {
  size_t len = strlen(ndjson);
  int32_t lines, id = tm_ffi_fields_add(columns, 0, name, (int32_t)strlen(name));
  memset(text, ' ', TM_PAD);
  memcpy(text + TM_PAD, ndjson, len + 1);
  memset(text + TM_PAD + len, 0, TM_PAD);
  if (want) tm_ffi_fields_want_number(columns, id);
  batch.fields = columns;
  batch.line_first = 1;
  tm_json_decode(&batch, text + TM_PAD, (int32_t)len, 1, 1 << 20, &lines);
  return tm_ffi_fields_cells(columns, id);
}

static int same(void) { return a.len == b.len && memcmp(a.bytes, b.bytes, (size_t)a.len) == 0; }

/* ---- cells against values ---- */

static void cells(void) {
  static const struct { const char *json; int kind; double num; const char *str; int32_t code; } rows[] = {
    {"1", TM_VALUE_NUMBER, 1, NULL, 0}, {"1.0", TM_VALUE_NUMBER, 1, NULL, 0}, {"1e0", TM_VALUE_NUMBER, 1, NULL, 0},
    {"10e-1", TM_VALUE_NUMBER, 1, NULL, 0}, {"-0", TM_VALUE_NUMBER, 0, NULL, 0}, {"-0.0", TM_VALUE_NUMBER, 0, NULL, 0},
    {"0.1", TM_VALUE_NUMBER, 0.1, NULL, 0}, {"-12.5", TM_VALUE_NUMBER, -12.5, NULL, 0}, {"255", TM_VALUE_NUMBER, 255, NULL, 0},
    {"256", TM_VALUE_NUMBER, 256, NULL, 0}, {"-65536", TM_VALUE_NUMBER, -65536, NULL, 0},
    {"9007199254740992", TM_VALUE_NUMBER, 9007199254740992.0, NULL, 0}, {"-9007199254740992", TM_VALUE_NUMBER, -9007199254740992.0, NULL, 0},
    {"9007199254740993", TM_VALUE_INTEGER, 0, "9007199254740993", 0}, {"-9007199254740993", TM_VALUE_INTEGER, 0, "-9007199254740993", 0},
    {"\"9007199254740993\"", TM_VALUE_STRING, 0, "9007199254740993", 0},
    {"123456789012345678901234567890", TM_VALUE_INTEGER, 0, "123456789012345678901234567890", 0},
    {"1e300", TM_VALUE_NUMBER, 1e300, NULL, 0}, {"1e16", TM_VALUE_NUMBER, 1e16, NULL, 0}, {"4.9e-324", TM_VALUE_NUMBER, 4.9e-324, NULL, 0},
    {"1e999", 0, 0, NULL, TM_STATE_NOT_KEY}, {"\"1\"", TM_VALUE_STRING, 0, "1", 0}, {"\"\"", TM_VALUE_STRING, 0, "", 0},
    {"\"card\"", TM_VALUE_STRING, 0, "card", 0}, {"\"c\\u0061rd\"", TM_VALUE_STRING, 0, "card", 0},
    {"\"\\ud83d\\ude00\\n\"", TM_VALUE_STRING, 0, "\xf0\x9f\x98\x80\n", 0}, {"true", TM_VALUE_TRUE, 0, NULL, 0},
    {"false", TM_VALUE_FALSE, 0, NULL, 0}, {"null", 0, 0, NULL, TM_STATE_NO_KEY}, {"{}", 0, 0, NULL, TM_STATE_NOT_KEY},
    {"[1]", 0, 0, NULL, TM_STATE_NOT_KEY},
  };
  char line[256];
  for (int want = 0; want < 2; want++) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
      snprintf(line, sizeof line, "{\"%c\":%s}\n", 'p' + want, rows[i].json);
      const struct tm_cell *column = read_column(line, want ? "q" : "p", want);
      a.len = b.len = 0;
      int32_t code = tm_ffi_key_cell(&a, &batch, column, 0);
      if (rows[i].kind == TM_VALUE_NUMBER) tm_ffi_key_number(&b, rows[i].num);
      else if (rows[i].kind == TM_VALUE_STRING) tm_ffi_key_string(&b, rows[i].str, (int32_t)strlen(rows[i].str));
      else if (rows[i].kind == TM_VALUE_INTEGER) tm_ffi_key_integer(&b, rows[i].str, (int32_t)strlen(rows[i].str));
      else if (rows[i].kind != 0) tm_ffi_key_boolean(&b, rows[i].kind == TM_VALUE_TRUE);
      CHECK(code == rows[i].code && same(), "cell %s (number wanted: %d): code %d, %d bytes for %d", rows[i].json, want, code, a.len, b.len);
    }
  }
  const struct tm_cell *column = read_column("{\"other\":1}\n", "p", 0);
  a.len = 0;
  CHECK(tm_ffi_key_cell(&a, &batch, column, 0) == TM_STATE_NO_KEY && a.len == 0, "an absent cell");
}

/* ---- what differs, and parts ---- */

/* Each is the key of its own; all pairs differ, and taken apart each gives what it was made of. */
static void parts(void) {
  static struct tm_key keys[40];
  struct tm_value out[16];
  int n = 0;
  static const double numbers[] = {0, 1, -1, 255, 256, 65535, 65536, 1e9, 4294967296.0, 1e15, 9007199254740991.0, 9007199254740992.0,
                                   -9007199254740992.0, 1e16, 0.5, -0.5, 1e300, INFINITY, -INFINITY, 5e-324};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    CHECK(tm_ffi_key_number(&keys[n], numbers[i]) == 0, "number %g", numbers[i]);
    CHECK(tm_ffi_key_parts(keys[n].bytes, keys[n].len, out) == 1 && out[0].kind == TM_VALUE_NUMBER && out[0].num == numbers[i], "%g comes back as %g",
          numbers[i], out[0].num);
    CHECK(fabs(numbers[i]) > 9007199254740992.0 || numbers[i] != floor(numbers[i]) || keys[n].len <= 8, "%g takes %d bytes", numbers[i], keys[n].len);
    n++;
  }
  tm_ffi_key_string(&keys[n++], "1", 1);
  tm_ffi_key_string(&keys[n++], "", 0);
  tm_ffi_key_boolean(&keys[n++], 0);
  tm_ffi_key_boolean(&keys[n++], 1);
  tm_ffi_key_nil(&keys[n++]);
  tm_ffi_key_string(&keys[n], "ab", 2), tm_ffi_key_string(&keys[n++], "c", 1);
  tm_ffi_key_string(&keys[n], "a", 1), tm_ffi_key_string(&keys[n++], "bc", 2);
  tm_ffi_key_string(&keys[n++], "abc", 3);
  tm_ffi_key_string(&keys[n], "abc", 3), tm_ffi_key_string(&keys[n++], "", 0);
  tm_ffi_key_number(&keys[n], 1), tm_ffi_key_number(&keys[n++], 1);
  tm_ffi_key_nil(&keys[n]), tm_ffi_key_number(&keys[n++], 1);
  tm_ffi_key_number(&keys[n], 1), tm_ffi_key_nil(&keys[n++]);
  tm_ffi_key_string(&keys[n++], "9007199254740993", 16);
  tm_ffi_key_integer(&keys[n++], "9007199254740993", 16);
  tm_ffi_key_integer(&keys[n++], "-9007199254740993", 17);
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < i; k++) {
      CHECK(keys[i].len != keys[k].len || memcmp(keys[i].bytes, keys[k].bytes, (size_t)keys[i].len) != 0, "keys %d and %d are equal", i, k);
    }
  }
  a.len = 0;
  tm_ffi_key_string(&a, "x", 1), tm_ffi_key_number(&a, -7), tm_ffi_key_boolean(&a, 1), tm_ffi_key_nil(&a), tm_ffi_key_number(&a, 0.25);
  CHECK(tm_ffi_key_parts(a.bytes, a.len, out) == 5 && out[0].kind == TM_VALUE_STRING && out[0].len == 1 && out[0].text[0] == 'x' && out[1].num == -7 &&
            out[2].kind == TM_VALUE_TRUE && out[3].kind == TM_VALUE_NIL && out[4].num == 0.25,
        "a composite key taken apart");
  a.len = 0;
  tm_ffi_key_integer(&a, "12345678901234567890", 20), tm_ffi_key_string(&a, "x", 1), tm_ffi_key_number(&a, 3);
  CHECK(tm_ffi_key_parts(a.bytes, a.len, out) == 3 && out[0].kind == TM_VALUE_INTEGER && out[0].len == 20 &&
            memcmp(out[0].text, "12345678901234567890", 20) == 0 && out[1].kind == TM_VALUE_STRING && out[2].num == 3,
        "an integer beyond 2^53 taken apart");
}

static void lengths(void) {
  static char str[70000];
  struct tm_value out[16];
  memset(str, 'y', sizeof str);
  static const int32_t lens[] = {0, 1, 127, 128, 255, 256, 65530, 65531};
  for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
    a.len = 0;
    CHECK(tm_ffi_key_string(&a, str, lens[i]) == 0 && tm_ffi_key_parts(a.bytes, a.len, out) == 1 && out[0].len == lens[i], "a string of %d", lens[i]);
  }
  a.len = 0;
  CHECK(tm_ffi_key_string(&a, str, 65532) == TM_STATE_TOO_LONG && a.len == 0, "a string too long");
  tm_ffi_key_string(&a, str, 65525);
  CHECK(tm_ffi_key_number(&a, 1) == TM_STATE_TOO_LONG && a.len == 65528, "no room for a number");
  CHECK(tm_ffi_key_number(&a, NAN) == TM_STATE_TOO_LONG, "nor for NaN");
  a.len = 0;
  CHECK(tm_ffi_key_number(&a, NAN) == TM_STATE_NOT_KEY && a.len == 0, "NaN is no key");
  static const int32_t rooms[] = {65533, 65534, 65530, 65529};   /* no byte left, one, and those of a tag and four digits */
  for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
    a.len = 0;
    tm_ffi_key_string(&a, str, rooms[i] - 3);
    int32_t before = a.len, code = tm_ffi_key_integer(&a, "1234", 4);
    CHECK(code == (before + 6 <= 65534 ? 0 : TM_STATE_TOO_LONG) && a.len == (code == 0 ? before + 6 : before), "digits behind %d bytes", before);
  }
  /* escaped texts of every size around the edges: equal to what they say */
  static char json[500000];
  static const int32_t escaped[] = {1, 126, 127, 128, 4000, 10900, 40000, 65400, 65500, 65530, 65531, 65532, 70000};
  for (size_t i = 0; i < sizeof escaped / sizeof escaped[0]; i++) {
    char *p = json;
    p += sprintf(p, "{\"p\":\"");
    for (int32_t k = 0; k < escaped[i]; k++) p += sprintf(p, k == 3 || k % 97 == 0 ? "\\u0079" : "y");
    sprintf(p, "\"}\n");
    const struct tm_cell *column = read_column(json, "p", 0);
    a.len = b.len = 0;
    int32_t made = tm_ffi_key_cell(&a, &batch, column, 0), wanted = tm_ffi_key_string(&b, str, escaped[i]);
    CHECK(made == wanted && same(), "an escaped text of %d: code %d, %d bytes for %d", escaped[i], made, a.len, b.len);
  }
}

/* ---- rows ---- */

static const struct tm_state_field no_fields[1];

enum ahead { NOT_AHEAD, BY_64, BY_BATCH };

/* Most keys go, so that what is left moves; sometimes all. */
static void most_go(struct tm_changes *c, struct tm_state *s) {
  struct tm_state_cursor *w = tm_ffi_cursor_new(s);
  while (!w->done) {
    void *record = tm_ffi_cursor_next(w);
    if (record == NULL || run_below(8) == 0) continue;
    tm_ffi_state_remove(s, record);
    if (run_below(10) == 0) tm_ffi_changes_rollback(c, 0);
    else tm_ffi_changes_commit(c);
  }
  tm_ffi_cursor_free(w);
  if (run_below(4) == 0) tm_ffi_state_clear(s);
  if (run_below(2) == 0) tm_ffi_changes_rollback(c, 0);
  else tm_ffi_changes_commit(c);
  for (int i = 0; i < 200; i++) tm_ffi_changes_care(c, 1000);
}

/* rows of random cells: what write_row and find_row answer is what a key made by hand gives */
static void rows_run(enum ahead ahead, int columns_n) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, 8, 0, 0, no_fields, 0);
  struct tm_key_columns cols = {{NULL}, columns_n, 0};
  static char ndjson[400000];
  int ok = 1;
  for (int round = 0; round < 300; round++) {
    char *p = ndjson;
    int rows = 1 + (int)run_below(600);
    for (int i = 0; i < rows; i++) {
      static const char *const forms[] = {"{\"p\":\"c%u\",\"r\":%u}\n", "{\"p\":%u,\"r\":%u}\n", "{\"p\":\"\\u0063%u\",\"r\":%u}\n", "{\"r\":%u}\n", "{\"p\":[%u]}\n",
                                          "{\"p\":%u\n", "{\"p\":\"%u and a text of more than sixteen bytes\",\"r\":%u}\n"};
      p += sprintf(p, forms[run_below(7)], run_below(ahead == BY_BATCH ? 30000 : 3000), run_below(5));
    }
    cols.cells[1] = read_column(ndjson, "r", 1);
    cols.cells[0] = read_column(ndjson, "p", 0);
    cols.missing = round % 3 == 0;
    for (int row = 0; row < batch.rows; row++) {
      if (ahead == BY_64 && row % 64 == 0) {
        int last = row + 64 < batch.rows ? row + 64 : batch.rows;
        tm_ffi_state_ahead(s, &batch, &cols, row, last, round);
      }
      if (ahead == BY_BATCH && row == 0) tm_ffi_state_ahead(s, &batch, &cols, 0, batch.rows, round);
      if (ahead == BY_BATCH && run_below(3000) == 0) most_go(c, s);
      if (ahead == BY_BATCH && run_below(100) == 0) row += (int)run_below(150);
      if (row >= batch.rows || batch.status[row] != 0) continue;
      /* sometimes another row's value is written over this one's after all was fetched */
      if (row > 0 && run_below(20) == 0) {
        struct tm_cell *cell = (struct tm_cell *)(uintptr_t)(cols.cells[0] + row);
        if (batch.status[row - 1] == 0) *cell = cell[-1];
      }
      int32_t code = tm_ffi_key_row(&a, &batch, &cols, row);
      const double *found = code == 0 ? tm_ffi_state_find(s, &a) : NULL;
      const double *by_row = tm_ffi_state_find_row(s, &batch, &cols, row, round);
      ok &= by_row == found && s->code == code;
      double *record = tm_ffi_state_write_row(s, &batch, &cols, row, round);
      if (code != 0) {
        ok &= record == NULL && s->code == code;
        continue;
      }
      ok &= record != NULL && s->code == (found == NULL) && (found == NULL || record == found) && record == tm_ffi_state_find(s, &a);
      if (run_below(5) == 0) tm_ffi_changes_rollback(c, 0);
      else tm_ffi_changes_commit(c);
    }
  }
  CHECK(ok && s->keys > (ahead == BY_BATCH ? 100 : 3000), "rows, ahead %d, %d columns: %.0f keys", (int)ahead, columns_n, s->keys);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

/* What was an item when it was looked at ahead is bytes of a text when its row comes, and they say what the item said.
 * Items of the rows: 0 another one, 1 and 2 the key. */
enum gone { REMOVED, INSERT_UNDONE, CLEARED, CLEAR_UNDONE, GONE_WAYS };

static void row_write(struct tm_state *s, const struct tm_key_columns *cols, int32_t row) {
  CHECK(tm_ffi_state_write_row(s, &batch, cols, row, 2) != NULL, "row %d is made", row);
}

static void text_write(struct tm_state *s, const struct tm_key_columns *cols, const char *item, size_t size, size_t place) {
  void *other = tm_ffi_state_write_row(s, &batch, cols, 0, 2);
  CHECK(other != NULL && tm_ffi_text_set(s, other, 0, item, (int32_t)size) >= 0, "a text");
  CHECK((size_t)((const struct tm_state_ref *)other)->at == place, "the text lies where the item was");
}

static void text_in_place(enum gone gone) {
  static const struct tm_state_field field = {0, TM_FIELD_TEXT, 0, TM_VALUE_STRING, 0, 0};
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, 8, 0, 0, &field, 1);
  struct tm_key_columns cols = {{NULL}, 1, 0};
  char item[64];
  size_t size = 8 + offsetof(struct tm_item, key) + 12;
  cols.cells[0] = read_column("{\"p\":\"other\"}\n{\"p\":\"the key, 32\"}\n{\"p\":\"the key, 32\"}\n", "p", 0);
  row_write(s, &cols, 0);
  tm_ffi_changes_commit(c);
  char *record = tm_ffi_state_write_row(s, &batch, &cols, 1, 2);
  size_t place = (size_t)(record - s->base) / 8;
  memcpy(item, record, size);
  if (gone == CLEAR_UNDONE) {
    tm_ffi_changes_rollback(c, 0);
    text_write(s, &cols, item, size, place);
    tm_ffi_changes_commit(c);
    tm_ffi_state_clear(s);
    row_write(s, &cols, 0);
    row_write(s, &cols, 1);
  } else if (gone != INSERT_UNDONE) {
    tm_ffi_changes_commit(c);
  }
  tm_ffi_state_ahead(s, &batch, &cols, 0, 3, 2);
  if (gone == REMOVED) CHECK(tm_ffi_state_remove(s, record) == 0, "it is removed");
  if (gone == CLEARED) CHECK(tm_ffi_state_clear(s) == 0, "all are removed");
  if (gone == INSERT_UNDONE || gone == CLEAR_UNDONE) tm_ffi_changes_rollback(c, 0);
  else tm_ffi_changes_commit(c);
  if (gone != CLEAR_UNDONE) text_write(s, &cols, item, size, place);
  CHECK(tm_ffi_state_find_row(s, &batch, &cols, 2, 2) == NULL && s->code == 0, "way %d: the key is not there any more", (int)gone);
  tm_ffi_changes_free(c);
}

int main(void) {
  columns = tm_fields_new();
  cells();
  parts();
  lengths();
  for (int n = 1; n <= 2; n++) {
    rows_run(NOT_AHEAD, n);
    rows_run(BY_64, n);
    rows_run(BY_BATCH, n);
  }
  for (enum gone gone = REMOVED; gone < GONE_WAYS; gone++) text_in_place(gone);
  tm_fields_free(columns);
  return unit_end("state_keys");
}
