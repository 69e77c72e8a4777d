/* test_snapshot_forged.c - snapshots, manifests and metas that are written by the program's own hand with right check values, and say what must
 * not be: blocks out of place, heads in wrong pieces, maps without a key or with another type. Each is refused with words. Then what only
 * happens to large or odd states: no head, lists of many blocks, a disk that gives back other bytes than were written. */
#include <fcntl.h>

#include "../../host/durable/record.h"
#include "../../host/durable/snapshot_blocks.h"
#include "../../host/durable/snapshot_core.h"
#include "../../host/durable/witness.h"
#include "state_image.h"

static struct tm_err err;
static unsigned char block[TM_SNAPSHOT_BLOCK];

/* ---- snapshots of a few records ---------------------------------------------------------------------- */

struct step { char type; uint64_t offset; int64_t n; };
static const struct forged {
  const char *what, *words;
  int64_t head;                     /* its length, as the begin says */
  struct step steps[4];
  int64_t longer;                   /* bytes behind its end */
} forged[] = {
  { "as it should be", NULL, 3, { { 'P', 0, TM_SNAPSHOT_BLOCK }, { 'E', 0, 3 } }, 0 },
  { "a head in two pieces", NULL, 3, { { 'E', 0, 1 }, { 'E', 1, 2 } }, 0 },
  { "a block of another size", "a block is not in its place", 0, { { 'P', 0, 100 } }, 0 },
  { "a block between two", "a block is not in its place", 0, { { 'P', 4096, TM_SNAPSHOT_BLOCK } }, 0 },
  { "a block twice", "a block is not in its place", 0, { { 'P', TM_SNAPSHOT_BLOCK, TM_SNAPSHOT_BLOCK }, { 'P', TM_SNAPSHOT_BLOCK, TM_SNAPSHOT_BLOCK } }, 0 },
  { "a block outside", "a block is not in its place", 0, { { 'P', TM_PAYLOAD_SPACE, TM_SNAPSHOT_BLOCK } }, 0 },
  { "a block behind the head", "a block is not in its place", 3, { { 'E', 0, 3 }, { 'P', 0, TM_SNAPSHOT_BLOCK } }, 0 },
  { "an empty piece", "a piece of the head is not in its place", 3, { { 'E', 0, 0 } }, 0 },
  { "a piece too far", "a piece of the head is not in its place", 3, { { 'E', 1, 2 } }, 0 },
  { "a piece too long", "a piece of the head is not in its place", 3, { { 'E', 0, 4 } }, 0 },
  { "a head that is not whole", "the head of its epoch is not whole", 3, { { 'E', 0, 2 } }, 0 },
  { "an unknown record", "a record of an unknown type", 0, { { 'Q', 0, 2 } }, 0 },
  { "more behind it", "something lies behind its end", 0, { { 'P', 0, TM_SNAPSHOT_BLOCK } }, 5 },
};

static struct disk *folder(struct tm_data_dir *d) {
  struct disk *disk = disk_new(3);

  CHECK(image_folder(disk, d, &err) == 0, "%s", err.detail);
  return disk;
}

/* Writes one as the only snapshot of its folder. */
static struct tm_snapshot snapshot_put(const struct tm_data_dir *d, const struct forged *f, uint64_t epoch) {
  struct tm_snapshot_writer w;
  struct tm_snapshot s = { .epoch = epoch };
  char path[TM_SNAPSHOT_PATH], name[TM_SNAPSHOT_NAME];

