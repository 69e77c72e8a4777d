/* test_journal_cuts.c - a journal of more than 64 KiB in several segments, cut at every byte, and with every bit flipped.
 *
 * Where an epoch ends is known from outside: after each one's sync the last byte on the disk that is not zero is its last (epochs
 * are made so). A cut must give exactly the epochs that end before it, where nothing beside the journal tells of more (as after a loss of
 * power), and must be refused where the file 'durable' does. A flipped bit must be refused where it is in something
 * that was acknowledged and more lies behind, and must not matter where nothing was written. */
#include <malloc.h>

#include "../../host/durable/witness.h"
#include "journal_run.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

/* Each flip reads all of the journal twice, so the work grows by the square of its length: under a sanitizer the flips are those of every
 * bit of a shorter one. TM_CUTS=small: of a short one always; large: of one four times as long, which takes many minutes. */
struct size { uint64_t epochs; int64_t segment; };
static const struct size small = { 120, 5120 }, usual = { 400, 12288 }, large = { 1600, 49152 };
#ifdef SANITIZED
enum { FLIPS_SMALL = 1 };
#else
enum { FLIPS_SMALL = 0 };
#endif
static struct size size;
enum { EPOCHS_MAX = 1600, SEGMENTS_MAX = 16 };

static struct put_list list;
static struct { int segment; int64_t at; } ends[EPOCHS_MAX + 1];
static char paths[SEGMENTS_MAX][64];
static int segments_n;

/* The last byte of all that is not zero, behind the segments' heads. */
static void last_byte(struct disk *d, int *segment, int64_t *at) {
  *segment = 0;
  *at = 64;
  for (int s = 0; s < SEGMENTS_MAX; s++) {
    char path[64];
    int64_t n = 0;
    unsigned char *p;

    snprintf(path, sizeof path, RUN_DIR "/journal.%016x", (unsigned)s + 1);
    p = disk_file(d, path, &n);
    if (p == NULL) break;
    snprintf(paths[s], sizeof paths[s], "%s", path);
    segments_n = s + 1;
    while (n > 64 && p[n - 1] == 0) n--;
    if (n > 64) {
      *segment = s;
      *at = n;
    }
  }
}

static struct disk *journal_make(int closed) {
  struct disk *d = run_disk(11);
  struct tm_journal_options o = run_options(d, size.segment);
  struct tm_err err;
  struct got g;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  uint64_t x = 4242;

  TM_ASSERT(j != NULL);
  for (uint64_t e = 1; e <= size.epochs; e++) {
    int64_t n = e % 40 == 0 ? 7000 : (int64_t)(run_random(&x) % 350);
    static const unsigned char end = 0xff;

    TM_ASSERT(run_put(j, &list, &x, 0, e) == e);
    while (tm_journal_step(j) > 0) {}
    e++;
    tm_journal_begin(j);
    list.bytes[e] = malloc((size_t)n + 1);
    for (int64_t i = 0; i < n; i++) list.bytes[e][i] = (unsigned char)(run_random(&x) >> 24);
    list.bytes[e][n] = end;
    list.n[e] = n + 1;
    tm_journal_put(j, list.bytes[e], n + 1);
    TM_ASSERT(tm_journal_end(j) == e);
    while (tm_journal_step(j) > 0) {}
    last_byte(d, &ends[e].segment, &ends[e].at);
  }
  if (closed) TM_ASSERT(tm_journal_close(j, &err) == 0);
  else tm_journal_abandon(j);
  disk_kill(d);
  disk_sync_all(d);
  return d;
}

/* What goes on behind a cut: opened, more put, all there. */
static void go_on(const struct disk *cut, uint64_t last) {
  struct disk *d = disk_copy(cut);
  struct tm_journal_options o = run_options(d, size.segment);
  struct put_list more = list;
  struct tm_err err;
  struct got g;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  uint64_t x = 6;

  CHECK(j != NULL && g.last == last, "opens behind epoch %" PRIu64, last);
  if (j == NULL) return;
  for (int i = 1; i < 4; i++) more.bytes[last + (uint64_t)i] = NULL;
  for (int i = 1; i < 4; i++) run_put(j, &more, &x, 3000, last + (uint64_t)i);
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  struct tm_journal_scan scan;
  CHECK(run_recover(d, &more, 0, &g, &scan, &err) == 0 && g.wrong == 0 && g.last == last + 3 && scan.closed, "all is there");
  tm_journal_scan_fini(disk_io(d), &scan);
  for (int i = 1; i < 4; i++) free(more.bytes[last + (uint64_t)i]);
  disk_free(d);
}

