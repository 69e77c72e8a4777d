/* test_journal_rare.c - turns of a journal that the other tests do not come to: segments larger than what is read at a time, a fault at each of their
 * calls; many dropped epochs, many segments; segments of another size; names that are none; what a repair keeps of odd folders; a pause. */
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include "../../host/durable/journal_core.h"
#include "../../host/durable/snapshot_core.h"
#include "journal_run.h"

static struct put_list list;
static struct tm_err err;

static void rounds(struct tm_journal *j) {
  while (tm_journal_step(j) > 0) {}
}

/* A journal with epochs of so many bytes; closed in order or left. */
static void fill(struct disk *d, const struct tm_journal_options *o, uint64_t from, uint64_t to, int64_t n, int closed) {
  uint64_t x = 9 + from;
  struct got g;
  struct tm_journal *j = run_open(d, o, &list, &g, &err);

  CHECK(j != NULL && g.wrong == 0 && g.last == from - 1, "%s, epoch %" PRIu64, err.detail, g.last);
  for (uint64_t e = from; e <= to; e++) {
    CHECK(run_put(j, &list, &x, n, e) == e, "put");
    rounds(j);
  }
  if (closed) CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  else tm_journal_abandon(j);
}

/* What is tried on a copy: 1 done, 0 refused with words. */
typedef int deed(struct disk *d);
static struct tm_journal_options deed_options;
static uint64_t deed_last;

static int take_up(struct disk *d) {
  struct tm_journal_options o = deed_options;
  struct got g;

  o.io = disk_io(d);
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  CHECK(j == NULL || (g.wrong == 0 && g.last == deed_last), "epoch %" PRIu64 " of %" PRIu64, g.last, deed_last);
  if (j == NULL) return 0;
  tm_journal_abandon(j);
  return 1;
}

/* Each call and each allocation of it fails once: words, or done; nothing is left open, and it is done without the fault. */
static void faults(const struct disk *start, deed *what, const char *name) {
  static const int codes[] = { EIO, ENOMEM };
  struct disk *d = disk_copy(start);
  int64_t calls[2] = { -disk_calls(d, 0), -disk_calls(d, 1) };
  int refused = 0;

  CHECK(what(d), "%s: %s", name, err.detail);
  for (int i = 0; i < 2; i++) calls[i] += disk_calls(d, i);
  disk_free(d);
  for (int memory = 0; memory < 2; memory++) {
    for (int64_t i = 0; i < calls[memory]; i++) {
      d = disk_copy(start);
      disk_fault_set(d, memory, i, codes[memory]);
      memset(&err, 0, sizeof err);
      if (!what(d)) {
        refused++;
        CHECK(err.detail[0] != '\0', "%s: call %" PRId64 ": an error without words", name, i);
      }
      CHECK(disk_fault_met(d), "%s: call %" PRId64 " did not happen", name, i);
      disk_fault_clear(d);
      CHECK(disk_memory_used(d) == 0 && disk_descriptors_used(d) == 0, "%s: call %" PRId64 " leaves something", name, i);
      CHECK(what(d), "%s: behind the failure of call %" PRId64 ": %s", name, i, err.detail);
      disk_free(d);
    }
  }
  CHECK(refused > 3, "%s: %d of %" PRId64 " refused", name, refused, calls[0] + calls[1]);
}

/* Segments of some MiB, frames of 1 MiB: read in several windows, copied in several writes. */
static void large(void) {
  struct disk *d = run_disk(2), *c;
  struct tm_journal_options o = run_options(d, 8 << 20);
  struct tm_journal_scan scan;
  int64_t n;

  deed_options = run_options(d, 8 << 20);
  deed_last = 5;
  fill(d, &o, 1, 5, 1300000, 0);
  disk_kill(d);
  faults(d, take_up, "a large tail");
  /* damage at the front of it: what lies behind is looked at until one tells */
  c = disk_copy(d);
  disk_file_remove(c, RUN_DIR "/durable");
  disk_file(c, RUN_DIR "/journal.0000000000000001", &n)[200] ^= 1;
  CHECK(tm_journal_scan(disk_io(c), RUN_DIR, RUN_ID, &scan, &err) == 0 && scan.damaged, "damaged");
  tm_journal_scan_fini(disk_io(c), &scan);
  disk_free(c);
  disk_free(d);
  put_list_free(&list);
}

