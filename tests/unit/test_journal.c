/* test_journal.c - the journal on a whole disk: what was put comes back, in order; rolling, recycling, room, marks, the thread.
 * The oracle is the list of what was put (journal_run.h). */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "journal_run.h"

static struct put_list list;

static int files_count(const struct disk *d, const char *prefix) {
  int n = 0;

  for (int64_t i = 0; disk_name(d, i) != NULL; i++) n += strncmp(disk_name(d, i), prefix, strlen(prefix)) == 0;
  return n;
}

/* Epochs of all sizes around the borders of frames and segments, several lives. */
static void test_lives(void) {
  struct disk *d = run_disk(1);
  struct tm_journal_options o = run_options(d, 8192);
  uint64_t x = 99, epoch = 0;
  struct tm_err err;
  struct got g;

  for (int life = 0; life < 6; life++) {
    struct tm_journal *j = run_open(d, &o, &list, &g, &err);

    CHECK(j != NULL, "life %d: %s", life, err.detail);
    if (j == NULL) return;
    CHECK(g.wrong == 0 && g.last == epoch && g.now == 0, "life %d: %d wrong, last %" PRIu64, life, g.wrong, g.last);
    for (int i = 0; i < 60; i++) {
      static const int64_t sizes[] = { 0, 1, 100, 2047, 2048, 2049, 4096, 9000, 30000, 64 };
      uint64_t e = run_put(j, &list, &x, sizes[run_random(&x) % 10], epoch + 1);

      CHECK(e == epoch + 1, "epoch %" PRIu64 " is %" PRIu64, epoch + 1, e);
      epoch = e;
      if (run_random(&x) % 3 == 0) {
        while (tm_journal_step(j) > 0) {}
        CHECK(tm_journal_synced(j) == epoch, "synced after the rounds");
      }
    }
    if (life % 2 == 0) {
      CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
    } else {
      while (tm_journal_step(j) > 0) {}
      tm_journal_abandon(j);
      disk_kill(d);
    }
    CHECK(disk_memory_used(d) == 0 && disk_descriptors_used(d) == 0, "life %d: nothing is left open", life);
  }
  struct tm_journal_scan scan;
  CHECK(run_recover(d, &list, 100, &g, &scan, &err) == 0 && g.wrong == 0 && g.last == epoch, "from 100 on: %s", err.detail);
  CHECK(scan.epoch_first == 1 && scan.epoch_last == epoch && !scan.closed, "the scan's numbers");
  tm_journal_scan_fini(disk_io(d), &scan);
  disk_free(d);
  put_list_free(&list);
}

/* A journal that is closed within an epoch drops it, and the same number is put again. */
static void test_unfinished(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  uint64_t x = 5;
  char junk[20000];
  struct tm_err err;
  struct got g;

  memset(junk, 'j', sizeof junk);
  for (uint64_t life = 0; life < 8; life++) {
    struct tm_journal *j = run_open(d, &o, &list, &g, &err);

    CHECK(j != NULL && g.last == 2 * life && g.wrong == 0, "life %" PRIu64 ": %s", life, j == NULL ? err.detail : "epochs");
    if (j == NULL) break;
    run_put(j, &list, &x, 500, 2 * life + 1);
    run_put(j, &list, &x, 5000, 2 * life + 2);
    CHECK(tm_journal_begin(j) == TM_JOURNAL_OK && tm_journal_put(j, junk, (int64_t)sizeof junk) == TM_JOURNAL_OK, "half an epoch");
    while (tm_journal_step(j) > 0) {}
    if (life % 2 == 0) tm_journal_close(j, &err);
    else tm_journal_abandon(j);
  }
  disk_free(d);
  put_list_free(&list);
}

