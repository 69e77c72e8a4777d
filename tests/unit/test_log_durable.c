/* test_log_durable.c - the mark of what is durable beside an event log: readers that go by it are given the records below it and no other, in
 * plain and packed segments, also where it falls inside a block; it moves, goes, and is damaged.
 *
 * The reference is the number of a record, which its text says. */
#include <fcntl.h>
#include <unistd.h>

#include "../../host/eventlog/durable.h"
#include "../../host/eventlog/mark.h"
#include "../../host/eventlog/reader.h"
#include "../../host/eventlog/writer.h"
#include "unit.h"

static char folder[256];

static struct tm_eventlog_writer *open_log(int64_t segment) {
  struct tm_eventlog_options o = {.segment_bytes = segment};
  struct tm_err err = {0};
  struct tm_eventlog_writer *w = tm_eventlog_writer_open(&tm_io_real, folder, &o, &err);
  if (w == NULL) {
    fprintf(stderr, "open: %s\n", err.detail);
    exit(1);
  }
  return w;
}

/* Appends records from..from + n - 1 as one block. */
static void append(struct tm_eventlog_writer *w, int from, int n) {
  char text[64 * 32];
  int32_t ends[64], at = 0;
  int64_t times[64];
  int refused;
  struct tm_err err;
  for (int i = 0; i < n; i++) {
    at += snprintf(text + at, 32, "{\"n\":%d}\n", from + i);
    ends[i] = at;
    times[i] = 1000 + from + i;
  }
  CHECK(tm_eventlog_writer_append(w, text, ends, times, n, &refused, &err) == 1, "append");
}

/* Reads on: the number behind the last record that was given, 0 when one was not the one expected; *code: how it ended. */
static uint64_t read_on(struct tm_eventlog_reader *r, uint64_t next, int *code) {
  struct tm_eventlog_rows rows;
  struct tm_err err;
  while ((*code = tm_eventlog_reader_next(r, &rows, &err)) > 0)
    for (int32_t i = rows.from; i < rows.count; i++) {
      char want[32];
      int32_t from = tm_eventlog_end(&rows, i - 1), len = tm_eventlog_end(&rows, i) - from;
      snprintf(want, sizeof want, "{\"n\":%d}\n", (int)next);
      if (rows.first + (uint64_t)i != next || len != (int32_t)strlen(want) || memcmp(rows.text + from, want, (size_t)len) != 0) return 0;
      next++;
    }
  return next;
}

static uint64_t read_all(int durable, int *code) {
  struct tm_eventlog_reader *r = tm_eventlog_reader_new(&tm_io_real, folder);
  if (durable) tm_eventlog_reader_durable(r);
  uint64_t next = read_on(r, 1, code);
  tm_eventlog_reader_free(r);
  return next;
}

/* Every place of the mark, over blocks of 1 to 9 records in segments of 4 KiB; finish: all but the last are packed, into larger blocks. */
static void test_places(int finish) {
  struct tm_eventlog_writer *w = open_log(4096);
  struct tm_eventlog_extent x;
  struct tm_err err;
  int n = 0, code;
  for (int i = 0; i < 120; i++) {
    append(w, n + 1, 1 + i % 9);
    n += 1 + i % 9;
  }
  CHECK(tm_eventlog_writer_close(w, finish, &err) == 0, "close");
  CHECK(read_all(1, &code) == (uint64_t)n + 1 && code == 0, "without a mark all is given");
  int fd = tm_eventlog_durable_make(&tm_io_real, folder, 1, &err);
  CHECK(fd >= 0, "%s", err.detail);
  struct tm_eventlog_reader *r = tm_eventlog_reader_new(&tm_io_real, folder);
  tm_eventlog_reader_durable(r);
  uint64_t next = 1;
  for (uint64_t at = 1; at <= (uint64_t)n + 1; at++) {
    CHECK(tm_eventlog_durable_put(&tm_io_real, fd, at) == 0, "put");
    uint64_t got = read_all(1, &code);
    CHECK(got == at && code == 0, "mark %d: read to %d, code %d", (int)at, (int)got, code);
    next = read_on(r, next, &code);
    CHECK(next == at && code == 0, "mark %d: one that follows is at %d, code %d", (int)at, (int)next, code);
    if (at % 50 != 1) continue;
    CHECK(tm_eventlog_extent_read(&tm_io_real, folder, &x, &err) == 0 && x.durable == at && x.end == (uint64_t)n + 1, "extent");
    CHECK(read_all(0, &code) == (uint64_t)n + 1 && code == 0, "who does not go by it reads all");
  }
  CHECK(tm_eventlog_durable_put(&tm_io_real, fd, 7) == 0 && tm_eventlog_durable_remove(&tm_io_real, folder, &err) == 0, "removed");
  CHECK(read_all(1, &code) == (uint64_t)n + 1 && code == 0, "without it all is given");
  CHECK(tm_eventlog_durable_remove(&tm_io_real, folder, &err) == 0, "removing what is not there");
  tm_eventlog_reader_free(r);
  close(fd);
}

/* Each bit changed, and each shorter length: an error that names the file, never a record. */
static void test_damage(void) {
  struct tm_err err;
  char path[300], bytes[TM_EVENTLOG_MARK];
  int code;
  int fd = tm_eventlog_durable_make(&tm_io_real, folder, 5, &err);
  snprintf(path, sizeof path, "%s/durable", folder);
  CHECK(pread(fd, bytes, sizeof bytes, 0) == TM_EVENTLOG_MARK, "its size");
  for (int i = 0; i < TM_EVENTLOG_MARK * 8; i++) {
    uint64_t sequence = 0;
    bytes[i / 8] ^= (char)(1 << i % 8);
    CHECK(pwrite(fd, bytes, sizeof bytes, 0) == TM_EVENTLOG_MARK, "write");
    bytes[i / 8] ^= (char)(1 << i % 8);
    CHECK(tm_eventlog_durable_read(&tm_io_real, folder, &sequence, &err) == -1 && strstr(err.detail, path) != NULL, "bit %d: %s", i, err.detail);
    CHECK(read_all(1, &code) == 1 && code == -1, "bit %d", i);
  }
  for (int n = TM_EVENTLOG_MARK - 1; n >= 0; n--) {
    uint64_t sequence;
    CHECK(ftruncate(fd, n) == 0 && tm_eventlog_durable_read(&tm_io_real, folder, &sequence, &err) == -1, "length %d", n);
  }
  close(fd);
  fd = tm_eventlog_durable_make(&tm_io_real, folder, 5, &err);
  CHECK(fd >= 0 && read_all(1, &code) == 5 && code == 0, "made anew");
  close(fd);
}

int main(void) {
  char base[] = "/tmp/tidemill-unit.XXXXXX", line[300];
  if (mkdtemp(base) == NULL) return 1;
  for (int finish = 0; finish < 2; finish++) {
    snprintf(folder, sizeof folder, "%s/logs/%d", base, finish);
    test_places(finish);
    test_damage();
  }
  snprintf(line, sizeof line, "rm -rf '%s'", base);
  if (system(line) != 0) return 1;
  return unit_end("log_durable");
}
