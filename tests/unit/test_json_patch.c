/* test_json_patch.c - changes to one object's text (json_patch.c).
 *
 * Cases are grown by json_oracle.py, which pastes the pieces of each object together again; every result
 * is also confirmed there by json.loads. White space and order are shown by hand below. */
#include "../../host/base/owned.h"

#include "json_oracle.h"

static struct tm_patch *patch;
static struct tm_tape keys;

/* a key's name as the tape gives it, in hex as the oracle writes it */
static void key_text(struct tm_buf *b, const struct tm_cell *c, const char *text, char *const *names) {
  struct tm_buf name;
  char hex[4];
  tm_buf_init(&name, 1 << 20);
  if (c->off < 0) tm_buf_put(&name, names[-1 - c->off], c->tag >> 4);
  else if ((c->tag & 15) == TM_KIND_ESCAPED) tm_ffi_json_unescape(text + c->off, c->tag >> 4, &name);
  else tm_buf_put(&name, text + c->off, c->tag >> 4);
  if (b->len > 0) tm_buf_put(b, ",", 1);
  if (name.len == 0) tm_buf_put(b, "-", 1);
  for (int32_t i = 0; i < name.len; i++) {
    snprintf(hex, sizeof hex, "%02x", (unsigned char)name.data[i]);
    tm_buf_put(b, hex, 2);
  }
  tm_buf_fini(&name);
}

/* The list "s:key:value,r:key,..." into the patch; values gather in texts, names[i] is the i-th different key. */
static int changes_put(struct oracle *o, struct tm_buf *texts, char **names, int32_t *lens) {
  char *changes = oracle_field(o, ' '), *saved = o->rest, *change;
  int n = 0, bad = 0;
  o->rest = strcmp(changes, "-") == 0 ? NULL : changes;
  while ((change = oracle_field(o, ',')) != NULL) {
    int32_t key_len, len = 0, i = 0;
    char *value = strchr(change + 2, ':');
    if (value != NULL) *value++ = 0;
    char *key = oracle_bytes(change + 2, &key_len);
    while (i < n && (lens[i] != key_len || memcmp(names[i], key, (size_t)key_len) != 0)) i++;
    if (i == n) {
      lens[n] = key_len;
      names[n++] = key;
    } else {
      free(key);
    }
    if (value != NULL) {
      char *bytes = oracle_bytes(value, &len);
      bad += tm_ffi_patch_set(patch, names[i], key_len, texts->len, len);
      tm_buf_put(texts, bytes, len);
      free(bytes);
    } else {
      bad += tm_ffi_patch_remove(patch, names[i], key_len);
    }
  }
  o->rest = saved;
  if (bad != 0) CHECK(0, "changes refused");
  return n;
}

static void test_oracle(void) {
  struct oracle o;
  oracle_open(&o, "patches", 1, 3000);
  int bad = 0;
  while (oracle_next(&o)) {
    int32_t len, want_len, lens[64];
    char *names[64];
    struct tm_buf texts, out, listed;
    tm_buf_init(&texts, 1 << 24);
    tm_buf_init(&listed, 1 << 24);
    char *text = oracle_bytes(oracle_field(&o, ' '), &len);
    tm_ffi_patch_reset(patch);
    int n = changes_put(&o, &texts, names, lens);
    char *want = oracle_bytes(oracle_field(&o, ' '), &want_len);
    const char *want_keys = oracle_field(&o, ' ');
    int rc = 0;
    /* a buffer too small by one byte takes nothing */
    for (int less = 1; less >= 0; less--) {
      exact_init(&out, want_len - less);
      rc |= tm_ffi_patch_apply(patch, text, len, texts.data, &out) != -less;
      if (less) rc |= out.len != 0;
      else rc |= out.len != want_len || memcmp(out.data, want, (size_t)want_len) != 0;
      if (rc && !less) fprintf(stderr, "%.*s\n%.*s\n%.*s\n", len, text, out.len, out.data, want_len, want);
      free(out.data);
    }
    rc |= tm_ffi_patch_keys(patch, text, len, &keys) != 0;
    for (int32_t i = 0; i < keys.n; i++) key_text(&listed, &keys.cells[i], text, names);
    tm_buf_put(&listed, keys.n > 0 ? "" : "#", keys.n > 0 ? 1 : 2);
    rc |= strcmp(listed.data, want_keys) != 0;
    if (rc) bad++;
    tm_buf_fini(&texts);
    tm_buf_fini(&listed);
    free(text);
    free(want);
    while (n > 0) free(names[--n]);
  }
  CHECK(bad == 0, "%d objects differ", bad);
  oracle_close(&o, 3000);
}

