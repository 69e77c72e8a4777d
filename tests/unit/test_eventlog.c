/* test_eventlog.c - the event log's files: what is written is read, from any sequence and any time, also cut at any byte and with any bit
 * changed, which may make records go but never gives another one; cutting back, retention, a full disk.
 *
 * The reference is a list in memory of what was appended. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../host/eventlog/folder.h"
#include "../../host/eventlog/format.h"
#include "../../host/eventlog/keeper.h"
#include "../../host/eventlog/reader.h"
#include "../../host/eventlog/writer.h"
#include "unit.h"

enum { MOST = 4000, TEXT = 200 };

static struct { char text[TEXT]; int32_t len; int64_t time; } record[MOST + 1];
static int records;
static char folder[256];
static uint32_t seed = 1;

static uint32_t draw(uint32_t n) { return (seed = seed * 1664525u + 1013904223u) / (UINT32_MAX / n + 1); }

static void clean(void) {
  char line[400];
  snprintf(line, sizeof line, "rm -rf '%s'", folder);
  if (system(line) != 0) abort();
}

/* Appends n records in one block, and notes them. Times go up and down. */
static int append(struct tm_eventlog_writer *w, int n) {
  static char text[64 * TEXT];
  int32_t ends[64], at = 0, refused = 0;
  int64_t times[64];
  for (int i = 0; i < n; i++) {
    int k = records + 1 + i;
    record[k].time = 1700000000000 + k * 10 + (int64_t)draw(200) - 100;
    record[k].len = snprintf(record[k].text, TEXT, "{\"n\":%d,\"pad\":\"%.*s\"}\n", k, (int)draw(90),
                             "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp");
    memcpy(text + at, record[k].text, (size_t)record[k].len);
    at += record[k].len;
    ends[i] = at;
    times[i] = record[k].time;
  }
  struct tm_err err;
  int rc = tm_eventlog_writer_append(w, text, ends, times, n, &refused, &err);
  if (rc == 1) records += n;
  else fprintf(stderr, "append: %d: %s\n", rc, rc < 0 ? err.detail : "refused");
  return rc;
}

static struct tm_eventlog_writer *open_log(int64_t segment) {
  struct tm_eventlog_options o = {.segment_bytes = segment};
  struct tm_err err = {0};
  struct tm_eventlog_writer *w = tm_eventlog_writer_open(&tm_io_real, folder, &o, &err);
  if (w == NULL) fprintf(stderr, "open: %s\n", err.detail);
  return w;
}

/* Reads from a sequence on: the sequence behind the last record, 0 a wrong one; *code: how it ended. Of those with times in [min, max]
 * every one must come; others may. */
static uint64_t read_from(uint64_t from, int64_t min, int64_t max, int *code, int *seen_n) {
  struct tm_eventlog_reader *r = tm_eventlog_reader_new(&tm_io_real, folder);
  struct tm_eventlog_rows rows;
  struct tm_err err;
  int rc, seen = 0;
  uint64_t last = 0;
  tm_eventlog_reader_seek(r, from);
  tm_eventlog_reader_times(r, min, max);
  while ((rc = tm_eventlog_reader_next(r, &rows, &err)) > 0) {
    for (int32_t i = rows.from; i < rows.count; i++) {
      uint64_t k = rows.first + (uint64_t)i;
      int32_t begin = tm_eventlog_end(&rows, i - 1), len = tm_eventlog_end(&rows, i) - begin;
      if (k <= last || k > (uint64_t)records || len != record[k].len || memcmp(rows.text + begin, record[k].text, (size_t)len) != 0 ||
          tm_eventlog_time(&rows, i) != record[k].time) {
        tm_eventlog_reader_free(r);
        return 0;
      }
      last = k;
      seen += record[k].time >= min && record[k].time <= max;
    }
  }
  *code = rc;
  if (seen_n != NULL) *seen_n = seen;
  uint64_t at = tm_eventlog_reader_at(r);
  tm_eventlog_reader_free(r);
  return at == 0 ? 1 : at;
}

static void make(int blocks, int64_t segment, int finish) {
  struct tm_err err;
  clean();
  records = 0;
  struct tm_eventlog_writer *w = open_log(segment);
  if (w == NULL) abort();
  for (int i = 0; i < blocks; i++) append(w, 1 + (int)draw(20));
  CHECK(tm_eventlog_writer_close(w, finish, &err) == 0, "%s", err.detail);
}