  CHECK(tm_snapshot_writer_open(&w, d->io, d->path, d->id, epoch, f->head, &err) == 0, "%s", err.detail);
  for (int i = 0; i < 4 && f->steps[i].type != 0; i++)
    CHECK(tm_snapshot_writer_put(&w, f->steps[i].type, f->steps[i].offset, block, f->steps[i].n, &err) == 0, "%s", err.detail);
  CHECK(tm_snapshot_writer_end(&w, &s, &err) == 0, "%s", err.detail);
  CHECK(d->io->rename(d->io, w.path, tm_data_path(d->path, tm_snapshot_name(epoch, name), path)) == 0, "%s", path);
  tm_snapshot_writer_close(&w);
  if (f->longer > 0) {
    int fd = d->io->open(d->io, path, O_RDWR, 0);

    CHECK(d->io->pwrite(d->io, fd, "behind", (size_t)f->longer, s.size) == f->longer, "behind it");
    d->io->close(d->io, fd);
    s.size += f->longer;
  }
  return s;
}

static int count_block(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *e) {
  (void)bytes;
  *(int64_t *)ctx += n;
  return offset == 0 && *(int64_t *)ctx < 0 ? tm_err_set(e, 1, "enough", "enough of it") : 0;
}

static int refuse_head(void *ctx, uint64_t epoch, const void *head, int64_t n, struct tm_err *e) {
  (void)ctx, (void)epoch, (void)head, (void)n;
  return tm_err_set(e, 1, "head", "this head is not wanted");
}

static void snapshots(void) {
  for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
    const struct forged *f = &forged[i];
    int64_t bytes = 0, stop = INT64_MIN;
    const struct tm_snapshot_visitor to = { .ctx = &bytes, .block = count_block }, stops = { .ctx = &stop, .block = count_block },
                                     no_block = { .ctx = &bytes, .head = refuse_head };
    struct tm_data_dir d;
    struct disk *disk = folder(&d);
    struct tm_snapshot s = snapshot_put(&d, f, 7), probed;
    int r = tm_snapshot_read(d.io, d.path, d.id, &s, &to, &err);

    CHECK((r == 0) == (f->words == NULL), "%s: %s", f->what, err.detail);
    if (r != 0) CHECK(strstr(err.detail, f->words) != NULL && strcmp(err.id, "snapshot-damaged") == 0, "%s: %s", f->what, err.detail);
    CHECK((tm_snapshot_probe(d.io, d.path, d.id, 7, &probed, &err) == 0) == (r == 0), "%s: probed", f->what);
    if (i == 0) {
      CHECK(tm_snapshot_read(d.io, d.path, d.id, &s, &stops, &err) == -1 && strcmp(err.id, "enough") == 0, "stopped");
      CHECK(tm_snapshot_read(d.io, d.path, d.id, &s, &no_block, &err) == -1 && strcmp(err.id, "head") == 0, "its head");
      struct tm_snapshot other = s;
      other.chain++;
      CHECK(tm_snapshot_read(d.io, d.path, d.id, &other, &to, &err) == -1 && strstr(err.detail, "not the one that the manifest names") != NULL, "%s", err.detail);
    }
    tm_data_dir_close(&d);
    disk_free(disk);
  }
}

/* A reader that knows where blocks are: the file is another one now, or ends within a block. */
static void blocks_moved(void) {
  static const struct forged whole = { "", NULL, 2, { { 'P', 0, TM_SNAPSHOT_BLOCK }, { 'E', 0, 2 } }, 0 };
  struct tm_data_dir d;
  struct disk *disk = folder(&d);
  struct tm_snapshot s = snapshot_put(&d, &whole, 7);
  struct tm_snapshot_reader r;
  char path[TM_SNAPSHOT_PATH], name[TM_SNAPSHOT_NAME];

  CHECK(tm_snapshot_reader_open(&r, d.io, d.path, d.id, &s, &err) == 0, "%s", err.detail);
  int64_t at = r.at;
  CHECK(tm_snapshot_reader_block(&r, at, 0, &err) == 0, "%s", err.detail);
  CHECK(tm_snapshot_reader_block(&r, at, TM_SNAPSHOT_BLOCK, &err) == -1 && strstr(err.detail, "another block was there before") != NULL, "%s", err.detail);
  CHECK(tm_snapshot_reader_block(&r, at + TM_RECORD_HEAD + TM_SNAPSHOT_BLOCK, 0, &err) == -1 && strstr(err.detail, "another block") != NULL, "%s", err.detail);
  tm_snapshot_reader_close(&r);
  s.size = at + TM_RECORD_HEAD + 100;
  disk_file_cut(disk, tm_data_path(d.path, tm_snapshot_name(7, name), path), s.size);
  CHECK(tm_snapshot_reader_open(&r, d.io, d.path, d.id, &s, &err) == 0, "%s", err.detail);
  CHECK(tm_snapshot_reader_next(&r, 0, &err) == -1 && strstr(err.detail, "ends within a block") != NULL, "%s", err.detail);
  tm_snapshot_reader_close(&r);
  tm_data_dir_close(&d);
  disk_free(disk);
}