/* Full: nothing is taken until there is room; what was refused can be put again. */
static void test_full(void) {
  struct disk *d = run_disk(3);
  struct tm_journal_options o = run_options(d, 1 << 20);
  static char piece[100000];
  struct tm_err err;
  struct got g;
  struct tm_journal *j;
  int r = TM_JOURNAL_OK, puts = 0;

  o.buffered_max = 1 << 20;
  j = run_open(d, &o, &list, &g, &err);
  CHECK(j != NULL, "%s", err.detail);
  CHECK(tm_journal_begin(j) == TM_JOURNAL_OK, "begin");
  while (r == TM_JOURNAL_OK && puts < 100) {
    r = tm_journal_put(j, piece, (int64_t)sizeof piece);
    puts += r == TM_JOURNAL_OK;
  }
  CHECK(r == TM_JOURNAL_FULL && puts >= 10 && puts <= 12, "full after %d", puts);
  CHECK(tm_journal_put(j, piece, 1) == TM_JOURNAL_FULL, "still");
  CHECK(tm_journal_step(j) == 1 && tm_journal_synced(j) == 0, "an epoch that did not end is written, not synced");
  CHECK(disk_calls_of(d, DISK_WRITE) > 0, "written");
  CHECK(tm_journal_put(j, piece, (int64_t)sizeof piece) == TM_JOURNAL_OK, "room again");
  CHECK(tm_journal_end(j) == 1 && tm_journal_step(j) == 1 && tm_journal_synced(j) == 1, "ended and synced");
  CHECK(disk_memory_used(d) < 4 << 20, "memory %" PRId64, disk_memory_used(d));
  CHECK(tm_journal_close(j, &err) == 0, "closed");
  disk_free(d);
}

/* Released segments are recycled and removed; the journal stays short and goes on after a restart. */
static void test_release(void) {
  struct disk *d = run_disk(4);
  struct tm_journal_options o = run_options(d, 8192);
  uint64_t x = 17, epoch = 0, after = 0;
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g;
  int64_t bytes;

  for (int life = 0; life < 3; life++) {
    CHECK(run_recover(d, &list, after, &g, &scan, &err) == 0 && g.wrong == 0 && g.last == epoch, "life %d: %s", life, err.detail);
    struct tm_journal *j = tm_journal_open(&o, &scan, after, &err);
    tm_journal_scan_fini(disk_io(d), &scan);
    CHECK(j != NULL, "%s", err.detail);
    if (j == NULL) return;
    for (int i = 0; i < 200; i++) {
      epoch = run_put(j, &list, &x, (int64_t)(run_random(&x) % 3000), epoch + 1);
      if (i % 7 == 0) while (tm_journal_step(j) > 0) {}
      if (i % 20 == 19) {
        after = tm_journal_synced(j) - 5;
        tm_journal_release(j, after);
        while (tm_journal_step(j) > 0) {}
        CHECK(files_count(d, RUN_DIR "/journal.") <= 8, "%d segments", files_count(d, RUN_DIR "/journal."));
      }
    }
    while (tm_journal_step(j) > 0) {}
    bytes = tm_journal_bytes_after(j, after);
    CHECK(bytes > 0 && bytes < 6 * 8192 && tm_journal_bytes_after(j, epoch) == 0, "%" PRId64 " bytes", bytes);
    tm_journal_release(j, epoch);  /* more than all: something by which the epoch is known stays */
    while (tm_journal_step(j) > 0) {}
    after = epoch;
    tm_journal_close(j, &err);
  }
  CHECK(run_recover(d, &list, after, &g, &scan, &err) == 0 && scan.epoch_last == epoch, "the last epoch is known: %s", err.detail);
  tm_journal_scan_fini(disk_io(d), &scan);
  CHECK(run_recover(d, &list, 0, &g, &scan, &err) == -1 && strcmp(err.id, "journal-short") == 0, "from the start: too short");
  CHECK(run_recover(d, &list, epoch + 1, &g, &scan, &err) == -1 && strcmp(err.id, "journal-damaged") == 0, "ends before the snapshot");
  CHECK(strstr(err.detail, "tidemill journal repair --accept-loss " RUN_DIR) != NULL, "names the repair: %s", err.detail);
  disk_free(d);
  put_list_free(&list);
}

