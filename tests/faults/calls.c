/* calls.c - a library to be preloaded (LD_PRELOAD) that lets a chosen call of the system fail, or kills at it.
 *
 * Why not strace: it counts calls of each thread apart, knows no short writes, and slows a run of two processes with threads down tenfold.
 * Here all processes and threads of a run count in one file, so "the n-th call" means one thing; a call that is not chosen
 * costs a look at the name of its descriptor. Syncs are counted, and not made: no power is lost here, and a run is quicker.
 *
 * What is wanted comes from the environment:
 *
 *   TM_CALLS_STATE   a file of at least 8 bytes, zeroes at first: how many calls were counted, of all processes
 *   TM_CALLS_TOLD    a file to which one line is added for each call that was met: number, process, call, path, bytes
 *   TM_CALLS_UNDER   only calls on files below this folder count
 *   TM_CALLS_NAMES   comma before and behind each: ",write,pwrite,": the calls that count
 *   TM_CALLS_WHO     which processes count: letters of c (the first), w (its forks), s (makers of snapshots)
 *   TM_CALLS_AT      the number of the call that is met, from 1 on; 0: calls are only counted
 *   TM_CALLS_TIMES   how many are met from there on (1)
 *   TM_CALLS_DO      kill      SIGKILL for the whole process group, before the call
 *                    die       SIGKILL for the calling process, before the call
 *                    torn      half of the bytes are written, then as kill (calls without bytes: behind the call)
 *                    short     half of the bytes are moved
 *                    tell      nothing else than telling of it
 *                    a number  the call fails with that errno
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 4096 };
enum what { PASS, KILL, DIE, TORN, SHORT, FAIL };

static const struct { const char *name; enum what what; } kinds[] = {
  {"kill", KILL}, {"die", DIE}, {"torn", TORN}, {"short", SHORT}, {"tell", PASS},
};

static _Atomic uint64_t *counted;
static uint64_t at, times = 1;
static const char *under, *names, *who, *told;
static size_t under_len;
static enum what what;
static int error_number;
static pid_t first;          /* the process that was started; others are its forks */
static int is_snapshot;

static const char *setting(const char *name, const char *otherwise) {
  const char *v = getenv(name);
  return v != NULL ? v : otherwise;
}

__attribute__((constructor)) static void begin(void) {
  char line[256] = "";
  const char *state = getenv("TM_CALLS_STATE"), *how = setting("TM_CALLS_DO", "kill");
  int fd = state != NULL ? (int)syscall(SYS_openat, AT_FDCWD, state, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  under = setting("TM_CALLS_UNDER", "/");
  under_len = strlen(under);
  names = setting("TM_CALLS_NAMES", "");
  who = setting("TM_CALLS_WHO", "cws");
  told = setting("TM_CALLS_TOLD", "/dev/null");
  at = strtoull(setting("TM_CALLS_AT", "0"), NULL, 10);
  times = strtoull(setting("TM_CALLS_TIMES", "1"), NULL, 10);
  what = FAIL;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp(how, kinds[i].name) == 0) what = kinds[i].what;
  error_number = what == FAIL ? atoi(how) : 0;
  first = getpid();
  int self = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  long n = self >= 0 ? syscall(SYS_read, self, line, sizeof line - 1) : 0;
  if (self >= 0) syscall(SYS_close, self);
  size_t word = strnlen(line, sizeof line - 1) + 1;
  is_snapshot = n > (long)word && strcmp(line + word, "snapshot") == 0;
  void *p = mmap(NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  if (p != MAP_FAILED) counted = p;
}

static const char *path_of(int fd, char *out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, out, PATH_ROOM - 1);
  out[n > 0 ? n : 0] = '\0';
  return out;
}

static void kill_now(int group) {
  kill(group ? 0 : getpid(), SIGKILL);
  for (;;) pause();
}

/* Counts the call, and says what is to become of it. */
static enum what meet(const char *call, const char *path, size_t bytes) {
  char name[32], line[PATH_ROOM + 128];
  if (counted == NULL || strncmp(path, under, under_len) != 0) return PASS;
  snprintf(name, sizeof name, ",%s,", call);
  char mine = is_snapshot ? 's' : getpid() == first ? 'c' : 'w';
  if (strstr(names, name) == NULL || strchr(who, mine) == NULL) return PASS;
  uint64_t n = atomic_fetch_add(counted, 1) + 1;
  if (at == 0 || n < at || n >= at + times) return PASS;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  int len = snprintf(line, sizeof line, "%llu %c%s %s %s %zu\n", (unsigned long long)n, mine, getpid() == gettid() ? "" : "'s thread", call,
                     path, bytes);
  if (fd >= 0 && syscall(SYS_write, fd, line, (size_t)len) == len) syscall(SYS_close, fd);
  if (what == KILL || what == DIE) kill_now(what == KILL);
  return what;
}