static int count_files(const char *ending) {
  int n = 0;
  DIR *d = opendir(folder);
  for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) n += strstr(e->d_name, ending) != NULL;
  if (d != NULL) closedir(d);
  return n;
}

/* ---- reading ---- */

static void test_reading(int finish) {
  int code;
  make(200, 16384, finish);
  CHECK(count_files(".tmp") == 0, "nothing half made is left");
  if (finish) CHECK(count_files(".packed") > 3 && count_files(".events") == 1, "%d packed, %d not", count_files(".packed"), count_files(".events"));
  for (uint64_t from = 0; from <= (uint64_t)records + 1; from++)
    CHECK(read_from(from, INT64_MIN, INT64_MAX, &code, NULL) == (uint64_t)records + 1 && code == 0, "from %d", (int)from);
  /* by time, against all that have it */
  for (int i = 0; i < 400; i++) {
    int64_t min = 1700000000000 + (int64_t)draw((uint32_t)records * 10 + 400) - 200, max = min + (int64_t)draw(3000);
    int want = 0, seen = -1;
    for (int k = 1; k <= records; k++) want += record[k].time >= min && record[k].time <= max;
    CHECK(read_from(0, min, max, &code, &seen) > 0 && code == 0 && seen == want, "times: %d of %d", seen, want);
  }
  struct tm_eventlog_extent x;
  CHECK(tm_eventlog_extent_read(&tm_io_real, folder, &x, NULL) == 0 && x.first == 1 && x.end == (uint64_t)records + 1, "extent");
}

/* ---- damage ---- */

static char *load(const char *path, int64_t *size) {
  int fd = open(path, O_RDONLY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) abort();
  char *p = malloc((size_t)st.st_size);
  if (p == NULL || read(fd, p, (size_t)st.st_size) != st.st_size) abort();
  close(fd);
  *size = st.st_size;
  return p;
}

static void store(const char *path, const char *p, int64_t n) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0 || write(fd, p, (size_t)n) != n) abort();
  close(fd);
}

/* The newest segment cut at every byte: a reader gets the blocks that are whole; a writer removes the rest and goes on. */
static void test_cut(void) {
  struct tm_eventlog_list list;
  char path[TM_EVENTLOG_PATH];
  int code;
  make(60, 8192, 1);
  CHECK(tm_eventlog_list_read(folder, &list, NULL) == 0 && list.n > 1, "segments");
  tm_eventlog_path(path, folder, list.items[list.n - 1].first, ".events");
  uint64_t first = list.items[list.n - 1].first, before = first;
  tm_eventlog_list_fini(&list);
  int64_t size;
  char *all = load(path, &size);
  int kept = records, steps = 0;
  for (int64_t n = 0; n <= size; n++) {
    store(path, all, n);
    uint64_t end = read_from(0, INT64_MIN, INT64_MAX, &code, NULL);
    CHECK(code == 0 && end >= before && end <= (uint64_t)kept + 1, "cut at %d: %d", (int)n, (int)end);
    steps += end > before;
    before = end;
    if (n % 7 != 0) continue;
    struct tm_eventlog_writer *w = open_log(8192);
    CHECK(w != NULL, "opened");
    if (w == NULL) continue;
    struct tm_log_mark mark;
    tm_eventlog_writer_mark(w, &mark);
    CHECK(mark.sequence == end, "goes on at %d, not %d", (int)end, (int)mark.sequence);
    records = (int)end - 1;
    append(w, 3);
    tm_eventlog_writer_close(w, 0, NULL);
    CHECK(read_from(0, INT64_MIN, INT64_MAX, &code, NULL) == end + 3 && code == 0, "appended behind %d", (int)end);
    unlink(path);
    char later[TM_EVENTLOG_PATH];
    tm_eventlog_path(later, folder, end, ".events");
    if (end != first) unlink(later);
    /* what was appended has other texts: the list in memory is that of the file again */
    struct tm_eventlog_rows rows;
    store(path, all, size);
    struct tm_eventlog_reader *r = tm_eventlog_reader_new(&tm_io_real, folder);
    struct tm_err err;
    tm_eventlog_reader_seek(r, first);
    while (tm_eventlog_reader_next(r, &rows, &err) > 0)
      for (int32_t i = 0; i < rows.count; i++) {
        uint64_t k = rows.first + (uint64_t)i;
        int32_t begin = tm_eventlog_end(&rows, i - 1);
        record[k].len = tm_eventlog_end(&rows, i) - begin;
        record[k].time = tm_eventlog_time(&rows, i);
        memcpy(record[k].text, rows.text + begin, (size_t)record[k].len);
      }
    tm_eventlog_reader_free(r);
    records = kept;
  }
  CHECK(steps > 3, "blocks came one by one: %d", steps);
  free(all);
}

