/* test_kept.c - events made of kept bytes: their columns, the slot they stand in, and a member more, by cases told by hand. */
#include "../../host/abi_c.h"
#include "../../host/event/fields.h"
#include "unit.h"

static struct tm_batch of;

static int is_text(const struct tm_batch *b, int32_t row, const struct tm_cell *cells, int kind, const char *want) {
  const struct tm_cell *c = &cells[row];
  if ((c->tag & 15) != kind) return 0;
  if (want == NULL) return 1;
  return c->tag >> 4 == (int32_t)strlen(want) && memcmp(b->raw + c->off, want, strlen(want)) == 0;
}

static void reads_columns(void) {
  struct tm_batch *b = tm_ffi_kept_new(TM_FORMAT_JSON, "as", 2);
  struct tm_fields *f = tm_ffi_kept_fields(b);
  int32_t id = tm_ffi_fields_add(f, 0, "id", 2);
  int32_t as = tm_ffi_fields_add(f, 0, "as", 2), v = tm_ffi_fields_add(f, as, "v", 1);
  const struct tm_cell *ids = tm_ffi_fields_cells(f, id), *vs = tm_ffi_fields_cells(f, v);
  tm_ffi_fields_want_number(f, id);
  of.origin[7] = 3;
  CHECK(tm_ffi_kept_put_with(b, &of, 7, "{\"id\":5}", 8, "{\"v\":\"x\"}", 9) == 0, "put");
  CHECK(b->len[7] == 23 && memcmp(b->raw + b->off[7], "{\"id\":5,\"as\":{\"v\":\"x\"}}", 23) == 0, "%.*s", b->len[7], b->raw + b->off[7]);
  CHECK(ids[7].num == 5 && is_text(b, 7, vs, TM_KIND_STRING, "x"), "both read");
  CHECK(b->origin[7] == 3 && b->rows == 8 && b->status[7] == TM_LINE_OK && b->status[6] != TM_LINE_OK, "it stands in slot 7 alone");
  /* the one before leaves nothing, also in another slot; a field met late is read from the one at hand */
  CHECK(tm_ffi_kept_put(b, &of, 2, "{ }", 3) == 0, "put");
  CHECK(is_text(b, 2, ids, TM_KIND_ABSENT, NULL) && is_text(b, 2, vs, TM_KIND_ABSENT, NULL), "absent");
  CHECK(b->status[7] != TM_LINE_OK && b->status[2] == TM_LINE_OK, "one event");
  CHECK(tm_ffi_kept_put(b, &of, 1023, "{\"late\":[1],\"id\":6}", 19) == 0, "put");
  int32_t late = tm_ffi_fields_add(f, 0, "late", 4);
  tm_ffi_batch_fill(b, late);
  CHECK(is_text(b, 1023, tm_ffi_fields_cells(f, late), TM_KIND_ARRAY, "[1]") && ids[1023].num == 6, "late");
}

