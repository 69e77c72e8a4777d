/* test_data_dir.c - what a data folder may be: made, locked, refused, with words that say what to do; and the repair of a damaged one.
 * On real files where owners and locks are meant, on the simulated disk elsewhere. */
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_HALF (1 << 20)
#include "state_image.h"

static struct tm_err err;

static int opens(const char *path, int how, struct tm_data_dir *d) {
  memset(&err, 0, sizeof err);
  return tm_data_dir_open(d, &tm_io_real, path, how, &err) == 0;
}

static void refused(const char *path, int how, const char *id, int code, const char *words) {
  struct tm_data_dir d;

  CHECK(!opens(path, how, &d), "%s is taken for %s", path, id);
  CHECK(err.id != NULL && strcmp(err.id, id) == 0 && err.exit_code == code, "%s: %s, exit code %d", id, err.id, err.exit_code);
  CHECK(strstr(err.detail, words) != NULL, "%s: %s", id, err.detail);
}

static void file_put(const char *dir, const char *name, const char *text) {
  char path[400];
  int fd;

  snprintf(path, sizeof path, "%s/%s", dir, name);
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", path);
  close(fd);
}

static void test_real(void) {
  char base[] = "/tmp/test_data_dir.XXXXXX", dir[300], command[400], words[64];
  struct tm_data_dir d, look, again;
  struct stat st;

  CHECK(mkdtemp(base) != NULL, "a folder");
  snprintf(dir, sizeof dir, "%s/data", base);
  refused(dir, TM_DATA_LOOK, "data-missing", 2, "there is no data folder");
  CHECK(opens(dir, TM_DATA_USE, &d), "%s", err.detail);
  CHECK(stat(dir, &st) == 0 && (st.st_mode & 0777) == 0700, "mode 0700");
  CHECK(!d.has_meta, "no meta yet");
  snprintf(words, sizeof words, "in use by process %d", (int)getpid());
  refused(dir, TM_DATA_USE, "data-in-use", 2, words);
  CHECK(tm_data_dir_meta_write(&d, UINT64_C(0x200000000000), UINT64_C(0xffffffffffffffff), "bytes\0of mine", 13, &err) == 0, "%s", err.detail);
  CHECK(d.has_meta && d.id != 0, "an id");
  CHECK(opens(dir, TM_DATA_LOOK, &look) && look.in_use_by == (int)getpid() && look.id == d.id, "looked at beside: %s", err.detail);
  tm_data_dir_close(&look);
  tm_data_dir_close(&d);
  CHECK(opens(dir, TM_DATA_USE, &again), "%s", err.detail);
  CHECK(again.has_meta && again.id == d.id && again.address == UINT64_C(0x200000000000) && again.seed == UINT64_MAX && again.caller_n == 13 &&
          memcmp(again.caller, "bytes\0of mine", 13) == 0, "meta is what was written");
  tm_data_dir_close(&again);
  file_put(dir, "version", "tidemill data 2\n");
  refused(dir, TM_DATA_USE, "data-newer", 1, "was written by a newer tidemill (its format is 2");
  file_put(dir, "version", "tidemill data 1");
  refused(dir, TM_DATA_USE, "data-version", 1, "is damaged");
  file_put(dir, "version", "tidemill data 1\n");
  file_put(dir, "journal.0000000000000001", "");
  snprintf(command, sizeof command, "%s/meta", dir);
  CHECK(unlink(command) == 0, "meta is gone");
  refused(dir, TM_DATA_USE, "data-meta", 1, "is missing");
  refused(dir, TM_DATA_LOOK, "data-meta", 1, "is missing");
  /* without its version it is told from a folder of another's by what else lies there */
  snprintf(command, sizeof command, "%s/version", dir);
  CHECK(unlink(command) == 0, "version is gone");
  refused(dir, TM_DATA_USE, "data-not-ours", 2, "holds no state of tidemill");
  file_put(dir, "meta", "");
  refused(dir, TM_DATA_USE, "data-version", 1, "echo 'tidemill data 1' >");
  refused(dir, TM_DATA_LOOK, "data-version", 1, "is missing");
  snprintf(command, sizeof command, "cd %s && mv meta resetting", dir);
  CHECK(system(command) == 0, "a reset was cut off");
  refused(dir, TM_DATA_USE, "data-version", 1, "is missing");
  snprintf(command, sizeof command, "cd %s && mv resetting meta && rm journal.*", dir);
  CHECK(system(command) == 0, "no journal");
  refused(dir, TM_DATA_USE, "data-not-ours", 2, "holds no state of tidemill");
  snprintf(dir, sizeof dir, "%s/other", base);
  mkdir(dir, 0755);
  file_put(dir, "letter.txt", "dear");
  refused(dir, TM_DATA_USE, "data-not-ours", 2, "is not empty and holds no state of tidemill");
  CHECK(stat(dir, &st) == 0 && (st.st_mode & 0777) == 0755, "untouched");
  snprintf(command, sizeof command, "%s/lock", dir);
  CHECK(access(command, F_OK) != 0, "nothing was made in it");
  snprintf(dir, sizeof dir, "%s/other/letter.txt", base);
  refused(dir, TM_DATA_USE, "data-file", 2, "is not a folder");
  snprintf(dir, sizeof dir, "%s/none/data", base);
  refused(dir, TM_DATA_USE, "data-io", 2, "No such file or directory");
  refused("", TM_DATA_USE, "data-path", 2, "0 bytes");
  if (getuid() == 0) {
    snprintf(dir, sizeof dir, "%s/theirs", base);
    CHECK(mkdir(dir, 0777) == 0 && chown(dir, 12345, 12345) == 0, "another's folder");
    refused(dir, TM_DATA_USE, "data-owner", 2, "belongs to another user");
  } else {
    snprintf(dir, sizeof dir, "%s/closed", base);
    CHECK(mkdir(dir, 0500) == 0, "a folder without the right to write");
    refused(dir, TM_DATA_USE, "data-write", 2, "cannot write to the data folder");
  }
  snprintf(command, sizeof command, "rm -r %s", base);
  CHECK(system(command) == 0, "removed");
}

