/* test_snapshot.c - snapshots: what is taken up is what a plain copy of memory holds, in many passes and few, over many generations;
 * damage to a snapshot or the manifest is always seen, and the older generation stands in; msgpack reads the files.
 * The oracle is plain memory (state_image.h). */
#include <unistd.h>

#include "../../host/base/log.h"
#include "../../host/durable/record.h"
#include "state_image.h"

static struct image *image;
static struct taken *taken;

static struct tm_journal *journal_open(const struct tm_data_dir *d, const struct tm_journal_scan *scan, uint64_t snapshot, struct tm_err *err) {
  struct tm_journal_options o = { .io = d->io, .dir = d->path, .id = d->id, .segment_size = 256 << 10 };

  return tm_journal_open(&o, scan, snapshot, err);
}

/* Lives with snapshots between; returns the disk at the end, the epochs in *last. */
static struct disk *lives(int n, int64_t span, int64_t memory_max, uint64_t *last) {
  struct disk *disk = disk_new(9);
  struct tm_journal_scan scan;
  struct tm_snapshot_list list;
  struct tm_snapshot_made made;
  struct tm_data_dir d;
  struct tm_err err = { 0 };
  uint64_t snapshot, epoch = 0;

  for (int life = 0; life < n; life++) {
    if (image_folder(disk, &d, &err) != 0 || image_load(image, &d, taken, &snapshot, &scan, &err) != 0) {
      CHECK(0, "life %d: %s", life, err.detail);
      break;
    }
    CHECK(taken->wrong == 0 && taken->epoch == epoch, "life %d: epoch %" PRIu64 " of %" PRIu64 ", %d wrong", life, taken->epoch, epoch, taken->wrong);
    struct tm_journal *j = journal_open(&d, &scan, snapshot, &err);
    tm_journal_scan_fini(disk_io(disk), &scan);
    CHECK(j != NULL, "%s", err.detail);
    if (j == NULL) break;
    for (int i = 0; i < 30; i++) {
      epoch = image_put(image, j, epoch + 1, span);
      while (tm_journal_step(j) > 0) {}
    }
    /* made beside a journal that is open, as it is in a run */
    CHECK(tm_snapshot_merge(disk_io(disk), IMAGE_DIR, d.id, memory_max, &made, &err) == 0, "%s", err.detail);
    CHECK(made.made && made.epoch >= epoch - 1 && made.blocks > 0, "made of epoch %" PRIu64 " (%" PRIu64 ")", made.epoch, epoch);
    CHECK(memory_max > 0 || made.passes == 2, "%" PRId64 " passes", made.passes);
    CHECK(tm_snapshot_list_read(disk_io(disk), IMAGE_DIR, d.id, &list, &err) == 0 && list.n == (life == 0 ? 1 : 2), "%d generations", list.n);
    CHECK(list.kept[0].epoch == made.epoch && list.kept[0].size == made.size, "the newest first");
    if (list.n == 2) tm_journal_release(j, list.kept[1].epoch);
    while (tm_journal_step(j) > 0) {}
    if (life % 2 == 0) CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
    else tm_journal_abandon(j);
    tm_data_dir_close(&d);
    CHECK(disk_memory_used(disk) == 0 && disk_descriptors_used(disk) == 0, "nothing is left open");
  }
  *last = epoch;
  return disk;
}

static void test_generations(void) {
  uint64_t last;

  disk_free(lives(8, IMAGE_HALF, 0, &last));
  disk_free(lives(5, IMAGE_HALF, 1, &last));
  disk_free(lives(5, 100000, 2 << 20, &last));
}

/* Nothing new: no snapshot. Another process makes one: refused. */
static void test_refusals(void) {
  struct disk *disk = disk_new(10);
  struct tm_snapshot_list list = { 0 };
  struct tm_snapshot_made made;
  struct tm_journal_scan scan;
  struct tm_data_dir d;
  struct tm_err err;
  uint64_t snapshot;
  int fd;

  CHECK(image_folder(disk, &d, &err) == 0 && image_load(image, &d, taken, &snapshot, &scan, &err) == 0, "a new folder");
  CHECK(tm_snapshot_merge(d.io, IMAGE_DIR, d.id, 0, &made, &err) == 0 && !made.made && made.epoch == 0, "nothing to do");
  fd = d.io->open(d.io, IMAGE_DIR "/snapshot.lock", 2, 0);
  CHECK(d.io->lock(d.io, fd) == 0, "locked");
  CHECK(tm_snapshot_merge(d.io, IMAGE_DIR, d.id, 0, &made, &err) == -1 && strcmp(err.id, "snapshot-busy") == 0, "%s", err.detail);
  tm_data_dir_close(&d);
  CHECK(tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_USE, &err) == -1 && strcmp(err.id, "data-in-use") == 0, "%s", err.detail);
  tm_journal_scan_fini(disk_io(disk), &scan);
  disk_free(disk);
  CHECK(!tm_snapshot_due(&list, (64 << 20) - 1) && tm_snapshot_due(&list, 64 << 20), "64 MiB at least");
  list = (struct tm_snapshot_list){ 1, { { .size = 1 << 30 } } };
  CHECK(!tm_snapshot_due(&list, (1 << 30) - 1) && tm_snapshot_due(&list, 1 << 30), "as large as the last");
}

