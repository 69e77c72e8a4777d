/* test_json_read.c - the NDJSON reader (host/codec/json_read.c and what it is made of).
 *
 * Every text goes through every scanner this machine has, and through json_explain.c, which shares no code with them.
 * What is expected comes from RFC 8259 and RFC 3629 (tables in the manner of the published JSON test suites),
 * from strtod, and from slow reference code written here. Texts lie in blocks of exactly their size and TM_PAD
 * hostile bytes, so that a run under AddressSanitizer sees any read beyond.
 * Batches, fields and framing are in test_json_rows.c. */
#include <math.h>

#include "json_run.h"

/* The status of one line by every scanner and twice each (the second time with steps learnt); all must agree with the
 * checker and with the explainer. */
static int line_status(const char *s, size_t n) {
  int status = -2;
  for (int i = 0; i < SCANNERS; i++) {
    if (tm_json_use(scanners[i]) == NULL) continue;
    struct run r;
    run_init(&r);
    run_field(&r, "a", 1);
    for (int again = 0; again < 2; again++) {
      run_decode(&r, s, n, 1, MAX_EVENT);
      int got = r.b->rows == 0 ? -1 : r.b->status[0];
      if (status == -2) status = got;
      CHECK(got == status, "%s pass %d: %d, not %d: %.*s", scanners[i], again, got, status, (int)n, s);
    }
    int32_t at = -1;
    int ok = tm_ffi_json_check(s, (int32_t)n, &at) == 0;
    CHECK(ok == (status == TM_LINE_OK || status == TM_LINE_NOT_OBJECT), "check says %d at %d: %.*s", ok, at, (int)n, s);
    run_fini(&r);
  }
  tm_json_use(NULL);
  char why[200];
  int32_t at = tm_json_explain(s, (int32_t)n, why, sizeof why);
  CHECK(at >= 0 && at <= (int32_t)n, "offset %d", at);
  if (status >= 0) {
    int want = strcmp(why, "nothing is wrong") == 0        ? TM_LINE_OK
               : strstr(why, "expected an object,") != NULL ? TM_LINE_NOT_OBJECT
               : strstr(why, "512 levels") != NULL          ? TM_LINE_TOO_DEEP
                                                            : TM_LINE_SYNTAX;
    CHECK(status == want, "status %d, explained as '%s': %.*s", status, why, (int)n, s);
  }
  return status;
}

struct text {
  const char *s;
  size_t n;
};
#define T(s) {s, sizeof(s) - 1}

/* Values RFC 8259 allows. */
static const struct text good_values[] = {
    T("0"), T("-0"), T("1"), T("-1"), T("10"), T("1234567890123456789012345678901234567890"), T("0.5"), T("-0.5"),
    T("123.456e78"), T("1E22"), T("1e-2"), T("1e+2"), T("1E+2"), T("0e1"), T("0e+1"), T("0E1"), T("20e1"),
    T("123.456789"), T("-123123123123123123123123123123"), T("0.4e00669999999999999999999999999999999999999999"),
    T("123123e100000"), T("-123123e-100000"), T("0.00000000000000000000000000000000000000000000000000000000001"),
    T("12345678901234567890123456789012"), T("1234567890123456789012345678901e5"), T("1234567890123456789012345678901.5"),
    T("true"), T("false"), T("null"), T("\"\""), T("\"a\""), T("\" \""), T("\"\\\"\""), T("\"\\\\\""), T("\"\\/\""),
    T("\"\\b\\f\\n\\r\\t\""), T("\"\\u0060\\u012a\\u12AB\""), T("\"\\uD801\\udc37\""), T("\"\\ud83d\\ude39\\ud83d\\udc8d\""),
    T("\"\\u0000\""), T("\"\\uFFFF\""), T("\"\\uDBFF\\uDFFF\""), T("\"\\\\u0000\""), T("\"\x7f\""), T("\"\xc3\xa9\""),
    T("\"\xe2\x82\xac\""), T("\"\xf4\x8f\xbf\xbf\""), T("\"\xef\xbf\xbf\""), T("\"\xe2\x80\xa8\""), T("\"a/*b*/c/*d//e\""),
    T("\"0123456789012345678901234567890\""), T("\"01234567890123456789012345678901\""),
    T("\"012345678901234567890123456789012\""), T("\"0123456789012345678901234567890123456789012345678901234567890123456789\""),
    T("[]"), T("[ ]"), T("[1,2,3]"), T("[[]]"), T("[[],[[]]]"), T("[null, 1, \"1\", {}]"), T("[\"a\" , 1]"), T("{}"), T("{ }"),
    T("{\"\":0}"), T("{\"a\":1,\"a\":1}"), T("{\"a\":\"b\",\"a\":\"b\"}"), T("{\"a\":{\"a\":{}}}"), T("{\"\\u0000\":1}"),
    T("{\"x\":[{\"id\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}], \"id\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}"),
};

