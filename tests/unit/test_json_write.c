/* test_json_write.c - numbers, decimals, strings and bytes on their way out (json_write.c, number_text.c).
 *
 * Expected texts are Python's (json_oracle.py), ECMA-262's and RFC 8259's; the bounds of a buffer are tried
 * one byte at a time. */
#include <math.h>

#include "json_oracle.h"

static void expect_number(double v, const char *text) {
  char out[64];
  memset(out, '#', sizeof out);
  int32_t n = tm_ffi_number_text(v, out);
  CHECK(n == (int32_t)strlen(text) && memcmp(out, text, (size_t)n) == 0, "%.17g: %.*s, not %s", v, n, out, text);
  int clean = 1;
  for (int i = 32; i < 64; i++) clean &= out[i] == '#';
  CHECK(clean, "%.17g: wrote beyond 32 bytes", v);
}

static void test_number_vectors(void) {
  static const struct { double v; const char *text; } list[] = {
      {0.0, "0"}, {-0.0, "-0"}, {1, "1"}, {-1, "-1"}, {12.34, "12.34"}, {-0.5, "-0.5"}, {1700000040000, "1700000040000"},
      {99999999, "99999999"}, {100000000, "100000000"}, {9007199254740991, "9007199254740991"},
      {-9007199254740991, "-9007199254740991"}, {9007199254740992, "9007199254740992"}, {1e15, "1000000000000000"},
      {1e20, "100000000000000000000"}, {1e21, "1e21"}, {123456789012345680000.0, "123456789012345680000"},
      {1.5e300, "1.5e300"}, {0.000001, "0.000001"}, {1e-7, "1e-7"}, {1.5e-7, "1.5e-7"}, {0.1 + 0.2, "0.30000000000000004"},
      {5e-324, "5e-324"}, {-5e-324, "-5e-324"}, {2.2250738585072014e-308, "2.2250738585072014e-308"},
      {1.7976931348623157e308, "1.7976931348623157e308"}, {-1.7976931348623157e308, "-1.7976931348623157e308"},
      {1.0 / 3, "0.3333333333333333"}, {2.0 / 3, "0.6666666666666666"}, {9.5367431640625e-7, "9.5367431640625e-7"},
      {0.00000123456789012345678, "0.0000012345678901234567"}, {2e-44, "2e-44"}, {4.35, "4.35"}, {0.05, "0.05"},
      {123456.00000001, "123456.00000001"}, {1e23, "1e23"}, {9.5, "9.5"}, {18014398509481984, "18014398509481984"}};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) expect_number(list[i].v, list[i].text);
  struct tm_buf b;
  exact_init(&b, 64);
  CHECK(tm_ffi_json_number(&b, NAN) == -2 && tm_ffi_json_number(&b, INFINITY) == -2 &&
            tm_ffi_json_number(&b, -INFINITY) == -2 && b.len == 0, "not finite");
  char out[32];
  CHECK(tm_ffi_number_text(NAN, out) == -2, "NaN as text");
  CHECK(tm_ffi_json_decimal(&b, NAN, 2) == -2 && tm_ffi_json_decimal(&b, 1, -1) == -2 &&
            tm_ffi_json_decimal(&b, 1, 19) == -2 && b.len == 0, "decimals that cannot be");
  free(b.data);
}

static void test_number_oracle(void) {
  struct oracle o;
  oracle_open(&o, "numbers", 1, 60000);
  int bad = 0;
  while (oracle_next(&o)) {
    uint64_t u = strtoull(oracle_field(&o, ' '), NULL, 16);
    const char *text = oracle_field(&o, ' ');
    double v;
    memcpy(&v, &u, 8);
    /* room for the text alone, to the byte */
    struct tm_buf b;
    int32_t n = (int32_t)strlen(text);
    exact_init(&b, n);
    bad += tm_ffi_json_number(&b, v) != 0 || b.len != n || memcmp(b.data, text, (size_t)n) != 0;
    b.len = 0;
    b.cap = n - 1;
    bad += tm_ffi_json_number(&b, v) != -1 || b.len != 0;
    char wide[64];
    bad += tm_ffi_number_text(v, wide) != n || memcmp(wide, text, (size_t)n) != 0;
    if (bad > 0 && bad < 5) fprintf(stderr, "%016llx: expected %s\n", (unsigned long long)u, text);
    free(b.data);
  }
  CHECK(bad == 0, "%d numbers differ", bad);
  oracle_close(&o, 60000);
}

