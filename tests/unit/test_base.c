/* test_base.c - base: errors, buffers, the real I/O table, counters, suggestions, messages.
 *
 * Edit distances are checked against published examples and, over random words, against the plain recursive
 * definition of the restricted distance, which bounds the unrestricted one from above. Messages are read back
 * through a pipe in place of stderr. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "../../host/base/buf.h"
#include "../../host/base/counters.h"
#include "../../host/base/err.h"
#include "../../host/base/io.h"
#include "../../host/base/log.h"
#include "../../host/base/suggest.h"
#include "unit.h"

static void errors(void) {
  struct tm_err err;
  char longest[2000];

  CHECK(tm_err_set(&err, 3, "script-open", "%s: %d", "a.lua", 7) == -1, "returns -1");
  CHECK(strcmp(err.id, "script-open") == 0 && err.exit_code == 3 && strcmp(err.detail, "a.lua: 7") == 0, "filled");
  CHECK(tm_err_set(NULL, 1, "x", "y") == -1, "no place to fill");
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  tm_err_set(&err, 1, "x", "%s", longest);
  CHECK(strlen(err.detail) == sizeof err.detail - 1, "cut, terminated");
}

static void buffers(void) {
  struct tm_buf b;
  char fixed[16 + TM_PAD];
  int i, ok = 1;

  tm_buf_init(&b, 1000);
  CHECK(b.len == 0 && b.data != NULL && tm_buf_put(&b, "", 0) == 0, "empty and readable");
  for (i = 0; i < TM_PAD; i++) ok &= b.data[i] == 0;
  CHECK(ok, "the pad of an empty buffer is readable");
  for (i = 0; i < 1000; i++) {
    char c = (char)('a' + i % 26);

    if (tm_buf_put(&b, &c, 1) != 0) break;
  }
  CHECK(i == 1000 && b.len == 1000 && b.cap == 1000, "up to cap_max, len %d cap %d", b.len, b.cap);
  memset(b.data + b.cap, 1, TM_PAD);  /* sanitizers object if the pad is not there */
  CHECK(tm_buf_put(&b, "x", 1) == -1 && b.len == 1000, "no byte beyond cap_max");
  for (i = 0; i < 1000; i++) ok &= b.data[i] == (char)('a' + i % 26);
  CHECK(ok, "bytes kept while growing");
  CHECK(tm_buf_grow(&b, -1) == -1 && tm_buf_grow(&b, INT32_MAX) == -1, "impossible sizes");
  tm_buf_fini(&b);
  CHECK(b.cap == 0 && b.len == 0, "gone");
  tm_buf_fini(&b);
  tm_buf_init_fixed(&b, fixed, 16);
  CHECK(tm_buf_put(&b, "0123456789abcdef", 16) == 0 && b.data == fixed, "fixed");
  CHECK(tm_buf_put(&b, "x", 1) == -1 && b.data == fixed, "fixed and full");
  tm_buf_fini(&b);
}

static void files(void) {
  const struct tm_io *io = &tm_io_real;
  char dir[] = "/tmp/tidemill-base-XXXXXX", a[64], b[64], data[32];
  int fd;

  CHECK(mkdtemp(dir) != NULL, "no folder");
  snprintf(a, sizeof a, "%s/a", dir);
  snprintf(b, sizeof b, "%s/b", dir);
  CHECK(io->open(io, a, O_RDONLY, 0) == -ENOENT, "missing file");
  fd = io->open(io, a, O_RDWR | O_CREAT | O_EXCL, 0600);
  CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "created, close-on-exec");
  CHECK(tm_io_write_all(io, fd, "hello world", 11) == 0 && io->size(io, fd) == 11, "written");
  CHECK(io->pwrite(io, fd, "W", 1, 6) == 1 && io->pread(io, fd, data, 5, 6) == 5 && memcmp(data, "World", 5) == 0,
        "positioned");
  CHECK(io->read(io, fd, data, 4) == 0, "at the end");
  CHECK(io->ftruncate(io, fd, 5) == 0 && io->size(io, fd) == 5 && io->fdatasync(io, fd) == 0, "cut and synced");
  CHECK(io->close(io, fd) == 0 && io->close(io, fd) == -EBADF, "closed once");
  CHECK(io->rename(io, a, b) == 0 && io->fsync_dir(io, dir) == 0, "renamed");
  CHECK(io->fsync_dir(io, b) == -ENOTDIR, "a file is no folder");
  fd = io->open(io, b, O_RDONLY, 0);
  CHECK(tm_io_read_all(io, fd, data, sizeof data) == 5 && memcmp(data, "hello", 5) == 0, "read to the end");
  CHECK(io->write(io, fd, "x", 1) == -EBADF && tm_io_write_all(io, fd, "x", 1) == -EBADF, "read-only");
  io->close(io, fd);
  fd = io->open(io, dir, O_RDONLY, 0);
  CHECK(io->size(io, fd) == -EISDIR && io->read(io, fd, data, 0) == -EISDIR, "a folder has no bytes");
  io->close(io, fd);
  CHECK(io->unlink(io, b) == 0 && io->unlink(io, b) == -ENOENT, "unlinked once");
  rmdir(dir);
}

