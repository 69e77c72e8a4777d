/* test_json_rows.c - what the NDJSON reader makes of whole texts: rows, fields, lines, limits (host/codec/json_read.c).
 *
 * Expected values follow from semantics (the last duplicate wins, lines end at LF, and so on); the scanners
 * are also compared with each other on valid, mutated and random texts, where tests cannot name the answer.
 * With --lines FIELD... this is a filter for tests/fuzz/json_differential.py: NDJSON in, one answer a line out. */
#include <unistd.h>

#include "json_run.h"

static void decode(struct run *r, const char *s) {
  run_decode(r, s, strlen(s), 1, MAX_EVENT);
}

static void test_kinds(struct run *r) {
  int32_t a = run_field(r, "a", 1), b = run_field(r, "b", 0), empty = run_field(r, "", 0);
  decode(r, "{\"a\":1.5,\"b\":\"x\",\"\":true}\n"
            "  { \"a\" : null , \"b\" : \"\\u0041\" , \"\" : false }  \r\n"
            "{\"b\":{\"x\":[1, 2]},\"a\":[ ]}\n{\"a\":\"\xc3\xa9\"}\n{}");
  CHECK(r->b->rows == 5 && r->b->bad == 0 && r->lines == 5, "%d rows, %d bad", r->b->rows, r->b->bad);
  CHECK(cell_is(r, a, 0, TM_KIND_NUMBER, "1.5") && run_cell(r, a, 0)->num == 1.5, "number");
  CHECK(cell_is(r, b, 0, TM_KIND_STRING, "x") && cell_is(r, empty, 0, TM_KIND_TRUE, "true"), "string, true");
  CHECK(cell_is(r, a, 1, TM_KIND_NULL, "null") && cell_is(r, b, 1, TM_KIND_ESCAPED, "\\u0041"), "null, escaped");
  CHECK(cell_is(r, empty, 1, TM_KIND_FALSE, "false"), "false");
  CHECK(cell_is(r, b, 2, TM_KIND_OBJECT, "{\"x\":[1, 2]}") && cell_is(r, a, 2, TM_KIND_ARRAY, "[ ]"), "object, array");
  CHECK(cell_is(r, a, 3, TM_KIND_STRING, "\xc3\xa9") && cell_is(r, b, 3, TM_KIND_ABSENT, ""), "UTF-8, absent");
  CHECK(cell_is(r, a, 4, TM_KIND_ABSENT, "") && cell_is(r, a, TM_ROW_EMPTY, TM_KIND_ABSENT, ""), "an empty object");
  CHECK(r->b->len[1] == 44 && r->text[r->b->off[1]] == '{' && r->text[r->b->off[1] + 43] == '}', "without white space");
  CHECK(r->b->line[4] == 4 && r->b->origin[4] == 4, "line and origin");
}