/* Many epochs that never ended, each in a life of its own. */
static void dropped(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 1 << 20);
  struct tm_journal_scan scan;
  struct got g;
  uint64_t x = 4;

  for (uint64_t e = 1; e <= 20; e++) {
    struct tm_journal *j = run_open(d, &o, &list, &g, &err);

    CHECK(j != NULL && g.last == e - 1 && g.wrong == 0, "life %" PRIu64 ": %s", e, err.detail);
    CHECK(run_put(j, &list, &x, 50, e) == e && tm_journal_begin(j) == TM_JOURNAL_OK, "begun");
    for (int i = 0; i < 3; i++) CHECK(tm_journal_put(j, list.bytes[e], 50) == TM_JOURNAL_OK, "put");
    unsigned char *more = calloc(1, 600 << 10);
    CHECK(tm_journal_put(j, more, e == 1 ? 600 << 10 : 1000) == TM_JOURNAL_OK, "put");
    free(more);
    rounds(j);
    CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  }
  CHECK(run_recover(d, &list, 0, &g, &scan, &err) == 0 && g.wrong == 0 && g.last == 20, "%s", err.detail);
  tm_journal_scan_fini(disk_io(d), &scan);
  disk_free(d);
  put_list_free(&list);
}

/* One life with many epochs that are begun and written in part, each followed by a mark: as lists of them grow. */
static void dropped_frames(void) {
  enum { SEGMENT = 1 << 20, LIVES = 40 };
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, SEGMENT);
  struct tm_journal_scan scan;
  struct got g;
  uint64_t x = 4;
  unsigned char *more = calloc(1, 400 << 10);

  o.frame_max = 1000;
  for (uint64_t e = 1; e <= LIVES; e++) {
    struct tm_journal *j = run_open(d, &o, &list, &g, &err);

    CHECK(j != NULL && g.last == e - 1 && g.wrong == 0, "life %" PRIu64 ": %s", e, err.detail);
    CHECK(run_put(j, &list, &x, 50, e) == e && tm_journal_begin(j) == TM_JOURNAL_OK && tm_journal_put(j, more, 5000) == TM_JOURNAL_OK, "begun");
    rounds(j);
    CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  }
  free(more);
  CHECK(run_recover(d, &list, 0, &g, &scan, &err) == 0 && g.wrong == 0 && g.last == LIVES && scan.dropped_n == LIVES, "%s, %" PRId64 " dropped", err.detail,
        scan.dropped_n);
  tm_journal_scan_fini(disk_io(d), &scan);
  disk_free(d);
  put_list_free(&list);
}

/* ---- old segments ------------------------------------------------------------------------------------------ */

static int release(struct disk *d) {
  struct tm_journal_options o = deed_options;
  struct got g;

  o.io = disk_io(d);
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  if (j == NULL) return 0;
  for (uint64_t e = 2; e <= deed_last; e += 3) {
    tm_journal_release(j, e);
    tm_journal_has_work(j);
    while (tm_journal_step(j) > 0) {}
  }
  int r = tm_journal_failed(j, &err) ? 0 : 1;
  tm_journal_abandon(j);
  return r;
}

