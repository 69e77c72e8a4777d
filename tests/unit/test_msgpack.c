/* test_msgpack.c - msgpack messages: rows and cells, what is refused and where reading goes on, JSON and back.
 *
 * Vectors are written down from the specification (github.com/msgpack/msgpack, spec.md); what is valid is judged by
 * msgpack_slow.h. Both scanners must agree to the bit. */
#include "../../host/codec/json.h"
#include "../../host/codec/msgpack_bytes.h"
#include "../../host/codec/msgpack_codec.h"
#include "../../host/codec/msgpack_json.h"
#include "../../host/codec/note.h"
#include "../../host/codec/packed.h"
#include "../../host/base/buf.h"

#include "msgpack_slow.h"
#include "unit.h"

enum { SIZE_MAX_TEST = 4096, MAX_EVENT = 1 << 20 };

static const char *const scanners[] = {"portable", NULL};

/* bytes from hexadecimal digits, blanks between them allowed; the number of bytes */
static int from_hex(char *out, const char *hex) {
  int n = 0;
  unsigned v;
  for (; sscanf(hex, " %2x", &v) == 1; n++) {
    out[n] = (char)v;
    while (*hex == ' ') hex++;
    hex += 2;
  }
  return n;
}

/* ---- values: msgpack, JSON for others, and whether the bytes are the shortest form ---- */

static const struct vector {
  const char *hex, *json;
  int shortest;
} vectors[] = {
    {"00", "0", 1}, {"7f", "127", 1}, {"e0", "-32", 1}, {"ff", "-1", 1}, {"c0", "null", 1}, {"c2", "false", 1}, {"c3", "true", 1},
    {"cc 80", "128", 1}, {"cc ff", "255", 1}, {"cc 00", "0", 0}, {"cd 01 00", "256", 1}, {"cd ff ff", "65535", 1},
    {"cd 00 01", "1", 0}, {"ce 00 01 00 00", "65536", 1}, {"ce ff ff ff ff", "4294967295", 1}, {"ce 00 00 00 07", "7", 0},
    {"cf 00 00 00 01 00 00 00 00", "4294967296", 1}, {"cf ff ff ff ff ff ff ff ff", "18446744073709551615", 1},
    {"cf 00 00 00 00 00 00 00 01", "1", 0}, {"d0 df", "-33", 1}, {"d0 80", "-128", 1}, {"d0 01", "1", 0}, {"d1 ff 7f", "-129", 1},
    {"d1 80 00", "-32768", 1}, {"d1 ff ff", "-1", 0}, {"d2 ff ff 7f ff", "-32769", 1}, {"d2 80 00 00 00", "-2147483648", 1},
    {"d3 ff ff ff ff 7f ff ff ff", "-2147483649", 1}, {"d3 80 00 00 00 00 00 00 00", "-9223372036854775808", 1},
    {"d3 00 00 00 00 00 00 00 2a", "42", 0}, {"ca 3f c0 00 00", "1.5", 0}, {"ca 3d cc cc cd", "0.10000000149011612", 0},
    {"cb 3f f8 00 00 00 00 00 00", "1.5", 1}, {"cb 3f b9 99 99 99 99 99 9a", "0.1", 1}, {"cb 40 08 00 00 00 00 00 00", "3", 0},
    {"cb 80 00 00 00 00 00 00 00", "-0", 1}, {"a0", "\"\"", 1}, {"a3 61 22 0a", "\"a\\\"\\n\"", 1}, {"d9 01 61", "\"a\"", 0},
    {"da 00 01 61", "\"a\"", 0}, {"db 00 00 00 01 61", "\"a\"", 0}, {"a4 f0 9f 98 80", "\"\xf0\x9f\x98\x80\"", 1},
    {"c4 00", "\"\"", 0}, {"c4 03 01 02 ff", "\"AQL/\"", 0}, {"c5 00 01 61", "\"YQ==\"", 0}, {"c6 00 00 00 02 61 62", "\"YWI=\"", 0},
    {"90", "[]", 1}, {"93 01 a1 61 c0", "[1,\"a\",null]", 1}, {"dc 00 01 c3", "[true]", 0}, {"dd 00 00 00 01 c3", "[true]", 0},
    {"80", "{}", 1}, {"81 a1 61 81 a1 62 90", "{\"a\":{\"b\":[]}}", 1}, {"de 00 01 a1 61 01", "{\"a\":1}", 0},
    {"df 00 00 00 01 a1 61 01", "{\"a\":1}", 0}, {"d4 05 61", "{\"ext\":5,\"data\":\"YQ==\"}", 0},
    {"d5 80 61 62", "{\"ext\":-128,\"data\":\"YWI=\"}", 0}, {"d6 01 61 62 63 64", "{\"ext\":1,\"data\":\"YWJjZA==\"}", 0},
    {"c7 03 7f 61 62 63", "{\"ext\":127,\"data\":\"YWJj\"}", 0}, {"c8 00 01 02 61", "{\"ext\":2,\"data\":\"YQ==\"}", 0},
    {"c9 00 00 00 01 02 61", "{\"ext\":2,\"data\":\"YQ==\"}", 0},
    /* timestamp 32, 64 and 96 of the specification; the times by date -u -d @N */
    {"d6 ff 00 00 00 00", "\"1970-01-01T00:00:00Z\"", 0}, {"d6 ff 5b e1 a6 50", "\"2018-11-06T14:33:52Z\"", 0},
    {"d7 ff 01 31 2d 00 5b e1 a6 50", "\"2018-11-06T14:33:52.005Z\"", 0},
    {"c7 0c ff 00 00 00 01 ff ff ff ff ff ff ff ff", "\"1969-12-31T23:59:59.000000001Z\"", 0},
    {"c7 0c ff 00 00 00 00 00 00 00 3a ff f4 41 7f", "\"9999-12-31T23:59:59Z\"", 0},
    {"c7 0c ff 00 00 00 00 00 00 00 3a ff f4 41 80", "{\"ext\":-1,\"data\":\"AAAAAAAAADr/9EGA\"}", 0},
    {"d7 ff ee 6b 28 00 00 00 00 00", "{\"ext\":-1,\"data\":\"7msoAAAAAAA=\"}", 0},
};