static void test_duplicates(struct run *r) {
  int32_t a = run_field(r, "a", 1), gx = run_field(r, "g.x", 0), gy = run_field(r, "g.y", 1);
  int32_t g = run_field(r, "g", 0), deep = run_field(r, "g.d.e", 0);
  decode(r, "{\"a\":1,\"a\":2}\n{\"a\":1,\"\\u0061\":\"2\"}\n{\"a\":1,\"a\":null}\n"
            "{\"g\":{\"x\":1,\"y\":2,\"d\":{\"e\":5}},\"g\":{\"x\":3}}\n{\"g\":{\"x\":1,\"d\":{\"e\":5}},\"g\":7}\n"
            "{\"g\":{\"x\":1,\"d\":{\"e\":5},\"d\":{}}}\n{\"g\":{\"x\":1},\"g\":[{\"x\":2}]}\n{\"g\":1,\"\\u0067\":{\"y\":-0}}\n"
            "{\"g\":{\"y\":1,\"g\":{\"y\":2}},\"x\":9}\n{\"g\":{\"d\":{\"e\":1}},\"g\":{\"d\":{\"e\":2}}}");
  CHECK(r->b->rows == 10 && r->b->bad == 0, "all are valid");
  CHECK(run_cell(r, a, 0)->num == 2 && cell_is(r, a, 1, TM_KIND_STRING, "2") && cell_is(r, a, 2, TM_KIND_NULL, NULL), "the last wins");
  CHECK(cell_is(r, gx, 3, TM_KIND_NUMBER, "3") && cell_is(r, gy, 3, TM_KIND_ABSENT, ""), "the members of the first are gone");
  CHECK(cell_is(r, deep, 3, TM_KIND_ABSENT, "") && cell_is(r, g, 3, TM_KIND_OBJECT, "{\"x\":3}"), "at any depth");
  CHECK(cell_is(r, gx, 4, TM_KIND_ABSENT, "") && cell_is(r, deep, 4, TM_KIND_ABSENT, "") && cell_is(r, g, 4, TM_KIND_NUMBER, "7"), "also behind a scalar");
  CHECK(cell_is(r, gx, 5, TM_KIND_NUMBER, "1") && cell_is(r, deep, 5, TM_KIND_ABSENT, ""), "a duplicate inside");
  CHECK(cell_is(r, gx, 6, TM_KIND_ABSENT, "") && cell_is(r, g, 6, TM_KIND_ARRAY, NULL), "also behind an array");
  CHECK(cell_is(r, gy, 7, TM_KIND_NUMBER, "-0") && 1 / run_cell(r, gy, 7)->num < 0, "the sign of zero");
  CHECK(cell_is(r, gy, 8, TM_KIND_NUMBER, "1") && cell_is(r, gx, 8, TM_KIND_ABSENT, ""), "levels are not mixed up");
  CHECK(cell_is(r, deep, 9, TM_KIND_NUMBER, "2"), "and again at the second level");
}

static void test_keys(struct run *r) {
  static const char longest[] = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
                                "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
  int32_t amount = run_field(r, "amount", 0), quote = run_field(r, "a\":1,\"b", 0), smile = run_field(r, "\xf0\x9f\x98\x80", 0);
  int32_t big = run_field(r, longest, 0), b = run_field(r, "b", 0);
  int32_t mixed = run_field(r, "\xc3\xa9\xe2\x82\xac/\n", 0);
  for (int again = 0; again < 3; again++) {
    char line[4096];
    int n = snprintf(line, sizeof line,
                     "{\"am\\u006funt\":1}\n{\"\\ud83d\\ude00\":1}\n{\"\xf0\x9f\x98\x80\":2}\n{\"a\\\":1,\\\"b\":3}\n{\"a\":1,\"b\":4}\n"
                     "{\"%s\":5}\n{\"%s\\u0030\":6}\n{\"%.199s\\u0039\":7}\n{\"amoun\":8,\"amounts\":9}\n{\"a\":1,\"b:4}\n"
                     "{\"\\u00e9\\u20AC\\/\\n\":1,\"\xc3\xa9\xe2\x82\xac/\\u000a\":2}\n",
                     longest, longest, longest);
    run_decode(r, line, (size_t)n, 1, MAX_EVENT);
    CHECK(r->b->rows == 11 && r->b->bad == 1 && r->b->status[9] == TM_LINE_SYNTAX, "%d rows, %d bad", r->b->rows, r->b->bad);
    CHECK(cell_is(r, amount, 0, TM_KIND_NUMBER, "1"), "an escaped key is its name");
    CHECK(cell_is(r, smile, 1, TM_KIND_NUMBER, "1") && cell_is(r, smile, 2, TM_KIND_NUMBER, "2"), "a pair, and as UTF-8");
    CHECK(cell_is(r, quote, 3, TM_KIND_NUMBER, "3") && cell_is(r, quote, 4, TM_KIND_ABSENT, "") && cell_is(r, b, 4, TM_KIND_NUMBER, "4"), "a name with quotes");
    CHECK(cell_is(r, big, 5, TM_KIND_NUMBER, "5") && cell_is(r, big, 6, TM_KIND_ABSENT, "") && cell_is(r, big, 7, TM_KIND_NUMBER, "7"), "long names");
    CHECK(cell_is(r, amount, 8, TM_KIND_ABSENT, "") && cell_is(r, b, 9, TM_KIND_ABSENT, ""), "other names");
    CHECK(cell_is(r, mixed, 10, TM_KIND_NUMBER, "2"), "two spellings of one name");
  }
}