/* Every bit of a file changed: never another record, never a crash. Of what was known to be on the disk it is always noticed. */
static void test_flip(const char *ending, int last) {
  struct tm_eventlog_list list;
  char path[TM_EVENTLOG_PATH];
  int code, noticed = 0, whole = 0;
  make(24, 4096, 1);
  if (tm_eventlog_list_read(folder, &list, NULL) != 0) abort();
  tm_eventlog_path(path, folder, list.items[last ? list.n - 1 : 0].first, ending);
  tm_eventlog_list_fini(&list);
  int64_t size;
  char *all = load(path, &size);
  for (int64_t i = 0; i < size; i++) {
    for (int bit = 0; bit < 8; bit++) {
      all[i] = (char)(all[i] ^ (1 << bit));
      store(path, all, size);
      all[i] = (char)(all[i] ^ (1 << bit));
      uint64_t end = read_from(0, INT64_MIN, INT64_MAX, &code, NULL);
      if (end == 0) CHECK(0, "byte %d bit %d: another record", (int)i, bit);
      if (code < 0) noticed++;
      else if (end == (uint64_t)records + 1) whole++;
      else if (!last) CHECK(0, "byte %d bit %d: records are missing without a word", (int)i, bit);
    }
  }
  /* a head or the last mark that is broken in the newest segment looks as if it was not wholly written yet */
  CHECK(noticed > size * 8 * 3 / 5, "%d of %d noticed", noticed, (int)size * 8);
  CHECK(last || noticed + whole == size * 8, "all others change nothing");
  store(path, all, size);
  CHECK(read_from(0, INT64_MIN, INT64_MAX, &code, NULL) == (uint64_t)records + 1 && code == 0, "as it was");
  free(all);
}

/* ---- cutting back, retention, full disks ---- */

static void test_truncate(void) {
  int code;
  for (int round = 0; round < 40; round++) {
    make(60, 8192, round % 2);
    uint64_t to = 1 + draw((uint32_t)records + 1);
    struct tm_log_mark mark = {0, 0, to};
    struct tm_err err = {0};
    struct tm_eventlog_writer *w = open_log(8192);
    CHECK(w != NULL && tm_eventlog_writer_truncate(w, &mark, &err) == 0, "cut back to %d: %s", (int)to, err.detail);
    records = (int)to - 1;
    CHECK(read_from(0, INT64_MIN, INT64_MAX, &code, NULL) == to && code == 0, "ends at %d", (int)to);
    append(w, 5);
    tm_eventlog_writer_mark(w, &mark);
    mark.sequence += 1;
    CHECK(tm_eventlog_writer_truncate(w, &mark, &err) == -1 && strstr(err.detail, "ends before record") != NULL, "%s", err.detail);
    tm_eventlog_writer_close(w, 1, NULL);
    CHECK(read_from(0, INT64_MIN, INT64_MAX, &code, NULL) == to + 5 && code == 0, "goes on behind %d", (int)to);
  }
}

static void test_retention(void) {
  struct tm_eventlog_extent x;
  int code;
  make(200, 8192, 1);
  struct tm_eventlog_options o = {.segment_bytes = 8192};
  if (tm_eventlog_extent_read(&tm_io_real, folder, &x, NULL) != 0) abort();
  o.retain_bytes = x.bytes / 2;
  CHECK(tm_eventlog_retain(&tm_io_real, folder, &o, NULL) > 2, "some go");
  CHECK(tm_eventlog_extent_read(&tm_io_real, folder, &x, NULL) == 0 && x.bytes <= o.retain_bytes && x.bytes > o.retain_bytes / 2 &&
            x.end == (uint64_t)records + 1 && x.first > 1, "the oldest went");
  CHECK(read_from(0, INT64_MIN, INT64_MAX, &code, NULL) == (uint64_t)records + 1 && code == 0, "the rest is read");
  struct tm_eventlog_reader *r = tm_eventlog_reader_new(&tm_io_real, folder);
  struct tm_eventlog_rows rows;
  tm_eventlog_reader_seek(r, 1);
  CHECK(tm_eventlog_reader_next(r, &rows, NULL) == 1 && rows.first == x.first && tm_eventlog_reader_lost(r) == x.first - 1, "what is lost is counted");
  tm_eventlog_reader_free(r);
  o = (struct tm_eventlog_options){.retain_ms = 1};
  usleep(5000);
  CHECK(tm_eventlog_retain(&tm_io_real, folder, &o, NULL) == x.segments - 1, "by age all but the newest go");
}