static void check_values(void) {
  char bytes[SIZE_MAX_TEST + TM_PAD] = {0};
  struct tm_buf out;
  tm_buf_init(&out, 1 << 20);
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    const struct vector *v = &vectors[i];
    int n = from_hex(bytes, v->hex), want = (int)strlen(v->json);
    out.len = 0;
    int32_t rc = tm_msgpack_to_json(&out, bytes, 0);
    CHECK(rc == 0 && out.len == want && memcmp(out.data, v->json, (size_t)want) == 0, "%s: %.*s, not %s", v->hex, out.len, out.data, v->json);
    /* with notes the way back is exact */
    out.len = 0;
    rc = tm_msgpack_to_json(&out, bytes, 1);
    int32_t text = out.len;
    if (rc == 0 && tm_buf_reserve(&out, 256) == 0) rc = tm_msgpack_from_json(&out, out.data, text);
    CHECK(rc == 0 && out.len - text == n && memcmp(out.data + text, bytes, (size_t)n) == 0, "%s: not the same after JSON", v->hex);
    if (!v->shortest) continue;
    out.len = 0;
    tm_buf_put(&out, v->json, want);
    tm_buf_reserve(&out, 256);
    rc = tm_msgpack_from_json(&out, out.data, want);
    CHECK(rc == 0 && out.len - want == n && memcmp(out.data + want, bytes, (size_t)n) == 0, "%s: other bytes from %s", v->hex, v->json);
  }
  tm_buf_fini(&out);
}

static void check_refused_values(void) {
  static const char *const no_json[] = {"cb 7f f8 00 00 00 00 00 00", "cb 7f f0 00 00 00 00 00 00", "ca ff 80 00 00",
                                        "91 81 a1 61 ca 7f c0 00 01"};
  static const char *const no_msgpack[] = {"18446744073709551616", "-9223372036854775809", "[1e400]", "{\"a\":-1e999}"};
  char bytes[64 + TM_PAD] = {0};
  struct tm_buf out;
  tm_buf_init(&out, 1 << 20);
  for (size_t i = 0; i < 4; i++) {
    int n = from_hex(bytes, no_json[i]);
    out.len = 0;
    CHECK(tm_msgpack_to_json(&out, bytes, 0) == -2 && out.len == 0, "%s", no_json[i]);
    CHECK(tm_msgpack_to_json(&out, bytes, 1) == 0, "%s", no_json[i]);
    int32_t text = out.len;
    tm_buf_reserve(&out, 256);
    CHECK(tm_msgpack_from_json(&out, out.data, text) == 0 && out.len - text == n && memcmp(out.data + text, bytes, (size_t)n) == 0,
          "%s: its bits are not kept", no_json[i]);
    out.len = 0;
    memset(bytes, 0, sizeof bytes);
    strcpy(bytes, no_msgpack[i]);
    CHECK(tm_msgpack_from_json(&out, bytes, (int32_t)strlen(bytes)) == -2 && out.len == 0, "%s", no_msgpack[i]);
  }
  tm_buf_fini(&out);
}