/* One fdatasync for all that ended meanwhile; before_sync comes before the write. */
static int64_t writes_seen;
static int sync_calls;
static struct disk *sync_disk;
static int before_sync(void *ctx, uint64_t epoch, struct tm_err *err) {
  sync_calls++;
  writes_seen = disk_calls_of(sync_disk, DISK_WRITE);
  return *(uint64_t *)ctx == epoch ? tm_err_set(err, 1, "output-sync", "the output cannot be synced") : 0;
}

static void test_group(void) {
  struct disk *d = sync_disk = run_disk(6);
  struct tm_journal_options o = run_options(d, 1 << 20);
  uint64_t x = 8, bad = 100;
  struct tm_err err;
  struct got g;
  struct tm_journal *j;
  int64_t syncs, writes;

  o.before_sync = before_sync;
  o.ctx = &bad;
  j = run_open(d, &o, &list, &g, &err);
  run_put(j, &list, &x, 100, 1);
  while (tm_journal_step(j) > 0) {}
  syncs = disk_calls_of(d, DISK_SYNC);
  writes = disk_calls_of(d, DISK_WRITE);
  sync_calls = 0;
  for (uint64_t e = 2; e <= 99; e++) run_put(j, &list, &x, 100, e);
  CHECK(tm_journal_step(j) == 1 && tm_journal_synced(j) == 99, "98 epochs");
  CHECK(disk_calls_of(d, DISK_SYNC) == syncs + 1 && sync_calls == 1, "one sync, asked once before");
  CHECK(writes_seen == writes && disk_calls_of(d, DISK_WRITE) == writes + 2, "asked before the one write, and the witness behind it");
  run_put(j, &list, &x, 100, 100);
  CHECK(tm_journal_step(j) == -1 && tm_journal_failed(j, &err) && strcmp(err.id, "output-sync") == 0, "its failure is the journal's");
  CHECK(disk_calls_of(d, DISK_SYNC) == syncs + 1 && disk_calls_of(d, DISK_WRITE) == writes + 2, "nothing was written");
  CHECK(tm_journal_close(j, &err) == -1, "closed");
  disk_free(d);
  put_list_free(&list);
}

/* The helper thread over real files. */
static void test_thread(void) {
  char dir[] = "/tmp/test_journal.XXXXXX", name[400];
  struct tm_journal_options o = { .io = &tm_io_real, .dir = dir, .id = RUN_ID, .segment_size = 1 << 20, .buffered_max = 1 << 20 };
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g;
  uint64_t x = 77, e = 0, count;
  sigset_t pending;

  CHECK(mkdtemp(dir) != NULL, "a folder");
  for (int life = 0; life < 2; life++) {
    g = (struct got){ .list = &list };
    CHECK(tm_journal_recover(&tm_io_real, dir, RUN_ID, 0, got_piece, &g, &scan, &err) == 0, "%s", err.detail);
    CHECK(g.wrong == 0 && g.last == e, "life %d", life);
    struct tm_journal *j = tm_journal_open(&o, &scan, 0, &err);
    tm_journal_scan_fini(&tm_io_real, &scan);
    CHECK(j != NULL && tm_journal_start(j, &err) == 0, "%s", err.detail);
    struct pollfd p = { .fd = tm_journal_fd(j), .events = POLLIN };
    for (int i = 0; i < 200; i++) {
      int64_t n = (int64_t)(run_random(&x) % 60000), r;
      unsigned char *b = malloc((size_t)n + 1);

      for (int64_t k = 0; k < n; k++) b[k] = (unsigned char)(run_random(&x) >> 24);
      free(list.bytes[e + 1]);
      list.bytes[e + 1] = b;
      list.n[e + 1] = n;
      while ((r = tm_journal_begin(j)) == TM_JOURNAL_FULL) poll(&p, 1, 10000);
      while ((r = tm_journal_put(j, b, n)) == TM_JOURNAL_FULL) {
        CHECK(poll(&p, 1, 10000) == 1, "room is said");
        CHECK(read(p.fd, &count, sizeof count) == sizeof count, "read");
      }
      e = tm_journal_end(j);
      if (i % 50 == 49) CHECK(tm_journal_wait(j) == TM_JOURNAL_OK && tm_journal_synced(j) == e, "waited");
    }
    raise(SIGURG);
    sigpending(&pending);
    CHECK(poll(&p, 1, 10000) == 1, "readable");
    CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  }
  g = (struct got){ .list = &list };
  CHECK(tm_journal_recover(&tm_io_real, dir, RUN_ID, 0, got_piece, &g, &scan, &err) == 0 && g.wrong == 0 && g.last == e && scan.closed, "%s", err.detail);
  CHECK(tm_journal_recover(&tm_io_real, dir, RUN_ID + 1, 0, got_piece, &g, &(struct tm_journal_scan){ 0 }, &err) == -1 &&
          strcmp(err.id, "journal-foreign") == 0, "another folder's");
  for (int64_t i = 0; i < scan.segments_n + 1; i++) {
    snprintf(name, sizeof name, "%s/journal.%016" PRIx64, dir, i < scan.segments_n ? scan.segments[i].number : 0);
    unlink(name);
  }
  tm_journal_scan_fini(&tm_io_real, &scan);
  snprintf(name, sizeof name, "%s/durable", dir);
  CHECK(unlink(name) == 0, "what was durable is told beside the journal");
  CHECK(rmdir(dir) == 0, "nothing else was made: %s", dir);
  put_list_free(&list);
}