/* An I/O table whose writes and reads move at most 3 bytes and are interrupted every other time. */
struct slow_io {
  struct tm_io io;
  int calls;
  char data[64];
  size_t n, at;
};

static int64_t slow_write(const struct tm_io *io, int fd, const void *data, size_t n) {
  struct slow_io *s = (struct slow_io *)(uintptr_t)io;

  if (s->calls++ % 2 == 0) return -EINTR;
  if (n > 3) n = 3;
  memcpy(s->data + s->n, data, n);
  s->n += n;
  return fd == 7 ? (int64_t)n : -EBADF;
}

static int64_t slow_read(const struct tm_io *io, int fd, void *data, size_t n) {
  struct slow_io *s = (struct slow_io *)(uintptr_t)io;

  if (s->calls++ % 2 == 0) return -EINTR;
  if (n > 3) n = 3;
  if (n > s->n - s->at) n = s->n - s->at;
  memcpy(data, s->data + s->at, n);
  s->at += n;
  return fd == 7 ? (int64_t)n : -EBADF;
}

static void short_moves(void) {
  struct slow_io s = { .io = { .write = slow_write, .read = slow_read } };
  char back[64];

  CHECK(tm_io_write_all(&s.io, 7, "0123456789", 10) == 0 && s.n == 10 && memcmp(s.data, "0123456789", 10) == 0,
        "written in pieces");
  CHECK(tm_io_read_all(&s.io, 7, back, sizeof back) == 10 && memcmp(back, "0123456789", 10) == 0, "read in pieces");
  CHECK(tm_io_write_all(&s.io, 8, "x", 1) == -EBADF, "an error ends it");
}

static void clocks(void) {
  const struct tm_io *io = &tm_io_real;
  unsigned char a[600], b[600];
  uint64_t t = io->mono_ns(io);
  int i, steady = 1;

  for (i = 0; i < 1000; i++) {
    uint64_t now = io->mono_ns(io);

    steady &= now >= t;
    t = now;
  }
  CHECK(steady, "mono_ns never goes back");
  CHECK(io->real_ms(io) / 1000 - (int64_t)time(NULL) <= 1 && (int64_t)time(NULL) - io->real_ms(io) / 1000 <= 1,
        "real_ms is the time of day");
  memset(a, 0, sizeof a);
  memset(b, 0, sizeof b);
  CHECK(io->random(io, a, sizeof a) == 0 && io->random(io, b, sizeof b) == 0 && memcmp(a, b, sizeof a) != 0, "random");
}

static void counters(void) {
  struct tm_counters c = { .events_in = 1, .trace_flushes = 99 };
  int i;

  CHECK(tm_counters_get(&c, TM_COUNTER_INDEX_events_in) == 1, "first");
  CHECK(tm_counters_get(&c, TM_COUNTERS_N - 1) == 99, "last");
  for (i = 0; i < TM_COUNTERS_N; i++) {
    const struct tm_counter_info *info = &tm_counters_list[i];
    size_t n = strlen(info->sentence);

    CHECK(n > 10 && info->sentence[n - 1] == '.' && info->unit[0] != '\0', "%s: a sentence", info->name);
  }
}

/* The definition of the restricted distance, by recursion. */
static int distance_slow(const char *a, int la, const char *b, int lb) {
  int best, d;

  if (la == 0 || lb == 0) return la + lb;
  best = distance_slow(a, la - 1, b, lb - 1) + (a[la - 1] != b[lb - 1]);
  d = distance_slow(a, la - 1, b, lb) + 1;
  if (d < best) best = d;
  d = distance_slow(a, la, b, lb - 1) + 1;
  if (d < best) best = d;
  if (la > 1 && lb > 1 && a[la - 1] == b[lb - 2] && a[la - 2] == b[lb - 1]) {
    d = distance_slow(a, la - 2, b, lb - 2) + 1;
    if (d < best) best = d;
  }
  return best;
}

