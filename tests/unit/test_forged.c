/* test_forged.c - files of a data folder that are wrong although their check values are right: as another program, or a bug, could leave
 * them. Refused with words, or the state that was put; never another one, never a crash. Each byte of the small bodies and of all heads is
 * changed to several values and its check value made anew; maps of msgpack are cut and changed byte by byte.
 * The check value is computed here bit by bit (CRC-32C, polynomial 0x82f63b78). */
#include <fcntl.h>
#include <unistd.h>

#include "../../host/base/crc32c.h"
#include "../../host/durable/frame.h"
#include "../../host/durable/record.h"
#define IMAGE_HALF (1 << 20)
#define IMAGE_CHANGE_MAX 9000
#include "state_image.h"

static struct image *image;
static struct taken *taken;
static struct tm_err err;

static uint32_t crc_slow(uint32_t crc, const unsigned char *p, size_t n) {
  crc = ~crc;
  while (n-- > 0) {
    crc ^= *p++;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

static void big32(unsigned char *p, uint32_t v) {
  for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static void little32(unsigned char *p, uint32_t v) {
  for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> 8 * i);
}

/* The check value of the record at p, as record.h draws it. */
static void record_seal(unsigned char *p, uint32_t length) {
  uint32_t crc = crc_slow(0, p, 13);

  crc = crc_slow(crc, p + 17, 5);
  /* of large bodies by the program's own, which the small ones show to be the same */
  big32(p + 13, length > 1000 ? tm_crc32c(crc, p + TM_RECORD_HEAD, length) : crc_slow(crc, p + TM_RECORD_HEAD, length));
}

/* A folder of 30 epochs with two snapshots and a journal behind them; *newest: the epoch of the newer one. */
static struct disk *folder_make(uint64_t *newest) {
  struct disk *disk = disk_new(4);
  struct tm_journal_options o = { .io = disk_io(disk), .dir = IMAGE_DIR, .segment_size = 32 << 10 };
  struct tm_snapshot_made made;
  struct tm_journal_scan scan;
  struct tm_data_dir d;
  struct tm_journal *j;
  uint64_t snapshot;

  TM_ASSERT(image_folder(disk, &d, &err) == 0 && image_load(image, &d, taken, &snapshot, &scan, &err) == 0);
  o.id = d.id;
  j = tm_journal_open(&o, &scan, 0, &err);
  tm_journal_scan_fini(disk_io(disk), &scan);
  TM_ASSERT(j != NULL);
  for (uint64_t e = 1; e <= 30; e++) {
    TM_ASSERT(image_put(image, j, e, 60000) == e);
    while (tm_journal_step(j) > 0) {}
    if (e % 10 == 9) TM_ASSERT(tm_snapshot_merge(disk_io(disk), IMAGE_DIR, d.id, 0, &made, &err) == 0 && made.made);
  }
  TM_ASSERT(tm_journal_close(j, &err) == 0);
  struct tm_snapshot_list list;
  TM_ASSERT(tm_snapshot_list_read(disk_io(disk), IMAGE_DIR, d.id, &list, &err) == 0 && list.n == 2);
  *newest = list.kept[0].epoch;
  tm_data_dir_close(&d);
  disk_sync_all(disk);
  return disk;
}

static int64_t tried, taken_up, wrong;

/* Takes the folder up: what is wrong is counted. */
static void look(struct disk *disk, const char *what, int64_t at, int value) {
  struct tm_journal_scan scan;
  struct tm_data_dir d;
  uint64_t snapshot;
  int other = 0;
  int bad, shown = dup(2), nowhere = open("/dev/null", O_WRONLY);

  dup2(nowhere, 2);  /* warnings of snapshots that cannot be read */
  close(nowhere);
  memset(&err, 0, sizeof err);
  tried++;
  if (tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_USE, &err) == 0) {
    if (image_load(image, &d, taken, &snapshot, &scan, &err) == 0) {
      taken_up++;
      other = taken->wrong != 0;
      tm_journal_scan_fini(disk_io(disk), &scan);
    }
    tm_data_dir_close(&d);
  }
  dup2(shown, 2);
  close(shown);
  bad = other && wrong++ == 0;
  CHECK(!bad, "%s, byte %" PRId64 " made %d: another state was taken up", what, at, value);
  if (err.id != NULL) {
    bad = strlen(err.detail) < 20 && wrong++ == 0;
    CHECK(!bad, "%s, byte %" PRId64 " made %d: %s", what, at, value, err.detail);
  }
  bad = disk_memory_used(disk) != 0 && wrong++ == 0;
  CHECK(!bad, "%s, byte %" PRId64 " made %d: %" PRId64 " bytes are left", what, at, value, disk_memory_used(disk));
}

static const int values[] = { -1, -128, 0, 0xc0, 0xa1, 0xcf };  /* negative: a bit of what it is */

static unsigned char changed(unsigned char was, int value) {
  return value < 0 ? was ^ (unsigned char)-value : (unsigned char)value;
}

/* Each byte of a file of one record, and its length. */
static void forge_small(const struct disk *whole, const char *name) {
  struct disk *disk = disk_copy(whole);
  char path[64];
  int64_t n = 0;

  snprintf(path, sizeof path, IMAGE_DIR "/%s", name);
  unsigned char *p = disk_file(disk, path, &n);
  TM_ASSERT(p != NULL && n > TM_RECORD_HEAD);
  uint32_t crc = crc_slow(crc_slow(crc_slow(0, p, 13), p + 17, 5), p + TM_RECORD_HEAD, (size_t)n - TM_RECORD_HEAD);
  CHECK(p[13] == crc >> 24 && p[16] == (crc & 255), "%s: the check value is not the published one", name);
  for (int64_t at = 0; at < n; at++) {
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
      unsigned char was = p[at];

      if (at >= 13 && at < 17) continue;
      p[at] = changed(was, values[v]);
      record_seal(p, (uint32_t)n - TM_RECORD_HEAD);
      look(disk, name, at, values[v]);
      p[at] = was;
      record_seal(p, (uint32_t)n - TM_RECORD_HEAD);
    }
  }
  disk_free(disk);
}