/* With a fault at each call; what was released may be gone then. */
static void releases(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  int64_t n;

  deed_options = o;
  deed_last = 40;
  fill(d, &o, 1, 40, 1800, 0);
  disk_kill(d);
  disk_file_remove(d, RUN_DIR "/durable");
  int64_t calls = -disk_calls(d, 0);
  struct disk *c = disk_copy(d);
  CHECK(release(c), "%s", err.detail);
  calls = disk_calls(c, 0);
  disk_free(c);
  int refused = 0;
  for (int64_t i = 0; i < calls; i++) {
    c = disk_copy(d);
    disk_fault_set(c, 0, i, EIO);
    memset(&err, 0, sizeof err);
    if (!release(c)) refused += err.detail[0] != '\0';
    CHECK(disk_fault_met(c), "call %" PRId64 " did not happen", i);
    disk_fault_clear(c);
    CHECK(disk_memory_used(c) == 0 && disk_descriptors_used(c) == 0, "something is left");
    disk_free(c);
  }
  CHECK(refused > 10, "%d refused", refused);
  /* no memory for a longer list of segments */
  int failed = 0;
  for (int64_t i = 0; i < 60; i++) {
    struct tm_journal_options p = o;
    struct put_list mine = { { NULL }, { 0 } };
    struct got g;
    uint64_t x = 3;

    c = run_disk(5);
    p.io = disk_io(c);
    struct tm_journal *j = run_open(c, &p, &mine, &g, &err);
    disk_fault_set(c, 1, i, ENOMEM);
    for (uint64_t e = 1; e <= 30 && run_put(j, &mine, &x, 3000, e) == e && tm_journal_step(j) >= 0; e++) {}
    failed += tm_journal_failed(j, &err) && strstr(err.detail, "list of segments") != NULL;
    disk_fault_clear(c);
    tm_journal_abandon(j);
    put_list_free(&mine);
    disk_free(c);
  }
  CHECK(failed > 0, "no list was refused its memory");
  /* segments of another size are not made into new ones */
  o.segment_size = 8192;
  struct got g;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  uint64_t x = 3;
  CHECK(j != NULL, "%s", err.detail);
  tm_journal_release(j, 30);
  for (uint64_t e = 41; e <= 50; e++) {
    CHECK(run_put(j, &list, &x, 3000, e) == e, "put");
    rounds(j);
  }
  CHECK(tm_journal_close(j, &err) == 0 && disk_file(d, RUN_DIR "/journal.0000000000000001", &n) == NULL, "the old ones are gone: %s", err.detail);
  disk_free(d);
  put_list_free(&list);
}

/* The next segment is made of an old one, whose frames lie in it still: with a broken head it is nothing of worth. */
static void recycled(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  struct got g;
  struct tm_journal_scan scan;
  uint64_t x = 3;
  int64_t n;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);

  for (uint64_t e = 1; e <= 12; e++) {
    CHECK(run_put(j, &list, &x, 1500, e) == e, "put");
    if (e > 3) tm_journal_release(j, e - 3);
    rounds(j);
  }
  char path[64];
  snprintf(path, sizeof path, RUN_DIR "/journal.%016" PRIx64, j->next_number);
  CHECK(j->next_fd >= 0, "prepared");
  tm_journal_abandon(j);
  disk_kill(d);
  unsigned char *p = disk_file(d, path, &n);
  CHECK(p != NULL && memcmp(p + TM_SEGMENT_HEAD, "tmJf", 4) == 0, "old frames lie in it");
  p[20] ^= 1;
  CHECK(tm_journal_scan(disk_io(d), RUN_DIR, RUN_ID, &scan, &err) == 0 && !scan.damaged && scan.epoch_last == 12, "%s", scan.damage);
  tm_journal_scan_fini(disk_io(d), &scan);
  disk_free(d);
  put_list_free(&list);
}

/* An epoch that is still being put, over several segments: those before it go, all of its own stay. */
static void long_epoch(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  struct got g;
  uint64_t x = 3;
  static unsigned char more[3000];
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);

  for (uint64_t e = 1; e <= 2; e++) {
    CHECK(run_put(j, &list, &x, 2500, e) == e, "put");
    rounds(j);
  }
  CHECK(tm_journal_begin(j) == TM_JOURNAL_OK, "begun");
  for (int i = 0; i < 8; i++) {
    CHECK(tm_journal_put(j, more, sizeof more) == TM_JOURNAL_OK, "put");
    tm_journal_release(j, 2);
    tm_journal_has_work(j);
    rounds(j);
  }
  CHECK(tm_journal_end(j) == 3, "ended");
  rounds(j);
  tm_journal_has_work(j);
  rounds(j);
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  disk_free(d);
  put_list_free(&list);
}