/* ---- records of one map ------------------------------------------------------------------------------------ */

/* A map with the key left out, or its value of another type; which: 0 as it is, 1 left out, 2 a text, 3 a negative number, 4 zero. */
struct field { const char *key, *text; uint64_t number; };

static int64_t map_put(unsigned char *body, const struct field *fields, int n, int odd, int which, const char *array, const char *tail, int64_t tail_n) {
  unsigned char *p = tm_map_begin(body, n + (array != NULL) - (which == 1));

  for (int i = 0; i < n; i++) {
    int how = i == odd ? which : 0;

    if (how == 1) continue;
    if (how == 3) {
      p = tm_map_number(p, fields[i].key, 1);
      p[-9] = 0xd3;  /* of 64 bits, with a sign */
      p[-8] = 0xff;
    } else if (how == 2 || (how != 4 && fields[i].text != NULL)) {
      p = tm_map_text(p, fields[i].key, how == 2 ? "text" : fields[i].text);
    } else {
      p = tm_map_number(p, fields[i].key, how == 4 ? 0 : fields[i].number);
    }
  }
  if (array != NULL) {
    p = tm_map_array(p, array, 0);
    memcpy(p - 1, tail, (size_t)tail_n);
    p += tail_n - 1;
  }
  return p - body;
}

static void file_put(const struct tm_data_dir *d, const char *name, char type, uint64_t offset, const unsigned char *body, int64_t n, int64_t more) {
  char path[TM_DATA_PATH_MAX + 64];
  unsigned char bytes[2048];
  int fd = d->io->open(d->io, tm_data_path(d->path, name, path), O_RDWR | O_CREAT | O_TRUNC, 0600);

  memset(bytes, 0, sizeof bytes);
  tm_record_write(bytes, type, offset, body, (uint32_t)n);
  memcpy(bytes + TM_RECORD_HEAD, body, (size_t)n);
  CHECK(d->io->pwrite(d->io, fd, bytes, (size_t)(TM_RECORD_HEAD + n + more), 0) == TM_RECORD_HEAD + n + more, "%s", name);
  d->io->close(d->io, fd);
}

