/* test_any.c - values of type any between Lua bytes and msgpack: vectors, every cut, every flipped bit, no room.
 *
 *   test_any pack|unpack|tape    a filter for any_spec.lua: frames of a length (uint32) and bytes in, a result (int32) and such
 *                                a frame out; little-endian; tape writes the number of cells */
#include <string.h>

#include "../../host/base/owned.h"
#include "../../host/abi_c.h"
#include "../../host/base/buf.h"
#include "state_run.h"
#include "unit.h"

enum { BYTES = 1 << 16 };

static int from_hex(char *out, const char *hex) {
  int n = 0, used;
  unsigned v;
  for (; sscanf(hex, "%2x%n", &v, &used) == 1; hex += used) out[n++] = (char)v;
  return n;
}

#define NUM(be) "07 " be
#define ONE NUM("00 00 00 00 00 00 f0 3f")
#define TWO NUM("00 00 00 00 00 00 00 40")

/* Lua bytes as LuaJIT 2.1 writes them (string.buffer.encode), msgpack as Python's packb(..., use_bin_type=True) does. back: unpacking
 * gives these Lua bytes again. */
static const struct vector {
  const char *lua, *packed;
  int back;
} vectors[] = {
    {"01", "c2", 1}, {"02", "c3", 1}, {ONE, "01", 1}, {"08", "80", 1}, {"0e 00 08", "90", 1}, {"20", "a0", 1},
    {NUM("00 00 00 00 00 00 00 80"), "cb 80 00 00 00 00 00 00 00", 1},
    {NUM("00 00 00 00 00 00 40 c0"), "e0", 1}, {NUM("00 00 00 00 00 80 40 c0"), "d0 df", 1},
    {NUM("00 00 00 00 00 00 40 43"), "cf 00 20 00 00 00 00 00 00", 1}, {NUM("01 00 00 00 00 00 40 43"), "cb 43 40 00 00 00 00 00 01", 1},
    {NUM("00 00 00 00 00 00 f0 7f"), "cb 7f f0 00 00 00 00 00 00", 1}, {NUM("00 00 00 00 00 00 f8 ff"), "cb 7f f8 00 00 00 00 00 00", 0},
    {"23 ff fe 00", "a3 ff fe 00", 1},
    {"0e 00 0c 03 " ONE " " TWO, "92 01 02", 1}, {"0c 03 " ONE " " TWO, "92 01 02", 0},
    {"09 02 21 62 " TWO " 21 61 " ONE, "82 a1 61 01 a1 62 02", 0}, {"09 02 21 61 " ONE " 21 62 " TWO, "82 a1 61 01 a1 62 02", 1},
    {"09 02 22 61 61 01 21 61 02", "82 a1 61 c3 a2 61 61 c2", 0},
    /* { 1, nil, 2 } and { [0] = 1 }, { 1, x = 2 }, { [2] = 2, [1] = 1 } */
    {"0c 04 " ONE " 00 " TWO, "82 01 01 03 02", 0}, {"0a 01 " ONE, "81 00 01", 0},
    {"0d 02 01 " ONE " 21 78 " TWO, "82 01 01 a1 78 02", 0}, {"09 02 " TWO " " TWO " " ONE " " ONE, "92 01 02", 0},
    {"09 04 02 01 21 61 01 01 01 " ONE " 01", "84 01 c2 a1 61 c2 c2 c2 c3 c2", 0},
    {"0e 01 08", "c0", 0}, {"03", "c0", 0}, {"13 01 02 ff 00", "c4 02 ff 00", 0}, {"13 01 00", "c4 00", 0},
    {"13 00 ff 04 5b e1 a6 50", "d6 ff 5b e1 a6 50", 0}, {"13 00 05 03 61 62 63", "c7 03 05 61 62 63", 0},
    {"09 01 21 61 09 01 21 62 0e 00 0c 02 0e 00 08", "81 a1 61 81 a1 62 91 90", 1},
};