/* Heads of all records of a snapshot and the bodies of its small ones. */
static void forge_snapshot(const struct disk *whole, uint64_t epoch) {
  struct disk *disk = disk_copy(whole);
  char path[64];
  int64_t n = 0;

  snprintf(path, sizeof path, IMAGE_DIR "/snapshot.%016" PRIx64, epoch);
  unsigned char *p = disk_file(disk, path, &n);
  TM_ASSERT(p != NULL);
  for (int64_t record = 0; record < n;) {
    uint32_t length = (uint32_t)p[record + 18] << 24 | (uint32_t)p[record + 19] << 16 | (uint32_t)p[record + 20] << 8 | p[record + 21];
    int64_t end = length > 1000 ? TM_RECORD_HEAD + 1 : TM_RECORD_HEAD + length;

    for (int64_t at = 0; at < end; at++) {
      for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        unsigned char was = p[record + at];

        if ((at >= 13 && at < 17) || (length > 1000 && v > 1)) continue;
        p[record + at] = changed(was, values[v]);
        record_seal(p + record, length);
        look(disk, path, record + at, values[v]);
        p[record + at] = was;
        record_seal(p + record, length);
      }
    }
    record += TM_RECORD_HEAD + length;
  }
  disk_free(disk);
}

/* Every byte of the heads of a journal's frames and segments. */
static void forge_journal(const struct disk *whole) {
  struct disk *disk = disk_copy(whole);
  int frames = 0;

  for (int64_t i = 0; disk_name(disk, i) != NULL; i++) {
    int64_t n = 0;

    if (strncmp(disk_name(disk, i), IMAGE_DIR "/journal.0", strlen(IMAGE_DIR) + 10) != 0) continue;
    unsigned char *p = disk_file(disk, disk_name(disk, i), &n);
    for (int64_t head = 0; head + TM_FRAME_HEAD <= n && (head == 0 || memcmp(p + head, "tmJf", 4) == 0); frames++) {
      uint32_t length = head == 0 ? 0 : (uint32_t)p[head + 8] | (uint32_t)p[head + 9] << 8 | (uint32_t)p[head + 10] << 16;

      for (int64_t at = 4; at < 60; at++) {
        for (size_t v = 0; v < 3; v++) {
          unsigned char was = p[head + at];

          p[head + at] = changed(was, values[v]);
          little32(p + head + 60, crc_slow(0, p + head, 60));
          look(disk, disk_name(disk, i), head + at, values[v]);
          p[head + at] = was;
          little32(p + head + 60, crc_slow(0, p + head, 60));
        }
      }
      head += TM_FRAME_HEAD + length;
    }
  }
  CHECK(frames > 20, "%d heads", frames);
  disk_free(disk);
}