/* Names without a folder in front, with a slash behind; what a disk has of its own; words of other programs. */
static void test_names(void) {
  char base[] = "/tmp/test_data_dir.XXXXXX", command[400], before[400], *longest = calloc(1, TM_DATA_PATH_MAX + 2);
  static const char *const versions[] = { "tidemill data 0\n", "tidemill data x\n", "another\n", "tidemill data 1 \n", "" };
  struct tm_data_dir d, look;

  CHECK(mkdtemp(base) != NULL && getcwd(before, sizeof before) != NULL && chdir(base) == 0, "a folder");
  CHECK(opens("p", TM_DATA_USE, &d), "%s", err.detail);
  tm_data_dir_close(&d);
  CHECK(opens("plain", TM_DATA_USE, &d), "%s", err.detail);
  tm_data_dir_close(&d);
  CHECK(opens("slash//", TM_DATA_USE, &d), "%s", err.detail);
  /* whose lock does not say who has it */
  CHECK(truncate("slash/lock", 0) == 0, "emptied");
  refused("slash", TM_DATA_USE, "data-in-use", 2, "in use by process 0");
  tm_data_dir_close(&d);
  CHECK(mkdir("disk", 0700) == 0 && mkdir("disk/lost+found", 0700) == 0, "a disk of its own");
  refused("disk", TM_DATA_LOOK, "data-not-ours", 2, "disk holds no state of tidemill");
  file_put("disk", "version.new", "tide");  /* what a death left of the first start */
  CHECK(opens("disk", TM_DATA_USE, &d), "%s", err.detail);
  CHECK(tm_data_dir_meta_write(&d, 1, 2, "", 0, &err) == 0, "%s", err.detail);
  tm_data_dir_close(&d);
  CHECK(unlink("disk/lock") == 0 && opens("disk", TM_DATA_LOOK, &look) && look.in_use_by == 0, "without a lock: %s", err.detail);
  tm_data_dir_close(&look);
  for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
    file_put("plain", "version", versions[i]);
    refused("plain", TM_DATA_USE, "data-version", 1, "the file 'version' of the data folder plain is damaged");
  }
  memset(longest, 'x', TM_DATA_PATH_MAX);
  refused(longest, TM_DATA_USE, "data-path", 2, "bytes; it takes 1 to");
  free(longest);
  CHECK(chdir(before) == 0, "back");
  snprintf(command, sizeof command, "rm -r %s", base);
  CHECK(system(command) == 0, "removed");
}

