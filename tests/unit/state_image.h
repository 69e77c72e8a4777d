/* state_image.h - what the tests of snapshots share: an address space as plain memory, epochs that change it, and the comparison
 * of what is taken up again with a copy that was kept. */
#ifndef TM_TESTS_STATE_IMAGE_H
#define TM_TESTS_STATE_IMAGE_H

#include <errno.h>
#include <inttypes.h>

#include "../../host/durable/data_dir.h"
#include "../../host/durable/journal.h"
#include "../../host/durable/payload.h"
#include "../../host/durable/snapshot.h"
#include "disk_sim.c"
#include "unit.h"

#define IMAGE_DIR "/state"
/* Two stretches of the address space: one at its begin, one far up. */
#ifndef IMAGE_HALF
#define IMAGE_HALF (3 << 20)
#endif
#ifndef IMAGE_CHANGE_MAX
#define IMAGE_CHANGE_MAX 60000
#endif
enum { IMAGE_SIZE = 2 * IMAGE_HALF, IMAGE_EPOCHS = 600 };
#define IMAGE_FAR (UINT64_C(5) << 40)

struct image {
  unsigned char now[IMAGE_SIZE];
  unsigned char changed[IMAGE_EPOCHS + 1];
  struct image_change *changes[IMAGE_EPOCHS + 1];  /* the oracle: what each epoch did, in order */
  int changes_n[IMAGE_EPOCHS + 1];
  uint64_t random;
};

struct image_change {
  int64_t at, n;
  uint64_t fill;                    /* 0: zeros, else the seed of its bytes */
};

static uint64_t image_random(struct image *m) {
  m->random ^= m->random << 13;
  m->random ^= m->random >> 7;
  m->random ^= m->random << 17;
  return m->random;
}

static uint64_t image_offset(int64_t at) {
  return at < IMAGE_HALF ? (uint64_t)at : IMAGE_FAR + (uint64_t)(at - IMAGE_HALF);
}

static void change_bytes(const struct image_change *c, unsigned char *out) {
  uint64_t x = c->fill;

  for (int64_t i = 0; i < c->n; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    out[i] = c->fill == 0 ? 0 : (unsigned char)(x >> 33);
  }
}

/* The image as of an epoch, from the oracle. */
static void image_replay(struct image *m, uint64_t epoch) {
  memset(m->now, 0, sizeof m->now);
  for (uint64_t e = 1; e <= epoch; e++) {
    for (int i = 0; i < m->changes_n[e]; i++) change_bytes(&m->changes[e][i], m->now + m->changes[e][i].at);
  }
}

static void image_free(struct image *m) {
  for (int e = 0; e <= IMAGE_EPOCHS; e++) free(m->changes[e]);
  free(m);
}

/* Puts one epoch of a few random changes: its number or 0. span: how much of each half is touched. */
static uint64_t image_put(struct image *m, struct tm_journal *j, uint64_t epoch, int64_t span) {
  unsigned char fixed[TM_PAYLOAD_ZERO], *bytes = malloc(70000);
  char head[64];
  int n = 1 + (int)(image_random(m) % 6), r;

  TM_ASSERT(epoch <= IMAGE_EPOCHS);
  free(m->changes[epoch]);
  m->changes[epoch] = calloc((size_t)n, sizeof **m->changes);
  m->changes_n[epoch] = n;
  snprintf(head, sizeof head, "head of %" PRIu64 "%.*s", epoch, (int)(epoch % 30), "..............................");
  r = tm_journal_begin(j);
  tm_payload_start(fixed, (uint32_t)strlen(head));
  if (r == TM_JOURNAL_OK) r = tm_journal_put(j, fixed, TM_PAYLOAD_START);
  if (r == TM_JOURNAL_OK) r = tm_journal_put(j, head, (int64_t)strlen(head));
  for (int i = 0; i < n && r == TM_JOURNAL_OK; i++) {
    struct image_change *c = &m->changes[epoch][i];

    c->n = 1 + (int64_t)(image_random(m) % (image_random(m) % 4 == 0 ? IMAGE_CHANGE_MAX : 200));
    c->at = (int64_t)(image_random(m) % (uint64_t)(span - c->n)) + (image_random(m) % 2 == 0 ? 0 : IMAGE_HALF);
    c->fill = image_random(m) % 5 == 0 ? 0 : image_random(m) | 1;
    if (c->fill == 0) {
      tm_payload_zero(fixed, image_offset(c->at), (uint64_t)c->n);
      r = tm_journal_put(j, fixed, TM_PAYLOAD_ZERO);
    } else {
      change_bytes(c, bytes);
      tm_payload_range(fixed, image_offset(c->at), (uint32_t)c->n);
      r = tm_journal_put(j, fixed, TM_PAYLOAD_RANGE);
      if (r == TM_JOURNAL_OK) r = tm_journal_put(j, bytes, c->n);
    }
  }
  free(bytes);
  if (r == TM_JOURNAL_FAILED && tm_journal_failed(j, NULL)) return 0;
  return tm_journal_end(j);
}