static void test_decimal(void) {
  static const struct { double v; int32_t digits; const char *text; } list[] = {
      {12.3, 2, "12.30"}, {0.1 + 0.2, 2, "0.30"}, {0.5, 0, "0"}, {1.5, 0, "2"}, {2.5, 0, "2"}, {0.125, 2, "0.12"},
      {0.375, 2, "0.38"}, {-0.001, 2, "-0.00"}, {0.999, 2, "1.00"}, {1e18, 2, "1000000000000000000.00"}, {0, 3, "0.000"},
      {1e-300, 18, "0.000000000000000000"}, {0.1, 18, "0.100000000000000006"}, {4503599627370495.5, 0, "4503599627370496"}};
  struct tm_buf b;
  exact_init(&b, 1024);
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    b.len = 0;
    int32_t rc = tm_ffi_json_decimal(&b, list[i].v, list[i].digits);
    CHECK(rc == 0 && b.len == (int32_t)strlen(list[i].text) && memcmp(b.data, list[i].text, (size_t)b.len) == 0,
          "%.17g to %d: %.*s, not %s", list[i].v, list[i].digits, b.len, b.data, list[i].text);
  }
  free(b.data);
  struct oracle o;
  oracle_open(&o, "decimals", 2, 60000);
  int bad = 0;
  while (oracle_next(&o)) {
    uint64_t u = strtoull(oracle_field(&o, ' '), NULL, 16);
    int32_t digits = atoi(oracle_field(&o, ' '));
    const char *text = oracle_field(&o, ' ');
    double v;
    memcpy(&v, &u, 8);
    int32_t n = (int32_t)strlen(text);
    for (int32_t cap = n; cap <= 400; cap += 400 - n) {
      exact_init(&b, cap);
      bad += tm_ffi_json_decimal(&b, v, digits) != 0 || b.len != n || memcmp(b.data, text, (size_t)n) != 0;
      free(b.data);
    }
    if (bad > 0 && bad < 5) fprintf(stderr, "%016llx %d: expected %s\n", (unsigned long long)u, digits, text);
  }
  CHECK(bad == 0, "%d decimals differ", bad);
  oracle_close(&o, 60000);
}

/* writes s into every size of buffer around what it takes: all or nothing */
static int string_differs(const char *s, int32_t len, const char *text, int32_t n, int lossy) {
  struct tm_buf b;
  int bad = 0;
  for (int32_t cap = n > 2 ? n - 2 : 0; cap <= n + 1; cap++) {
    exact_init(&b, cap);
    int32_t rc = lossy ? tm_ffi_json_lossy(&b, s, len) : tm_ffi_json_string(&b, s, len);
    if (cap < n) bad |= rc != -1 || b.len != 0;
    else bad |= rc != 0 || b.len != n || memcmp(b.data, text, (size_t)n) != 0;
    free(b.data);
  }
  return bad;
}

static void test_strings(void) {
  struct oracle o;
  oracle_open(&o, "strings", 3, 20000);
  int bad = 0;
  while (oracle_next(&o)) {
    int32_t len, n, m;
    char *padded = oracle_bytes(oracle_field(&o, ' '), &len);
    const char *strict = oracle_field(&o, ' ');
    char *lossy = oracle_bytes(oracle_field(&o, ' '), &m);
    /* Lua's strings have no pad */
    char *s = malloc((size_t)len + 1);
    if (s == NULL) abort();
    memcpy(s, padded, (size_t)len);
    s = realloc(s, len > 0 ? (size_t)len : 1);
    if (*strict == '!') {
      struct tm_buf b;
      exact_init(&b, len * 6 + 2);
      bad += tm_ffi_json_string(&b, s, len) != -2 || b.len != 0;
      free(b.data);
    } else {
      char *text = oracle_bytes(strict, &n);
      bad += string_differs(s, len, text, n, 0);
      free(text);
    }
    bad += string_differs(s, len, lossy, m, 1);
    if (bad > 0 && bad < 5) fprintf(stderr, "case %d\n", o.cases);
    free(s);
    free(padded);
    free(lossy);
  }
  CHECK(bad == 0, "%d strings differ", bad);
  oracle_close(&o, 20000);
}

/* every byte alone, and at every place of a longer string: RFC 8259, section 7 */
static void test_bytes(void) {
  struct tm_buf b;
  char want[64], s[48];
  tm_buf_init(&b, 1 << 20);
  for (int ch = 0; ch < 128; ch++) {
    for (int at = 0; at < 40; at++) {
      memset(s, 'x', sizeof s);
      s[at] = (char)ch;
      char esc[8];
      const char *brief = strchr("\bb\ff\nn\rr\tt", ch);
      if (ch == '"' || ch == '\\') snprintf(esc, sizeof esc, "\\%c", ch);
      else if (ch != 0 && ch < 32 && brief != NULL) snprintf(esc, sizeof esc, "\\%c", brief[1]);
      else if (ch < 32) snprintf(esc, sizeof esc, "\\u%04x", ch);
      else snprintf(esc, sizeof esc, "%c", ch);
      int n = snprintf(want, sizeof want, "\"%.*s%s%.*s\"", at, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", esc, 39 - at,
                       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
      b.len = 0;
      int32_t rc = tm_ffi_json_string(&b, s, 40);
      if (rc != 0 || b.len != n || memcmp(b.data, want, (size_t)n) != 0) CHECK(0, "byte %d at %d", ch, at);
    }
  }
  CHECK(b.cap > 0, "grown");
  b.len = 0;
  CHECK(tm_ffi_buf_put(&b, "a\0b", 3) == 0 && b.len == 3 && memcmp(b.data, "a\0b", 3) == 0, "bytes as they are");
  tm_buf_fini(&b);
  tm_buf_init(&b, 10);
  CHECK(tm_ffi_buf_put(&b, "0123456789", 10) == 0 && tm_ffi_buf_put(&b, "x", 1) == -1 && b.len == 10, "cap_max holds");
  tm_buf_fini(&b);
}

int main(void) {
  test_number_vectors();
  test_number_oracle();
  test_decimal();
  test_strings();
  test_bytes();
  return unit_end("json_write");
}