/* More keys than are kept: fields are found all the same. */
static void test_many_keys(struct run *r) {
  int32_t a = run_field(r, "a", 1), last = run_field(r, "k4999", 1);
  size_t cap = 1 << 17, n = 0;
  char *line = malloc(cap);
  n += (size_t)snprintf(line, cap, "{");
  for (int i = 0; i < 5000; i++) n += (size_t)snprintf(line + n, cap - n, "\"k%d\":%d,", i, i);
  n += (size_t)snprintf(line + n, cap - n, "\"a\":7}\n");
  for (int again = 0; again < 3; again++) {
    run_decode(r, line, n, 0, MAX_EVENT);
    CHECK(r->b->rows == 1 && run_cell(r, a, 0)->num == 7 && run_cell(r, last, 0)->num == 4999, "pass %d", again);
  }
  free(line);
}

static void test_fill(struct run *r) {
  int32_t a = run_field(r, "a", 0);
  decode(r, "{\"a\":1,\"g\":{\"x\":{\"y\":2.5}},\"g\":{\"x\":{\"y\":3}}}\n{\"a\":\n{\"g\":{\"x\":{\"y\":1},\"x\":{}}}\n{\"a\":3,\"g\":{\"x\":{\"z\":{},\"y\":4}}}\n{\"g\":5}");
  int32_t y = run_field(r, "g.x.y", 1), x = tm_fields_find(r->f, tm_fields_find(r->f, 0, "g", 1), "x", 1);
  CHECK(cell_is(r, y, 0, TM_KIND_ABSENT, ""), "a new field is absent");
  tm_ffi_batch_fill(r->b, x);
  tm_ffi_batch_fill(r->b, y);
  CHECK(run_cell(r, y, 0)->num == 3 && cell_is(r, y, 1, TM_KIND_ABSENT, "") && cell_is(r, y, 2, TM_KIND_ABSENT, ""), "filled");
  CHECK(run_cell(r, y, 3)->num == 4 && cell_is(r, y, 4, TM_KIND_ABSENT, ""), "filled");
  CHECK(cell_is(r, x, 0, TM_KIND_OBJECT, "{\"y\":3}") && cell_is(r, x, 2, TM_KIND_OBJECT, "{}"), "objects too");
  CHECK(run_cell(r, a, 3)->num != run_cell(r, a, 3)->num, "not wanted yet");
  tm_ffi_fields_want_number(r->f, a);
  tm_ffi_batch_fill(r->b, a);
  CHECK(run_cell(r, a, 0)->num == 1 && run_cell(r, a, 3)->num == 3 && cell_is(r, a, 2, TM_KIND_ABSENT, ""), "numbers met late");
  tm_ffi_batch_fill(r->b, 0);
  tm_ffi_batch_fill(r->b, 4000);
  CHECK(r->b->rows == 5, "no such field: nothing happens");
}

static void test_bad_lines(struct run *r) {
  int32_t a = run_field(r, "a", 1), gx = run_field(r, "g.x", 0);
  decode(r, " {\"a\":1,\"g\":{\"x\":2},} \t\r\n[1]\n\n{\"a\":\"open\n{\"a\":2}\n  \r\n42 x\n \"s\" \n{\"a\":1}{\"a\":2}\n{\"g\":{\"x\":1}");
  CHECK(r->b->rows == 8 && r->b->bad == 7 && r->lines == 10, "%d rows, %d bad, %d lines", r->b->rows, r->b->bad, r->lines);
  static const int status[] = {TM_LINE_SYNTAX, TM_LINE_NOT_OBJECT, TM_LINE_SYNTAX, TM_LINE_OK, TM_LINE_SYNTAX, TM_LINE_NOT_OBJECT, TM_LINE_SYNTAX, TM_LINE_SYNTAX};
  static const int line[] = {0, 1, 3, 4, 6, 7, 8, 9};
  for (int i = 0; i < 8; i++) {
    CHECK(r->b->status[i] == status[i] && r->b->line[i] == line[i], "row %d: status %d, line %d", i, r->b->status[i], r->b->line[i]);
    if (i != 3) CHECK(cell_is(r, a, i, TM_KIND_ABSENT, "") && cell_is(r, gx, i, TM_KIND_ABSENT, ""), "row %d keeps nothing", i);
  }
  CHECK(run_cell(r, a, 3)->num == 2, "the good one is read");
  CHECK(r->b->off[0] == 1 && r->b->len[0] == 20 && r->b->len[5] == 3 && r->b->len[4] == 4, "trimmed: %d %d", r->b->off[0], r->b->len[0]);
}

