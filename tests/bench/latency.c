/* latency.c - how long an event takes through a command's stdin and stdout, at a fixed rate.
 *
 *   latency [-r EVENTS_PER_S] [-s SECONDS] [-w SECONDS] [-i FILE] [-f FOLLOWER] COMMAND ARG...
 *
 * -w: how long the command takes to start; the first event is due so long after that. -i: the events are the lines of a file. With -f the events come back from another command, a line of shell, which reads what COMMAND writes (an event log): it is started half a
 * second before the first event, and stopped when all have come back or none has for 10 s.
 *
 * Open loop: event i is due at start + i / rate and is written when it is due, whether or not the ones before it have
 * come back; its latency counts from when it was *due*, not from when it was written, so that a stall is charged to
 * every event that it delays (no coordinated omission). The command must give back one line an event, in order; it
 * may change the line. Two threads here: one spins and writes (it needs a core of its own), one reads and takes the
 * time. The first second is warm-up.
 * Prints one line: events, then p50, p99, p99.9 and the highest in ms, then events that never came back. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 512, READ_SIZE = 65536, WARM_S = 1, SILENT_MS = 10000 };

/* What both threads know. Set before they start. */
struct run {
  int to, from;      /* pipes to and from the command */
  double start;      /* when event 0 is due */
  double rate;
  long events;
  double *latency_s; /* one entry an event that came back */
  char *text;        /* of the file of events, mapped; NULL: they are made */
  size_t text_len;
  long back;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int write_all(int fd, const char *text, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, text, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    text += n;
    len -= (size_t)n;
  }
  return 0;
}

/* The lines of a file, in memory before the first is due; 0 or -1. */
static int text_map(struct run *run, const char *path) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) return -1;
  run->text_len = (size_t)st.st_size;
  run->text = mmap(NULL, run->text_len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  close(fd);
  return run->text == MAP_FAILED ? -1 : 0;
}

/* A card transaction above 100, so that the pipelines of the benchmark let it pass. */
static int event_format(char *line, long i) {
  return snprintf(line, LINE_SIZE,
                  "{\"ts\":%ld,\"id\":%ld,\"card\":\"c%06ld\",\"merchant\":\"m%05ld\",\"amount\":%ld.50,"
                  "\"currency\":\"EUR\",\"country\":\"DE\",\"lat\":52.52001,\"lon\":13.40495,"
                  "\"device\":\"dev-0a1b2c3d-0f0f\",\"channel\":\"pos\",\"mcc\":5411,\"status\":\"authorized\"}\n",
                  1700000040000 + i, 1000000 + i, i * 7919 % 100000, i * 31 % 10000, 101 + i % 900);
}

static void *writer_main(void *arg) {
  struct run *run = arg;
  char made[LINE_SIZE], *line = run->text == NULL ? made : run->text, *end = line + run->text_len;
  long n = 0;
  for (long i = 0; i < run->events; i++) {
    if (run->text == NULL) {
      n = event_format(line, i);
    } else {
      line += n;
      char *lf = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
      if (lf == NULL) break;
      n = lf + 1 - line;
    }
    double due = run->start + (double)i / run->rate;
    /* spinning: a sleep's own wake-up of 10 to 50 us would be charged to the command */
    while (now() < due) continue;
    if (write_all(run->to, line, (size_t)n) != 0) break;
  }
  close(run->to);
  return NULL;
}

static void lines_read(struct run *run) {
  static char text[READ_SIZE];
  struct pollfd wait = {.fd = run->from, .events = POLLIN};
  ssize_t n;
  int silent_ms = SILENT_MS + (int)((run->start - now()) * 1e3);
  while (run->back < run->events && poll(&wait, 1, silent_ms) != 0 && ((n = read(run->from, text, sizeof text)) > 0 || (n < 0 && errno == EINTR))) {
    double at = now();
    for (char *p = text; n > 0 && (p = memchr(p, '\n', (size_t)(text + n - p))) != NULL; p++) {
      if (run->back == run->events) return;
      run->latency_s[run->back] = at - (run->start + (double)run->back / run->rate);
      run->back++;
    }
  }
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void report(struct run *run) {
  long skip = (long)(run->rate * WARM_S), n = run->back - skip;
  double *list = run->latency_s + skip;
  if (n <= 0) {
    printf("0 0 0 0 0 %ld\n", run->events - run->back);
    return;
  }
  qsort(list, (size_t)n, sizeof *list, by_value);
  printf("%ld %.4f %.4f %.4f %.4f %ld\n", n, list[n / 2] * 1e3, list[(long)((double)n * 0.99)] * 1e3,
         list[(long)((double)n * 0.999)] * 1e3, list[n - 1] * 1e3, run->events - run->back);
}

/* Starts a command between two descriptors, -1: those of this process; returns its process, or -1. */
static int command_start(int in, int out, char **argv) {
  int child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0L, 0L, 0L);
  if ((in >= 0 && dup2(in, 0) < 0) || (out >= 0 && dup2(out, 1) < 0)) _exit(127);
  execvp(argv[0], argv);
  _exit(127);
}

/* The command, and the follower where there is one, with the pipes to the one and from the other. */
static int both_start(struct run *run, char **argv, char *follow, int *follower) {
  char sh[] = "/bin/sh", option[] = "-c", *words[] = {sh, option, follow, NULL};
  int to[2], from[2];
  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) return -1;
  int child = command_start(to[0], follow == NULL ? from[1] : -1, argv);
  *follower = 0;
  if (child > 0 && follow != NULL) {
    usleep(500000);  /* the command has made what it reads */
    *follower = command_start(-1, from[1], words);
  }
  close(to[0]);
  close(from[1]);
  run->to = to[1];
  run->from = from[0];
  return *follower < 0 ? -1 : child;
}

int main(int argc, char **argv) {
  struct run run = {.rate = 10000};
  double seconds = 10, wait_s = 0.3;
  int opt, child, follower = 0;
  char *follow = NULL, *input = NULL;
  pthread_t writer;
  while ((opt = getopt(argc, argv, "+r:s:w:f:i:")) != -1) {
    if (opt == 'r') run.rate = strtod(optarg, NULL);
    else if (opt == 's') seconds = strtod(optarg, NULL);
    else if (opt == 'w') wait_s = strtod(optarg, NULL);
    else if (opt == 'f') follow = optarg;
    else if (opt == 'i') input = optarg;
    else return 2;
  }
  if (optind == argc || run.rate <= 0) return 2;
  signal(SIGPIPE, SIG_IGN);
  run.events = (long)(run.rate * (seconds + WARM_S));
  run.latency_s = calloc((size_t)run.events, sizeof *run.latency_s);
  if (input != NULL && text_map(&run, input) != 0) goto failed;
  if (run.latency_s == NULL || (child = both_start(&run, argv + optind, follow, &follower)) < 0) goto failed;
  run.start = now() + wait_s; /* the command has started by then */
  if (pthread_create(&writer, NULL, writer_main, &run) != 0) goto failed;
  lines_read(&run);
  close(run.from);  /* a command that waits for its reader ends, and the writer with it */
  pthread_join(writer, NULL);
  if (follower > 0) kill(follower, SIGKILL);
  waitpid(child, NULL, 0);
  report(&run);
  free(run.latency_s);
  return 0;
failed:
  perror("latency");
  free(run.latency_s);
  return 1;
}
