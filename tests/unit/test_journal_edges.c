/* test_journal_edges.c - a journal's rarer turns: options at their bounds, epochs of many blocks, memory that ends between two frames, a helper thread
 * that cannot be started, is stopped while it waits for room, or whose journal fails; the start of the process that makes snapshots. */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../host/durable/snapshot.h"
#include "journal_run.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

static struct put_list list;

static void rounds(struct tm_journal *j) {
  while (tm_journal_step(j) > 0) {}
}

static void all_there(struct disk *d, uint64_t last) {
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g;
  int r = run_recover(d, &list, 0, &g, &scan, &err);

  CHECK(r == 0 && g.wrong == 0 && g.last == last, "%s, epoch %" PRIu64 " of %" PRIu64, r != 0 ? err.detail : "", g.last, last);
  if (r == 0) tm_journal_scan_fini(disk_io(d), &scan);
}

/* Segments of the usual size, frames of a given one, buffers larger than they must be; an epoch of many blocks, which are freed again. */
static void options(void) {
  static const struct tm_journal_options all[] = {
    { .segment_size = 0 }, { .segment_size = 1 << 20, .frame_max = 1000 }, { .segment_size = 1 << 20, .frame_max = 1 << 20 },
    { .segment_size = 4 << 20, .buffered_max = 64 << 20 }
  };

  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    struct disk *d = run_disk(i + 1);
    struct tm_journal_options o = all[i];
    uint64_t x = 3;
    struct tm_err err;
    struct got g;

    o.io = disk_io(d);
    o.dir = RUN_DIR;
    o.id = RUN_ID;
    struct tm_journal *j = run_open(d, &o, &list, &g, &err);
    CHECK(j != NULL, "%s", err.detail);
    for (uint64_t e = 1; e <= 3; e++) CHECK(run_put(j, &list, &x, e == 2 ? 12 << 20 : 5000, e) == e, "put");
    rounds(j);
    int64_t kept = disk_memory_used(d);
    CHECK(tm_journal_synced(j) == 3 && kept < 8 << 20, "%" PRId64 " bytes are kept of 12 MiB", kept);
    CHECK(run_put(j, &list, &x, 3 << 20, 4) == 4 && tm_journal_close(j, &err) == 0, "%s", err.detail);
    CHECK(disk_memory_used(d) == 0, "memory");
    all_there(d, 4);
    disk_free(d);
    put_list_free(&list);
  }
}

/* No memory for another block, at each one of an epoch: the journal has failed and says so; what was durable is there. */
static void memory(void) {
  int failures = 0;

  for (int64_t nth = 0; nth < 12; nth++) {
    struct disk *d = run_disk(2);
    struct tm_journal_options o = run_options(d, 1 << 20);
    uint64_t x = 3;
    struct tm_err err = { 0 }, second;
    struct got g;
    struct tm_journal *j = run_open(d, &o, &list, &g, &err);

    o.buffered_max = 32 << 20;
    rounds(j);
    CHECK(run_put(j, &list, &x, 100, 1) == 1, "the first");
    rounds(j);
    disk_fault_set(d, 1, nth, ENOMEM);
    list.bytes[2] = calloc(1, 3 << 20);
    list.n[2] = 3 << 20;
    int r = tm_journal_begin(j);
    if (r == TM_JOURNAL_OK) {
      r = tm_journal_put(j, list.bytes[2], list.n[2]);
      CHECK(r != TM_JOURNAL_FAILED || tm_journal_put(j, "x", 1) == TM_JOURNAL_FAILED, "no more");
      CHECK(tm_journal_end(j) == (r == TM_JOURNAL_OK ? 2 : 0), "ended");
    }
    disk_fault_clear(d);
    if (r != TM_JOURNAL_OK) {
      failures++;
      CHECK(tm_journal_failed(j, &err) && strcmp(err.id, "no-memory") == 0 && strstr(err.detail, "start again") != NULL, "%s", err.detail);
      CHECK(tm_journal_begin(j) == TM_JOURNAL_FAILED && tm_journal_step(j) == -1, "no more");
      CHECK(tm_journal_failed(j, NULL) && tm_journal_close(j, &second) == -1 && strcmp(second.detail, err.detail) == 0, "the first failure is told");
      all_there(d, 1);
    } else {
      CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
      all_there(d, 2);
    }
    CHECK(disk_memory_used(d) == 0, "memory");
    disk_free(d);
    put_list_free(&list);
  }
  CHECK(failures > 3, "%d failures", failures);
}