static void test_depth(struct run *r) {
  char line[8192];
  run_field(r, "a", 0);
  /* a field of its own at each level: the recursive way down is bounded as well */
  int32_t id = 0;
  for (int i = 0; i < 600; i++) id = tm_ffi_fields_add(r->f, id, "b", 1);
  static const char *const opens[] = {"{\"a\":", "{\"b\":", "["};
  for (int form = 0; form < 3; form++) {
    for (int depth = 510; depth <= 514; depth++) {
      size_t n = 0;
      for (int i = 0; i < depth; i++) n += (size_t)sprintf(line + n, "%s", i == 0 ? "{\"b\":" : opens[form]);
      n += (size_t)sprintf(line + n, "1");
      for (int i = depth - 1; i >= 0; i--) line[n++] = i > 0 && form == 2 ? ']' : '}';
      run_decode(r, line, n, 1, MAX_EVENT);
      int want = depth <= TM_JSON_DEPTH_MAX ? TM_LINE_OK : TM_LINE_TOO_DEEP;
      int32_t at;
      CHECK(r->b->status[0] == want, "form %d depth %d: %d", form, depth, r->b->status[0]);
      CHECK((tm_ffi_json_check(line, (int32_t)n, &at) == 0) == (want == TM_LINE_OK), "check, depth %d", depth);
    }
  }
  /* deep in the middle of a line, and without end */
  size_t n = 5000;
  memset(line, '[', n);
  run_decode(r, line, n, 1, MAX_EVENT);
  CHECK(r->b->status[0] == TM_LINE_TOO_DEEP, "open brackets only: %d", r->b->status[0]);
}

static void test_framing(struct run *r) {
  int32_t a = run_field(r, "a", 1);
  char *text = malloc(3 << 20);
  size_t n = 0;
  for (int i = 0; i < 3000; i++) n += (size_t)sprintf(text + n, "{\"a\":%d}%s", i, i % 7 == 0 ? "\r\n" : "\n");
  /* batch after batch, at every cut of the last ones */
  int32_t at = 0, rows = 0;
  while (at < (int32_t)n) {
    run_decode(r, text + at, n - (size_t)at, 0, MAX_EVENT);
    CHECK(r->b->rows == (3000 - rows < TM_BATCH_ROWS ? 3000 - rows : TM_BATCH_ROWS), "%d rows", r->b->rows);
    CHECK(r->lines == r->b->rows && run_cell(r, a, 0)->num == rows && run_cell(r, a, r->b->rows - 1)->num == rows + r->b->rows - 1, "in order");
    at += r->used;
    rows += r->b->rows;
  }
  CHECK(at == (int32_t)n && rows == 3000, "all of it");
  for (size_t cut = 0; cut < 200; cut++) {
    run_decode(r, text, cut, 0, MAX_EVENT);
    int32_t lf = 0, lfs = 0;
    for (int32_t i = 0; i < (int32_t)cut; i++) {
      if (text[i] == '\n') lf = i + 1, lfs++;
    }
    CHECK(r->used == lf && r->b->rows == lfs && r->b->bad == 0, "cut at %zu: %d used", cut, r->used);
    run_decode(r, text, cut, 1, MAX_EVENT);
    int rest = lf < (int32_t)cut;
    CHECK(r->used == (int32_t)cut && r->lines == lfs + rest, "final, cut at %zu: %d used, %d lines", cut, r->used, r->lines);
  }
  /* exactly a batch, with and without LF at its end */
  n = 0;
  for (int i = 0; i < TM_BATCH_ROWS; i++) n += (size_t)sprintf(text + n, "{\"a\":%d}\n", i);
  run_decode(r, text, n, 1, MAX_EVENT);
  CHECK(r->b->rows == TM_BATCH_ROWS && r->used == (int32_t)n, "a full batch");
  run_decode(r, text, n - 1, 1, MAX_EVENT);
  CHECK(r->b->rows == TM_BATCH_ROWS && r->used == (int32_t)n - 1 && run_cell(r, a, 1023)->num == 1023, "the last line ends it");
  n += (size_t)sprintf(text + n, "{\"a\":5}");
  run_decode(r, text, n, 1, MAX_EVENT);
  CHECK(r->b->rows == TM_BATCH_ROWS && r->used == (int32_t)n - 7, "one more has to wait");
  /* blank lines take no slot */
  memset(text, '\n', 5000);
  memcpy(text + 5000, "{\"a\":1}\n", 8);
  run_decode(r, text, 5008, 0, MAX_EVENT);
  CHECK(r->b->rows == 1 && r->lines == 5001 && r->used == 5008 && r->b->line[0] == 5000, "line %d", r->b->line[0]);
  run_decode(r, text, 5000, 1, MAX_EVENT);
  CHECK(r->b->rows == 0 && r->lines == 5000 && r->used == 5000, "nothing but blank lines");
  run_decode(r, "   ", 3, 1, MAX_EVENT);
  CHECK(r->b->rows == 0 && r->lines == 1 && r->used == 3, "white space at the end");
  run_decode(r, "", 0, 1, MAX_EVENT);
  CHECK(r->b->rows == 0 && r->lines == 0 && r->used == 0, "nothing at all");
  free(text);
}

