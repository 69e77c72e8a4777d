/* test_csv.c - CSV into columns: every split point of odd texts, pieces of the index, both scanners, numbers, what is unclosed.
 * The judge is the slow reading of csv_slow.h; typed values are judged by strtod. */
#include "csv_slow.h"
#include "unit.h"

#include <math.h>
#include <time.h>

static struct tm_buf want, got;

static void same(struct csv_under_test *t, const char *text, int32_t len, int32_t step, int32_t max_event, const char *what) {
  got.len = 0;
  csv_read(t, text, len, step, max_event, &got);
  CHECK(got.len == want.len && memcmp(got.data, want.data, (size_t)got.len) == 0, "%s, %d at a time:\nwanted %.*s\ngot %.*s", what, step, want.len,
        want.data, got.len, got.data);
}

static void slow(const char *text, int32_t len, int32_t columns, int32_t max_event) {
  want.len = 0;
  slow_read(text, len, ',', columns, max_event, &want);
  if (want.len == 0) told(&want, "%s", "");
}

/* Texts with everything odd, cut in pieces of every size. */
static void splits(void) {
  static const char *const texts[] = {
      "a,b,c\n1,2,3\r\n\n\r\n4,5,6", "\"a\",\"b\"\"b\",\"\"\n\"\n\",\"\r\n\",\"x\"\r\n", "1,2\n1,2,3,4\n,,\n", "1,\"2,3\n4,5,6\n7,8,9\n",
      "1,\"2\"x,3\n4,\"5\n6\",7\n8,9,\"0", "a\"b,\"\"\"\",c\"\n \"a\",b,c\n", "\xc3\xa9,\xff,3\n\xe2\x82\xac,5,6\n", "1,2,3\r", "\"1\",2,\"3\"\r",
      "\r,\r,\r\r\n", "   \n\t\n,\n", "\"", "\"\"", "\n", "1,\"\"2,3\n\"\"\"\"\"\",x,y\n"};
  struct csv_under_test *t = csv_begin(3, ',');
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    int32_t len = (int32_t)strlen(texts[i]);
    for (int way = 0; way < 2; way++) {
      tm_json_use(way ? "portable" : NULL);
      for (int32_t max_event = 3; max_event < 40; max_event += 12) {
        slow(texts[i], len, 3, max_event);
        for (int32_t step = 1; step <= len; step++) same(t, texts[i], len, step, max_event, texts[i]);
      }
    }
  }
  csv_end(t);
}

/* Rows longer than the reader indexes at once, and quotes around the places where it begins anew. */
static void pieces(void) {
  enum { LEN = 3 * 16384 };
  struct csv_under_test *t = csv_begin(3, ',');
  char *text = malloc(LEN + 512);
  for (int shift = 0; shift < 70; shift++) {
    int32_t n = 0;
    memset(text, 'x', (size_t)shift);
    n += shift;
    while (n < LEN) n += sprintf(text + n, n % 7 == 0 ? ",\"2,\n\",3\n" : n % 11 == 0 ? ",%0200d,3\n" : ",2,%d\n", n);
    if (shift % 10 == 0) memset(text + 1000, 'y', 20000);
    tm_json_use(shift & 1 ? "portable" : NULL);
    slow(text, n, 3, 1 << 20);
    same(t, text, n, n, 1 << 20, "long text");
    same(t, text, n, 5000 + shift, 1 << 20, "long text");
  }
  free(text);
  csv_end(t);
}

/* A quote that is never closed in megabytes of rows that are opened and closed: one row is lost, and the time is linear. */
static void unclosed(void) {
  enum { ROWS = 200000 };
  struct csv_under_test *t = csv_begin(3, ',');
  char *text = malloc(ROWS * 8);
  int32_t n = sprintf(text, "1,\"2,3\n");
  for (int i = 0; i < ROWS; i++) n += sprintf(text + n, "4,5,6\n");
  clock_t began = clock();
  got.len = 0;
  csv_read(t, text, n, n, 1 << 26, &got);
  int32_t rows = 0;
  for (int32_t i = 0; i < got.len; i++) rows += got.data[i] == '\n';
  CHECK(rows == ROWS + 1 && memcmp(got.data, "1 quotes\n2 [4]", 14) == 0, "%d rows, %.30s", rows, got.data);
  /* every line opens a field that the next one closes in the wrong place */
  n = 0;
  for (int i = 0; i < ROWS; i++) n += sprintf(text + n, "\"a\"b\"\n");
  got.len = 0;
  csv_read(t, text, n, n, 1 << 26, &got);
  rows = 0;
  for (int32_t i = 0; i < got.len; i++) rows += got.data[i] == '\n';
  CHECK(rows == ROWS, "%d bad lines", rows);
  CHECK((double)(clock() - began) / CLOCKS_PER_SEC < 20, "not linear");
  free(text);
  csv_end(t);
}

