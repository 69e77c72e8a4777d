/* measure.c - runs a command and tells what it cost, the whole process tree together.
 *
 *   measure [-i IN] [-o OUT] [-e ERR] [-t] [-f] COMMAND ARG...
 *
 * Prints one line: user s, system s, wall s, peak resident KiB of the largest process, peak resident KiB of the tree
 * (-t, else 0), ms from the start to the first byte of output (-f, else 0), exit code (128 + n: ended by signal n).
 *
 * The times are those of the command and all it waited for, plus orphans, whose parent this program becomes
 * (PR_SET_CHILD_SUBREAPER): nothing can leave the account. The tree's peak is the sum of each process's own peak
 * (VmHWM, looked at every 2 ms): pages they share count once for each, so the figure is never too small by sharing.
 * -f reads the output through a pipe instead of OUT. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TREE_MAX = 64, POLL_MS = 2 };

/* Each process ever seen in the tree and its highest VmHWM. */
static struct {
  int pid;
  long peak_kb;
} tree[TREE_MAX];
static int tree_n;

struct cost {
  double user, sys;
  long peak_kb;
  int code;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Up to size - 1 bytes of a /proc file, terminated; 0 when it is gone. */
static int proc_read(int pid, const char *name, char *text, size_t size) {
  char path[96];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, size - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = '\0';
  return 1;
}

/* Notes the peaks of pid and of all below it. */
static void tree_look(int pid, int depth) {
  char text[4096], name[48];
  int i = 0;
  if (!proc_read(pid, "status", text, sizeof text)) return;
  const char *line = strstr(text, "\nVmHWM:");
  long kb = line == NULL ? 0 : strtol(line + 7, NULL, 10);
  while (i < tree_n && tree[i].pid != pid) i++;
  if (i == TREE_MAX) return;
  if (i == tree_n) tree[tree_n++].pid = pid;
  if (kb > tree[i].peak_kb) tree[i].peak_kb = kb;
  snprintf(name, sizeof name, "task/%d/children", pid);
  if (depth == 8 || !proc_read(pid, name, text, sizeof text)) return;
  for (char *p = text, *end; (pid = (int)strtol(p, &end, 10)) > 0; p = end) tree_look(pid, depth + 1);
}

static int file_onto(const char *path, int flags, int fd) {
  int opened = open(path, flags, 0644);
  if (opened < 0 || dup2(opened, fd) < 0) return -1;
  return opened == fd ? 0 : close(opened);
}

/* The child's part: never returns. */
static void command_exec(char **argv, const char *in, const char *out, const char *err, int pipe_fd) {
  if (file_onto(in, O_RDONLY, 0) != 0 || file_onto(err, O_WRONLY | O_CREAT | O_TRUNC, 2) != 0) _exit(127);
  if (pipe_fd >= 0 ? dup2(pipe_fd, 1) < 0 : file_onto(out, O_WRONLY | O_CREAT | O_TRUNC, 1) != 0) _exit(127);
  execvp(argv[0], argv);
  _exit(127);
}

/* Reads the output to its end; returns the time of its first byte, or 0. */
static double output_drain(int fd) {
  static char sink[65536];
  double first = 0;
  ssize_t n;
  while ((n = read(fd, sink, sizeof sink)) > 0 || (n < 0 && errno == EINTR))
    if (n > 0 && first == 0) first = now();
  return first;
}

/* Collects the command and every orphan of its; look: watch the tree meanwhile. */
static struct cost cost_collect(int child, int look) {
  struct cost cost = {0, 0, 0, 0};
  struct rusage used;
  int status, pid;
  while ((pid = wait4(-1, &status, look ? WNOHANG : 0, &used)) >= 0 || errno == EINTR) {
    if (pid <= 0) {
      tree_look(child, 0);
      poll(NULL, 0, POLL_MS);
      continue;
    }
    cost.user += (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec * 1e-6;
    cost.sys += (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec * 1e-6;
    if (used.ru_maxrss > cost.peak_kb) cost.peak_kb = used.ru_maxrss;
    if (pid == child) cost.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return cost;
}

int main(int argc, char **argv) {
  const char *in = "/dev/null", *out = "/dev/null", *err = "/dev/null";
  int look = 0, first_wanted = 0, opt, ends[2] = {-1, -1};
  while ((opt = getopt(argc, argv, "+i:o:e:tf")) != -1) {
    if (opt == 'i') in = optarg;
    else if (opt == 'o') out = optarg;
    else if (opt == 'e') err = optarg;
    else if (opt == 't') look = 1;
    else if (opt == 'f') first_wanted = 1;
    else return 2;
  }
  if (optind == argc || prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) != 0) return 2;
  if (first_wanted && pipe2(ends, O_CLOEXEC) != 0) return 2;
  double start = now(), first = 0;
  int child = fork();
  if (child < 0) return 2;
  if (child == 0) command_exec(argv + optind, in, out, err, ends[1]);
  if (first_wanted) {
    close(ends[1]);
    first = output_drain(ends[0]);
  }
  struct cost cost = cost_collect(child, look);
  double wall = now() - start;
  long tree_kb = 0;
  for (int i = 0; i < tree_n; i++) tree_kb += tree[i].peak_kb;
  printf("%.6f %.6f %.6f %ld %ld %.3f %d\n", cost.user, cost.sys, wall, cost.peak_kb, tree_kb,
         first > 0 ? (first - start) * 1e3 : 0.0, cost.code);
  return 0;
}