/* A disk that is full after some bytes: the real table, but for writing. */
static struct { struct tm_io io; int64_t room; int fail; } small;

static int64_t small_pwrite(const struct tm_io *io, int fd, const void *data, size_t n, int64_t at) {
  (void)io;
  if (small.room <= 0) return -small.fail;
  if ((int64_t)n > small.room) n = (size_t)small.room;
  small.room -= (int64_t)n;
  return tm_io_real.pwrite(&tm_io_real, fd, data, n, at);
}

static void test_full(void) {
  int code, refusals = 0;
  clean();
  records = 0;
  small.io = tm_io_real;
  small.io.pwrite = small_pwrite;
  small.fail = ENOSPC;
  small.room = 1000000;
  struct tm_eventlog_options o = {.segment_bytes = 4096};
  struct tm_err err = {0};
  struct tm_eventlog_writer *w = tm_eventlog_writer_open(&small.io, folder, &o, &err);
  for (int i = 0; i < 300; i++) {
    small.room = i % 3 == 0 ? (int64_t)draw(400) : 1000000;
    int32_t refused = 0, ends[1] = {100};
    int64_t times[1] = {5};
    int k = records + 1;
    memset(record[k].text, 'x', 99);
    snprintf(record[k].text, 20, "%d", k);
    record[k].text[99] = '\n';
    record[k].len = 100;
    record[k].time = 5;
    int rc = tm_eventlog_writer_append(w, record[k].text, ends, times, 1, &refused, &err);
    CHECK(rc == 1 || (rc == 0 && refused == ENOSPC), "%d %s", rc, err.detail);
    records += rc == 1;
    refusals += rc == 0;
    CHECK(read_from(0, INT64_MIN, INT64_MAX, &code, NULL) == (uint64_t)records + 1 && code == 0, "what was taken is there, and no more");
  }
  CHECK(refusals > 20, "it was full %d times", refusals);
  small.room = 0;
  small.fail = EIO;
  int32_t refused, ends[1] = {100};
  int64_t times[1] = {5};
  CHECK(tm_eventlog_writer_append(w, record[1].text, ends, times, 1, &refused, &err) == -1 && strstr(err.detail, "write failed") != NULL, "EIO ends it");
  struct tm_eventlog_writer *other = tm_eventlog_writer_open(&tm_io_real, folder, &o, &err);
  CHECK(other == NULL && strstr(err.detail, "is written by another process") != NULL, "one writer: %s", err.detail);
  tm_eventlog_writer_close(w, 0, NULL);
}

static void test_names(void) {
  CHECK(tm_eventlog_name_ok("a.b_c-9") && tm_eventlog_name_ok("A"), "names");
  CHECK(!tm_eventlog_name_ok("") && !tm_eventlog_name_ok(".a") && !tm_eventlog_name_ok("a/b") && !tm_eventlog_name_ok("ä") &&
            !tm_eventlog_name_ok("a b") && !tm_eventlog_name_ok(".."), "no names");
}

int main(void) {
  /* in memory, as thousands of files are written and synced here */
  char memory[] = "/dev/shm/tidemill-unit.XXXXXX", disk[] = "/tmp/tidemill-unit.XXXXXX", line[300];
  const char *base = mkdtemp(memory) != NULL ? memory : mkdtemp(disk);
  if (base == NULL) return 1;
  snprintf(folder, sizeof folder, "%s/logs/a", base);
  test_names();
  test_reading(0);
  test_reading(1);
  test_cut();
  test_flip(".packed", 0);
  test_flip(".events", 1);
  test_truncate();
  test_retention();
  test_full();
  snprintf(line, sizeof line, "rm -rf '%s'", base);
  if (system(line) != 0) return 1;
  return unit_end("eventlog");
}