/* What is there with one byte changed: 0 refused, 1 taken up whole and right; anything else fails. */
static int load_changed(struct disk *disk) {
  struct tm_journal_scan scan;
  struct tm_data_dir d;
  struct tm_err err = { 0 };
  uint64_t snapshot;
  int r;

  if (tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_USE, &err) != 0) return 0;
  r = image_load(image, &d, taken, &snapshot, &scan, &err);
  if (r == 0) tm_journal_scan_fini(disk_io(disk), &scan);
  else if (err.detail[0] == '\0') taken->wrong++;
  tm_data_dir_close(&d);
  return r == 0;
}

/* Every byte of the small files, of all heads of records and of the small records; of blocks one in 4,099. */
static void test_flips(void) {
  static const char *const small[] = { "manifest", "meta", "version" };
  uint64_t last;
  struct disk *disk = lives(3, 100000, 0, &last);
  static const struct tm_snapshot_visitor nobody = { 0 };
  struct tm_snapshot_list list;
  char path[64], name[TM_SNAPSHOT_NAME];
  struct tm_err err;
  struct tm_data_dir d;
  unsigned char *p;
  int64_t n, seen = 0, missed = 0, tried = 0;

  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, IMAGE_DIR "/%s", small[i]);
    p = disk_file(disk, path, &n);
    CHECK(p != NULL && n > 10, "%s", path);
    for (int64_t at = 0; p != NULL && at < n; at++) {
      p[at] ^= (unsigned char)(1 << at % 8);
      CHECK(load_changed(disk) == 0, "%s, byte %" PRId64 ": not seen", path, at);
      p[at] ^= (unsigned char)(1 << at % 8);
    }
    CHECK(load_changed(disk) == 1 && taken->wrong == 0 && taken->epoch == last, "%s as it was", path);
  }
  CHECK(tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_USE, &err) == 0, "%s", err.detail);
  CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == 0 && list.n == 2, "two generations");
  snprintf(path, sizeof path, IMAGE_DIR "/%s", tm_snapshot_name(list.kept[0].epoch, name));
  p = disk_file(disk, path, &n);
  CHECK(p != NULL && n == list.kept[0].size, "its size");
  for (int64_t at = 0; p != NULL && at < n;) {
    struct tm_record record;
    CHECK(tm_record_read(p + at, &record), "a record");
    for (int64_t i = 0; i < TM_RECORD_HEAD + (int64_t)record.length; i += record.type == 'P' && i >= TM_RECORD_HEAD ? 4099 : 1) {
      p[at + i] ^= (unsigned char)(1 << i % 8);
      tried++;
      if (tm_snapshot_read(d.io, d.path, d.id, &list.kept[0], &nobody, &err) == 0) missed++;
      else seen += strcmp(err.id, "snapshot-damaged") == 0 || strcmp(err.id, "snapshot-newer") == 0;
      p[at + i] ^= (unsigned char)(1 << i % 8);
    }
    at += TM_RECORD_HEAD + (int64_t)record.length;
  }
  CHECK(missed == 0 && seen == tried && tried > 800, "%" PRId64 " of %" PRId64 " were missed", missed, tried);
  tm_data_dir_close(&d);
  /* the older generation stands in; a cut one too; without both the journal is too short */
  p[n / 2] ^= 1;
  CHECK(load_changed(disk) == 1 && taken->wrong == 0 && taken->epoch == last, "the older generation and the journal");
  CHECK(tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_USE, &err) == 0, "opens");
  struct tm_snapshot_made made;
  CHECK(tm_snapshot_merge(d.io, d.path, d.id, 0, &made, &err) == 0 && made.made && made.epoch == last, "the next is made from the older one: %s", err.detail);
  CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == 0 && list.n == 2 && list.kept[0].epoch == last, "and kept beside it");
  tm_data_dir_close(&d);
  CHECK(load_changed(disk) == 1 && taken->wrong == 0 && taken->epoch == last, "whole again");
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, IMAGE_DIR "/%s", tm_snapshot_name(list.kept[i].epoch, name));
    disk_file(disk, path, &n);
    disk_file_cut(disk, path, n - 1);
  }
  CHECK(load_changed(disk) == 0, "both are cut, and the journal does not reach back");
  disk_free(disk);
}