/* Texts it does not, wherever a value stands. */
static const struct text bad_values[] = {
    T("-"), T("+1"), T("01"), T("-01"), T("00"), T("-00.5"), T("1."), T("-1."), T(".5"), T("-.5"), T("1.e5"), T("1e"), T("1e+"), T("1e-"),
    T("1ee2"), T("1.5.5"), T("1..5"), T("1e2e3"), T("1e2.5"), T("1-2"), T("--1"), T("0x10"), T("1_000"), T("1/2"), T("/"), T("-/"), T("1 000"),
    T("NaN"), T("-NaN"), T("Infinity"), T("-Infinity"), T("nan"), T("Inf"), T("1a"), T("-a"), T("1eE2"), T("1+2"), T("9.e+"), T("0e"), T("2.e3"),
    T("\xef\xbc\x91"), T("12345678901234567890123456789012a"), T("1234567890123456789012345678901.."), T("00000000000000000000000000000000000001"),
    T("tru"), T("True"), T("TRUE"), T("truee"), T("fals"), T("falsee"), T("nul"), T("nulll"), T("undefined"), T("t"), T("f"), T("n"), T("tr ue"),
    T("\""), T("\"a"), T("'a'"), T("a"), T("\"\\\""), T("\"\\a\""), T("\"\\x00\""), T("\"\\'\""), T("\"\\u\""), T("\"\\u12\""), T("\"\\u123\""),
    T("\"\\u123g\""), T("\"\\U1234\""), T("\"\\uD800\""), T("\"\\uD800x\""), T("\"\\uD800\\n\""), T("\"\\uD800\\uD800\""), T("\"\\uDC00\""),
    T("\"\\uDC00\\uD800\""), T("\"\\uD800\\u\""), T("\"\\uD800\\u00\""), T("\"\\uD834\\udd\""), T("\"\\ud8\""), T("\"\\\xe2\x82\xac\""),
    T("\"\t\""), T("\"\x01\""), T("\"\x1f\""), T("\"\0\""), T("\"a\0b\""), T("\"\r\""), T("\"\xff\""), T("\"\x80\""), T("\"\xc3\""),
    T("\"\xc3\x28\""), T("\"\xc0\xaf\""), T("\"\xe0\x80\xaf\""), T("\"\xed\xa0\x80\""), T("\"\xf4\x90\x80\x80\""), T("\"\xf8\x88\x80\x80\x80\""),
    T("["), T("]"), T("[1"), T("[1,"), T("[1,]"), T("[,1]"), T("[1,,2]"), T("[,]"), T("[1 2]"), T("[1}"), T("[\"a\":1]"), T("[1]]"), T("[1],"),
    T("[\"a\" \"b\"]"), T("[\x0c]"), T("[\x0b]"), T("[\xc2\xa0]"), T("[1]x"), T("[][]"), T("[1:2]"), T("[-]"), T("[*]"), T("[a"),
    T("{"), T("}"), T("{\"a\"}"), T("{\"a\":}"), T("{\"a\" 1}"), T("{\"a\":1"), T("{\"a\":1,"), T("{\"a\":1,}"), T("{\"a\":1,,\"b\":2}"), T("{,}"),
    T("{,\"a\":1}"), T("{a:1}"), T("{'a':1}"), T("{1:1}"), T("{null:1}"), T("{\"a\"::1}"), T("{\"a\",1}"), T("{\"a\":1 \"b\":2}"), T("{\"a\":1]"), T("{\"a\":1}}"),
    T("{\"a\":1}x"), T("{\"a\":1}{\"b\":2}"), T("{\"a\":1},"), T("{\"a\":1}#"), T("{\"a\":1}/**/"), T("{\"a\":1}//"), T("{[: \"x\"}"), T("{\"a\":\"a"), T("{\"a\" \"b\"}"),
    T("{\"\xff\":1}"), T("{\"\\uD800\":1}"), T("{\"a\x01\":1}"), T("{\"a\\\":1}"), T("{:1}"), T("{\"a\":1;}"), T("{\"a\":a}"), T("*"), T("<null>"), T("\xef\xbb\xbf{}"),
    T("\xe2\x81\xa0"), T("1]"), T("\"a\"\"b\""), T("\"a\"5"), T("\"1\"5"), T("\"1\".5"), T("\"1\"e5"), T("true5"), T("null.5"), T("\0"), T("1\0"),
};