/* The same, released when all of them are there: those of the epoch under way, and that of the last one that ended, stay. */
static void long_epoch_released_late(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  struct got g;
  uint64_t x = 3;
  static unsigned char more[3000];
  int64_t n;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);

  rounds(j);
  CHECK(!tm_journal_has_work(j), "nothing to do");
  for (uint64_t e = 1; e <= 2; e++) {
    CHECK(run_put(j, &list, &x, 2500, e) == e, "put");
    rounds(j);
  }
  CHECK(tm_journal_begin(j) == TM_JOURNAL_OK, "begun");
  for (int i = 0; i < 6; i++) {
    CHECK(tm_journal_put(j, more, sizeof more) == TM_JOURNAL_OK, "put");
    rounds(j);
  }
  CHECK(!tm_journal_has_work(j), "nothing is released");
  for (uint64_t e = 1; e <= 2; e++) {
    tm_journal_release(j, e);
    tm_journal_has_work(j);
    rounds(j);
  }
  tm_journal_release(j, 2);
  CHECK(tm_journal_end(j) == 3, "ended");
  rounds(j);
  tm_journal_has_work(j);
  /* somebody has removed one of those that are to go */
  char path[TM_SEGMENT_PATH];
  for (uint64_t e = 4; e <= 12; e++) {
    CHECK(run_put(j, &list, &x, 2500, e) == e, "put");
    rounds(j);
  }
  for (int i = 0; i < 4; i++) {
    tm_segment_path(RUN_DIR, j->segments[i].number, path);
    if (disk_file(d, path, &n) != NULL && i > 0) disk_file_remove(d, path);
  }
  tm_journal_release(j, 12);
  CHECK(tm_journal_has_work(j), "some are to go");
  rounds(j);
  CHECK(!tm_journal_failed(j, &err), "%s", err.detail);
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  disk_free(d);
  put_list_free(&list);
}

/* Segments that are ready, and nothing in them yet: they are made anew at a start, with a fault at each call. */
static void ready_only(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  struct got g;

  deed_options = o;
  deed_last = 0;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  rounds(j);
  tm_journal_abandon(j);
  disk_kill(d);
  faults(d, take_up, "segments without a frame");
  disk_free(d);
}

/* ---- folders with other things in them ------------------------------------------------------------------------ */

static void put_file(struct disk *d, const char *path, const void *bytes, size_t n) {
  const struct tm_io *io = disk_io(d);
  int fd = io->open(io, path, O_RDWR | O_CREAT | O_TRUNC, 0600);

  CHECK(fd >= 0 && io->pwrite(io, fd, bytes, n, 0) == (int64_t)n, "%s", path);
  io->close(io, fd);
}

static void names(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  struct tm_journal_scan scan;

  put_file(d, RUN_DIR "/journal.00000000000000zz", "", 0);
  put_file(d, RUN_DIR "/journal.0000000000000000", "", 0);
  put_file(d, RUN_DIR "/journal.1", "", 0);
  fill(d, &o, 1, 3, 100, 1);
  /* a copy of the witness tells nothing */
  unsigned char bytes[64];
  int64_t n;
  memcpy(bytes, disk_file(d, RUN_DIR "/durable", &n), sizeof bytes);
  disk_file_remove(d, RUN_DIR "/durable");
  put_file(d, RUN_DIR "/durable", bytes, sizeof bytes);
  CHECK(tm_journal_scan(disk_io(d), RUN_DIR, RUN_ID, &scan, &err) == 0 && scan.segments_n <= 2 && scan.epoch_last == 3, "%" PRId64, scan.segments_n);
  CHECK(scan.witness == TM_WITNESS_COPIED, "%d", scan.witness);
  tm_journal_scan_fini(disk_io(d), &scan);
  disk_free(d);
  put_list_free(&list);
}

static int64_t longer_size(const struct tm_io *io, int fd);
static const struct tm_io *under;
static struct tm_io longer;
static int64_t longer_size(const struct tm_io *io, int fd) {
  (void)io;
  int64_t n = under->size(under, fd);
  return n > 0 ? n + 100 : n;
}
static int longer_open(const struct tm_io *io, const char *path, int flags, int mode) { (void)io; return under->open(under, path, flags, mode); }
static int longer_close(const struct tm_io *io, int fd) { (void)io; return under->close(under, fd); }
static int64_t longer_pread(const struct tm_io *io, int fd, void *p, size_t n, int64_t at) { (void)io; return under->pread(under, fd, p, n, at); }
static int longer_look(const struct tm_io *io, const char *path, struct tm_io_look *out) { (void)io; return under->look(under, path, out); }
static int longer_list(const struct tm_io *io, const char *path, int (*name)(void *ctx, const char *name), void *ctx) {
  (void)io;
  return under->list(under, path, name, ctx);
}
static void *longer_memory(const struct tm_io *io, void *p, size_t n) { (void)io; return under->memory(under, p, n); }

