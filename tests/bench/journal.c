/* journal.c - how fast the journal writes and is read back, on the disk it is pointed to, beside that disk's own fdatasync.
 *
 *   journal DIR [MIB] [EPOCH_KIB] [RANGE]
 *
 * Puts epochs of EPOCH_KIB (1024) KiB in ranges of RANGE (4096) bytes until MIB (512) MiB are there, waits until all is durable,
 * then takes the folder up with nothing done to the bytes but their checks, makes a snapshot, and takes that up. DIR must not
 * exist; it is left there. One line of JSON a figure. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../host/durable/data_dir.h"
#include "../../host/durable/journal.h"
#include "../../host/durable/payload.h"
#include "../../host/durable/snapshot.h"

static struct tm_err err;
static int64_t taken;

static double now(void) {
  return (double)tm_io_real.mono_ns(&tm_io_real) / 1e9;
}

static void need(int ok) {
  if (ok) return;
  fprintf(stderr, "journal: %s\n", err.detail);
  exit(1);
}

static int take_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *e) {
  (void)ctx, (void)offset, (void)bytes, (void)e;
  taken += n;
  return 0;
}

static int take_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *e) {
  (void)ctx, (void)offset, (void)n, (void)e;
  return 0;
}

static void put(struct tm_journal *j, const void *bytes, int64_t n) {
  struct pollfd p = { .fd = tm_journal_fd(j), .events = POLLIN };
  uint64_t count;
  int r;

  while ((r = tm_journal_put(j, bytes, n)) == TM_JOURNAL_FULL) {
    poll(&p, 1, 1000);
    if (read(p.fd, &count, sizeof count) < 0) continue;
  }
  if (r == TM_JOURNAL_FAILED) tm_journal_failed(j, &err);
  need(r == TM_JOURNAL_OK);
}

static void load(struct tm_data_dir *d, const char *what, struct tm_journal_scan *scan, uint64_t *snapshot) {
  const struct tm_data_load to = { .bytes = take_bytes, .zero = take_zero };
  double began = now();
  uint64_t epoch;

  taken = 0;
  need(tm_data_load(d, &to, &epoch, snapshot, scan, &err) == 0);
  printf("{\"figure\":\"%s\",\"epoch\":%" PRIu64 ",\"MB\":%.1f,\"MB/s\":%.1f}\n", what, epoch, (double)taken / 1e6, (double)taken / 1e6 / (now() - began));
}

/* The disk's own: a write of 4 KiB and fdatasync, at the end of a file with room. */
static void fdatasync_alone(const char *dir) {
  enum { N = 50 };
  char path[TM_DATA_PATH_MAX + 64], bytes[4096] = { 1 };
  double began;
  int fd = open(tm_data_path(dir, "yardstick", path), O_RDWR | O_CREAT, 0600);

  need(fd >= 0 && posix_fallocate(fd, 0, N * 4096) == 0 && fdatasync(fd) == 0);
  began = now();
  for (int i = 0; i < N; i++) need(pwrite(fd, bytes, sizeof bytes, i * 4096) == sizeof bytes && fdatasync(fd) == 0);
  printf("{\"figure\":\"the disk's fdatasync\",\"ms\":%.3f}\n", (now() - began) * 1e3 / N);
  close(fd);
  unlink(path);
}

int main(int argc, char **argv) {
  int64_t mib = argc > 2 ? atoll(argv[2]) : 512, epoch_bytes = (argc > 3 ? atoll(argv[3]) : 1024) << 10, range = argc > 4 ? atoll(argv[4]) : 4096;
  struct tm_journal_options o = { .io = &tm_io_real };
  struct tm_snapshot_made made;
  struct tm_journal_scan scan;
  struct tm_data_dir d;
  struct tm_journal *j;
  unsigned char fixed[TM_PAYLOAD_RANGE], *bytes;
  uint64_t snapshot, x = 88172645463325252u;
  double began;

  if (argc < 2 || mib <= 0 || epoch_bytes <= 0 || range <= 0) {
    fprintf(stderr, "usage: journal DIR [MIB] [EPOCH_KIB] [RANGE]\n");
    return 2;
  }
  bytes = malloc((size_t)range);
  need(bytes != NULL && tm_data_dir_open(&d, &tm_io_real, argv[1], TM_DATA_USE, &err) == 0);
  need(d.has_meta || tm_data_dir_meta_write(&d, 0, 0, "", 0, &err) == 0);
  fdatasync_alone(argv[1]);
  load(&d, "empty", &scan, &snapshot);
  o.dir = d.path;
  o.id = d.id;
  j = tm_journal_open(&o, &scan, snapshot, &err);
  need(j != NULL && tm_journal_start(j, &err) == 0);
  tm_journal_scan_fini(&tm_io_real, &scan);
  for (int64_t i = 0; i < range; i++) bytes[i] = (unsigned char)((x = x * 6364136223846793005u + 1) >> 33);
  began = now();
  for (int64_t total = 0; total < mib << 20; total += epoch_bytes) {
    while (tm_journal_begin(j) == TM_JOURNAL_FULL) usleep(200);
    tm_payload_start(fixed, 0);
    put(j, fixed, TM_PAYLOAD_START);
    for (int64_t at = 0; at < epoch_bytes; at += range) {
      tm_payload_range(fixed, (uint64_t)(total + at), (uint32_t)range);
      put(j, fixed, TM_PAYLOAD_RANGE);
      put(j, bytes, range);
    }
    need(tm_journal_end(j) != 0);
  }
  need(tm_journal_wait(j) == TM_JOURNAL_OK);
  printf("{\"figure\":\"written and synced\",\"MB\":%.1f,\"MB/s\":%.1f}\n", (double)(mib << 20) / 1e6, (double)(mib << 20) / 1e6 / (now() - began));
  need(tm_journal_close(j, &err) == 0);
  load(&d, "journal taken up", &scan, &snapshot);
  tm_journal_scan_fini(&tm_io_real, &scan);
  began = now();
  need(tm_snapshot_merge(&tm_io_real, d.path, d.id, 0, &made, &err) == 0);
  printf("{\"figure\":\"snapshot made\",\"MB\":%.1f,\"passes\":%" PRId64 ",\"s\":%.2f}\n", (double)made.size / 1e6, made.passes, now() - began);
  load(&d, "snapshot taken up", &scan, &snapshot);
  tm_journal_scan_fini(&tm_io_real, &scan);
  tm_data_dir_close(&d);
  free(bytes);
  return 0;
}