static void test_sizes(struct run *r) {
  int32_t a = run_field(r, "a", 1), s = run_field(r, "s", 0);
  size_t mib = 1 << 20, n = 0;
  char *text = malloc(4 * mib);
  /* two events before a large one: it does not share their batch */
  n += (size_t)sprintf(text, "{\"a\":1}\n{\"a\":2}\n");
  size_t start = n;
  n += (size_t)sprintf(text + n, "{\"a\":3,\"s\":\"");
  memset(text + n, 'x', 2 * mib);
  n += 2 * mib;
  n += (size_t)sprintf(text + n, "\"}\n");
  size_t large = n - start - 1;
  n += (size_t)sprintf(text + n, "{\"a\":4}\n");
  run_decode(r, text, n, 1, MAX_EVENT);
  CHECK(r->b->rows == 2 && r->used == (int32_t)start, "%d rows before it", r->b->rows);
  run_decode(r, text + start, n - start, 1, MAX_EVENT);
  CHECK(r->b->rows == 1 && r->used == (int32_t)large + 1 && (size_t)run_cell(r, s, 0)->tag >> 4 == 2 * mib, "it stands alone");
  run_decode(r, text + start, n - start, 1, (int32_t)large);
  CHECK(r->b->status[0] == TM_LINE_OK, "just as long as allowed");
  run_decode(r, text + start, n - start, 1, (int32_t)large - 1);
  CHECK(r->b->rows == 1 && r->b->status[0] == TM_LINE_TOO_LONG && r->b->len[0] == (int32_t)large && cell_is(r, a, 0, TM_KIND_ABSENT, ""), "one byte less");
  run_decode(r, text + start, large, 1, (int32_t)large - 1);
  CHECK(r->b->status[0] == TM_LINE_TOO_LONG && r->used == (int32_t)large, "also without LF");
  run_decode(r, text + start, large, 1, MAX_EVENT);
  CHECK(r->b->status[0] == TM_LINE_OK && run_cell(r, a, 0)->num == 3, "a large last line");
  run_decode(r, text + start, large, 0, MAX_EVENT);
  CHECK(r->b->rows == 0 && r->used == 0, "no line yet");
  run_decode(r, "{\"a\":1}\n          \n{\"a\":2}\n", 27, 0, 8);
  CHECK(r->b->rows == 2 && r->b->bad == 0 && r->b->line[1] == 2, "a blank line is never too long");
  free(text);
}