/* A file that became shorter between two looks at it. */
static void shorter(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  struct tm_journal_scan scan;

  fill(d, &o, 1, 3, 700, 1);
  under = disk_io(d);
  longer = (struct tm_io){ .open = longer_open, .close = longer_close, .pread = longer_pread, .size = longer_size, .look = longer_look,
                           .list = longer_list, .memory = longer_memory };
  CHECK(tm_journal_scan(&longer, RUN_DIR, RUN_ID, &scan, &err) == 0 && scan.epoch_last == 3, "%s", err.detail);
  tm_journal_scan_fini(under, &scan);
  disk_file_cut(d, RUN_DIR "/journal.0000000000000001", 30);
  CHECK(tm_journal_scan(&longer, RUN_DIR, RUN_ID, &scan, &err) == 0 && scan.epoch_last < 3, "%s", err.detail);
  tm_journal_scan_fini(under, &scan);
  disk_free(d);
  put_list_free(&list);
}

/* ---- repairs --------------------------------------------------------------------------------------------------- */

/* A snapshot of that epoch, which holds nothing. */
static struct tm_snapshot snapshot_put(struct disk *d, uint64_t epoch) {
  const struct tm_io *io = disk_io(d);
  char name[TM_SNAPSHOT_NAME], path[TM_SNAPSHOT_PATH];
  struct tm_snapshot s = { .epoch = epoch };
  struct tm_snapshot_writer w;

  CHECK(tm_snapshot_writer_open(&w, io, RUN_DIR, RUN_ID, epoch, 0, &err) == 0 && tm_snapshot_writer_end(&w, &s, &err) == 0, "%s", err.detail);
  CHECK(io->rename(io, w.path, tm_data_path(RUN_DIR, tm_snapshot_name(epoch, name), path)) == 0, "%s", path);
  tm_snapshot_writer_close(&w);
  return s;
}

static int repair(struct disk *d, struct tm_journal_loss *loss) {
  int r = tm_journal_repair(disk_io(d), RUN_DIR, RUN_ID, 1, loss, &err);

  CHECK(r == 0, "%s", err.detail);
  return r == 0;
}

/* Starts again behind a repair: the last epoch. */
static uint64_t starts(struct disk *d, uint64_t after) {
  struct tm_journal_options o = run_options(d, 4096);
  struct tm_journal_scan scan;
  struct got g;

  if (run_recover(d, &list, after, &g, &scan, &err) != 0) return UINT64_MAX;
  struct tm_journal *j = tm_journal_open(&o, &scan, after, &err);
  uint64_t last = scan.epoch_last;
  tm_journal_scan_fini(disk_io(d), &scan);
  if (j == NULL || g.wrong != 0) return UINT64_MAX;
  tm_journal_abandon(j);
  return last;
}

/* Epochs behind a mark that are damaged from the first on: what is left is the mark, at the snapshot's epoch. */
static void goes_on(struct disk *d, uint64_t after) {
  struct tm_journal_options o = run_options(d, 4096);
  struct tm_journal_scan scan;
  struct tm_journal_loss loss;
  struct got g;
  uint64_t x = 8;
  int64_t n;

  CHECK(run_recover(d, &list, after, &g, &scan, &err) == 0, "%s", err.detail);
  struct tm_journal *j = tm_journal_open(&o, &scan, after, &err);
  tm_journal_scan_fini(disk_io(d), &scan);
  for (uint64_t e = after + 1; e <= after + 6; e++) {
    CHECK(run_put(j, &list, &x, 1500, e) == e, "put");
    rounds(j);
  }
  char path[TM_SEGMENT_PATH];
  tm_segment_path(RUN_DIR, j->segments[0].number, path);
  tm_journal_abandon(j);
  disk_kill(d);
  disk_file(d, path, &n)[TM_SEGMENT_HEAD + TM_FRAME_HEAD + 100] ^= 1;  /* of the first frame behind the mark */
  CHECK(repair(d, &loss) && loss.damaged && loss.kept == after && loss.lost >= after, "%s, %" PRIu64, loss.what, loss.kept);
  CHECK(starts(d, after) == after, "%s", err.detail);
}

