/* test_snapshot_power.c - a data folder through losses of power and faults at every call, with snapshots made in between: what was reported as
 * durable is taken up whole, whichever files are half written. TM_CRASHES: how many points (300, or 120 under a sanitizer). The oracle is plain
 * memory (state_image.h). */
#include <malloc.h>

#include "../../host/base/log.h"
#define IMAGE_HALF (1 << 20)
#define IMAGE_CHANGE_MAX 9000
#include "state_image.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#ifdef SANITIZED
enum { POINTS = 120 };              /* each takes ten times as long then */
#else
enum { POINTS = 300 };
#endif

static struct image *image;
static struct taken *taken;

struct run {
  uint64_t epoch, synced;           /* put, reported as durable */
  int opened, made;
};

/* One life: opens, takes up, puts, makes a snapshot, releases. Whatever fails ends it. */
static void live(struct disk *disk, struct run *run, uint64_t *x, int rounds, const char *where) {
  struct tm_journal_options o = { .io = disk_io(disk), .dir = IMAGE_DIR, .segment_size = 16 << 10 };
  struct tm_snapshot_list list;
  struct tm_snapshot_made made;
  struct tm_journal_scan scan;
  struct tm_data_dir d;
  struct tm_err err = { 0 };
  uint64_t snapshot;
  struct tm_journal *j;

  run->opened = 0;
  if (image_folder(disk, &d, &err) != 0) {
    CHECK(err.detail[0] != '\0', "%s: an error without words", where);
    return;
  }
  o.id = d.id;
  if (image_load(image, &d, taken, &snapshot, &scan, &err) != 0) {
    CHECK(err.detail[0] != '\0' && (disk_is_off(disk) || disk_fault_met(disk)), "%s: %s", where, err.detail);
    tm_data_dir_close(&d);
    return;
  }
  CHECK(taken->wrong == 0 && taken->epoch >= run->synced, "%s: %d wrong, epoch %" PRIu64 " of %" PRIu64, where, taken->wrong, taken->epoch, run->synced);
  run->epoch = taken->epoch;
  j = tm_journal_open(&o, &scan, snapshot, &err);
  tm_journal_scan_fini(disk_io(disk), &scan);
  for (int round = 0; j != NULL && round < rounds; round++) {
    for (int i = 0; i < 5; i++) {
      uint64_t e = image_put(image, j, run->epoch + 1, 70000);

      if (e == 0) break;
      run->epoch = e;
      if (image_random(image) % 2 == 0 && tm_journal_step(j) < 0) break;
    }
    while (tm_journal_step(j) > 0) {}
    if (tm_journal_synced(j) > run->synced) run->synced = tm_journal_synced(j);
    if (tm_journal_failed(j, &err)) break;
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    if (*x >> 62 == 0) continue;
    if (tm_snapshot_merge(disk_io(disk), IMAGE_DIR, d.id, 0, &made, &err) != 0) break;
    run->made += made.made;
    if (tm_snapshot_list_read(disk_io(disk), IMAGE_DIR, d.id, &list, &err) == 0 && list.n == 2) tm_journal_release(j, list.kept[1].epoch);
  }
  if (j != NULL) {
    run->opened = 1;
    if (*x >> 60 & 1) {
      if (tm_journal_close(j, &err) == 0) run->synced = run->epoch;
    } else {
      tm_journal_abandon(j);
    }
  }
  tm_data_dir_close(&d);
}