static void manifests(void) {
  struct tm_data_dir d;
  struct disk *disk = folder(&d);
  const struct field fields[] = { { "format", "tidemill manifest", 0 }, { "version", NULL, 1 }, { "id", NULL, d.id } };
  static const struct { const char *what, *bytes; int64_t n; int whole; } generations[] = {
    { "none", "\x90", 1, 1 }, { "one", "\x91\x93\5\6\7", 5, 1 }, { "no array", "\5", 1, 0 }, { "three", "\x93\x93\1\1\1\x93\1\1\1\x93\1\1\1", 13, 0 },
    { "a number", "\x91\5", 2, 0 }, { "of two", "\x91\x92\1\1", 4, 0 }, { "a text in it", "\x91\x93\1\xa1x\1", 6, 0 }, { "negative", "\x91\x93\1\xff\1", 5, 0 },
    { "a large size", "\x91\x93\1\xcf\xff\0\0\0\0\0\0\0\1", 13, 0 }, { "a large chain", "\x91\x93\1\1\xcf\0\0\0\1\0\0\0\0", 13, 0 },
  };
  struct tm_snapshot_list list;
  unsigned char body[512];

  for (size_t g = 0; g < sizeof generations / sizeof generations[0]; g++) {
    int64_t n = map_put(body, fields, 3, -1, 0, "generations", generations[g].bytes, generations[g].n);

    file_put(&d, "manifest", 'M', 0, body, n, 0);
    CHECK((tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == 0) == generations[g].whole, "%s: %s", generations[g].what, err.detail);
  }
  for (int odd = 0; odd < 3; odd++) {
    for (int which = 1; which <= 4; which++) {
      int64_t n = map_put(body, fields, 3, odd, which, "generations", "\x90", 1);

      file_put(&d, "manifest", 'M', 0, body, n, 0);
      CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == -1 && strcmp(err.id, "manifest-damaged") == 0, "%s, %d", fields[odd].key, which);
    }
  }
  int64_t n = map_put(body, fields, 3, -1, 0, NULL, NULL, 0);
  file_put(&d, "manifest", 'M', 0, body, n, 0);
  CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == -1, "no generations");
  n = map_put(body, fields, 3, -1, 0, "generations", "\x90", 1);
  file_put(&d, "manifest", 'N', 0, body, n, 0);
  CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == -1, "another record");
  file_put(&d, "manifest", 'M', 1, body, n, 0);
  CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == -1, "another place");
  file_put(&d, "manifest", 'M', 0, body, n, 3);
  CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == -1, "more behind it");
  for (int64_t cut = TM_RECORD_HEAD + n - 1; cut >= 0; cut--) {
    disk_file_cut(disk, IMAGE_DIR "/manifest", cut);
    CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == -1, "cut at %" PRId64, cut);
  }
  CHECK(tm_snapshot_name_epoch("snapshot.000000000000000g") == 0 && tm_snapshot_name_epoch("snapshot.1") == 0, "names");
  tm_data_dir_close(&d);
  disk_free(disk);
}

static int opens(struct disk *disk) {
  struct tm_data_dir d;

  if (tm_data_dir_open(&d, disk_io(disk), IMAGE_DIR, TM_DATA_USE, &err) != 0) return 0;
  tm_data_dir_close(&d);
  return 1;
}

static void metas(void) {
  struct tm_data_dir d;
  struct disk *disk = folder(&d);
  const struct field fields[] = { { "format", "tidemill meta", 0 }, { "version", NULL, 1 }, { "id", NULL, 99 }, { "address", NULL, 5 },
                                  { "seed", NULL, 5 }, { "caller", "bytes", 0 } };
  unsigned char body[512];
  int64_t n = map_put(body, fields, 6, -1, 0, NULL, NULL, 0);

  tm_data_dir_close(&d);
  file_put(&d, "meta", 'D', 0, body, n, 0);
  CHECK(opens(disk), "as it should be: %s", err.detail);
  for (int odd = 0; odd < 6; odd++) {
    for (int which = 1; which <= 4; which++) {
      int fits = (which == 4 && (odd == 3 || odd == 4)) || (which == 2 && odd == 5);

      n = map_put(body, fields, 6, odd, which, NULL, NULL, 0);
      file_put(&d, "meta", 'D', 0, body, n, 0);
      CHECK(opens(disk) == fits && (fits || strcmp(err.id, "data-meta") == 0), "%s, %d: %s", fields[odd].key, which, err.detail);
    }
  }
  n = map_put(body, fields, 6, -1, 0, NULL, NULL, 0);
  file_put(&d, "meta", 'E', 0, body, n, 0);
  CHECK(!opens(disk), "another record");
  file_put(&d, "meta", 'D', 1, body, n, 0);
  CHECK(!opens(disk), "another place");
  file_put(&d, "meta", 'D', 0, body, n, 1);
  CHECK(!opens(disk), "more behind it");
  file_put(&d, "meta", 'D', 0, body, n, 0);
  for (int64_t cut = TM_RECORD_HEAD + n - 1; cut >= 0; cut--) {
    disk_file_cut(disk, IMAGE_DIR "/meta", cut);
    CHECK(!opens(disk), "cut at %" PRId64, cut);
  }
  CHECK(tm_map_find(body, 0, "format") == NULL && tm_map_find(body, n, "none") == NULL, "no map, no key");
  disk_free(disk);
}

