/* test_words.c - the dictionary of a column's frequent texts (host/event/words.c), against a list searched from its
 * start. Texts are cut out of a larger buffer, so that what stands behind them differs each time. */
#include "../../host/event/words.h"
#include "unit.h"

enum { TEXTS = 600, ROUNDS = 300000 };

struct text {
  char bytes[24];
  int32_t len;
  uint32_t id;               /* the one it was given; 0 none yet */
};

static struct text texts[TEXTS];
static uint64_t seed = 42;

static uint32_t next_random(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % n;
}

/* Different texts, many of them a prefix of others; lengths 0 to 20. */
static void texts_make(void) {
  for (int i = 0; i < TEXTS; i++) {
    struct text *t = &texts[i];
    int again;
    do {
      t->len = i == 0 ? 0 : 1 + (int32_t)next_random(20);
      for (int32_t k = 0; k < t->len; k++) t->bytes[k] = (char)(next_random(8) == 0 ? 0xC3 : 'a' + (int)next_random(3));
      again = 0;
      for (int k = 0; k < i; k++) again |= texts[k].len == t->len && memcmp(texts[k].bytes, t->bytes, (size_t)t->len) == 0;
    } while (again);
  }
}

static uint32_t ask(struct tm_words *w, const struct text *t) {
  char buf[64];
  for (size_t i = 0; i < sizeof buf; i++) buf[i] = (char)next_random(256);
  memcpy(buf + 5, t->bytes, (size_t)t->len);
  return tm_words_id(w, buf + 5, t->len);
}

static void test_ids(int n, int expect_off) {
  struct tm_words *w = calloc(1, sizeof *w);
  int owner[TM_WORDS_MAX + 1], wrong = 0, given = 0;
  for (int i = 0; i <= TM_WORDS_MAX; i++) owner[i] = -1;
  for (int i = 0; i < TEXTS; i++) texts[i].id = 0;
  for (int r = 0; r < ROUNDS; r++) {
    int i = (int)next_random((uint32_t)n);
    uint32_t id = ask(w, &texts[i]);
    if (id == 0) {
      wrong += texts[i].id != 0 && !w->off;
      continue;
    }
    if (id > TM_WORDS_MAX || (owner[id] != -1 && owner[id] != i) || (texts[i].id != 0 && texts[i].id != id)) {
      wrong++;
      continue;
    }
    given += texts[i].id == 0;
    owner[id] = i;
    texts[i].id = id;
  }
  CHECK(wrong == 0, "%d texts: %d answers contradict earlier ones", n, wrong);
  CHECK(w->off == expect_off, "%d texts: given up: %d", n, w->off);
  CHECK(given <= TM_WORDS_MAX && w->n <= TM_WORDS_MAX, "%d ids", given);
  if (!expect_off)
    for (int i = 0; i < n; i++) CHECK((texts[i].id != 0) == (texts[i].len <= TM_WORD_BYTES), "text %d of length %d", i, texts[i].len);
  free(w);
}

int main(void) {
  texts_make();
  test_ids(1, 0);
  test_ids(250, 0);
  test_ids(TEXTS, 1);
  return unit_end("words");
}