static struct disk *with_snapshots(struct tm_snapshot_list *snapshots, int n) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);

  fill(d, &o, 1, 20, 1500, 1);
  snapshots->n = n > TM_SNAPSHOT_KEPT ? TM_SNAPSHOT_KEPT : n;
  for (int i = 0; i < n; i++) {
    struct tm_snapshot s = snapshot_put(d, (uint64_t)(12 - 4 * i));

    if (i < TM_SNAPSHOT_KEPT) snapshots->kept[i] = s;
  }
  CHECK(tm_snapshot_list_write(disk_io(d), RUN_DIR, RUN_ID, snapshots, &err) == 0, "%s", err.detail);
  disk_kill(d);
  return d;
}

static void repairs(void) {
  struct tm_snapshot_list snapshots, found;
  struct tm_journal_loss loss;
  char path[64];
  int64_t n;

  /* a snapshot is damaged and the manifest is not: it goes out of the list */
  struct disk *d = with_snapshots(&snapshots, 2);
  disk_file(d, RUN_DIR "/snapshot.000000000000000c", &n)[30] ^= 1;
  CHECK(repair(d, &loss) && loss.manifest, "%s", loss.what);
  CHECK(tm_snapshot_list_read(disk_io(d), RUN_DIR, RUN_ID, &found, &err) == 0 && found.n == 1 && found.kept[0].epoch == 8, "the older one");
  CHECK(starts(d, 8) == 20, "%s", err.detail);
  disk_free(d);

  /* three are whole, the manifest is not: the newest two are named */
  d = with_snapshots(&snapshots, 3);
  disk_file(d, RUN_DIR "/manifest", &n)[30] ^= 1;
  CHECK(repair(d, &loss) && loss.manifest, "%s", loss.what);
  CHECK(tm_snapshot_list_read(disk_io(d), RUN_DIR, RUN_ID, &found, &err) == 0 && found.n == 2 && found.kept[0].epoch == 12, "the newest");
  disk_free(d);

  /* all segments are gone: the snapshot alone is kept */
  d = with_snapshots(&snapshots, 1);
  for (int i = 1; i < 40; i++) {
    snprintf(path, sizeof path, RUN_DIR "/journal.%016x", (unsigned)i);
    if (disk_file(d, path, &n) != NULL) disk_file_remove(d, path);
  }
  CHECK(repair(d, &loss) && loss.damaged && loss.kept == 12, "%s", loss.what);
  CHECK(starts(d, 12) == 12, "%s", err.detail);
  /* that journal has a mark and no epoch: without the snapshot it goes on from nothing */
  struct disk *c = disk_copy(d);
  goes_on(c, 12);
  disk_free(c);
  disk_file_remove(d, RUN_DIR "/manifest");
  disk_file_remove(d, RUN_DIR "/snapshot.000000000000000c");
  CHECK(starts(d, 0) == UINT64_MAX && strcmp(err.id, "journal-short") == 0, "%s", err.detail);
  CHECK(repair(d, &loss) && loss.damaged && loss.kept == 0 && strstr(loss.what, "does not go on from epoch 0") != NULL, "%s", loss.what);
  disk_free(d);

  /* the first segments are gone, and there is no snapshot */
  d = with_snapshots(&snapshots, 1);
  disk_file_remove(d, RUN_DIR "/manifest");
  disk_file_remove(d, RUN_DIR "/snapshot.000000000000000c");
  disk_file_remove(d, RUN_DIR "/journal.0000000000000001");
  CHECK(starts(d, 0) == UINT64_MAX && strcmp(err.id, "journal-short") == 0, "%s", err.detail);
  CHECK(repair(d, &loss) && loss.damaged && strstr(loss.what, "does not go on from epoch 0") != NULL, "%s", loss.what);
  disk_free(d);

  /* the first segment is damaged from its first frame on, or is not of a size that segments have */
  for (int how = 0; how < 3; how++) {
    d = with_snapshots(&snapshots, 0);
    if (how == 0) disk_file(d, RUN_DIR "/journal.0000000000000001", &n)[70] ^= 1;
    if (how == 1) disk_file_cut(d, RUN_DIR "/journal.0000000000000001", 100);
    if (how == 2) {
      disk_file(d, RUN_DIR "/journal.0000000000000002", &n)[70] ^= 1;
      disk_file_cut(d, RUN_DIR "/journal.0000000000000001", 65 << 20);
    }
    CHECK(repair(d, &loss) && loss.damaged && loss.kept < 20, "%s", loss.what);
    CHECK(repair(d, &loss) && !loss.damaged, "once is enough: %s", loss.what);
    disk_free(d);
  }

  /* one segment, of which the first frame is broken: nothing of it is left */
  struct tm_journal_options o = run_options(d = run_disk(4), 1 << 20);
  put_list_free(&list);
  fill(d, &o, 1, 4, 500, 0);
  disk_kill(d);
  disk_file(d, RUN_DIR "/journal.0000000000000001", &n)[70] ^= 1;
  CHECK(repair(d, &loss) && loss.damaged && loss.kept == 0, "%s", loss.what);
  disk_free(d);
  put_list_free(&list);
}