/* What is damaged is not opened, also where nobody asked before. */
static void damaged(void) {
  struct disk *d = run_disk(2);
  struct tm_journal_options o = run_options(d, 4096);
  struct tm_journal_scan scan;
  uint64_t x = 3;
  struct tm_err err;
  struct got g;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  int64_t n;

  for (uint64_t e = 1; e <= 20; e++) {
    run_put(j, &list, &x, 900, e);
    rounds(j);
  }
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  disk_file(d, RUN_DIR "/journal.0000000000000002", &n)[300] ^= 1;
  CHECK(tm_journal_scan(disk_io(d), RUN_DIR, RUN_ID, &scan, &err) == 0 && scan.damaged, "damaged");
  CHECK(tm_journal_open(&o, &scan, 0, &err) == NULL && err.exit_code == 1 && strstr(err.detail, "repair --accept-loss") != NULL, "%s", err.detail);
  tm_journal_scan_fini(disk_io(d), &scan);
  disk_free(d);
  put_list_free(&list);
}

/* ---- the helper thread, over real files ------------------------------------------------------------------ */

static atomic_int no_room, no_sync;
static struct tm_io io;
static char dir[] = "/tmp/test_journal_edges.XXXXXX";

static int edge_fallocate(const struct tm_io *self, int fd, int64_t at, int64_t n) {
  (void)self;
  return atomic_load(&no_room) ? -ENOSPC : tm_io_real.fallocate(&tm_io_real, fd, at, n);
}

static int edge_fdatasync(const struct tm_io *self, int fd) {
  (void)self;
  return atomic_load(&no_sync) ? -EIO : tm_io_real.fdatasync(&tm_io_real, fd);
}

static struct tm_journal *opened(uint64_t last) {
  struct tm_journal_options o = { .io = &io, .dir = dir, .id = RUN_ID, .segment_size = 8192 };
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g = { .list = &list };

  CHECK(tm_journal_recover(&io, dir, RUN_ID, 0, got_piece, &g, &scan, &err) == 0 && g.wrong == 0 && g.last == last, "%s", err.detail);
  struct tm_journal *j = tm_journal_open(&o, &scan, 0, &err);
  tm_journal_scan_fini(&io, &scan);
  CHECK(j != NULL, "%s", err.detail);
  return j;
}

static uint64_t put(struct tm_journal *j, uint64_t epoch) {
  free(list.bytes[epoch]);
  list.bytes[epoch] = calloc(1, 3000);
  list.n[epoch] = 3000;
  if (tm_journal_begin(j) != TM_JOURNAL_OK) return 0;
  tm_journal_put(j, list.bytes[epoch], 3000);
  return tm_journal_end(j);
}

static void limit(int what, rlim_t n, struct rlimit *was) {
  struct rlimit now;

  getrlimit(what, was);
  now = *was;
  now.rlim_cur = n;
  CHECK(setrlimit(what, &now) == 0, "a limit");
}