/* ---- repair -------------------------------------------------------------------------------------------- */

static struct image *image;
static struct taken *taken;

/* A folder with a snapshot of about half of its epochs: the disk; *snapshot its epoch, *last that of the last. */
static struct disk *folder_make(uint64_t *snapshot, uint64_t *last) {
  struct disk *disk = disk_new(71);
  struct tm_journal_options o = { .io = disk_io(disk), .dir = IMAGE_DIR, .segment_size = 32 << 10 };
  struct tm_snapshot_made made;
  struct tm_journal_scan scan;
  struct tm_data_dir d;
  struct tm_journal *j;

  TM_ASSERT(image_folder(disk, &d, &err) == 0 && image_load(image, &d, taken, snapshot, &scan, &err) == 0);
  o.id = d.id;
  j = tm_journal_open(&o, &scan, 0, &err);
  TM_ASSERT(j != NULL);
  for (uint64_t e = 1; e <= 60; e++) {
    TM_ASSERT(image_put(image, j, e, 90000) == e);
    while (tm_journal_step(j) > 0) {}
    if (e == 30) TM_ASSERT(tm_snapshot_merge(disk_io(disk), IMAGE_DIR, d.id, 0, &made, &err) == 0 && made.made);
  }
  *snapshot = made.epoch;
  *last = 60;
  TM_ASSERT(tm_journal_close(j, &err) == 0);
  tm_data_dir_close(&d);
  tm_journal_scan_fini(disk_io(disk), &scan);
  return disk;
}

/* 1 the folder is taken up and compared; 0 refused. */
static int takes_up(struct disk *disk, uint64_t *epoch) {
  struct tm_journal_scan scan;
  struct tm_data_dir d;
  uint64_t snapshot;
  int r;

  if (tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_USE, &err) != 0) return 0;
  r = image_load(image, &d, taken, &snapshot, &scan, &err);
  if (r == 0) tm_journal_scan_fini(disk_io(disk), &scan);
  tm_data_dir_close(&d);
  *epoch = taken->epoch;
  return r == 0 && taken->wrong == 0;
}

static int repairs(struct disk *disk, int accept, struct tm_journal_loss *loss) {
  struct tm_data_dir d;
  int r;

  if (tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_LOCK, &err) != 0) return 0;
  r = tm_journal_repair(d.io, d.path, d.id, accept, loss, &err);
  tm_data_dir_close(&d);
  return r == 0;
}

/* A bit in every segment in turn: refused, then repaired; what is left is a state that once was, and it can be gone on with. */
static void test_repair(void) {
  uint64_t snapshot, last, epoch, before = 0;
  struct disk *whole = folder_make(&snapshot, &last);
  struct tm_journal_loss loss;
  int damaged = 0;

  CHECK(takes_up(whole, &epoch) && epoch == last, "whole: %s", err.detail);
  CHECK(repairs(whole, 1, &loss) && !loss.damaged && !loss.manifest, "nothing to repair");
  for (int64_t i = 0; disk_name(whole, i) != NULL; i++) {
    struct disk *disk = disk_copy(whole);
    const char *path = disk_name(whole, i);
    int manifest = strcmp(path, IMAGE_DIR "/manifest") == 0;
    unsigned char *p;
    int64_t n;

    p = disk_file(disk, path, &n);
    if (strncmp(path, IMAGE_DIR "/journal.0", strlen(IMAGE_DIR) + 10) == 0 || manifest) p[manifest ? 30 : 2000] ^= 4;
    if (takes_up(disk, &epoch)) {
      CHECK(epoch == last && !manifest, "%s: nothing of worth was there", path);
    } else {
      damaged++;
      CHECK(strstr(err.detail, "tidemill journal repair --accept-loss " IMAGE_DIR) != NULL || strcmp(err.id, "journal-short") == 0, "%s: %s", path, err.detail);
      CHECK(repairs(disk, 0, &loss) && loss.damaged && loss.kept >= snapshot * (uint64_t)!manifest, "%s: keeps %" PRIu64, path, loss.kept);
      CHECK(!takes_up(disk, &epoch), "%s: looking changes nothing", path);
      CHECK(repairs(disk, 1, &loss), "%s: %s", path, err.detail);
      CHECK(takes_up(disk, &epoch) && epoch == loss.kept && epoch >= snapshot && epoch <= last, "%s: epoch %" PRIu64 " of %" PRIu64 ": %s", path, epoch,
            loss.kept, err.detail);
      CHECK(!manifest || epoch == last, "the manifest made anew loses nothing");
      CHECK(manifest || epoch >= before, "the later the damage, the more is kept");
      if (!manifest) before = epoch;
      disk_power_on(disk);
      CHECK(takes_up(disk, &epoch) && epoch == loss.kept, "%s: the repair is durable", path);
      CHECK(repairs(disk, 1, &loss) && !loss.damaged, "%s: once is enough", path);
    }
    disk_free(disk);
  }
  CHECK(damaged > 5 && before > snapshot, "%d damages, %" PRIu64 " epochs", damaged, before);
  disk_free(whole);
}