/* ---- the scanners against each other -------------------------------- */

static const char *const seeds[] = {
    "{\"ts\":1700000040000,\"id\":1,\"card\":\"c012345\",\"amount\":12.34,\"geo\":{\"lat\":1.5,\"lon\":-3},\"status\":\"ok\"}",
    "{\"ts\": 1700000040000, \"id\": 2, \"card\": \"\\u0063\", \"amount\": -0.5e-3, \"geo\": {\"lat\": null}, \"status\": \"\xc3\xa9\xe2\x82\xac\"}",
    "{\"id\":3,\"geo\":{\"lat\":\"x\",\"lat\":12345678901234567890},\"geo\":[1,[2],{\"lat\":3}],\"card\":true}",
    " { \"amount\" : 1e999 , \"card\" : \"a string of more than thirty-two bytes, \\ud83d\\ude00 and more of it\" } ",
    "{\"status\":\"\",\"a key longer than the thirty-two bytes of a step\":[],\"amount\":123456789012345.25,\"geo\":{}}",
    "[1,2]", "\"x\"", "",
};

static size_t mutated_line(char *out) {
  static const char bytes[] = "\"\\{}[]:,0123456789-+.eEtfn \t\r\x01\x7f\x80\xc3\xa9\xf0/u";
  const char *from = seeds[rnd(sizeof seeds / sizeof *seeds)];
  size_t n = strlen(from);
  memcpy(out, from, n);
  for (uint32_t k = rnd(3) == 0 ? 0 : rnd(4); k > 0 && n > 0; k--) {
    size_t at = rnd((uint32_t)n);
    switch (rnd(4)) {
      case 0: out[at] = bytes[rnd(sizeof bytes - 1)]; break;
      case 1: memmove(out + at, out + at + 1, n - at - 1), n--; break;
      case 2: memmove(out + at + 1, out + at, n - at), out[at] = bytes[rnd(sizeof bytes - 1)], n++; break;
      default: {
        size_t len = 1 + rnd(12), to = rnd((uint32_t)n);
        if (at + len > n || to + len > n) break;
        memmove(out + to, out + at, len);
      }
    }
  }
  out[n++] = '\n';
  return n;
}

static const char *const diff_fields[] = {"id", "amount", "geo", "geo.lat", "card", "status", "a key longer than the thirty-two bytes of a step"};
enum { DIFF_FIELDS = sizeof diff_fields / sizeof *diff_fields };

static void check_same(struct run *x, struct run *y, const int32_t *ids) {
  CHECK(x->b->rows == y->b->rows && x->used == y->used && x->lines == y->lines && x->b->bad == y->b->bad, "the same rows");
  for (int i = 0; i < x->b->rows; i++) {
    int same = x->b->status[i] == y->b->status[i] && x->b->off[i] == y->b->off[i] && x->b->len[i] == y->b->len[i];
    for (int k = 0; k < DIFF_FIELDS; k++) same &= memcmp(run_cell(x, ids[k], i), run_cell(y, ids[k], i), sizeof(struct tm_cell)) == 0;
    if (!same) {
      CHECK(same, "row %d: %.*s", i, x->b->len[i], x->text + x->b->off[i]);
      return;
    }
  }
}

/* The judgement of every line by the checker and the explainer. */
static void check_judges(struct run *r) {
  char why[200];
  for (int i = 0; i < r->b->rows; i++) {
    const char *s = r->text + r->b->off[i];
    int32_t n = r->b->len[i], at;
    int status = r->b->status[i], valid = status == TM_LINE_OK || status == TM_LINE_NOT_OBJECT;
    int checked = tm_ffi_json_check(s, n, &at) == 0;
    tm_json_explain(s, n, why, sizeof why);
    int fine = strcmp(why, "nothing is wrong") == 0;
    if (checked != valid || fine != (status == TM_LINE_OK)) CHECK(0, "status %d, check %d, %s: %.*s", status, checked, why, n, s);
  }
}