/* ---- batches ---- */

static const char *const names[] = {"a", "b", "id", "geo", ""};
enum { FIELDS = 6 };

struct run {
  struct tm_fields *f;
  struct tm_batch b;
  struct tm_cut cut;
  int32_t ids[FIELDS];
};

static void run_init(struct run *r) {
  memset(r, 0, sizeof *r);
  r->f = tm_fields_new();
  if (r->f == NULL) abort();
  r->b.fields = r->f;
  r->b.format = TM_FORMAT_MSGPACK;
  for (int i = 0; i < 5; i++) r->ids[i] = tm_ffi_fields_add(r->f, 0, names[i], (int32_t)strlen(names[i]));
  r->ids[5] = tm_ffi_fields_add(r->f, r->ids[3], "lat", 3);
}

static const struct tm_cell *cell(const struct run *r, int field, int row) { return &tm_ffi_fields_cells(r->f, r->ids[field])[row]; }

/* a copy with a pad that would be noticed if it was read as text */
static char *padded(const char *bytes, int n) {
  char *text = malloc((size_t)n + 2 * TM_PAD);
  if (text == NULL) abort();
  memset(text, 0xa1, (size_t)n + 2 * TM_PAD);
  memcpy(text + TM_PAD, bytes, (size_t)n);
  return text + TM_PAD;
}

static void decode(struct run *r, const char *text, int n, int final, int max_event) {
  tm_msgpack_decode(&r->b, text, n, final, max_event, &r->cut);
}

static void check_cells(void) {
  char bytes[256];
  int n = from_hex(bytes, "87 a1 61 cd 01 00 a1 62 a2 68 69 a2 69 64 cf ff ff ff ff ff ff ff ff a3 67 65 6f 82 a3 6c 61 74 cb 3f f8 00 00 "
                          "00 00 00 00 a1 78 90 a0 c4 01 07 a1 7a 01 a1 61 ca bf 80 00 00");
  char *text = padded(bytes, n);
  for (int s = 0; s < 2; s++) {
    struct run r;
    run_init(&r);
    tm_json_use(scanners[s]);
    for (int again = 0; again < 2; again++) {
      decode(&r, text, n, 0, MAX_EVENT);
      CHECK(r.b.rows == 1 && r.b.bad == 0 && r.cut.used == n && r.b.len[0] == n && r.b.twice[0] == 1, "one row, \"a\" twice");
      CHECK(tm_cell_kind(cell(&r, 0, 0)) == TM_KIND_NUMBER && cell(&r, 0, 0)->num == -1, "the last a counts");
      CHECK(tm_cell_kind(cell(&r, 1, 0)) == TM_KIND_STRING && memcmp(text + cell(&r, 1, 0)->off, "hi", 2) == 0, "b");
      CHECK(tm_cell_kind(cell(&r, 2, 0)) == TM_KIND_BIGINT && cell(&r, 2, 0)->num != cell(&r, 2, 0)->num, "id");
      CHECK(tm_cell_kind(cell(&r, 3, 0)) == TM_KIND_OBJECT && tm_cell_len(cell(&r, 3, 0)) == 17, "geo");
      CHECK(tm_cell_kind(cell(&r, 5, 0)) == TM_KIND_NUMBER && cell(&r, 5, 0)->num == 1.5, "geo.lat");
      CHECK(tm_cell_kind(cell(&r, 4, 0)) == TM_KIND_OPAQUE, "bytes");
    }
    tm_fields_free(r.f);
  }
  free(text - TM_PAD);
}

/* Are rows, cells and the cut of both equal? */
static int same(const struct run *x, const struct run *y) {
  int rows = x->b.rows, ok = rows == y->b.rows && x->b.bad == y->b.bad && x->cut.used == y->cut.used &&
                             (x->cut.broken == NULL) == (y->cut.broken == NULL) && x->cut.need == y->cut.need;
  for (int row = 0; ok && row < rows; row++) {
    ok = x->b.off[row] == y->b.off[row] && x->b.len[row] == y->b.len[row] && x->b.status[row] == y->b.status[row];
    for (int i = 0; ok && i < FIELDS; i++) ok = memcmp(cell(x, i, row), cell(y, i, row), sizeof(struct tm_cell)) == 0;
  }
  return ok;
}