static void expect(const char *object, const char *want) {
  char text[256] = {0};
  struct tm_buf out;
  exact_init(&out, 256);
  strcpy(text, object);
  int32_t rc = tm_ffi_patch_apply(patch, text, (int32_t)strlen(object), "42\"x\"", &out);
  CHECK(rc == 0 && out.len == (int32_t)strlen(want) && memcmp(out.data, want, (size_t)out.len) == 0, "%s: %d %.*s, not %s",
        object, rc, out.len, out.data, want);
  free(out.data);
}

static void test_by_hand(void) {
  tm_ffi_patch_reset(patch);
  expect("{ \"a\" : 1 }", "{ \"a\" : 1 }");
  tm_ffi_patch_set(patch, "a", 1, 0, 2);
  expect("{ \"a\" : 1 , \"b\":2 }", "{ \"a\" : 42 , \"b\":2 }");
  expect("{\"b\":2 }", "{\"b\":2,\"a\":42 }");
  expect("{}", "{\"a\":42}");
  expect("{ }", "{\"a\":42}");
  expect("{\"a\":1,\"b\":2,\"\\u0061\":3}", "{\"b\":2,\"\\u0061\":42}");
  expect("{\"b\":1,\"b\":2}", "{\"b\":1,\"b\":2,\"a\":42}");
  tm_ffi_patch_remove(patch, "a", 1);
  expect("{\"a\":1, \"b\":2}", "{\"b\":2}");
  expect("{\"b\":2, \"a\":1}", "{\"b\":2}");
  expect("{\"b\":2, \"a\":1,  \"c\":3}", "{\"b\":2,  \"c\":3}");
  expect("{ \"a\":1 }", "{}");
  tm_ffi_patch_set(patch, "c", 1, 2, 3);
  tm_ffi_patch_set(patch, "a", 1, 0, 2);
  expect("{}", "{\"a\":42,\"c\":\"x\"}");
  tm_ffi_patch_reset(patch);
  tm_ffi_patch_set(patch, "q\"\n", 3, 0, 2);
  expect("{}", "{\"q\\\"\\n\":42}");
  tm_ffi_patch_set(patch, "\xff", 1, 0, 2);
  struct tm_buf out;
  char text[TM_PAD + 8] = "{\"a\":1}";
  exact_init(&out, 64);
  CHECK(tm_ffi_patch_apply(patch, text, 7, "42", &out) == -2 && out.len == 0, "a key that is not UTF-8");
  free(out.data);
}

/* 50,000 changes to an object of 100,000 members */
static void test_many(void) {
  enum { N = 100000 };
  char *text = malloc(N * 20 + TM_PAD), *want = malloc(N * 20 + TM_PAD), (*names)[12] = malloc(N * sizeof *names);
  if (text == NULL || want == NULL || names == NULL) abort();
  int32_t n = 0, m = 0;
  tm_ffi_patch_reset(patch);
  for (int i = 0; i < N; i++) {
    int32_t key_len = sprintf(names[i], "k%d", i);
    n += sprintf(text + n, "%c\"k%d\":%d", i ? ',' : '{', i, i);
    if (i % 4 == 1) tm_ffi_patch_remove(patch, names[i], key_len);
    else m += sprintf(want + m, "%c\"k%d\":%d", i ? ',' : '{', i, i % 4 == 3 ? 42 : i);
    if (i % 4 == 3) tm_ffi_patch_set(patch, names[i], key_len, 0, 2);
  }
  text[n++] = '}';
  want[m++] = '}';
  struct tm_buf out;
  tm_buf_init(&out, 1 << 24);
  CHECK(tm_ffi_patch_apply(patch, text, n, "42", &out) == 0 && out.len == m && memcmp(out.data, want, (size_t)m) == 0,
        "many changes");
  CHECK(tm_ffi_patch_keys(patch, text, n, &keys) == 0 && keys.n == N * 3 / 4, "%d keys", keys.n);
  tm_buf_fini(&out);
  free(text);
  free(want);
  free(names);
}

int main(void) {
  patch = tm_ffi_patch_new();
  test_by_hand();
  test_oracle();
  test_many();
  test_by_hand();
  tm_owned_free(keys.cells);
  return unit_end("json_patch");
}