static void check_vectors(void) {
  char lua[256], packed[256];
  struct tm_buf out;
  struct tm_tape tape = {0};
  tm_buf_init(&out, BYTES);
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    const struct vector *v = &vectors[i];
    int n = from_hex(lua, v->lua), want = from_hex(packed, v->packed);
    out.len = 0;
    int32_t rc = tm_ffi_any_pack(&out, lua, n);
    CHECK(rc == 0 && out.len == want && memcmp(out.data, packed, (size_t)want) == 0, "%s: %d, %d bytes", v->lua, rc, out.len);
    out.len = 0;
    rc = tm_ffi_any_unpack(&out, packed, want);
    CHECK(rc == (strstr(v->packed, "c0") == v->packed || packed[0] == (char)0xc4 || strchr("\xd6\xc7", packed[0]) != NULL), "%s: %d", v->packed, rc);
    if (v->back) CHECK(out.len == n && memcmp(out.data, lua, (size_t)n) == 0, "%s: other Lua bytes", v->packed);
    CHECK(tm_ffi_any_tape(packed, want, &tape) == 0 && tape.n > 0, "%s: no tape", v->packed);
  }
  /* what is no value of ours is handed to the long way */
  static const char *const others[][2] = {{"04 01 00 00 00", "1"}, {"09 01 05 01 02 03 04 05 06 07 08 02", "2"}, {"09 01 08 02", "1"}, {"10", "1"}};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    out.len = 3;
    CHECK(tm_ffi_any_pack(&out, lua, from_hex(lua, others[i][0])) == others[i][1][0] - '0' && out.len == 3, "%s", others[i][0]);
  }
  tm_buf_fini(&out);
  tm_owned_free(tape.cells);
}

/* ---- hostile bytes ---- */

/* Reads a copy that ends where its memory ends: both readers agree on whether it is a value. */
static int32_t read_both(const char *bytes, int n) {
  static struct tm_tape tape;
  struct tm_buf out;
  char *exact = malloc((size_t)n + 1);
  if (exact == NULL) abort();
  char *p = exact + 1;
  memcpy(p, bytes, (size_t)n);
  tm_buf_init(&out, 1 << 20);
  int32_t rc = tm_ffi_any_unpack(&out, p, n), other = tm_ffi_any_tape(p, n, &tape);
  CHECK((other == 0 && rc >= 0) || (other == -2 && (rc == -2 || rc == TM_ANY_OTHER)), "%d bytes: unpack %d, tape %d", n, rc, other);
  tm_buf_fini(&out);
  free(exact);
  return other;
}

static void check_damage(void) {
  char bytes[512];
  int n = from_hex(bytes, "86 01 92 c3 c0 a1 61 84 a1 62 d9 03 78 79 7a a1 63 cb 3f f8 00 00 00 00 00 00 a1 64 c4 02 00 01 a1 65 d6 ff 5b e1 a6 50 "
                          "a1 66 dc 00 02 d0 81 cd 10 00 c2 ca 3f 80 00 00 a1 67 de 00 01 da 00 01 7a c7 01 05 00 a1 68 cf 00 20 00 00 00 00 00 00");
  CHECK(read_both(bytes, n) == 0, "whole");
  for (int cut = 0; cut < n; cut++) CHECK(read_both(bytes, cut) == -2, "cut at %d", cut);
  for (int bit = 0; bit < 8 * n; bit++) {
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    read_both(bytes, n);
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
  }
  static const char *const refused[] = {"", "c1", "01 01", "dd ff ff ff ff 01", "df ff ff ff ff 01 01", "df 80 00 00 00", "db ff ff ff ff 61", "c6 ff ff ff ff",
                                        "c9 ff ff ff ff 01", "81 c0 01", "81 90 01", "81 80 01", "81 c4 00 01", "81 d4 01 01 01",
                                        "cf 00 20 00 00 00 00 00 01", "d3 ff df ff ff ff ff ff ff", "cf ff ff ff ff ff ff ff ff"};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    n = from_hex(bytes, refused[i]);
    CHECK(read_both(bytes, n) == -2, "%s", refused[i]);
  }
}

static void check_depth(void) {
  static char bytes[2048];
  struct tm_buf out;
  tm_buf_init(&out, BYTES);
  for (int depth = 1; depth <= 514; depth++) {
    memset(bytes, 0x91, (size_t)depth);
    bytes[depth] = 1;
    CHECK((read_both(bytes, depth + 1) == 0) == (depth <= 512), "%d arrays", depth);
    out.len = 0;
    int32_t rc = tm_ffi_any_unpack(&out, bytes, depth + 1);
    CHECK(depth > 512 ? rc != 0 : (rc == 0) == (depth <= 90), "%d arrays: %d", depth, rc);
    /* and the other way: { { ... 1 } } */
    for (int i = 0; i < depth; i++) memcpy(bytes + 2 * i, "\x0c\x02", 2);
    bytes[2 * depth] = 2;
    out.len = 0;
    rc = tm_ffi_any_pack(&out, bytes, 2 * depth + 1);
    CHECK((rc == 0) == (depth <= 512) && (rc != 0 || out.len == depth + 1), "%d tables: %d", depth, rc);
  }
  tm_buf_fini(&out);
}