/* ---- a pause, and a failure that is told twice -------------------------------------------------------------------- */

static void pauses(void) {
  char dir[] = "/tmp/test_journal_rare.XXXXXX", command[300];
  struct tm_journal_options o = { .io = &tm_io_real, .dir = dir, .id = RUN_ID, .segment_size = 1 << 20 };
  struct tm_journal_scan scan;
  struct tm_err second = { .detail = "second" };
  uint64_t x = 3;
  int fds[8];

  CHECK(mkdtemp(dir) != NULL && tm_journal_scan(&tm_io_real, dir, RUN_ID, &scan, &err) == 0, "%s", err.detail);
  struct tm_journal *j = tm_journal_open(&o, &scan, 0, &err);
  tm_journal_scan_fini(&tm_io_real, &scan);
  CHECK(j != NULL && tm_journal_fds(j, fds, 8) == 1, "one descriptor");
  CHECK(tm_journal_start(j, &err) == 0 && run_put(j, &list, &x, 100, 1) == 1 && tm_journal_wait(j) == TM_JOURNAL_OK, "%s", err.detail);
  tm_journal_pause(j);
  tm_journal_pause(j);
  int n = tm_journal_fds(j, fds, 8);
  CHECK(n >= 3 && n <= 4 && tm_journal_fds(j, fds, 2) == 2, "%d descriptors", n);
  CHECK(tm_journal_start(j, &err) == 0 && run_put(j, &list, &x, 100, 2) == 2 && tm_journal_wait(j) == TM_JOURNAL_OK, "%s", err.detail);
  tm_err_set(&err, 1, "first", "first");
  tm_journal_fail(j, &err);
  tm_journal_fail(j, &second);
  CHECK(tm_journal_close(j, &second) == -1 && strcmp(second.id, "first") == 0, "the first is told");
  snprintf(command, sizeof command, "rm -r %s", dir);
  CHECK(system(command) == 0, "removed");
  put_list_free(&list);
}

/* Two epochs while nobody writes: the block is not begun anew between them. */
static void unwritten(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  struct got g;
  uint64_t x = 3;

  o.buffered_max = 1;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  for (uint64_t e = 1; e <= 2; e++) CHECK(run_put(j, &list, &x, 30, e) == e, "put");
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  disk_free(d);
  put_list_free(&list);
}

int main(void) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  large();
  dropped();
  dropped_frames();
  releases();
  recycled();
  long_epoch();
  long_epoch_released_late();
  ready_only();
  names();
  shorter();
  repairs();
  pauses();
  unwritten();
  return unit_end("test_journal_rare");
}
