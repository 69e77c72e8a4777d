/* test_texts.c - engine/texts.h: what was read is found again, in the slot and after its file; a file with any byte changed or cut off is refused. */
#include "../../host/engine/texts.h"

#include <unistd.h>

#include "unit.h"

static void put(struct tm_texts *t, enum tm_texts_kind kind, const char *path, const char *text, size_t n, int error) {
  const struct tm_text what = {.kind = kind, .error = error, .path = path, .text = text, .n = n};
  tm_texts_put(t, &what);
}

static int has(const struct tm_texts *t, enum tm_texts_kind kind, const char *path, const char *text, size_t n, int error) {
  struct tm_text got;
  return tm_texts_find(t, kind, path, &got) && got.error == error && got.n == n && memcmp(got.text, text, n) == 0;
}

static void fill(struct tm_texts *t, int32_t number, int32_t before) {
  tm_texts_clear(t, number, before);
  put(t, TM_TEXTS_FILE, "a.lua", "return\0 1", 9, 0);
  put(t, TM_TEXTS_FILE, "a.lua/pack.lua", NULL, 0, 20);
  put(t, TM_TEXTS_FOLDER, "p/rules", "a.lua\0b.lua", 12, 0);
  put(t, TM_TEXTS_FILE, "empty", "", 0, 0);
}

static void test_slot(struct tm_texts *t) {
  struct tm_text got;
  fill(t, 3, 2);
  CHECK(has(t, TM_TEXTS_FILE, "a.lua", "return\0 1", 9, 0), "a file with a zero in it");
  CHECK(has(t, TM_TEXTS_FILE, "a.lua/pack.lua", "", 0, 20), "one that could not be read");
  CHECK(has(t, TM_TEXTS_FOLDER, "p/rules", "a.lua\0b.lua", 12, 0), "a folder");
  CHECK(has(t, TM_TEXTS_FILE, "empty", "", 0, 0), "an empty file");
  CHECK(!tm_texts_find(t, TM_TEXTS_FOLDER, "a.lua", &got) && !tm_texts_find(t, TM_TEXTS_FILE, "a", &got), "what is not there");
  tm_texts_clear(t, 4, 3);
  CHECK(!tm_texts_find(t, TM_TEXTS_FILE, "a.lua", &got) && t->number == 4 && t->before == 3, "a cleared slot");
}

static void test_within(struct tm_texts *a, struct tm_texts *b) {
  fill(a, 1, 0);
  fill(b, 2, 1);
  CHECK(tm_texts_within(a, b), "the same");
  put(b, TM_TEXTS_FILE, "p/tests/x.lua", "t", 1, 0);
  CHECK(tm_texts_within(a, b) && !tm_texts_within(b, a), "one of them has more");
  fill(b, 2, 1);
  put(a, TM_TEXTS_FILE, "c.lua", "1", 1, 0);
  put(b, TM_TEXTS_FILE, "c.lua", "2", 1, 0);
  CHECK(!tm_texts_within(a, b), "one byte differs");
  tm_texts_clear(b, 5, 4);
  tm_texts_copy(b, a);
  CHECK(tm_texts_within(a, b) && tm_texts_within(b, a) && b->number == 5, "a copy");
}

static void test_full(struct tm_texts *t) {
  char *large = calloc(1, TM_TEXTS_BYTES);
  fill(t, 1, 0);
  put(t, TM_TEXTS_FILE, "large", large, TM_TEXTS_BYTES - 100, 0);
  struct tm_text got;
  CHECK(t->broken && !tm_texts_find(t, TM_TEXTS_FILE, "a.lua", &got), "what does not fit breaks the slot, so that nothing is half there");
  free(large);
}

static void test_file(struct tm_texts *a, struct tm_texts *b, const char *dir) {
  struct tm_err err;
  char path[256];
  fill(a, 7, 5);
  CHECK(tm_texts_save(a, &tm_io_real, dir, &err) == 0, "%s", err.detail);
  tm_texts_clear(b, 1, 0);
  CHECK(tm_texts_load(b, 7, &tm_io_real, dir, &err) == 0 && b->number == 7 && b->before == 5, "%s", err.detail);
  CHECK(tm_texts_within(a, b) && tm_texts_within(b, a), "the file gives what was saved");
  CHECK(tm_texts_load(b, 6, &tm_io_real, dir, &err) == 1, "one that is not there");
  CHECK(tm_texts_newest(&tm_io_real, dir) == 7, "the newest");
  snprintf(path, sizeof path, "%s/generation.7", dir);
  FILE *f = fopen(path, "rb");
  static char bytes[4096];
  long n = (long)fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  int taken = 0;
  for (long i = 0; i < 2 * n; i++) {
    f = fopen(path, "wb");
    if (i < n) bytes[i] ^= 1;
    fwrite(bytes, 1, (size_t)(i < n ? n : i - n), f);
    if (i < n) bytes[i] ^= 1;
    fclose(f);
    tm_texts_clear(b, 1, 0);
    int rc = tm_texts_load(b, 7, &tm_io_real, dir, &err);
    taken += rc == 0;
  }
  CHECK(taken == 0, "%d of %ld files with a changed byte or cut off were taken", taken, 2 * n);
}

int main(void) {
  char dir[] = "/tmp/tidemill-texts.XXXXXX", command[64];
  struct tm_texts *a = tm_texts_new(), *b = tm_texts_new();
  if (a == NULL || b == NULL || mkdtemp(dir) == NULL) return 1;
  test_slot(a);
  test_within(a, b);
  test_full(a);
  test_file(a, b, dir);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  if (system(command) != 0) return 1;
  tm_texts_free(a);
  tm_texts_free(b);
  return unit_end("texts");
}