static void threads(void) {
  struct rlimit was;
  struct tm_err err;
  uint64_t e = 0, most = UINT64_C(0xfffffffffffffffe);
  int r = TM_JOURNAL_OK;

  io = tm_io_real;
  io.fallocate = edge_fallocate;
  io.fdatasync = edge_fdatasync;
  CHECK(mkdtemp(dir) != NULL, "a folder");
  struct tm_journal *j = opened(0);
  limit(RLIMIT_NOFILE, 0, &was);
  CHECK(tm_journal_start(j, &err) == -1 && strstr(err.detail, "cannot make an eventfd for the journal: Too many open files") != NULL, "%s", err.detail);
  setrlimit(RLIMIT_NOFILE, &was);
  tm_journal_abandon(j);
#ifndef SANITIZED /* a sanitizer needs the address space */
  j = opened(0);
  limit(RLIMIT_AS, 1 << 20, &was);
  CHECK(tm_journal_start(j, &err) == -1 && strstr(err.detail, "cannot start the journal's thread: ") != NULL, "%s", err.detail);
  setrlimit(RLIMIT_AS, &was);
  tm_journal_abandon(j);
#endif
  /* nobody reads the descriptor until it holds all it can: it is readable, which is all that counts */
  j = opened(0);
  CHECK(tm_journal_start(j, &err) == 0, "%s", err.detail);
  CHECK(write(tm_journal_fd(j), &most, sizeof most) == sizeof most, "filled");
  for (; e < 2; e++) CHECK(put(j, e + 1) == e + 1 && tm_journal_wait(j) == TM_JOURNAL_OK, "put");
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  /* old segments are removed while nothing is put */
  j = opened(e);
  CHECK(tm_journal_start(j, &err) == 0, "%s", err.detail);
  for (int i = 0; i < 20; i++, e++) CHECK(put(j, e + 1) == e + 1 && tm_journal_wait(j) == TM_JOURNAL_OK, "put");
  int64_t bytes = tm_journal_bytes_after(j, 0);
  tm_journal_release(j, e - 1);
  for (int i = 0; i < 20000 && tm_journal_bytes_after(j, 0) > bytes / 2; i++) usleep(1000);
  CHECK(tm_journal_bytes_after(j, 0) <= bytes / 2, "removed");
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  char command[300];
  snprintf(command, sizeof command, "rm %s/*", dir);
  CHECK(system(command) == 0, "emptied");
  /* stopped while it waits for room, and put to meanwhile */
  put_list_free(&list);
  j = opened(0);
  e = 0;
  CHECK(tm_journal_start(j, &err) == 0, "%s", err.detail);
  atomic_store(&no_room, 1);
  for (int i = 0; i < 20 && r == TM_JOURNAL_OK; i++) {
    CHECK(put(j, e + 1) == e + 1, "put");
    r = tm_journal_wait(j);
    e += r == TM_JOURNAL_OK;
  }
  CHECK(r == TM_JOURNAL_FULL && put(j, e + 2) == e + 2, "put while it waits");
  CHECK(tm_journal_close(j, &err) == -1 && strcmp(err.id, "journal-room") == 0, "%s", err.detail);
  atomic_store(&no_room, 0);
  /* a sync that fails ends the waiting */
  j = opened(e);
  CHECK(tm_journal_start(j, &err) == 0, "%s", err.detail);
  atomic_store(&no_sync, 1);
  CHECK(put(j, e + 1) == e + 1 && tm_journal_wait(j) == TM_JOURNAL_FAILED && tm_journal_synced(j) == e, "failed");
  CHECK(tm_journal_wait(j) == TM_JOURNAL_FAILED && put(j, e + 2) == 0, "still");
  CHECK(tm_journal_close(j, &err) == -1 && strstr(err.detail, "Input/output error") != NULL && strstr(err.detail, "Look after the disk") != NULL, "%s", err.detail);
  atomic_store(&no_sync, 0);
  snprintf(command, sizeof command, "rm -r %s", dir);
  CHECK(system(command) == 0, "removed");
  put_list_free(&list);
}

/* ---- the process that makes snapshots ------------------------------------------------------------------------ */

/* What the started program, this one, is told: it writes its words to a file of the folder. */
static int started(int argc, char **argv) {
  char path[300];
  FILE *f;

  snprintf(path, sizeof path, "%s/words", argv[argc - 1]);
  f = fopen(path, "w");
  for (int i = 1; i < argc; i++) fprintf(f, "%s\n", argv[i]);
  return fclose(f);
}

static void starts(void) {
  char folder[] = "/tmp/test_journal_edges.XXXXXX", path[300], text[400] = "", want[400];
  struct tm_err err;
  struct rlimit was;
  int status = -1;

  CHECK(mkdtemp(folder) != NULL, "a folder");
  pid_t pid = tm_snapshot_start(folder, &err);
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "ended with %d", status);
  snprintf(path, sizeof path, "%s/words", folder);
  int fd = open(path, O_RDONLY);
  CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "its words");
  close(fd);
  snprintf(want, sizeof want, "snapshot\nmake\n--of\n%d\n%s\n", (int)getpid(), folder);
  CHECK(strcmp(text, want) == 0, "%s", text);
#ifndef SANITIZED
  limit(RLIMIT_AS, 1 << 20, &was);
  CHECK(tm_snapshot_start(folder, &err) == -1 && strstr(err.detail, "cannot start making a snapshot") != NULL, "%s", err.detail);
  setrlimit(RLIMIT_AS, &was);
#else
  (void)was;
#endif
  unlink(path);
  rmdir(folder);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "snapshot") == 0) return started(argc, argv);
  options();
  memory();
  damaged();
  threads();
  starts();
  return unit_end("test_journal_edges");
}