static void test_cuts(void) {
  struct disk *d = journal_make(0);
  disk_file_remove(d, RUN_DIR "/durable");
  int64_t cuts = 0, wrong = 0, n = 0;
  uint64_t last = size.epochs;
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g;

  for (int s = segments_n - 1; s >= 0; s--) {
    disk_file(d, paths[s], &n);
    for (int64_t at = n; at >= 0; at--) {
      int r;

      disk_file_cut(d, paths[s], at);
      while (last > 0 && (ends[last].segment > s || (ends[last].segment == s && ends[last].at > at))) last -= 2;
      r = run_recover(d, &list, 0, &g, &scan, &err);
      /* an odd epoch is empty: its end is not seen from outside, so it may be there without the even one behind it */
      if (r != 0 || g.wrong != 0 || g.now != 0 || (g.last != last && !(g.last == last + 1 && last % 2 == 0))) {
        if (wrong++ == 0) CHECK(0, "segment %d cut at %" PRId64 ": %s, last %" PRIu64 " for %" PRIu64, s, at, r != 0 ? err.detail : "", g.last, last);
      }
      if (r == 0) tm_journal_scan_fini(disk_io(d), &scan);
      if (cuts++ % 1009 == 0) go_on(d, g.last);
    }
    disk_file_remove(d, paths[s]);
  }
  CHECK(wrong == 0 && cuts > (size.epochs == small.epochs ? 20000 : 65536) && last == 0, "%" PRId64 " of %" PRId64 " cuts wrong", wrong, cuts);
  disk_free(d);
  put_list_free(&list);
}

/* Everything was durable, and the file beside the journal says so: no part of the end can go without a word. */
static void test_witness(void) {
  struct disk *d = journal_make(0), *old = NULL;
  int64_t cuts = 0, wrong = 0, n = 0;
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g;

  for (int s = segments_n - 1; s >= 0; s--) {
    disk_file(d, paths[s], &n);
    for (int64_t at = n; at >= 0; at -= 7) {
      int whole = s > ends[size.epochs].segment || (s == ends[size.epochs].segment && at >= ends[size.epochs].at), r;

      disk_file_cut(d, paths[s], at);
      r = run_recover(d, &list, 0, &g, &scan, &err);
      if (r == 0) tm_journal_scan_fini(disk_io(d), &scan);
      /* of a journal of which nothing is left whoever takes it up says so */
      if ((r == 0 && g.last > 0) != whole || (r != 0 && strcmp(err.id, "journal-damaged") != 0)) wrong++;
      cuts++;
    }
    if (s == segments_n / 2) old = disk_copy(d);
    disk_file_remove(d, paths[s]);
  }
  CHECK(wrong == 0 && cuts > 1000, "%" PRId64 " of %" PRId64 " cuts were not seen", wrong, cuts);

  /* given up by a repair, it goes on, and a loss of power does not bring back what was told before */
  struct tm_journal_loss loss;
  CHECK(tm_journal_repair(disk_io(old), RUN_DIR, RUN_ID, 1, &loss, &err) == 0 && loss.damaged && loss.lost == size.epochs, "repaired: %s", loss.what);
  disk_power_off_after(old, 0);
  disk_io(old)->mkdir(disk_io(old), "/x", 0700);
  disk_power_on(old);
  CHECK(run_recover(old, &list, 0, &g, &scan, &err) == 0 && g.wrong == 0 && g.last == loss.kept && loss.kept < size.epochs, "%s", err.detail);
  CHECK(scan.witness == TM_WITNESS_WHOLE, "there is one again");
  tm_journal_scan_fini(disk_io(old), &scan);
  disk_free(old);
  disk_free(d);
  put_list_free(&list);
}