/* The manifest is damaged, and more files look like snapshots than anybody would read: the newest that are whole count. */
static void test_many(void) {
  uint64_t snapshot, last, epoch;
  struct disk *disk = folder_make(&snapshot, &last);
  const struct tm_io *io = disk_io(disk);
  struct tm_journal_loss loss;
  char path[64];
  int64_t n;

  for (int i = 0; i < 12; i++) {
    /* in no order, older and newer than what is whole */
    snprintf(path, sizeof path, IMAGE_DIR "/snapshot.%016x", i * 5 % 12 < 5 ? 1 + i * 5 % 12 : 40 + i * 5 % 12);
    int fd = io->open(io, path, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && io->pwrite(io, fd, "nothing", 7, 0) == 7, "%s", path);
    io->close(io, fd);
  }
  disk_file(disk, IMAGE_DIR "/manifest", &n)[30] ^= 4;
  CHECK(!takes_up(disk, &epoch) && strcmp(err.id, "manifest-damaged") == 0, "%s", err.detail);
  CHECK(repairs(disk, 1, &loss) && loss.damaged && loss.manifest, "%s", err.detail);
  CHECK(takes_up(disk, &epoch) && epoch == last, "all of it: %s", err.detail);
  disk_free(disk);
}

/* ---- each call fails once --------------------------------------------------------------------------------- */

/* What is tried on a copy of a disk: 1 done, 0 refused with words. */
typedef int deed(struct disk *disk);

static int deed_repair(struct disk *disk) {
  struct tm_journal_loss loss;

  return repairs(disk, 1, &loss);
}

static int deed_reset(struct disk *disk) {
  struct tm_data_dir d;

  if (tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_RESET, &err) != 0) return 0;
  CHECK(!d.has_meta, "without meta");
  tm_data_dir_close(&d);
  return 1;
}

static int deed_make(struct disk *disk) {
  struct tm_data_dir d;

  if (image_folder(disk, &d, &err) != 0) return 0;
  tm_data_dir_close(&d);
  return 1;
}

static int deed_look(struct disk *disk) {
  struct tm_data_dir d;

  if (tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_LOOK, &err) != 0) return 0;
  tm_data_dir_close(&d);
  return 1;
}

/* Killed at each of its calls, and started again without being asked to reset: the folder is as it was, or new. */
static void resets_cut_off(const struct disk *whole, uint64_t last) {
  int were = 0, are_new = 0;

  for (int64_t at = 0;; at++) {
    struct disk *disk = disk_copy(whole);
    struct tm_data_dir d;
    uint64_t epoch;
    int done;

    disk_power_off_after(disk, at);
    deed_reset(disk);
    done = !disk_is_off(disk);
    if (done) disk_power_off_after(disk, -1);
    else disk_power_on(disk);
    CHECK(tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_USE, &err) == 0, "after call %" PRId64 ": %s", at, err.detail);
    if (d.has_meta) were++;
    else are_new++;
    CHECK(d.has_meta || tm_data_dir_meta_write(&d, 1 << 20, 7, "", 0, &err) == 0, "%s", err.detail);
    tm_data_dir_close(&d);
    CHECK(takes_up(disk, &epoch) && (epoch == 0 || epoch == last), "epoch %" PRIu64 ": %s", epoch, err.detail);
    disk_free(disk);
    if (done) break;
  }
  CHECK(were > 3 && are_new > 3, "%d %d", were, are_new);
}

