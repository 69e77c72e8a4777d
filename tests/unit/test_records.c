/* test_records.c - lines as records of several: every split point of odd texts and of random ones, workers that die in between, patterns
 * that never end. The judge is the slow reading of record_slow.h. */
#include "record_slow.h"
#include "unit.h"

#include <time.h>

#include "../../host/library/pattern.h"

static struct tm_buf want, got;
static struct records_under_test *test, *after;

static void same(const char *text, int32_t len, int which, int32_t lines_max, int32_t max_event, int32_t step, int forgets) {
  want.len = got.len = 0;
  records_start(test, which, lines_max);
  records_start(after, which, lines_max);
  int32_t parts = slow_records(text, len, which, lines_max, max_event, &want);
  int32_t found = records_read(test, after, text, len, step, forgets, max_event, &got);
  CHECK(parts == found, "%d are parts, expected %d of %.*s", found, parts, len, text);
  CHECK(got.len == want.len && (want.len == 0 || memcmp(got.data, want.data, (size_t)got.len) == 0),
        "%s, %d lines, %d bytes, %d at a time:\nwanted %.*s\ngot %.*s", starts[which], lines_max, max_event, step, want.len, want.data,
        got.len, got.data);
}

static void splits(void) {
  static const char *const texts[] = {
      "S1\n a\n b\nS2\n", "a\nb\nS1\n\n\nS2", "S\r\na\r\nS\r\n\r\nb\r", "\n\nS\n\n", "S", "\n", "\r\n", "\r",
      "S\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nb\nS\n", "S\nb\nc\nd\ne\nf\ng\nh\ni\nS\nS\n", "S \xc3\xa9\n \xff\nS\n",
      "1E\nb\n2E\r\n", "a xx b\nx\nx\nxx", "S\r\r\na\rb\nS\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    int32_t len = (int32_t)strlen(texts[i]);
    for (int which = 0; which < STARTS; which++)
      for (int32_t lines_max = 1; lines_max < 6; lines_max += 2)
        for (int32_t max_event = 1; max_event < 50; max_event += 4)
          for (int32_t step = 1; step <= len; step += step / 4 + 1) same(texts[i], len, which, lines_max, max_event, step, step % 3);
  }
}

static void random_texts(void) {
  static const char *const parts[] = {"S", "E", "x", "xx", "\n", "\n", "\r\n", "\n\n", " at foo(bar)", "\xff", "\xe2\x82\xac", "\"", "S "};
  char text[20000];
  srand(11);
  for (int i = 0; i < 400; i++) {
    int32_t len = 0, size = 1 + rand() % (i % 40 == 0 ? 19000 : 300);
    while (len < size) {
      const char *part = parts[(size_t)rand() % (sizeof parts / sizeof *parts)];
      len += sprintf(text + len, "%s", part);
    }
    for (int which = 0; which < STARTS; which++)
      same(text, len, which, 1 + rand() % 40, 1 + rand() % 400, 1 + rand() % (1 + len), rand() % 5);
  }
}

/* As many as a batch holds and more; one that is as long as a batch. */
static void many(void) {
  int32_t size = 3 << 20, len = 0;
  char *text = malloc((size_t)size + 100);
  while (len < size) len += sprintf(text + len, len / 700000 % 2 ? "a line of a long record %d\n" : "S %d\n", len);
  same(text, len, 0, TM_RECORD_LINES_MAX, 16 << 20, len, 0);
  same(text, len, 0, TM_RECORD_LINES_MAX, 16 << 20, 256 * 1024, 3);
  same(text, len, 0, 1000, 1 << 19, 256 * 1024, 0);
  free(text);
}

/* A pattern that would take hours is no start, and its lines cost what they are allowed to. */
static void bombs(void) {
  static const char bomb[] = ".-.-.-.-.-.-.-.-b";
  enum { LINES = 3000, LINE = 60 };
  char *memory = calloc(1, LINES * LINE + 2 * TM_PAD), *text = memory + TM_PAD;
  struct tm_cut cut;
  int32_t used = 0, rows = 0, given_up = 0;
  tm_record_free(test->batch.csv->record);
  test->batch.csv->record = tm_record_new(bomb, (int32_t)sizeof bomb - 1, 100, 1000);
  for (int i = 0; i < LINES * LINE; i++) text[i] = i % LINE == LINE - 1 ? '\n' : 'a';
  while (used < LINES * LINE) {
    clock_t from = clock();
    test->batch.line_first = 1;
    tm_csv_decode(&test->batch, text + used, LINES * LINE - used, 1, 1 << 20, &cut);
    CHECK(cut.used > 0 && (double)(clock() - from) / CLOCKS_PER_SEC < 20, "%d bytes of a batch in %ld", cut.used, (long)(clock() - from));
    CHECK(cut.given_up <= 1200, "%d in one batch", cut.given_up);
    if (cut.used == 0) break;
    used += cut.used;
    rows += test->batch.rows;
    given_up += cut.given_up;
  }
  CHECK(rows == LINES / 100 && given_up >= LINES, "%d records, %d lines given up", rows, given_up);
  free(memory);
}

static void faults(void) {
  static const struct { const char *text; int fault; } cases[] = {
      {"^%d+", 0}, {"(a)%1", 0}, {"()", 0}, {"a%", TM_PATTERN_ENDS}, {"[a", TM_PATTERN_BRACKET}, {"(a", TM_PATTERN_UNFINISHED},
      {"a)", TM_PATTERN_CLOSE}, {"%b(", TM_PATTERN_BALANCE}, {"%fa", TM_PATTERN_FRONTIER}, {"x%2", TM_PATTERN_INDEX}, {"((a)", TM_PATTERN_UNFINISHED}};
  struct tm_pattern program[64];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tm_ffi_pattern_compile(cases[i].text, (int32_t)strlen(cases[i].text), 1, program);
    CHECK(tm_ffi_pattern_fault(program) == cases[i].fault, "%s: %d", cases[i].text, tm_ffi_pattern_fault(program));
  }
}

int main(void) {
  tm_buf_init(&want, INT32_MAX / 2);
  tm_buf_init(&got, INT32_MAX / 2);
  test = records_begin();
  after = records_begin();
  splits();
  random_texts();
  many();
  bombs();
  faults();
  records_end(test);
  records_end(after);
  tm_buf_fini(&want);
  tm_buf_fini(&got);
  return unit_end("records");
}