/* The value itself, as a member read and unread, in an array, deep inside. */
static void check_value(const struct text *t, int good) {
  static const char *const around[] = {"%s", "{\"a\":%s}", "{\"b\":%s}", "[%s]", "{\"a\":1,\"b\":[{\"c\":%s}],\"d\":2}", " [ %s ] ", "{ \"a\" : %s }\r"};
  for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
    char line[1024];
    const char *hole = strstr(around[i], "%s");
    size_t before = (size_t)(hole - around[i]), n = before + t->n + strlen(hole + 2);
    memcpy(line, around[i], before);
    memcpy(line + before, t->s, t->n);
    memcpy(line + before + t->n, hole + 2, strlen(hole + 2));
    size_t start = strspn(line, " ");
    int want = !good ? TM_LINE_SYNTAX : line[start] == '{' ? TM_LINE_OK : TM_LINE_NOT_OBJECT;
    int got = line_status(line, n);
    CHECK(got == want, "status %d, not %d: %.*s", got, want, (int)n, line);
  }
}

static void test_grammar(void) {
  for (size_t i = 0; i < sizeof good_values / sizeof *good_values; i++) check_value(&good_values[i], 1);
  for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++) check_value(&bad_values[i], 0);
  CHECK(line_status("", 0) == -1 && line_status(" \t\r ", 4) == -1, "white space is no event");
  int32_t at = -1;
  CHECK(tm_ffi_json_check("", 0, &at) == -1 && at == 0, "an empty text is no value");
  CHECK(tm_ffi_json_check("\n[1,\n2]\n", 8, &at) == 0, "LF is white space in a text");
  CHECK(tm_ffi_json_check("[\"a\nb\"]", 7, &at) == -1 && at == 3, "but not in a string (%d)", at);
  CHECK(tm_ffi_json_check("[1, 2\0]", 7, &at) == -1 && at == 5, "NUL (%d)", at);
}

static const char card[] =
    "{\"ts\":1700000040000,\"id\":1000000,\"card\":\"c012345\",\"amount\":12.34,\"note\":\"a\\u00e9\xc3\xa9\\n\",\"geo\":{\"lat\":1.25,"
    "\"lon\":-3.5e1},\"tags\":[\"x\",[],{}],\"ok\":true,\"no\":null,\"a key that is longer than thirty-two bytes, by far\":false}";

/* No proper prefix of an object is one; nor is one with any byte taken out of its structure. */
static void test_prefixes(void) {
  CHECK(line_status(card, sizeof card - 1) == TM_LINE_OK, "the whole");
  for (size_t n = 1; n < sizeof card - 1; n++) CHECK(line_status(card, n) == TM_LINE_SYNTAX, "prefix of %zu", n);
}

/* RFC 3629 the obvious way: decode, then the code point must need exactly that many bytes. */
static int utf8_valid(const unsigned char *s, size_t n) {
  size_t i = 0;
  while (i < n) {
    unsigned c = s[i];
    int len = c < 0x80 ? 1 : c < 0xC0 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF8 ? 4 : 0;
    uint32_t v = len == 1 ? c : len == 2 ? c & 31 : len == 3 ? c & 15 : c & 7;
    if (len == 0 || i + (size_t)len > n) return 0;
    for (int k = 1; k < len; k++) {
      if ((s[i + (size_t)k] & 0xC0) != 0x80) return 0;
      v = v << 6 | (s[i + (size_t)k] & 63u);
    }
    int need = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
    if (need != len || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF)) return 0;
    i += (size_t)len;
  }
  return 1;
}