/* ---- odd states ------------------------------------------------------------------------------------------------ */

static int other_head(void *ctx, uint64_t epoch, const void *head, int64_t n, struct tm_err *e) {
  (void)head, (void)e;
  *(int64_t *)ctx = n * 1000 + (int64_t)epoch;
  return 0;
}

static int nothing(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *e) {
  (void)ctx, (void)offset, (void)bytes, (void)n, (void)e;
  return 0;
}

static int no_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *e) {
  (void)ctx, (void)offset, (void)n, (void)e;
  return 0;
}

/* Epochs that have neither a head nor a change: taken up from the journal, merged, taken up from the snapshot. */
static void empty_epochs(void) {
  struct tm_data_dir d;
  struct disk *disk = folder(&d);
  struct tm_journal_options o = { .io = d.io, .dir = IMAGE_DIR, .id = d.id, .segment_size = 32 << 10 };
  int64_t told = -1;
  const struct tm_data_load to = { .ctx = &told, .bytes = nothing, .zero = no_zero, .head = other_head };
  const struct tm_data_load refuses = { .bytes = nothing, .zero = no_zero, .head = refuse_head };
  struct tm_journal_scan scan;
  struct tm_snapshot_made made;
  uint64_t epoch, snapshot;
  unsigned char start[TM_PAYLOAD_START];

  CHECK(tm_data_load(&d, &to, &epoch, &snapshot, &scan, &err) == 0 && epoch == 0 && told == -1, "nothing yet");
  struct tm_journal *j = tm_journal_open(&o, &scan, 0, &err);
  tm_journal_scan_fini(d.io, &scan);
  CHECK(tm_data_load_snapshot(&d, &to, 0, &err) == -1 && strstr(err.detail, "there is no snapshot yet") != NULL, "%s", err.detail);
  tm_payload_start(start, 0);
  for (uint64_t e = 1; e <= 4; e++) {
    CHECK(tm_journal_begin(j) == TM_JOURNAL_OK && tm_journal_put(j, start, sizeof start) == TM_JOURNAL_OK && tm_journal_end(j) == e, "put");
    while (tm_journal_step(j) > 0) {}
    if (e == 2 || e == 3) CHECK(tm_snapshot_merge(d.io, IMAGE_DIR, d.id, 1, &made, &err) == 0 && made.made && made.blocks == 0, "%s", err.detail);
  }
  tm_journal_abandon(j);
  CHECK(tm_data_load(&d, &to, &epoch, &snapshot, &scan, &err) == 0 && epoch == 4 && snapshot > 0 && told == 4, "%s", err.detail);
  tm_journal_scan_fini(d.io, &scan);
  int64_t size;
  disk_file(disk, IMAGE_DIR "/durable", &size)[20] ^= 1;
  CHECK(tm_data_load(&d, &to, &epoch, &snapshot, &scan, &err) == 0 && epoch == 4 && scan.witness == TM_WITNESS_BROKEN, "a witness that is broken is told");
  tm_journal_scan_fini(d.io, &scan);
  CHECK(tm_data_load(&d, &refuses, &epoch, &snapshot, &scan, &err) == -1 && strcmp(err.id, "head") == 0, "its head is refused");
  CHECK(tm_data_load_snapshot(&d, &to, 0, &err) == 0 && told == (int64_t)made.epoch, "the newest alone");
  CHECK(tm_data_load_snapshot(&d, &refuses, 0, &err) == -1 && strcmp(err.id, "head") == 0, "its head is refused");
  CHECK(tm_data_load_snapshot(&d, &to, made.epoch, &err) == 0 && told == (int64_t)made.epoch, "by its number");
  CHECK(tm_data_load_snapshot(&d, &to, 99, &err) == -1 && strstr(err.detail, "there are those of ") != NULL && strstr(err.detail, ", ") != NULL, "%s", err.detail);
  struct tm_snapshot_list list;
  char path[TM_SNAPSHOT_PATH], name[TM_SNAPSHOT_NAME];
  int64_t n;
  CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &list, &err) == 0 && list.n == 2, "two");
  disk_file(disk, tm_data_path(d.path, tm_snapshot_name(list.kept[0].epoch, name), path), &n)[40] ^= 1;
  CHECK(tm_data_load_snapshot(&d, &to, 0, &err) == -1 && strcmp(err.id, "snapshot-damaged") == 0, "%s", err.detail);
  list.n = 1;
  CHECK(tm_snapshot_list_write(d.io, d.path, d.id, &list, &err) == 0, "%s", err.detail);
  CHECK(tm_data_load_snapshot(&d, &to, 99, &err) == -1 && strstr(err.detail, "there is that of ") != NULL, "%s", err.detail);
  disk_file(disk, IMAGE_DIR "/manifest", &n)[30] ^= 1;
  CHECK(tm_data_load_snapshot(&d, &to, 0, &err) == -1 && strcmp(err.id, "manifest-damaged") == 0, "%s", err.detail);
  tm_data_dir_close(&d);
  disk_free(disk);
}