/* Files that change between the scan and what is done with it: told, and nothing is built on them. */
static void test_changed(void) {
  struct disk *d = run_disk(12);
  struct tm_journal_options o = run_options(d, 8192);
  char path[64];
  uint64_t x = 9;
  struct tm_err err;
  struct got g;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  struct tm_journal_scan scan;
  int64_t n;

  for (uint64_t e = 1; e <= 30; e++) {
    run_put(j, &list, &x, 1500, e);
    while (tm_journal_step(j) > 0) {}
  }
  tm_journal_abandon(j);
  disk_kill(d);
  for (int gone = 0; gone < 2; gone++) {
    for (int tail = 0; tail < 2; tail++) {
      struct disk *c = disk_copy(d);

      CHECK(tm_journal_scan(disk_io(c), RUN_DIR, RUN_ID, &scan, &err) == 0 && !scan.damaged && scan.epoch_last == 30, "whole");
      snprintf(path, sizeof path, RUN_DIR "/journal.%016" PRIx64, tail ? scan.segments[scan.tail_segment].number : 2);
      if (gone) disk_file_remove(c, path);
      else disk_file(c, path, &n)[200] ^= 1;
      g = (struct got){ .list = &list };
      CHECK(tm_journal_replay(disk_io(c), RUN_DIR, RUN_ID, &scan, 0, UINT64_MAX, got_piece, &g, &err) == -1 && strcmp(err.id, "journal-changed") == 0 &&
              g.last < 30 && g.wrong == 0, "%s: %s", path, err.detail);
      o.io = disk_io(c);
      j = tm_journal_open(&o, &scan, 0, &err);
      CHECK(tail ? j == NULL && strcmp(err.id, "journal-changed") == 0 : j != NULL, "%s: %s", path, err.detail);
      if (j != NULL) tm_journal_abandon(j);
      tm_journal_scan_fini(disk_io(c), &scan);
      CHECK(disk_memory_used(c) == 0 && disk_descriptors_used(c) == 0, "nothing is left open");
      disk_free(c);
    }
  }
  disk_free(d);
  put_list_free(&list);
}

int main(void) {
  test_lives();
  test_unfinished();
  test_full();
  test_release();
  test_group();
  test_changed();
  test_thread();
  return unit_end("test_journal");
}