static int lives(uint64_t seed, uint64_t *trace, int *made) {
  struct disk *disk = disk_new(seed);
  struct run run = { 0 };
  uint64_t x = seed * 2654435761u + 1;
  int crashes = 0;
  char where[64];

  image->random = seed * 77 + 5;
  for (int life = 0; life < 6; life++) {
    snprintf(where, sizeof where, "seed %" PRIu64 " life %d", seed, life);
    x = x * 6364136223846793005u + 1442695040888963407u;
    disk_power_off_after(disk, (int64_t)(x >> 33) % (x >> 60 < 4 ? 60 : 500));
    live(disk, &run, &x, 4, where);
    CHECK(disk_memory_used(disk) == 0, "%s: %" PRId64 " bytes left", where, disk_memory_used(disk));
    disk_power_on(disk);
    crashes++;
  }
  live(disk, &run, &x, 1, "at the end");
  CHECK(run.opened, "seed %" PRIu64 ": does not open at the end", seed);
  *made += run.made;
  *trace = disk_trace(disk);
  disk_free(disk);
  return crashes;
}

/* Every call and every allocation of a life with a snapshot fails once. */
static void faults(void) {
  static const int codes[] = { EIO, ENOSPC, EINTR, DISK_SHORT, ENOMEM };
  struct disk *start = disk_new(3), *disk;
  struct run run = { 0 }, before;
  uint64_t x = 1;
  int64_t n[2], shorts;

  image->random = 99;
  live(start, &run, &x, 2, "before the faults");
  x = 1;
  live(start, &run, &x, 2, "before the faults");
  CHECK(run.made > 1, "%d snapshots before", run.made);
  disk_sync_all(start);
  disk = disk_copy(start);
  before = run;
  x = 7;
  image->random = 4242;
  live(disk, &run, &x, 1, "without a fault");
  CHECK(run.made > before.made, "a snapshot is made");
  n[0] = disk_calls(disk, 0);
  n[1] = disk_calls(disk, 1);
  shorts = disk_calls_of(disk, DISK_READ) + disk_calls_of(disk, DISK_WRITE);
  disk_free(disk);
  for (int c = 0; c < 5; c++) {
    int memory = codes[c] == ENOMEM;
    int64_t calls = codes[c] == DISK_SHORT ? shorts : n[memory];

    for (int64_t i = 0; i < calls; i++) {
      char where[64];

      snprintf(where, sizeof where, "%s %" PRId64 " code %d", memory ? "allocation" : "call", i, codes[c]);
      disk = disk_copy(start);
      run = before;
      image->random = 4242;
      disk_fault_set(disk, memory, i, codes[c]);
      x = 7;
      live(disk, &run, &x, 1, where);
      CHECK(disk_fault_met(disk), "%s did not happen", where);
      CHECK(disk_memory_used(disk) == 0 && disk_descriptors_used(disk) == 0, "%s: %" PRId64 " bytes, %d descriptors left", where,
            disk_memory_used(disk), disk_descriptors_used(disk));
      disk_fault_clear(disk);
      if (i % 2 == 0) disk_power_on(disk);
      else disk_kill(disk);
      live(disk, &run, &x, 0, where);
      CHECK(run.opened, "%s: does not open afterwards", where);
      disk_free(disk);
    }
  }
  disk_free(start);
}

int main(void) {
  const char *wanted = getenv("TM_CRASHES");
  int64_t crashes = 0, points = wanted != NULL ? strtoll(wanted, NULL, 10) : POINTS;
  uint64_t trace, again;
  int made = 0;

  /* buffers of megabytes come and go thousands of times: pages are kept */
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  image = calloc(1, sizeof *image);
  taken = calloc(1, sizeof *taken);
  fprintf(stderr, "(warnings of snapshots that cannot be read are expected)\n");
  for (uint64_t seed = 1; crashes < points; seed++) {
    crashes += lives(seed, &trace, &made);
    if (seed % 20 != 0) continue;
    lives(seed, &again, &made);
    CHECK(trace == again, "seed %" PRIu64 " gives two traces", seed);
  }
  CHECK(made * 10 > points, "%d snapshots", made);
  faults();
  printf("test_snapshot_power: %" PRId64 " losses of power, %d snapshots\n", crashes, made);
  image_free(image);
  free(taken);
  return unit_end("test_snapshot_power");
}