/* Declared numbers and booleans. */
static void types(void) {
  static const char *const numbers[] = {"0", "-0", "1", "12.50", "-1e5", "1E+2", "0.1", "123456789012345", "1234567890123456", "9007199254740992",
                                        "1e308", "4.9e-324", "0.30000000000000004", "12345678901234567890.5e-3"};
  static const char *const none[] = {"", "+1", "01", ".5", "5.", "1e", "1e+", " 1", "1 ", "0x1", "nan", "inf", "1,5", "--1", "1_0", "1.2.3"};
  double num;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    int kind = tm_csv_value(numbers[i], (int32_t)strlen(numbers[i]), TM_TEXT_NUMBER, &num);
    CHECK(kind == TM_KIND_NUMBER && num == strtod(numbers[i], NULL) && signbit(num) == signbit(strtod(numbers[i], NULL)), "%s", numbers[i]);
  }
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    CHECK(tm_csv_value(none[i], (int32_t)strlen(none[i]), TM_TEXT_NUMBER, &num) == TM_KIND_STRING && num != num, "'%s'", none[i]);
  CHECK(tm_csv_value("9007199254740993", 16, TM_TEXT_NUMBER, &num) == TM_KIND_BIGINT, "large integer");
  CHECK(tm_csv_value("1e999", 5, TM_TEXT_NUMBER, &num) == TM_KIND_HUGE, "beyond a double");
  CHECK(tm_csv_value("TRUE", 4, TM_TEXT_BOOLEAN, &num) == TM_KIND_TRUE && tm_csv_value("False", 5, TM_TEXT_BOOLEAN, &num) == TM_KIND_FALSE, "words");
  CHECK(tm_csv_value("1", 1, TM_TEXT_BOOLEAN, &num) == TM_KIND_STRING && tm_csv_value("trues", 5, TM_TEXT_BOOLEAN, &num) == TM_KIND_STRING, "no words");
}

/* The same in columns, in both scanners: every field is bounded by its delimiter, whatever that is. */
static void typed_columns(void) {
  static const char delimiters[] = ",.-e0\t";
  for (const char *d = delimiters; *d != '\0'; d++) {
    for (int way = 0; way < 2; way++) {
      struct csv_under_test *t = csv_begin(3, *d);
      char text[TM_PAD + 64 + TM_PAD] = {0};
      struct tm_cut cut;
      tm_json_use(way ? "portable" : NULL);
      int32_t id = tm_ffi_fields_typed(t->batch.fields, tm_fields_find(t->batch.fields, 0, "b", 1), TM_TEXT_NUMBER);
      int32_t n = sprintf(text + TM_PAD, "9%c12%c3\n9%cx%c3\n", *d, *d, *d, *d);
      tm_csv_decode(&t->batch, text + TM_PAD, n, 1, 1000, &cut);
      const struct tm_cell *cells = tm_ffi_fields_cells(t->batch.fields, id);
      CHECK(t->batch.rows == 2 && t->batch.bad == 0 && cells[0].num == 12 && (cells[0].tag & 15) == TM_KIND_NUMBER, "delimiter '%c'", *d);
      CHECK((cells[1].tag & 15) == TM_KIND_STRING && cells[1].num != cells[1].num, "delimiter '%c'", *d);
      csv_end(t);
    }
  }
}

static void names(void) {
  static struct tm_csv_names n;
  char why[128];
  for (int i = 0; i < TM_CSV_COLUMNS_MAX; i++) {
    char name[16];
    tm_csv_names_add(&n, name, sprintf(name, "c%d", i));
  }
  CHECK(tm_csv_names_add(&n, "x", 1) == -1, "as many as there may be");
  CHECK(!tm_csv_names_fault(&n, why, sizeof why), "%s", why);
  CHECK(tm_csv_names_find(&n, "c16000", 6, 3) == 16000 && tm_csv_names_find(&n, "c", 1, 5) == -1, "find");
  n.n = 0;
  tm_csv_names_add(&n, "a", 1);
  tm_csv_names_add(&n, "b", 1);
  tm_csv_names_add(&n, "a", 1);
  CHECK(tm_csv_names_fault(&n, why, sizeof why) && strcmp(why, "columns 1 and 3 are both called 'a'") == 0, "%s", why);
  n.n = 1;
  tm_csv_names_add(&n, "", 0);
  CHECK(tm_csv_names_fault(&n, why, sizeof why) && strcmp(why, "column 2 has no name") == 0, "%s", why);
}

int main(void) {
  tm_buf_init(&want, INT32_MAX / 2);
  tm_buf_init(&got, INT32_MAX / 2);
  splits();
  pieces();
  unclosed();
  types();
  typed_columns();
  names();
  return unit_end("csv");
}
