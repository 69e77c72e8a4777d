/* phases.c - runs a command and tells what its worker had spent when it had read so many bytes, and so many more.
 *
 *   phases FROM TO COMMAND ARG...
 *
 * Prints one line: cpu-seconds and bytes read at the first look with at least FROM bytes read, the same for TO, exit code. The
 * worker is the command's child that reads the most; its cpu-seconds are those of all its threads, user and system. One
 * run, so growth and end are in no difference, as they are in one of two runs, where they are most of both. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct look {
  double cpu, bytes;
};

/* what process pid has read and spent: 0, or -1 when it is gone */
static int look_at(int pid, struct look *l) {
  char path[64], line[256];
  struct timespec t;
  clockid_t clock;
  snprintf(path, sizeof path, "/proc/%d/io", pid);
  FILE *f = fopen(path, "r");
  l->bytes = -1;
  while (f != NULL && fgets(line, sizeof line, f) != NULL) sscanf(line, "rchar: %lf", &l->bytes);
  if (f != NULL) fclose(f);
  if (l->bytes < 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0) return -1;
  l->cpu = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
  return 0;
}

/* of pid and its children the one that has read the most */
static int most_read(int pid) {
  char path[64];
  struct look l, most = {0, 0};
  int child, best = pid;
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
  FILE *f = fopen(path, "r");
  while (f != NULL && fscanf(f, "%d", &child) == 1) {
    if (look_at(child, &l) != 0 || l.bytes < most.bytes) continue;
    most = l;
    best = child;
  }
  if (f != NULL) fclose(f);
  return best;
}

int main(int argc, char **argv) {
  static const struct timespec pause = {0, 500000};
  if (argc < 4) {
    fprintf(stderr, "usage: phases FROM TO COMMAND ARG...\n");
    return 2;
  }
  double upto[2] = {atof(argv[1]), atof(argv[2])};
  struct look at[2] = {{0, 0}, {0, 0}}, now;
  int status = 0, met = 0, child = fork();
  if (child < 0) return 2;
  if (child == 0) {
    execvp(argv[3], argv + 3);
    _exit(127);
  }
  while (met < 2 && waitpid(child, &status, WNOHANG) == 0) {
    if (look_at(most_read(child), &now) == 0 && now.bytes >= upto[met]) at[met++] = now;
    else nanosleep(&pause, NULL);
  }
  if (met == 2) waitpid(child, &status, 0);
  printf("%.6f %.0f %.6f %.0f %d\n", at[0].cpu, at[0].bytes, at[1].cpu, at[1].bytes,
         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}