/* Every row is what the slow reader says, and reading stops where it must. */
static int agrees(const struct run *r, const char *text, int n, int final) {
  const unsigned char *p = (const unsigned char *)text, *end = p + n;
  for (int row = 0; row < r->b.rows; row++) {
    struct slow s = {p, end, SLOW_OK, 0};
    int is_map = p < end && ((*p & 0xf0) == 0x80 || *p == 0xde || *p == 0xdf);
    slow_value(&s, 0, 0);
    if (r->b.off[row] != p - (const unsigned char *)text) return 0;
    if (s.broken) return final && row == r->b.rows - 1 && r->cut.broken != NULL && r->b.status[row] != TM_LINE_OK && r->cut.used == n;
    if (r->b.len[row] != s.p - p) return 0;
    int want = s.status == SLOW_DEEP ? TM_LINE_TOO_DEEP : s.status != SLOW_OK ? TM_LINE_SYNTAX : is_map ? TM_LINE_OK : TM_LINE_NOT_OBJECT;
    if (r->b.status[row] != want) return 0;
    p = s.p;
  }
  if (p == end) return r->cut.used == n;
  /* what is left does not end, or breaks only in bytes that more input would bring */
  struct slow s = {p, end, SLOW_OK, 0};
  slow_value(&s, 0, 0);
  return !final && s.broken && r->cut.used == p - (const unsigned char *)text;
}

static void judge(struct run learnt[2], const char *bytes, int n, int final, const char *what, int at) {
  char *text = padded(bytes, n);
  struct run fresh;
  for (int s = 0; s < 2; s++) {
    tm_json_use(scanners[s]);
    decode(&learnt[s], text, n, final, MAX_EVENT);
    CHECK(agrees(&learnt[s], text, n, final), "%s %d, %s: rows %d", what, at, s == 0 ? "portable" : "best", learnt[s].b.rows);
  }
  CHECK(same(&learnt[0], &learnt[1]), "%s %d: the scanners differ", what, at);
  run_init(&fresh);
  decode(&fresh, text, n, final, MAX_EVENT);
  CHECK(same(&learnt[0], &fresh), "%s %d: what was learnt changes the answer", what, at);
  tm_fields_free(fresh.f);
  free(text - TM_PAD);
}

static void check_damage(void) {
  char bytes[512];
  struct run learnt[2];
  int n = from_hex(bytes, "83 a1 61 01 a1 62 a2 68 69 a2 69 64 cd 10 00 83 a1 61 02 a1 62 a2 c3 a9 a2 69 64 d9 02 6f 6b 84 a1 61 ca 3f 80 00 00 "
                          "a3 67 65 6f 82 a3 6c 61 74 cb 3f f8 00 00 00 00 00 00 a1 78 92 c0 c4 02 ff fe a2 69 64 d6 ff 5b e1 a6 50 a0 81 a1 "
                          "79 de 00 01 a1 7a c7 01 05 00 83 a1 61 01 a1 62 a2 68 69 a2 69 64 cd 10 00");
  run_init(&learnt[0]);
  run_init(&learnt[1]);
  judge(learnt, bytes, n, 1, "whole", 0);
  CHECK(learnt[0].b.rows == 4 && learnt[0].b.bad == 0, "four messages: %d", learnt[0].b.rows);
  for (int cut = 0; cut < n; cut++) {
    judge(learnt, bytes, cut, 0, "cut at", cut);
    judge(learnt, bytes, cut, 1, "ended at", cut);
  }
  for (int bit = 0; bit < 8 * n; bit++) {
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    judge(learnt, bytes, n, 1, "flipped bit", bit);
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
  }
  for (int at = 0; at < n; at++) {
    char was = bytes[at];
    bytes[at] = (char)0xc1;
    judge(learnt, bytes, n, 1, "0xc1 at", at);
    bytes[at] = was;
  }
  tm_fields_free(learnt[0].f);
  tm_fields_free(learnt[1].f);
}

/* ---- hostile lengths and depths ---- */