/* A map with each byte changed to each value, and cut everywhere: what is found lies in it. */
static void maps(void) {
  unsigned char map[TM_MAP_ROOM], *p = tm_map_begin(map, 4);
  uint64_t v;

  p = tm_map_text(p, "format", "a text");
  p = tm_map_number(p, "number", UINT64_C(1) << 40);
  p = tm_map_bytes(p, "bytes", "\1\2\3", 3);
  p = tm_map_number(p, "last", 7);
  int64_t n = p - map;
  CHECK(tm_map_has_text(map, n, "format", "a text") && !tm_map_has_text(map, n, "format", "a test") && !tm_map_has_text(map, n, "format", "a"), "text");
  CHECK(tm_map_get_number(map, n, "number", &v) && v == UINT64_C(1) << 40 && tm_map_get_number(map, n, "last", &v) && v == 7, "numbers");
  CHECK(!tm_map_get_number(map, n, "format", &v) && !tm_map_get_number(map, n, "none", &v), "no numbers");
  for (int64_t length = 0; length <= n; length++) {
    for (int64_t at = 0; at < length; at += length == n ? 1 : length) {
      for (int value = 0; value < 256; value++) {
        unsigned char *copy = malloc((size_t)length);  /* of its own, so that a sanitizer sees what is read behind it */
        const unsigned char *found;
        uint32_t found_n;

        memcpy(copy, map, (size_t)length);
        if (length == n) copy[at] = (unsigned char)value;
        if (tm_map_get_bytes(copy, length, "bytes", &found, &found_n))
          CHECK(found >= copy && found_n <= (uint64_t)(copy + length - found), "byte %" PRId64 " made %d", at, value);
        tm_map_get_number(copy, length, "last", &v);
        tm_map_has_text(copy, length, "format", "a text");
        if (length < n) CHECK(!tm_map_get_number(copy, length, "last", &v), "cut at %" PRId64, length);
        free(copy);
        if (length < n) break;
      }
    }
  }
  /* a negative number, a text as a number, no map */
  static const unsigned char negative[] = { 0x81, 0xa1, 'n', 0xff }, text[] = { 0x81, 0xa1, 'n', 0xa1, 'x' }, array[] = { 0x91, 1 };
  CHECK(!tm_map_get_number(negative, sizeof negative, "n", &v) && !tm_map_get_number(text, sizeof text, "n", &v), "no numbers");
  CHECK(tm_map_find(array, sizeof array, "n") == NULL, "an array");
}

int main(void) {
  uint64_t newest;

  image = calloc(1, sizeof *image);
  taken = calloc(1, sizeof *taken);
  image->random = 12;
  maps();
  struct disk *disk = folder_make(&newest);
  look(disk, "as it is", 0, 0);
  CHECK(taken_up == 1 && taken->epoch == 30, "as it is: %s", err.detail);
  forge_small(disk, "manifest");
  forge_small(disk, "meta");
  forge_snapshot(disk, newest);
  forge_journal(disk);
  CHECK(wrong == 0 && tried > 7000 && taken_up > 100, "%" PRId64 " of %" PRId64 " were taken up", taken_up, tried);
  disk_free(disk);
  image_free(image);
  free(taken);
  return unit_end("test_forged");
}