/* All pairs and triples of bytes and all quadruples of interesting ones as a string, in one batch after the other. */
static struct {
  struct run r;
  char text[1 << 17];
  size_t n;
  int rows;
  char want[TM_BATCH_ROWS];
} utf8;

static void utf8_flush(void) {
  run_decode(&utf8.r, utf8.text, utf8.n, 0, MAX_EVENT);
  int wrong = utf8.r.b->rows != utf8.rows;
  for (int i = 0; i < utf8.r.b->rows && !wrong; i++) {
    wrong = utf8.r.b->status[i] != (utf8.want[i] ? TM_LINE_OK : TM_LINE_SYNTAX);
    if (wrong) fprintf(stderr, "row %d: %.*s\n", i, utf8.r.b->len[i], utf8.r.text + utf8.r.b->off[i]);
  }
  CHECK(!wrong, "a batch of UTF-8 strings");
  utf8.n = 0;
  utf8.rows = 0;
}

static void utf8_case(uint32_t bytes, int n) {
  unsigned char s[4];
  for (int i = 0; i < n; i++) {
    s[i] = (unsigned char)(bytes >> 8 * (n - 1 - i));
    if (s[i] < 0x20 || s[i] == '"' || s[i] == '\\') return;
  }
  char *p = utf8.text + utf8.n;
  memcpy(p, "{\"a\":\"", 6);
  memcpy(p + 6, s, (size_t)n);
  memcpy(p + 6 + n, "\"}\n", 3);
  utf8.n += (size_t)n + 9;
  utf8.want[utf8.rows++] = (char)utf8_valid(s, (size_t)n);
  if (utf8.rows == TM_BATCH_ROWS) utf8_flush();
}

static void test_utf8(void) {
  static const unsigned char edges[] = {0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF};
  enum { EDGES = sizeof edges };
  for (int i = 0; i < SCANNERS; i++) {
    if (tm_json_use(scanners[i]) == NULL) continue;
    run_init(&utf8.r);
    run_field(&utf8.r, "a", 0);
    for (uint32_t v = 0; v < 0x10000; v++) utf8_case(v, 2);
    for (uint32_t v = 0xE00000; v < 0xF00000; v += 1 + v % 3) utf8_case(v, 3);
    for (uint32_t k = 0; k < EDGES * EDGES * EDGES * EDGES; k++) {
      uint32_t v = (uint32_t)edges[k % EDGES] << 24 | (uint32_t)edges[k / EDGES % EDGES] << 16 |
                   (uint32_t)edges[k / EDGES / EDGES % EDGES] << 8 | edges[k / EDGES / EDGES / EDGES];
      utf8_case(v, 4);
    }
    utf8_flush();
    run_fini(&utf8.r);
  }
  tm_json_use(NULL);
}

static int same_bits(double a, double b) {
  return memcmp(&a, &b, sizeof a) == 0;
}

/* A number and what its cell must be. */
static void check_number(struct run *r, int32_t id, int32_t plain, const char *s) {
  char line[4096];
  int n = snprintf(line, sizeof line, "{\"n\":%s,\"p\":%s}\n", s, s);
  run_decode(r, line, (size_t)n, 0, MAX_EVENT);
  double v = strtod(s, NULL);
  int integer = strpbrk(s, ".eE") == NULL, kind = TM_KIND_NUMBER;
  if (integer) {
    /* 2^53 = 9007199254740992 */
    const char *digits = s + (*s == '-');
    size_t len = strlen(digits);
    if (len > 16 || (len == 16 && strcmp(digits, "9007199254740992") > 0)) kind = TM_KIND_BIGINT;
  } else if (isinf(v)) {
    kind = TM_KIND_HUGE;
  }
  const struct tm_cell *c = run_cell(r, id, 0);
  CHECK(cell_is(r, id, 0, kind, s) && cell_is(r, plain, 0, kind, s), "kind %d, not %d: %s", c->tag & 15, kind, s);
  if (kind == TM_KIND_NUMBER) {
    CHECK(same_bits(c->num, v), "%s reads as %.17g, not %.17g", s, c->num, v);
  } else {
    CHECK(same_bits(c->num, run_cell(r, id, TM_ROW_EMPTY)->num), "%s is no number but has one", s);
  }
  CHECK(same_bits(run_cell(r, plain, 0)->num, run_cell(r, plain, TM_ROW_EMPTY)->num), "nobody wants %s", s);
}

