/* test_unpack.c - compressed input in memory that outlives a worker (unpack.c): killed at every instruction while a decoder
 * works, while its memory is copied, and while text is taken, the text goes on at the same byte. The input is
 * made by zlib and libzstd themselves. */
#include "../../host/io/unpack.h"

#include <zlib.h>
#include <zstd.h>

#include "step.h"
#include "unit.h"

/* COPY: bytes of input after which the decoder's memory is copied; LIVE: how much of that is looked at, USED at most */
enum { TEXT = 1200 * 1024, TAIL = 600, PIECE = 200, COPY = 1 << 20, LIVE = 256 * 1024, USED = 64 * 1024 };

static char text[TEXT], packed[2 * TEXT];
static int32_t packed_n;
static struct tm_undo *undo;
static struct tm_unpack *unpack;
static struct { int32_t taken, fed; } *state;   /* shared, as a source's is */
static char *out;                               /* shared: text that was taken */

/* Text that does not compress, but for its end. */
static void make_text(void) {
  uint32_t x = 1;
  for (int32_t i = 0; i < TEXT; i++) {
    x = x * 1664525u + 1013904223u;
    text[i] = i < TEXT - TAIL ? (char)(x >> 24) : (char)('a' + i % 7);
  }
}

static void make_gzip(void) {
  z_stream z = {0};
  deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (Bytef *)text;
  z.avail_in = TEXT;
  z.next_out = (Bytef *)packed;
  z.avail_out = sizeof packed;
  deflate(&z, Z_FINISH);
  packed_n = (int32_t)z.total_out;
  deflateEnd(&z);
}

static void make_zstd(void) { packed_n = (int32_t)ZSTD_compress(packed, sizeof packed, text, TEXT, 1); }

/* One step of a source: more text, or more input. 0 at the end. */
static int32_t feed;

static int go_on(int32_t most) {
  char why[TM_UNPACK_WHY];
  int32_t made, room;
  if (tm_unpack_make(unpack, out + state->taken, most, &made, why) < 0) return -1;
  if (made > 0) {
    tm_undo_keep(undo, state, sizeof *state);
    tm_unpack_took(unpack, undo, made);
    state->taken += made;
    tm_undo_done(undo);
    return 1;
  }
  char *to = tm_unpack_room(unpack, undo, &room);
  int32_t n = feed > 0 && feed < room ? feed : room;
  if (n > packed_n - state->fed) n = packed_n - state->fed;
  if (n == 0) return 0;
  memcpy(to, packed + state->fed, (size_t)n);
  tm_undo_keep(undo, state, sizeof *state);
  tm_unpack_fed(unpack, undo, n);
  state->fed += n;
  tm_undo_done(undo);
  return 1;
}

static int rest_is_right(void) {
  char why[TM_UNPACK_WHY];
  int rc;
  while ((rc = go_on(64 * 1024)) > 0) continue;
  return rc == 0 && state->taken == TEXT && memcmp(out, text, TEXT) == 0 && tm_unpack_ended(unpack, why) == 0;
}

static long stop_at;   /* the act ends when so much text was taken */

static void act(void) {
  while (state->taken < stop_at && go_on(PIECE) > 0) continue;
}

static long wrong, looks;

/* The next worker: puts back what was half changed, and goes on a little, which must be the text. */
static void take_up(void) {
  looks++;
  tm_undo_restore(undo);
  tm_unpack_resume(unpack, undo);
  int32_t from = state->taken;
  for (int i = 0; i < 4; i++) go_on(PIECE);
  if (memcmp(out + from, text + from, (size_t)(state->taken - from)) != 0 || state->taken == from) wrong++;
}

static void deaths(const char *what, void (*make)(void)) {
  size_t size = tm_unpack_size(1);
  struct step step = {.act = act, .look = take_up};
  make();
  unpack = step_memory(size);
  undo = step_memory(sizeof *undo);
  state = step_memory(sizeof *state);
  out = step_memory(TEXT + 64 * 1024);
  tm_unpack_begin(unpack, size, packed, 100);
  state->fed = 100;
  /* nearly to where the decoder's memory is copied */
  feed = COPY / 16 - 50;
  while (state->fed < COPY - COPY / 16 && go_on(64 * 1024) > 0) continue;
  feed = PIECE;
  while (state->fed < COPY - PIECE / 2 && go_on(64 * 1024) > 0) continue;
  stop_at = state->taken + 3 * PIECE;
  wrong = looks = 0;
  feed = PIECE;
  char *end = (char *)unpack + size, *log_end = tm_unpack_end(unpack);
  step.areas[0] = (struct step_area){.at = unpack, .size = 4096};
  step.areas[4] = (struct step_area){.at = log_end, .size = 4096};
  step.areas[5] = (struct step_area){.at = end - 2 * LIVE, .size = USED};
  step.areas[6] = (struct step_area){.at = end - LIVE, .size = USED};
  step.areas[1] = (struct step_area){.at = &undo->used, .size = sizeof undo->used};
  step.areas[2] = (struct step_area){.at = undo->log, .size = 512};
  step.areas[3] = (struct step_area){.at = state, .size = sizeof *state};
  if (step_through(&step)) CHECK(looks > 100, "%s: %ld states", what, looks);
  else printf("%s: nobody may be traced here\n", what);
  CHECK(wrong == 0, "%s: of %ld states %ld could not be taken up", what, looks, wrong);
  feed = 0;
  CHECK(rest_is_right(), "%s: undisturbed", what);
}

/* Every piece of text may be any size. */
static void pieces(const char *what, void (*make)(void)) {
  make();
  unpack = step_memory(tm_unpack_size(0));
  tm_unpack_begin(unpack, tm_unpack_size(0), packed, 4);
  *state = (typeof(*state)){0, 4};
  int32_t most = 1;
  while (go_on(most) > 0) most = most * 7 % 9973;
  CHECK(state->taken == TEXT && memcmp(out, text, TEXT) == 0, "%s: %d bytes", what, state->taken);
}

int main(void) {
  make_text();
  deaths("gzip", make_gzip);
  pieces("gzip", make_gzip);
  pieces("zstd", make_zstd);
  CHECK(tm_unpack_recognize("\x1F\x8B", 2) == -1 && tm_unpack_recognize("\x1F\x8B\x08", 3) == 1, "gzip's first bytes");
  CHECK(tm_unpack_recognize("{", 1) == 0 && tm_unpack_recognize("\x28\xB5\x2F\xFC", 4) == 0, "text");
  CHECK(tm_unpack_recognize("\x5F\x2A\x4D\x18", 4) == 1 && tm_unpack_recognize("P", 1) == -1, "a skippable frame");
  return unit_end("unpack");
}