/* ---- taking up ------------------------------------------------------------------------------------- */

struct taken {
  unsigned char now[IMAGE_SIZE];
  char head[64];
  uint64_t epoch;
  int wrong;
};

static int64_t taken_at(struct taken *t, uint64_t offset, uint64_t n) {
  if (offset + n <= IMAGE_HALF) return (int64_t)offset;
  if (offset >= IMAGE_FAR && offset - IMAGE_FAR + n <= IMAGE_HALF) return (int64_t)(offset - IMAGE_FAR) + IMAGE_HALF;
  t->wrong++;
  return -1;
}

static int taken_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  struct taken *t = ctx;
  int64_t at = taken_at(t, offset, (uint64_t)n);

  (void)err;
  if (at >= 0) memcpy(t->now + at, bytes, (size_t)n);
  return 0;
}

static int taken_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  struct taken *t = ctx;
  int64_t at = taken_at(t, offset, n);

  (void)err;
  if (at >= 0) memset(t->now + at, 0, (size_t)n);
  return 0;
}

static int taken_head(void *ctx, uint64_t epoch, const void *head, int64_t n, struct tm_err *err) {
  struct taken *t = ctx;

  (void)err;
  t->epoch = epoch;
  snprintf(t->head, sizeof t->head, "%.*s", (int)n, (const char *)head);
  return 0;
}

/* Takes the folder up: 0 and it is compared with the oracle (t->wrong), or -1 with err. */
static int image_load(struct image *m, const struct tm_data_dir *d, struct taken *t, uint64_t *snapshot, struct tm_journal_scan *scan,
                      struct tm_err *err) {
  const struct tm_data_load to = { .ctx = t, .bytes = taken_bytes, .zero = taken_zero, .head = taken_head };
  uint64_t epoch;
  char head[64];

  memset(t, 0, sizeof *t);
  if (tm_data_load(d, &to, &epoch, snapshot, scan, err) != 0) return -1;
  if (epoch != t->epoch || epoch > IMAGE_EPOCHS) {
    t->wrong++;
    return 0;
  }
  image_replay(m, epoch);
  snprintf(head, sizeof head, "head of %" PRIu64 "%.*s", epoch, (int)(epoch % 30), "..............................");
  if (epoch == 0) head[0] = '\0';
  t->wrong += memcmp(t->now, m->now, sizeof m->now) != 0 || strcmp(head, t->head) != 0;
  return 0;
}

/* Opens the folder, with meta: 0 or -1 with err. */
static int image_folder(struct disk *disk, struct tm_data_dir *d, struct tm_err *err) {
  if (tm_data_dir_open(d, disk_io(disk), IMAGE_DIR, TM_DATA_USE, err) != 0) return -1;
  if (d->has_meta || tm_data_dir_meta_write(d, 0x200000000000, 77, "caller", 6, err) == 0) return 0;
  tm_data_dir_close(d);
  return -1;
}

#endif