static int random_number(char *out, int max_int, int max_frac, int exponent) {
  int n = 0, digits = (int)rnd((uint32_t)max_int) + 1, frac = (int)rnd((uint32_t)max_frac + 1);
  if (rnd(3) == 0) out[n++] = '-';
  if (rnd(4) == 0) {
    out[n++] = '0';
  } else {
    out[n++] = (char)('1' + rnd(9));
    while (--digits > 0) out[n++] = (char)('0' + rnd(10));
  }
  if (frac > 0) {
    out[n++] = '.';
    while (frac-- > 0) out[n++] = (char)('0' + (rnd(4) == 0 ? 0 : rnd(10)));
  }
  if (exponent > 0 && rnd(2)) n += sprintf(out + n, "%c%s%u", rnd(2) ? 'e' : 'E', rnd(3) == 0 ? "-" : rnd(2) ? "+" : "", rnd((uint32_t)exponent));
  out[n] = 0;
  return n;
}

static void test_numbers(void) {
  static const char *const some[] = {
      "0", "-0", "-0.0", "-0e5", "0e999999999999999999", "9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740992", "-9007199254740993",
      "9999999999999999", "10000000000000000", "999999999999999", "18446744073709551615", "18446744073709551616", "9007199254740993.0", "9007199254740993e0",
      "1e308", "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1.797693134862315807e308", "1.8e308", "-1e309", "1e400", "1e-400", "-1e-400",
      "4.9e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072011e-308", "2.2250738585072014e-308", "1e22", "1e23", "9007199254740992e22",
      "0.1", "0.3", "123456789012345.6", "12345678901234.56", "1e999999999999999999999", "1e-999999999999999999999", "8.5e15", "5e-1", "1.0", "100000000000000000000.0",
      "7.2057594037927945e16", "7.2057594037927935e16", "0.500000000000000166533453693773481063544750213623046875", "3.5028234666e38", "1090544144181609348671888949248",
  };
  for (int i = 0; i < SCANNERS; i++) {
    if (tm_json_use(scanners[i]) == NULL) continue;
    struct run r;
    char s[3000];
    run_init(&r);
    int32_t id = run_field(&r, "n", 1), plain = run_field(&r, "p", 0);
    for (size_t k = 0; k < sizeof some / sizeof *some; k++) check_number(&r, id, plain, some[k]);
    for (int k = 0; k < 400000; k++) {
      random_number(s, k % 3 == 0 ? 9 : 18, k % 5 == 0 ? 18 : 6, k % 4 == 0 ? 330 : 0);
      check_number(&r, id, plain, s);
    }
    for (int k = 0; k < 2000; k++) {
      random_number(s, 900, 900, 700);
      check_number(&r, id, plain, s);
    }
    /* Halfway between two doubles, then ever so little beyond: exact with 1,000 zeros before the last digit. */
    for (int k = 0; k < 2; k++) {
      int n = sprintf(s, "9007199254740993.");
      memset(s + n, '0', 1000);
      sprintf(s + n + 1000, "%d", k);
      check_number(&r, id, plain, s);
      memset(s, '0', 2000);
      n = sprintf(s, "9007199254740993");
      s[n] = '0';
      sprintf(s + 1200, "%d", k);
      strcat(s, "e-1185");
      check_number(&r, id, plain, s);
    }
    run_fini(&r);
  }
  tm_json_use(NULL);
}

int main(void) {
  test_grammar();
  test_prefixes();
  test_utf8();
  test_numbers();
  return unit_end("json_read");
}
