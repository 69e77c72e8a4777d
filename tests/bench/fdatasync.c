/* fdatasync.c - what a disk's own fdatasync takes: the yardstick beside everything that is durable.
 *
 *   fdatasync FOLDER [TIMES] [BYTES]
 *
 * Writes BYTES (8192) behind what was written into a file whose room is there already, as a journal does, and syncs it, TIMES (500) over. Prints
 * one line: p50, p99, p99.9 and the highest in ms of write and fdatasync together. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BYTES_MAX = 1 << 20, TIMES_MAX = 100000 };

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  static char bytes[BYTES_MAX];
  static double took[TIMES_MAX];
  char path[4096];
  long times = argc > 2 ? strtol(argv[2], NULL, 10) : 500, n = argc > 3 ? strtol(argv[3], NULL, 10) : 8192;
  if (argc < 2 || times < 1 || times > TIMES_MAX || n < 1 || n > BYTES_MAX) return 2;
  snprintf(path, sizeof path, "%s/fdatasync.%d", argv[1], (int)getpid());
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  int ok = fd >= 0 && unlink(path) == 0 && posix_fallocate(fd, 0, times * n) == 0 && fsync(fd) == 0;
  memset(bytes, 'x', sizeof bytes);
  for (long i = 0; ok && i < times; i++) {
    double from = now_ms();
    ok = pwrite(fd, bytes, (size_t)n, i * n) == n && fdatasync(fd) == 0;
    took[i] = now_ms() - from;
  }
  if (!ok) {
    perror(path);
    return 1;
  }
  qsort(took, (size_t)times, sizeof *took, by_value);
  printf("%.3f %.3f %.3f %.3f\n", took[times / 2], took[(long)((double)times * 0.99)], took[(long)((double)times * 0.999)], took[times - 1]);
  return 0;
}