static void check_hostile(void) {
  static const struct { const char *hex; int status; } cases[] = {
      {"dd ff ff ff ff 01 01 01 01 01", TM_LINE_TOO_LONG}, {"df ff ff ff ff a1 61 01", TM_LINE_TOO_LONG},
      {"81 a1 61 db ff ff ff ff 61", TM_LINE_TOO_LONG},    {"81 a1 61 c6 ff ff ff ff", TM_LINE_TOO_LONG},
      {"81 a1 61 c9 ff ff ff ff 01", TM_LINE_TOO_LONG},    {"81 db ff ff ff ff 61", TM_LINE_TOO_LONG},
      {"81 a1 61 dd ff ff ff ff", TM_LINE_TOO_LONG},       {"82 a1 61", TM_LINE_SYNTAX},
  };
  char bytes[64];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int n = from_hex(bytes, cases[i].hex);
    char *text = padded(bytes, n);
    struct run r;
    run_init(&r);
    decode(&r, text, n, 0, MAX_EVENT);
    CHECK(r.b.rows == 0 && r.cut.used == 0 && r.cut.need > n, "%s: needs %d", cases[i].hex, r.cut.need);
    CHECK((r.cut.need > MAX_EVENT) == (cases[i].status == TM_LINE_TOO_LONG), "%s: known to be too long", cases[i].hex);
    decode(&r, text, n, 1, MAX_EVENT);
    CHECK(r.b.rows == 1 && r.b.status[0] == cases[i].status && r.cut.broken != NULL && r.cut.used == n, "%s: %d", cases[i].hex, r.b.status[0]);
    tm_fields_free(r.f);
    free(text - TM_PAD);
  }
}

static void check_depth(void) {
  enum { LEVELS = 600 };
  static char bytes[8 * LEVELS];
  for (int maps = 0; maps < 2; maps++) {
    for (int levels = 510; levels < 515; levels++) {
      int n = 0;
      for (int i = 0; i < levels; i++) {
        if (i == 0 || maps) n += from_hex(bytes + n, i == 0 ? "81 a1 61" : "81 a3 6c 61 74");
        else bytes[n++] = (char)0x91;
      }
      bytes[n++] = 1;
      n += from_hex(bytes + n, "81 a1 61 05");
      char *text = padded(bytes, n);
      struct run r;
      run_init(&r);
      decode(&r, text, n, 1, MAX_EVENT);
      CHECK(r.b.rows == 2 && (r.b.status[0] == TM_LINE_TOO_DEEP) == (levels > 512) && r.b.status[1] == TM_LINE_OK && r.cut.broken == NULL,
            "%d levels: %d", levels, r.b.status[0]);
      tm_fields_free(r.f);
      free(text - TM_PAD);
    }
  }
}

/* An event too long is passed over wherever the blocks end. */
static void check_skip(void) {
  char bytes[256];
  int n = from_hex(bytes, "83 a1 61 93 01 dc 00 02 c0 d6 05 01 02 03 04 a3 78 79 7a a1 62 da 00 05 68 65 6c 6c 6f a1 63 de 00 00"), bad = 0;
  bytes[n] = 1;
  for (int block = 1; block <= n + 1; block++) {
    struct tm_skip skip = {0};
    int at = 0, there = 0;
    const char *broken = NULL;
    while (!skip.over && broken == NULL && there < n + 1) {
      there = there + block < n + 1 ? there + block : n + 1;
      at += tm_msgpack_skip(&skip, bytes + at, there - at, &broken);
    }
    bad += !skip.over || at != n || broken != NULL;
  }
  CHECK(bad == 0, "%d block sizes", bad);
  bytes[8] = (char)0xc1;
  struct tm_skip skip = {0};
  const char *broken;
  CHECK(tm_msgpack_skip(&skip, bytes, n, &broken) == 8 && broken != NULL && !skip.over, "0xc1 is found at its place");
}

static void check_explain(void) {
  static const char *const cases[][2] = {
      {"81 01 02", "byte 1: expected a text as the key of a map, found a number"},
      {"81 a1 61 81 c0 02", "byte 4: expected a text as the key of a map, found nil"},
      {"81 a1 61 a2 c3 28", "byte 3: a text that is not UTF-8"},
      {"81 a1 61 c1", "byte 3: 0xc1 begins no value of msgpack"},
      {"82 a1 61 01 a1 62 93 01", "byte 8: the input ends inside a message, which needs at least 2 more bytes"},
      {"81 a1 61 01", "nothing is wrong"},
  };
  char bytes[64 + TM_PAD], why[256];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int n = from_hex(bytes, cases[i][0]);
    tm_msgpack_explain(bytes, n, why, sizeof why);
    CHECK(strcmp(why, cases[i][1]) == 0, "%s: %s", cases[i][0], why);
  }
}

int main(void) {
  check_values();
  check_refused_values();
  check_cells();
  check_damage();
  check_hostile();
  check_depth();
  check_skip();
  check_explain();
  return unit_end("msgpack");
}