/* What must not be a payload. */
static void test_payloads(void) {
  static const struct { const char *what; unsigned char bytes[40]; int n; } bad[] = {
    { "nothing", { 0 }, 0 },
    { "half a length", { 1, 0 }, 2 },
    { "a head that ends early", { 4, 0, 0, 0, 'a' }, 5 },
    { "half a range", { 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, 14 },
    { "a range without its bytes", { 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 'x' }, 17 },
    { "a range beyond the space", { 0, 0, 0, 0, 255, 255, 255, 255, 255, 63, 0, 0, 2, 0, 0, 0, 'x', 'y' }, 18 },
    { "a range that begins beyond the space", { 0, 0, 0, 0, 1, 0, 0, 0, 0, 64, 0, 0, 2, 0, 0, 0, 'x', 'y' }, 18 },
    { "zeros of no length", { 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 24 },
    { "zeros beyond the space", { 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0 }, 24 },
    { "a head that is too long", { 1, 0, 0, 16, 0 }, 5 },
  };
  static const struct tm_payload_visitor nobody = { 0 };
  struct tm_payload_reader r;
  struct tm_err err;

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    for (int size = 1; size <= 40; size += 3) {
      int ok = 0;

      tm_payload_reader_init(&r, &tm_io_real, &nobody);
      for (int at = 0; ok == 0 && at <= bad[i].n; at += size)
        ok = tm_payload_read(&r, bad[i].bytes + at, bad[i].n - at < size ? bad[i].n - at : size, at + size > bad[i].n, &err);
      CHECK(ok == -1 && strcmp(err.id, "payload-broken") == 0, "%s, by %d", bad[i].what, size);
      tm_payload_reader_fini(&r);
    }
  }
  /* nobody wants to know of zeros: they are passed over */
  static const unsigned char zeros[] = { 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0 };
  tm_payload_reader_init(&r, &tm_io_real, &nobody);
  CHECK(tm_payload_read(&r, zeros, sizeof zeros, 1, &err) == 0, "%s", err.detail);
  tm_payload_reader_fini(&r);
}

/* Python's msgpack reads a snapshot and the manifest as rows of arrays. */
static void test_msgpack(void) {
  static const char script[] =
      "import msgpack,sys\n"
      "b=open(sys.argv[1],'rb').read()\n"
      "rows=list(msgpack.Unpacker(open(sys.argv[1],'rb'),max_buffer_size=1<<30))\n"
      "h=msgpack.unpackb(rows[0][3]);x=msgpack.unpackb(rows[-1][3])\n"
      "assert h['format']=='tidemill snapshot' and rows[0][0]=='H' and rows[-1][0]=='X',h\n"
      "assert x['records']==len(rows)-1,x\n"
      "assert all(len(r[3])==1<<20 for r in rows if r[0]=='P')\n"
      "assert b''.join(r[3] for r in rows if r[0]=='E').startswith(b'head of')\n";
  uint64_t last;
  struct disk *disk = lives(1, 100000, 0, &last);
  char file[] = "/tmp/test_snapshot.XXXXXX", command[4096];
  int fd = mkstemp(file);
  int64_t n;

  for (int64_t i = 0; disk_name(disk, i) != NULL; i++) {
    if (strncmp(disk_name(disk, i), IMAGE_DIR "/snapshot.0", strlen(IMAGE_DIR) + 11) != 0) continue;
    const unsigned char *p = disk_file(disk, disk_name(disk, i), &n);
    CHECK(fd >= 0 && write(fd, p, (size_t)n) == n, "written");
  }
  snprintf(command, sizeof command, "/usr/bin/python3 -c \"%s\" %s", script, file);
  CHECK(system(command) == 0, "Python's msgpack reads it");
  unlink(file);
  close(fd);
  disk_free(disk);
}

int main(void) {
  image = calloc(1, sizeof *image);
  taken = calloc(1, sizeof *taken);
  image->random = 12345;
  fprintf(stderr, "(warnings of damaged snapshots are expected)\n");
  test_payloads();
  test_generations();
  test_refusals();
  test_flips();
  test_msgpack();
  image_free(image);
  free(taken);
  return unit_end("test_snapshot");
}