/* A list of blocks grows, is kept in order and without doubles, and says when there is no memory. */
static void many_blocks(void) {
  struct disk *disk = disk_new(1);
  struct tm_blocks b;
  int sorted = 1;

  tm_blocks_init(&b, disk_io(disk));
  for (uint64_t i = 0; i < 2000; i++) CHECK(tm_blocks_add(&b, i * 617 % 1000, &err) == 0, "%s", err.detail);
  for (int64_t i = 0; i < b.n; i++) sorted &= b.list[i] == (uint64_t)i;
  CHECK(b.n == 1000 && sorted, "%" PRId64 " blocks", b.n);
  disk_fault_set(disk, 1, 0, ENOMEM);
  uint64_t at = 1000;
  while (at < 3000 && tm_blocks_add(&b, at, &err) == 0) at++;
  CHECK(at < 3000 && strcmp(err.id, "no-memory") == 0 && b.n == (int64_t)at, "%s", err.detail);
  tm_blocks_fini(&b);
  CHECK(disk_memory_used(disk) == 0, "memory");
  disk_free(disk);
}

/* ---- a disk that gives back other bytes than were written ------------------------------------------------------- */

static struct tm_io bad_io;
static const struct tm_io *good_io;
static int bad_fd = -1;

static int bad_open(const struct tm_io *self, const char *path, int flags, int mode) {
  int fd = good_io->open(good_io, path, flags, mode);

  (void)self;
  if (strstr(path, "/snapshot.0") != NULL) bad_fd = fd;
  return fd;
}

static int64_t bad_pread(const struct tm_io *self, int fd, void *data, size_t n, int64_t at) {
  int64_t got = good_io->pread(good_io, fd, data, n, at);

  (void)self;
  if (fd == bad_fd && got > 30) ((unsigned char *)data)[30] ^= 1;
  return got;
}

#define PASS_ON(type, name, parameters, ...) \
  static type bad_##name parameters { (void)self; return good_io->name(good_io, __VA_ARGS__); }