static void suggestions(void) {
  static const char *const names[] = { "from", "to", "format", "script-memory", "max-event", "max-rows" };
  char longest[200];
  unsigned seed = 1;
  int i, k;

  CHECK(tm_suggest_distance("kitten", "sitting") == 3, "kitten, sitting");
  CHECK(tm_suggest_distance("saturday", "sunday") == 3, "saturday, sunday");
  CHECK(tm_suggest_distance("ca", "abc") == 2, "ca, abc: a swap with a letter put between");
  CHECK(tm_suggest_distance("", "abc") == 3 && tm_suggest_distance("abc", "") == 3, "empty");
  CHECK(tm_suggest_distance("From", "fROM") == 0, "case");
  for (i = 0; i < 300; i++) {
    char w[2][7];
    int d, slow;

    for (k = 0; k < 12; k++) {
      seed = seed * 1103515245u + 12345u;
      w[k / 6][k % 6] = (char)('a' + (seed >> 16) % 3);
    }
    w[0][i % 7 < 6 ? i % 7 : 5] = w[1][6] = w[0][6] = '\0';
    d = tm_suggest_distance(w[0], w[1]);
    slow = distance_slow(w[0], (int)strlen(w[0]), w[1], 6);
    CHECK(d <= slow && d >= slow - 2 && d == tm_suggest_distance(w[1], w[0]), "%s %s: %d, slow %d", w[0], w[1], d, slow);
  }
  CHECK(strcmp(tm_suggest("form", names, 6), "from") == 0, "form");
  CHECK(strcmp(tm_suggest("max-row", names, 6), "max-rows") == 0, "max-row");
  CHECK(strcmp(tm_suggest("script", names, 6), "script-memory") == 0, "the beginning of one name");
  CHECK(tm_suggest("max", names, 6) == NULL, "the beginning of two");
  CHECK(tm_suggest("deadline", names, 6) == NULL && tm_suggest("x", names, 6) == NULL, "nothing close");
  CHECK(tm_suggest("", names, 6) == NULL && tm_suggest("a", names, 0) == NULL, "nothing at all");
  memset(longest, 'm', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  CHECK(tm_suggest(longest, names, 6) == NULL && tm_suggest_distance(longest, longest) == 0, "long words");
}

/* What `say` writes to stderr, in out. */
static void heard(void (*say)(void), char *out, size_t size) {
  int fds[2], saved = dup(STDERR_FILENO);
  int64_t n;

  if (pipe(fds) != 0 || dup2(fds[1], STDERR_FILENO) < 0) abort();
  say();
  close(fds[1]);
  dup2(saved, STDERR_FILENO);
  close(saved);
  n = tm_io_read_all(&tm_io_real, fds[0], out, size - 1);
  out[n < 0 ? 0 : n] = '\0';
  close(fds[0]);
}

static void say_error(void) {
  errno = EPERM;
  tm_log_error("%s: no \033[31msuch\x7f file\tand\nline \xc2\x9b \xc3\xa4", "a.lua");
  if (errno != EPERM) tm_log_error("errno changed");
}

static void say_others(void) {
  tm_log_warning("careful");
  tm_log_info("so it is");
  tm_log_text("raw \033\n", 6);
}

static void say_long(void) {
  static char text[9001];
  int i;

  for (i = 0; i < 9000; i += 2) memcpy(text + i, "\xc3\xa4", 2);
  tm_log_info("%s", text);
}

static void messages(void) {
  char out[20000];
  size_t n;

  heard(say_error, out, sizeof out);
  CHECK(strcmp(out, "tidemill: error: a.lua: no \\x1b[31msuch\\x7f file\tand\nline \\x9b \xc3\xa4\n") == 0, "%s", out);
  heard(say_others, out, sizeof out);
  CHECK(strcmp(out, "tidemill: warning: careful\ntidemill: so it is\nraw \033\n") == 0, "%s", out);
  heard(say_long, out, sizeof out);
  n = strlen(out);
  CHECK(n > 4000 && n < 4200 && strcmp(out + n - 6, "\xc3\xa4...\n") == 0, "cut between characters, %d bytes", (int)n);
}

int main(void) {
  errors();
  buffers();
  files();
  short_moves();
  clocks();
  counters();
  suggestions();
  messages();
  return unit_end("base");
}