static enum what meet_fd(const char *call, int fd, size_t bytes) {
  char path[PATH_ROOM];
  int kept = errno;
  if (counted == NULL) return PASS;
  enum what w = meet(call, path_of(fd, path), bytes);
  errno = kept;
  return w;
}

static enum what meet_path(const char *call, const char *path, size_t bytes) {
  char whole[PATH_ROOM], dir[PATH_ROOM / 2];
  int kept = errno;
  if (counted == NULL) return PASS;
  if (path[0] != '/') {
    snprintf(whole, sizeof whole, "%s/%.2000s", getcwd(dir, sizeof dir) != NULL ? dir : "", path);
    path = whole;
  }
  enum what w = meet(call, path, bytes);
  errno = kept;
  return w;
}

#define NEXT(name) \
  static __typeof__(name) *next; \
  if (next == NULL) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int fail(void) {
  errno = error_number;
  return -1;
}

static size_t half(size_t n) { return n > 1 ? n / 2 : n; }

/* a call that moves bytes; `done` is made with `n` of them */
#define MOVES(call, fd, n, done) \
  enum what w = meet_fd(call, fd, n); \
  if (w == FAIL) return fail(); \
  if (w == SHORT || w == TORN) n = half(n); \
  ssize_t moved = done; \
  if (w == TORN) kill_now(1); \
  return moved

/* a call that does not */
#define DOES(w, done) \
  if (w == FAIL) return fail(); \
  int did = done; \
  if (w == TORN) kill_now(1); \
  return did

ssize_t write(int fd, const void *data, size_t n) {
  NEXT(write);
  MOVES("write", fd, n, next(fd, data, n));
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t place) {
  NEXT(pwrite);
  MOVES("pwrite", fd, n, next(fd, data, n, place));
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t place) {
  NEXT(pwrite64);
  MOVES("pwrite", fd, n, next(fd, data, n, place));
}

ssize_t read(int fd, void *data, size_t n) {
  NEXT(read);
  MOVES("read", fd, n, next(fd, data, n));
}

ssize_t pread(int fd, void *data, size_t n, off_t place) {
  NEXT(pread);
  MOVES("pread", fd, n, next(fd, data, n, place));
}

ssize_t pread64(int fd, void *data, size_t n, off64_t place) {
  NEXT(pread64);
  MOVES("pread", fd, n, next(fd, data, n, place));
}

int fdatasync(int fd) {
  enum what w = meet_fd("sync", fd, 0);
  DOES(w, 0);
}

int fsync(int fd) {
  enum what w = meet_fd("sync", fd, 0);
  DOES(w, 0);
}

int ftruncate(int fd, off_t size) {
  NEXT(ftruncate);
  enum what w = meet_fd("ftruncate", fd, (size_t)size);
  DOES(w, next(fd, size));
}

int ftruncate64(int fd, off64_t size) {
  NEXT(ftruncate64);
  enum what w = meet_fd("ftruncate", fd, (size_t)size);
  DOES(w, next(fd, size));
}

int posix_fallocate(int fd, off_t place, off_t n) {
  NEXT(posix_fallocate);
  enum what w = meet_fd("fallocate", fd, (size_t)n);
  if (w == FAIL) return error_number;
  DOES(w, next(fd, place, n));
}

int rename(const char *from, const char *to) {
  NEXT(rename);
  enum what w = meet_path("rename", from, 0);
  DOES(w, next(from, to));
}

int unlink(const char *path) {
  NEXT(unlink);
  enum what w = meet_path("unlink", path, 0);
  DOES(w, next(path));
}

int mkdir(const char *path, mode_t mode) {
  NEXT(mkdir);
  enum what w = meet_path("mkdir", path, 0);
  DOES(w, next(path, mode));
}

/* files that may be written are told apart from those that are only read */
static const char *open_name(int flags) { return (flags & O_ACCMODE) == O_RDONLY ? "look" : "open"; }

#define MODE(mode, flags) \
  mode_t mode = 0; \
  if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

int open(const char *path, int flags, ...) {
  NEXT(open);
  MODE(mode, flags)
  enum what w = meet_path(open_name(flags), path, 0);
  DOES(w, next(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
  NEXT(open64);
  MODE(mode, flags)
  enum what w = meet_path(open_name(flags), path, 0);
  DOES(w, next(path, flags, mode));
}