/* Whatever bit of it is wrong, or byte missing: it tells nothing, and does no harm; the next run makes it anew. */
static void test_witness_flips(void) {
  struct disk *d = journal_make(0);
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g;
  int64_t n = 0, wrong = 0;
  unsigned char *p = disk_file(d, RUN_DIR "/durable", &n);

  CHECK(n == 64, "%" PRId64 " bytes", n);
  for (int64_t bit = 0; bit < n * 8; bit++) {
    p[bit / 8] ^= (unsigned char)(1 << bit % 8);
    if (run_recover(d, &list, 0, &g, &scan, &err) != 0 || g.last != size.epochs || scan.witness != TM_WITNESS_BROKEN) wrong++;
    tm_journal_scan_fini(disk_io(d), &scan);
    p[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
  disk_file_cut(d, RUN_DIR "/durable", 63);
  if (run_recover(d, &list, 0, &g, &scan, &err) != 0 || scan.witness != TM_WITNESS_BROKEN) wrong++;
  struct tm_journal_options o = run_options(d, size.segment);
  struct tm_journal *j = tm_journal_open(&o, &scan, 0, &err);
  tm_journal_scan_fini(disk_io(d), &scan);
  CHECK(j != NULL && wrong == 0, "%" PRId64 " wrong", wrong);
  tm_journal_abandon(j);
  CHECK(run_recover(d, &list, 0, &g, &scan, &err) == 0 && scan.witness == TM_WITNESS_WHOLE, "made anew");
  tm_journal_scan_fini(disk_io(d), &scan);
  disk_free(d);
  put_list_free(&list);
}

/* A segment that is cut while later ones are there: damage, wherever frames were. */
static void test_holes(void) {
  struct disk *d = journal_make(1);
  int last_segment = ends[size.epochs].segment, wrong = 0;
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g;

  for (int s = 0; s < last_segment; s++) {
    int64_t n = 0;

    disk_file(d, paths[s], &n);
    for (int64_t at = 0; at < n - 3000; at += 13) {
      struct disk *c = disk_copy(d);

      disk_file_cut(c, paths[s], at);
      if (run_recover(c, &list, 0, &g, &scan, &err) == 0) {
        wrong++;
        tm_journal_scan_fini(disk_io(c), &scan);
      }
      disk_free(c);
    }
    struct disk *c = disk_copy(d);
    disk_file_remove(c, paths[s]);
    CHECK(run_recover(c, &list, 0, &g, &scan, &err) == -1, "segment %d is missing", s);
    disk_free(c);
  }
  CHECK(wrong == 0, "%d holes were not seen", wrong);
  disk_free(d);
  put_list_free(&list);
}

static void test_flips(void) {
  struct disk *d = journal_make(1);
  int64_t flips = 0, refused = 0, wrong = 0, n = 0;
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g;

  for (int s = 0; s < segments_n; s++) {
    unsigned char *p = disk_file(d, paths[s], &n);
    int64_t used = n;

    while (used > 0 && p[used - 1] == 0) used--;
    for (int64_t at = 0; at < n; at++) {
      /* of what was never written one bit a byte */
      for (int bit = 0; bit < (at < used ? 8 : 1); bit++) {
        int mark = s == ends[size.epochs].segment && at >= ends[size.epochs].at, nothing = at >= used || s > ends[size.epochs].segment, r, bad;

        p[at] ^= (unsigned char)(1 << bit);
        r = run_recover(d, &list, 0, &g, &scan, &err);
        p[at] ^= (unsigned char)(1 << bit);
        flips++;
        refused += r != 0;
        if (r == 0) tm_journal_scan_fini(disk_io(d), &scan);
        bad = g.wrong != 0 || g.now != 0 || (r == 0) != (mark || nothing) || (r == 0 && g.last != size.epochs);
        if (bad && wrong++ == 0)
          CHECK(0, "segment %d byte %" PRId64 " bit %d: %s, last %" PRIu64, s, at, bit, r != 0 ? err.detail : "taken", g.last);
      }
    }
  }
  CHECK(wrong == 0, "%" PRId64 " of %" PRId64 " flips", wrong, flips);
  CHECK(refused > (int64_t)size.epochs * 1200 && segments_n > 2, "%" PRId64 " of %" PRId64 " refused", refused, flips);
  disk_free(d);
  put_list_free(&list);
}

int main(void) {
  const char *wanted = getenv("TM_CUTS") != NULL ? getenv("TM_CUTS") : "";

  /* buffers of megabytes come and go thousands of times: pages are kept */
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  size = strcmp(wanted, "large") == 0 ? large : strcmp(wanted, "small") == 0 ? small : usual;
  test_cuts();
  test_witness();
  test_witness_flips();
  test_holes();
  if (FLIPS_SMALL && strcmp(wanted, "large") != 0) size = small;
  test_flips();
  return unit_end("test_journal_cuts");
}
