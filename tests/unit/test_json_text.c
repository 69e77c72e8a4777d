/* test_json_text.c - members, escapes and flattened values found in text (json_text.c).
 *
 * Cases are grown by json_oracle.py; nesting, many members and failing memory bounds are built here. */
#include "../../host/base/owned.h"

#include "json_oracle.h"

static uint64_t bits_of(double v) {
  uint64_t u;
  memcpy(&u, &v, 8);
  return u;
}

/* is this cell "kind:span:num"? */
static int cell_differs(const struct tm_cell *c, const char *text, char *want) {
  int32_t len;
  char *span = strchr(want, ':'), *num = strrchr(want, ':');
  *span++ = 0;
  *num++ = 0;
  char *bytes = oracle_bytes(span, &len);
  int bad = (c->tag & 15) != atoi(want) || c->tag >> 4 != len || memcmp(text + c->off, bytes, (size_t)len) != 0 ||
            bits_of(c->num) != strtoull(num, NULL, 16);
  free(bytes);
  return bad;
}

static void test_tape(void) {
  struct tm_tape t = {0};
  struct oracle o;
  oracle_open(&o, "texts", 1, 3000);
  int bad = 0;
  while (oracle_next(&o)) {
    int32_t len, n = 0;
    char *text = oracle_bytes(oracle_field(&o, ' '), &len), *want;
    if (tm_ffi_json_tape(text, len, &t) != 0) bad++;
    for (; (want = oracle_field(&o, ' ')) != NULL; n++) bad += n >= t.n || cell_differs(&t.cells[n], text, want);
    bad += n != t.n;
    if (bad > 0 && bad < 5) fprintf(stderr, "%.*s\n", len, text);
    free(text);
  }
  CHECK(bad == 0, "%d cells differ", bad);
  oracle_close(&o, 3000);
  tm_owned_free(t.cells);
}

static void test_find(void) {
  struct oracle o;
  oracle_open(&o, "finds", 2, 2000);
  int bad = 0;
  while (oracle_next(&o)) {
    int32_t len, name_len;
    struct tm_cell c;
    char *text = oracle_bytes(oracle_field(&o, ' '), &len);
    char *name = oracle_bytes(oracle_field(&o, ' '), &name_len);
    tm_ffi_json_find(text, len, name, name_len, &c);
    bad += cell_differs(&c, text, oracle_field(&o, ' '));
    if (bad > 0 && bad < 5) fprintf(stderr, "%.*s in %.*s\n", name_len, name, len, text);
    free(text);
    free(name);
  }
  CHECK(bad == 0, "%d members differ", bad);
  oracle_close(&o, 2000);
  struct tm_cell c;
  char array[TM_PAD + 16] = "[1]";
  tm_ffi_json_find(array, 3, "a", 1, &c);
  CHECK(c.tag == TM_KIND_ABSENT && bits_of(c.num) == 0x7ff8000000000000u, "no object, no member");
}

static void test_unescape(void) {
  struct oracle o;
  oracle_open(&o, "escapes", 3, 20000);
  int bad = 0;
  while (oracle_next(&o)) {
    int32_t len, n;
    struct tm_buf b;
    char *raw = oracle_bytes(oracle_field(&o, ' '), &len);
    char *want = oracle_bytes(oracle_field(&o, ' '), &n);
    exact_init(&b, len + 1);
    b.data[b.len++] = '#';
    bad += tm_ffi_json_unescape(raw, len, &b) != 0 || b.len != n + 1 || memcmp(b.data + 1, want, (size_t)n) != 0;
    b.cap = len;
    b.len = 1;
    bad += len > 0 && (tm_ffi_json_unescape(raw, len, &b) != -1 || b.len != 1);
    if (bad > 0 && bad < 5) fprintf(stderr, "%.*s\n", len, raw);
    free(raw);
    free(want);
    free(b.data);
  }
  CHECK(bad == 0, "%d strings differ", bad);
  oracle_close(&o, 20000);
}

/* every unit of the basic plane, and pairs at the edges of the others, against RFC 3629's ranges */
static void test_escape_units(void) {
  char raw[TM_PAD + 16], want[4];
  struct tm_buf b;
  int bad = 0;
  exact_init(&b, 16);
  memset(raw, '"', sizeof raw);
  for (unsigned c = 0; c < 0x110000; c += c < 0x10000 ? 1 : 0x3ff) {
    if (c >= 0xd800 && c < 0xe000) continue;
    int n = c < 0x10000 ? snprintf(raw, 16, "\\u%04x", c)
                        : snprintf(raw, 16, "\\u%04X\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
    int m = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = m - 1, rest = (int)c; i > 0; i--, rest >>= 6) want[i] = (char)(0x80 + rest % 64);
    want[0] = (char)(m == 1 ? c : (0xf00u >> m & 0xff) + (c >> (6 * (m - 1))));
    b.len = 0;
    bad += tm_ffi_json_unescape(raw, n, &b) != 0 || b.len != m || memcmp(b.data, want, (size_t)m) != 0;
  }
  CHECK(bad == 0, "%d code points differ", bad);
  free(b.data);
}

static void test_depth(void) {
  struct tm_tape t = {0};
  char *text = malloc(16 * 513 + TM_PAD);
  if (text == NULL) abort();
  for (int depth = 511; depth <= 513; depth++) {
    int32_t n = 0;
    for (int i = 0; i < depth; i++) n += sprintf(text + n, i % 2 ? "[" : "{\"a\":0,\"a\":");
    text[n++] = '1';
    for (int i = depth - 1; i >= 0; i--) text[n++] = i % 2 ? ']' : '}';
    int32_t rc = tm_ffi_json_tape(text, n, &t);
    CHECK(rc == (depth <= 512 ? 0 : -1), "depth %d: %d", depth, rc);
    /* a head a level, a key every other level, the number */
    if (rc == 0) CHECK(t.n == depth + (depth + 1) / 2 + 1, "depth %d: %d cells", depth, t.n);
  }
  free(text);
  tm_owned_free(t.cells);
}

/* 200,000 members of which half repeat: only the last of each name stays, in linear time */
static void test_many(void) {
  enum { N = 200000 };
  struct tm_tape t = {0};
  char *text = malloc(N * 24 + TM_PAD);
  if (text == NULL) abort();
  int32_t n = sprintf(text, "{");
  for (int i = 0; i < N; i++) n += sprintf(text + n, "%s\"k%d\":%d", i ? "," : "", i % (N / 2), i);
  n += sprintf(text + n, "}");
  CHECK(tm_ffi_json_tape(text, n, &t) == 0 && t.n == N + 1 && (int)t.cells[0].num == N / 2, "%d cells", t.n);
  int bad = 0;
  for (int i = 0; i < N / 2 && t.n == N + 1; i++) bad += (int)t.cells[2 + 2 * i].num != N / 2 + i;
  CHECK(bad == 0, "%d values differ", bad);
  struct tm_cell c;
  tm_ffi_json_find(text, n, "k7", 2, &c);
  CHECK((int)c.num == N / 2 + 7, "the last of the name");
  free(text);
  tm_owned_free(t.cells);
}

int main(void) {
  test_tape();
  test_find();
  test_unescape();
  test_escape_units();
  test_depth();
  test_many();
  return unit_end("json_text");
}