PASS_ON(int, close, (const struct tm_io *self, int fd), fd)
PASS_ON(int64_t, pwrite, (const struct tm_io *self, int fd, const void *data, size_t n, int64_t at), fd, data, n, at)
PASS_ON(int, fdatasync, (const struct tm_io *self, int fd), fd)
PASS_ON(int, ftruncate, (const struct tm_io *self, int fd, int64_t size), fd, size)
PASS_ON(int64_t, size, (const struct tm_io *self, int fd), fd)
PASS_ON(int, rename, (const struct tm_io *self, const char *from, const char *to), from, to)
PASS_ON(int, unlink, (const struct tm_io *self, const char *path), path)
PASS_ON(int, fsync_dir, (const struct tm_io *self, const char *path), path)
PASS_ON(int, lock, (const struct tm_io *self, int fd), fd)
PASS_ON(int, look, (const struct tm_io *self, const char *path, struct tm_io_look *out), path, out)
PASS_ON(int, list, (const struct tm_io *self, const char *path, int (*name)(void *ctx, const char *name), void *ctx), path, name, ctx)
PASS_ON(void *, memory, (const struct tm_io *self, void *p, size_t n), p, n)

static void bad_disk(void) {
  static const struct forged whole = { "", NULL, 2, { { 'E', 0, 2 } }, 0 };
  struct tm_data_dir d;
  struct disk *disk = folder(&d);
  struct tm_journal_options o = { .io = d.io, .dir = IMAGE_DIR, .id = d.id, .segment_size = 32 << 10 };
  struct tm_journal_scan scan;
  struct tm_snapshot_made made;
  struct tm_snapshot_list list, after;
  unsigned char start[TM_PAYLOAD_START];

  CHECK(tm_journal_scan(d.io, IMAGE_DIR, d.id, &scan, &err) == 0, "%s", err.detail);
  struct tm_journal *j = tm_journal_open(&o, &scan, 0, &err);
  tm_journal_scan_fini(d.io, &scan);
  tm_payload_start(start, 0);
  for (uint64_t e = 1; e <= 9; e++) {
    CHECK(tm_journal_begin(j) == TM_JOURNAL_OK && tm_journal_put(j, start, sizeof start) == TM_JOURNAL_OK && tm_journal_end(j) == e, "put");
    while (tm_journal_step(j) > 0) {}
  }
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  list = (struct tm_snapshot_list){ 2, { snapshot_put(&d, &whole, 5), snapshot_put(&d, &whole, 3) } };
  CHECK(tm_snapshot_list_write(d.io, d.path, d.id, &list, &err) == 0, "%s", err.detail);
  good_io = d.io;
  bad_io = (struct tm_io){ .open = bad_open, .close = bad_close, .pread = bad_pread, .pwrite = bad_pwrite, .fdatasync = bad_fdatasync,
                           .ftruncate = bad_ftruncate, .size = bad_size, .rename = bad_rename, .unlink = bad_unlink, .fsync_dir = bad_fsync_dir,
                           .lock = bad_lock, .look = bad_look, .list = bad_list, .memory = bad_memory };
  CHECK(tm_snapshot_merge(&bad_io, IMAGE_DIR, d.id, 0, &made, &err) == -1 && strcmp(err.id, "snapshot-damaged") == 0, "%s", err.detail);
  struct tm_snapshot_list one = { 1, { list.kept[0] } };
  CHECK(tm_snapshot_list_write(d.io, d.path, d.id, &one, &err) == 0, "%s", err.detail);
  CHECK(tm_snapshot_merge(&bad_io, IMAGE_DIR, d.id, 0, &made, &err) == -1 && strcmp(err.id, "snapshot-damaged") == 0, "%s", err.detail);
  list = one;
  CHECK(tm_snapshot_list_read(d.io, d.path, d.id, &after, &err) == 0 && memcmp(&after, &list, sizeof list) == 0, "the manifest is as it was");
  CHECK(tm_snapshot_merge(d.io, IMAGE_DIR, d.id, 0, &made, &err) == 0 && made.made && made.epoch == 9, "a good one: %s", err.detail);
  tm_data_dir_close(&d);
  disk_free(disk);
}