static void check_no_room(void) {
  char lua[256], packed[256];
  int n = from_hex(lua, "09 03 22 6b 31 0e 00 0c 03 " ONE " " TWO " 22 6b 32 24 74 65 78 74 22 6b 33 09 01 " TWO " 02");
  struct tm_buf out;
  tm_buf_init(&out, BYTES);
  CHECK(tm_ffi_any_pack(&out, lua, n) == 0, "with room");
  int want = out.len;
  memcpy(packed, out.data, (size_t)want);
  tm_buf_fini(&out);
  for (int room = 0; room < want; room++) {
    char data[256 + TM_PAD];
    tm_buf_init_fixed(&out, data, room);
    CHECK(tm_ffi_any_pack(&out, lua, n) == -1 && out.len == 0, "%d bytes of room", room);
    tm_buf_init_fixed(&out, data, room);
    CHECK(tm_ffi_any_unpack(&out, packed, want) == -1, "%d bytes of room", room);
  }
}

/* ---- in a state ---- */

/* Writing the same bytes does nothing; other bytes are written, or the n-th allocation fails and nothing was. */
static void check_change(void) {
  static const struct tm_state_field field = {0, TM_FIELD_TEXT, TM_VALUE_NIL, TM_VALUE_NIL, 0, 0};
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, 8, 0, TM_ON_FULL_REFUSE, &field, 1);
  struct tm_key k;
  char text[4000];
  run_key(&k, 1);
  struct tm_state_ref *ref = tm_ffi_state_write(s, &k);
  memset(text, 'x', sizeof text);
  CHECK(tm_ffi_text_change(s, ref, 0, text, 100) == TM_STATE_NEW && ref->n == 100, "written");
  tm_ffi_changes_commit(c);
  ref = tm_ffi_state_write(s, &k);
  struct tm_state_ref was = *ref;
  int32_t used = c->used;
  CHECK(tm_ffi_text_change(s, ref, 0, text, 100) == TM_STATE_OK && c->used == used && memcmp(ref, &was, sizeof was) == 0, "the same bytes");
  int failed = 0;
  for (int n = 1; n < 20; n++) {
    budget.fail_in = n;
    int32_t rc = tm_ffi_text_change(s, ref, 0, text, 4000 - n);
    if (budget.fail_in == 0) {
      failed++;
      CHECK(rc == TM_STATE_NO_MEMORY && memcmp(ref, &was, sizeof was) == 0 && memcmp(s->base + 8 * (size_t)ref->at, text, 100) == 0,
            "allocation %d fails: %d", n, rc);
      continue;
    }
    budget.fail_in = 0;
    CHECK(rc == TM_STATE_NEW && ref->n == (uint32_t)(4000 - n), "with memory: %d", rc);
    break;
  }
  CHECK(failed > 0, "no allocation failed");
  tm_ffi_changes_rollback(c, 0);
  ref = (struct tm_state_ref *)(uintptr_t)tm_ffi_state_find(s, &k);
  CHECK(ref != NULL && ref->n == 100, "taken back");
  tm_ffi_state_free(s);
  tm_ffi_changes_free(c);
}

/* ---- the filter ---- */

static int filter(const char *what) {
  static char bytes[1 << 24];
  struct tm_buf out;
  struct tm_tape tape = {0};
  uint32_t n;
  tm_buf_init(&out, 1 << 26);
  while (fread(&n, sizeof n, 1, stdin) == 1) {
    if (n > sizeof bytes || fread(bytes, 1, n, stdin) != n) return 1;
    out.len = 0;
    int32_t rc = strcmp(what, "pack") == 0     ? tm_ffi_any_pack(&out, bytes, (int32_t)n)
                 : strcmp(what, "unpack") == 0 ? tm_ffi_any_unpack(&out, bytes, (int32_t)n)
                                               : tm_ffi_any_tape(bytes, (int32_t)n, &tape);
    n = rc == 0 ? (uint32_t)out.len : 0;
    if (strcmp(what, "tape") == 0 && rc == 0) n = (uint32_t)tape.n;
    if (fwrite(&rc, sizeof rc, 1, stdout) != 1 || fwrite(&n, sizeof n, 1, stdout) != 1) return 1;
    if (out.len > 0 && rc == 0 && fwrite(out.data, (size_t)out.len, 1, stdout) != 1) return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2) return filter(argv[1]);
  check_vectors();
  check_damage();
  check_depth();
  check_no_room();
  check_change();
  return unit_end("any");
}