/* Every call and every allocation of it fails once: it is refused with words or done, nothing is left open, and a second attempt, behind a
 * loss of power, is well. */
static void faults(const struct disk *start, deed *what, const char *name) {
  static const int codes[] = { EIO, ENOSPC, EINTR, ENOMEM };
  struct disk *disk = disk_copy(start);
  int64_t calls[2] = { -disk_calls(disk, 0), -disk_calls(disk, 1) };

  CHECK(what(disk), "%s: %s", name, err.detail);
  for (int i = 0; i < 2; i++) calls[i] += disk_calls(disk, i);
  disk_free(disk);
  for (size_t c = 0; c < sizeof codes / sizeof codes[0]; c++) {
    int memory = codes[c] == ENOMEM;

    for (int64_t i = 0; i < calls[memory]; i++) {
      disk = disk_copy(start);
      disk_fault_set(disk, memory, i, codes[c]);
      memset(&err, 0, sizeof err);
      if (!what(disk)) CHECK(err.detail[0] != '\0', "%s: call %" PRId64 " code %d: an error without words", name, i, codes[c]);
      CHECK(disk_fault_met(disk), "%s: call %" PRId64 " code %d did not happen", name, i, codes[c]);
      disk_fault_clear(disk);
      CHECK(disk_memory_used(disk) == 0 && disk_descriptors_used(disk) == 0, "%s: call %" PRId64 " code %d: %" PRId64 " bytes, %d descriptors", name, i,
            codes[c], disk_memory_used(disk), disk_descriptors_used(disk));
      disk_power_on(disk);
      CHECK(what(disk) || strcmp(err.id, "data-meta") == 0, "%s: call %" PRId64 " code %d, then again: %s", name, i, codes[c], err.detail);
      disk_free(disk);
    }
  }
}

static void flip(struct disk *disk, const char *name, int64_t at) {
  char path[64];
  int64_t n;

  snprintf(path, sizeof path, IMAGE_DIR "/%s", name);
  unsigned char *p = disk_file(disk, path, &n);
  CHECK(p != NULL && n > at, "%s", path);
  if (p != NULL && n > at) p[at] ^= 4;
}

static void test_faults(void) {
  uint64_t snapshot, last, epoch;
  struct disk *whole = folder_make(&snapshot, &last), *disk;
  char name[TM_SNAPSHOT_NAME];

  disk = disk_new(5);
  faults(disk, deed_make, "making");
  disk_free(disk);
  faults(whole, deed_look, "look");
  disk = disk_copy(whole);
  flip(disk, "manifest", 30);
  faults(disk, deed_repair, "repair of a manifest");
  flip(disk, "journal.0000000000000003", 2000);
  flip(disk, tm_snapshot_name(snapshot, name), 2000);
  faults(disk, deed_repair, "repair of all");
  disk_free(disk);
  faults(whole, deed_reset, "reset");
  resets_cut_off(whole, last);
  disk = disk_copy(whole);
  CHECK(deed_reset(disk), "%s", err.detail);
  for (int64_t i = 0; disk_name(disk, i) != NULL; i++) {
    const char *left = disk_name(disk, i) + strlen(IMAGE_DIR);

    CHECK(left[0] == '\0' || strcmp(left, "/lock") == 0 || strcmp(left, "/version") == 0 || strstr(left, ".lock") != NULL, "%s is left", disk_name(disk, i));
  }
  struct tm_data_dir d;
  CHECK(image_folder(disk, &d, &err) == 0, "a new meta: %s", err.detail);
  tm_data_dir_close(&d);
  CHECK(takes_up(disk, &epoch) && epoch == 0, "nothing is known");
  disk_free(disk);
  disk_free(whole);
}

int main(void) {
  /* copies of whole disks come and go thousands of times: pages are kept */
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  image = calloc(1, sizeof *image);
  taken = calloc(1, sizeof *taken);
  image->random = 3;
  test_real();
  test_names();
  test_repair();
  test_many();
  test_faults();
  image_free(image);
  free(taken);
  return unit_end("test_data_dir");
}