/* Merging with blocks that are untouched, changed, new, and made zero: each call and allocation of it fails once, and a journal that is damaged. */
static void merges(void) {
  static const struct forged old = { "", NULL, 0, { { 'P', 0, TM_SNAPSHOT_BLOCK }, { 'P', TM_SNAPSHOT_BLOCK, TM_SNAPSHOT_BLOCK },
                                                    { 'P', 3 * TM_SNAPSHOT_BLOCK, TM_SNAPSHOT_BLOCK } }, 0 };
  struct tm_data_dir d;
  struct disk *disk = folder(&d), *c;
  struct tm_journal_options o = { .io = d.io, .dir = IMAGE_DIR, .id = d.id, .segment_size = 32 << 10 };
  struct tm_journal_scan scan;
  struct tm_snapshot_made made;
  unsigned char fixed[TM_PAYLOAD_ZERO];
  int refused = 0;
  int64_t n;

  memset(block, 7, sizeof block);
  CHECK(tm_journal_scan(d.io, IMAGE_DIR, d.id, &scan, &err) == 0, "%s", err.detail);
  struct tm_journal *j = tm_journal_open(&o, &scan, 0, &err);
  tm_journal_scan_fini(d.io, &scan);
  for (uint64_t e = 1; e <= 3; e++) {
    CHECK(tm_journal_begin(j) == TM_JOURNAL_OK, "begun");
    tm_payload_start(fixed, 0);
    tm_journal_put(j, fixed, TM_PAYLOAD_START);
    tm_payload_zero(fixed, TM_SNAPSHOT_BLOCK, TM_SNAPSHOT_BLOCK);
    tm_journal_put(j, fixed, TM_PAYLOAD_ZERO);
    tm_payload_range(fixed, 5 * TM_SNAPSHOT_BLOCK - 10, 20);
    tm_journal_put(j, fixed, TM_PAYLOAD_RANGE);
    tm_journal_put(j, block, 20);
    CHECK(tm_journal_end(j) == e, "ended");
    while (tm_journal_step(j) > 0) {}
  }
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  struct tm_snapshot_list list = { 1, { snapshot_put(&d, &old, 1) } };
  CHECK(tm_snapshot_list_write(d.io, d.path, d.id, &list, &err) == 0, "%s", err.detail);
  for (int memory = 0; memory < 2; memory++) {
    for (int64_t i = 0, met = 1; met; i++) {
      c = disk_copy(disk);
      disk_fault_set(c, memory, i, memory ? ENOMEM : EIO);
      memset(&err, 0, sizeof err);
      int r = tm_snapshot_merge(disk_io(c), IMAGE_DIR, d.id, 1, &made, &err);
      met = disk_fault_met(c);
      CHECK(r == 0 || (err.detail[0] != '\0' && met), "call %" PRId64 ": %s", i, err.detail);
      CHECK(disk_memory_used(c) == 0 && disk_descriptors_used(c) == 0, "call %" PRId64 " leaves something", i);
      refused += r != 0;
      disk_fault_clear(c);
      CHECK(tm_snapshot_merge(disk_io(c), IMAGE_DIR, d.id, 1, &made, &err) == 0 && made.epoch == 3, "behind it: %s", err.detail);
      disk_free(c);
    }
  }
  CHECK(refused > 20, "%d refused", refused);
  CHECK(tm_snapshot_merge(d.io, IMAGE_DIR, d.id, 1, &made, &err) == 0 && made.made && made.blocks == 4, "%" PRId64 " blocks", made.blocks);
  disk_file(disk, IMAGE_DIR "/journal.0000000000000001", &n)[200] ^= 1;
  CHECK(tm_snapshot_merge(d.io, IMAGE_DIR, d.id, 1, &made, &err) == -1 && strcmp(err.id, "journal-damaged") == 0, "%s", err.detail);
  tm_data_dir_close(&d);
  disk_free(disk);
}

int main(void) {
  (void)image_free;
  (void)image_put;
  (void)image_load;
  fprintf(stderr, "(warnings of damaged snapshots are expected)\n");
  snapshots();
  blocks_moved();
  manifests();
  metas();
  empty_epochs();
  many_blocks();
  bad_disk();
  merges();
  return unit_end("test_snapshot_forged");
}