static void sets_members_of_json(void) {
  struct tm_batch *b = tm_ffi_kept_new(TM_FORMAT_JSON, "a\"s", 3);
  static const char *const cases[][2] = {
      {"{}", "{\"a\\\"s\":7}"},
      {"{ \t}", "{\"a\\\"s\":7}"},
      {"{\"b\":1}", "{\"b\":1,\"a\\\"s\":7}"},
      {"{\"b\":1 }", "{\"b\":1,\"a\\\"s\":7}"},
      {"{\"a\\\"s\":1,\"b\":2}", "{\"a\\\"s\":7,\"b\":2}"},
      {"{\"b\":2,\"a\\u0022s\":1}", "{\"b\":2,\"a\\u0022s\":7}"},
      {"{\"a\\\"s\":1,\"b\":2,\"a\\\"s\":3}", "{\"b\":2,\"a\\\"s\":7}"},
      {"{\"b\":\"\\\"a\\\\\\\"s\\\":\"}", "{\"b\":\"\\\"a\\\\\\\"s\\\":\",\"a\\\"s\":7}"},
      {"{\"b\":{\"a\\\"s\":1}}", "{\"b\":{\"a\\\"s\":1},\"a\\\"s\":7}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CHECK(tm_ffi_kept_put_with(b, &of, 0, cases[i][0], (int32_t)strlen(cases[i][0]), "7", 1) == 0, "put");
    CHECK(b->len[0] == (int32_t)strlen(cases[i][1]) && memcmp(b->raw + b->off[0], cases[i][1], (size_t)b->len[0]) == 0, "%s: %.*s",
          cases[i][0], b->len[0], b->raw + b->off[0]);
  }
}

/* An array has to become JSON to be read; so has a text of a thousand bytes that JSON writes as six times as many. */
static void reads_texts_of_msgpack(void) {
  struct tm_batch *b = tm_ffi_kept_new(TM_FORMAT_MSGPACK, "as", 2);
  struct tm_fields *f = tm_ffi_kept_fields(b);
  struct tm_cell *vs = tm_ffi_fields_cells(f, tm_ffi_fields_add(f, 0, "v", 1)), *ws = tm_ffi_fields_cells(f, tm_ffi_fields_add(f, 0, "w", 1));
  static char event[1100] = "\x82\xa1v\x92\x01\xa1x\xa1w\xda\x03\xe8";
  memset(event + 12, 1, 1000);
  for (int i = 0; i < 3; i++) {
    CHECK(tm_ffi_kept_put(b, &of, 4, event, 1012) == 0, "put");
    CHECK(tm_ffi_cell_text(b, &vs[4]) == 0 && is_text(b, 4, vs, TM_KIND_ARRAY, "[1,\"x\"]"), "an array's text");
    CHECK(tm_ffi_cell_text(b, &ws[4]) == 0 && ws[4].tag >> 4 == 6000, "a string's text: %d", ws[4].tag >> 4);
    CHECK(memcmp(b->raw + ws[4].off, "\\u0001", 6) == 0, "escaped");
  }
}

static void sets_members_of_msgpack(void) {
  struct tm_batch *b = tm_ffi_kept_new(TM_FORMAT_MSGPACK, "as", 2);
  static const struct { const char *text; int32_t len; const char *want; int32_t want_len; } cases[] = {
      {"\x80", 1, "\x81\xa2" "as\x07", 5},
      {"\x81\xa1" "b\x01", 4, "\x82\xa1" "b\x01\xa2" "as\x07", 8},
      {"\x82\xa2" "as\xc0\xa1" "b\x01", 8, "\x82\xa2" "as\x07\xa1" "b\x01", 8},
      {"\x83\xa2" "as\x01\xa1" "b\x02\xd9\x02" "as\x03", 13, "\x82\xa1" "b\x02\xa2" "as\x07", 8},   /* twice, in two forms */
      {"\xde\x00\x01\xa1" "b\x81\xa2" "as\x01", 10, "\x82\xa1" "b\x81\xa2" "as\x01\xa2" "as\x07", 12},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CHECK(tm_ffi_kept_put_with(b, &of, 0, cases[i].text, cases[i].len, "\x07", 1) == 0, "put");
    CHECK(b->len[0] == cases[i].want_len && memcmp(b->raw + b->off[0], cases[i].want, (size_t)b->len[0]) == 0, "case %zu", i);
  }
  /* fifteen members become sixteen: another head */
  char text[64], *p = text;
  *p++ = (char)0x8f;
  for (int i = 0; i < 15; i++) {
    *p++ = (char)0xa1;
    *p++ = (char)('a' + i);
    *p++ = (char)i;
  }
  CHECK(tm_ffi_kept_put_with(b, &of, 0, text, (int32_t)(p - text), "\x07", 1) == 0, "put");
  CHECK(b->len[0] == 46 + 2 + 4 && memcmp(b->raw + b->off[0], "\xde\x00\x10\xa1" "a", 5) == 0, "a head of 16 bits");
}

int main(void) {
  reads_columns();
  sets_members_of_json();
  reads_texts_of_msgpack();
  sets_members_of_msgpack();
  return unit_end("kept");
}