static void test_differential(void) {
  struct run x, y, z;
  int32_t ids[DIFF_FIELDS];
  static char text[1 << 19];
  run_init(&x);
  run_init(&y);
  for (int k = 0; k < DIFF_FIELDS; k++) ids[k] = run_field(&x, diff_fields[k], k < 4), run_field(&y, diff_fields[k], k < 4);
  for (int round = 0; round < 300; round++) {
    size_t n = 0;
    for (int i = 0; i < 1000; i++) n += mutated_line(text + n);
    tm_json_use("portable");
    run_decode(&x, text, n, 1, MAX_EVENT);
    if (round % 30 == 0) check_judges(&x);
    tm_json_use(NULL);
    run_decode(&y, text, n, 1, MAX_EVENT);
    check_same(&x, &y, ids);
    if (round % 10 != 0) continue;
    /* A reader that has learnt nothing, and one that met its fields late, see the same. */
    for (int late = 0; late < 2; late++) {
      run_init(&z);
      for (int k = 0; k < DIFF_FIELDS && !late; k++) run_field(&z, diff_fields[k], k < 4);
      run_decode(&z, text, n, 1, MAX_EVENT);
      for (int k = 0; k < DIFF_FIELDS && late; k++) tm_ffi_batch_fill(z.b, run_field(&z, diff_fields[k], k < 4));
      check_same(&x, &z, ids);
      run_fini(&z);
    }
  }
  run_fini(&x);
  run_fini(&y);
}

/* ---- the filter ------------------------------------------------------ */

static void print_row(struct run *r, int32_t row, const int32_t *ids, int n) {
  printf("%d %d", r->b->line[row], r->b->status[row]);
  for (int i = 0; i < n; i++) {
    const struct tm_cell *c = run_cell(r, ids[i], row);
    int32_t len = c->tag >> 4;
    printf("\t%d ", c->tag & 15);
    if (c->num == c->num) printf("%.17g", c->num);
    putchar(' ');
    for (int32_t k = 0; k < len; k++) printf("%02x", (unsigned char)r->text[c->off + k]);
  }
  putchar('\n');
}

/* Reads standard input and prints a line for each event: number, status, and for each field kind, value, text in hex.
 * The scanner is the one that TIDEMILL_SIMD names. */
static int filter(char **fields, int n) {
  struct run r;
  int32_t ids[64];
  size_t len = 0, cap = 1 << 16;
  char *text = malloc(cap + TM_PAD);
  run_init(&r);
  for (int i = 0; i < n && i < 64; i++) ids[i] = run_field(&r, fields[i], 1);
  for (ssize_t got; (got = read(0, text + len, cap - len)) > 0;) {
    len += (size_t)got;
    if (len == cap) text = realloc(text, (cap *= 2) + TM_PAD);
  }
  memset(text + len, 'x', TM_PAD);
  int32_t first = 0;
  r.text = text;
  for (size_t at = 0; at < len; at += (size_t)r.used) {
    r.text = text + at;
    r.used = tm_json_decode(r.b, r.text, (int32_t)(len - at), 1, MAX_EVENT, &r.lines);
    for (int32_t i = 0; i < r.b->rows; i++) {
      r.b->line[i] += first;
      print_row(&r, i, ids, n);
    }
    first += r.lines;
  }
  r.text = text;
  run_fini(&r);
  return 0;
}

int main(int argc, char **argv) {
  static void (*const tests[])(struct run *) = {test_kinds, test_duplicates, test_keys,    test_many_keys, test_fill,
                                                test_bad_lines, test_depth,   test_framing, test_sizes};
  if (argc > 1 && strcmp(argv[1], "--lines") == 0) return filter(argv + 2, argc - 2);
  for (int i = 0; i < SCANNERS; i++) {
    if (tm_json_use(scanners[i]) == NULL) continue;
    for (size_t k = 0; k < sizeof tests / sizeof *tests; k++) {
      struct run r;
      run_init(&r);
      tests[k](&r);
      run_fini(&r);
    }
  }
  CHECK(tm_json_use("nonsense") == NULL && tm_json_use("portable") != NULL, "scanners by name");
  test_differential();
  return unit_end("json_rows");
}
