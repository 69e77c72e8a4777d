/* test_control.c - engine/control with workers that do what real ones should not: crash, hang, run away.
 *
 * The worker's two entry points are defined here, so that each case is one word in -e. Control runs in a process of its
 * own; the test waits until its worker says "ready" on a pipe, sends signals, and looks at the exit code and at what
 * was said on stderr. Exit codes are those of api.md: 128 + n, 0 for a drained TERM, 3 for a rejected script. */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../host/base/io.h"
#include "../../host/engine/control.h"
#include "../../host/engine/worker.h"
#include "unit.h"

static int ready_fd;        /* the worker's end of the pipe */
static char said[16384];    /* stderr of the last case */

/* ---- the workers -------------------------------------------------------- */

static void place_set(struct tm_shared *s, int attempt) {
  int found;
  struct tm_batch *b = tm_shared_region(s, "batch", sizeof *b, &found);
  char *raw = tm_shared_region(s, "raw", 4096, &found);

  snprintf(raw, 4096, "{\"a\":1}");
  b->raw = raw;
  b->rows = 1;
  b->line_first = 17;
  b->len[0] = (int32_t)strlen(raw);
  s->batch = s->root = b;
  snprintf(s->source, sizeof s->source, "tx.ndjson");
  snprintf(s->pipelines[1], sizeof s->pipelines[1], "clean");
  s->batch_serial = 5;
  s->flow.marker.pipeline = 1;
  s->flow.marker.serial = attempt;
}

static void run_away(void) {
  for (volatile int i = 0;; i++) {}
}

int tm_worker_main(const struct tm_options *o, struct tm_shared *s) {
  int found, *attempt = tm_shared_region(s, "attempt", sizeof *attempt, &found);
  const char *what = o->code;

  ++*attempt;
  if (strcmp(what, "die loading") == 0) raise(SIGKILL);
  if (strncmp(what, "exit ", 5) == 0) return atoi(what + 5);
  signal(SIGUSR1, SIG_DFL);
  sigset_t usr1, old;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  sigprocmask(SIG_BLOCK, &usr1, &old);
  s->phase = TM_PHASE_RUNNING;
  place_set(s, *attempt);
  if (strcmp(what, "die always") == 0) raise(SIGABRT);
  if (strcmp(what, "die once") == 0 && *attempt == 1) raise(SIGABRT);
  if (strcmp(what, "die twice") == 0 && *attempt <= 2) raise(SIGABRT);
  if (strcmp(what, "poison") == 0 && *attempt <= 12) {  /* six events in one batch, each quarantined at its third try */
    s->flow.marker.row = (*attempt - 1) / 2;
    if (s->death_count == 2) s->moves++;  /* as leaving it out does */
    raise(SIGABRT);
  }
  if (strcmp(what, "leave rubbish") == 0 && *attempt == 1) {
    s->batch = (const struct tm_batch *)(uintptr_t)8;
    s->flow.marker.pipeline = -7;
    raise(SIGABRT);
  }
  if (strcmp(what, "run away") == 0 && *attempt == 1) run_away();
  if (strcmp(what, "wait in an event") == 0) poll(NULL, 0, 1000);
  s->flow.marker.serial = 0;
  if (strcmp(what, "die outside") == 0 && *attempt == 1) raise(SIGABRT);
  if (write(ready_fd, "r", 1) != 1) return 99;
  if (strcmp(what, "drain") == 0) {
    int sig;

    while (!s->drain) sigwait(&usr1, &sig);
  }
  if (strcmp(what, "hang") == 0) poll(NULL, 0, 60000);
  if (strcmp(what, "fail") == 0) s->strict_failed = 1;
  return strcmp(what, "die twice") == 0 ? s->death_count + 40 : 0;
}

int tm_worker_check(const struct tm_options *o, struct tm_shared *s) {
  (void)s;
  if (strcmp(o->code, "die loading") == 0) raise(SIGKILL);
  return 0;
}

int tm_worker_trial(const struct tm_options *o, struct tm_shared *s) { return o == NULL || s == NULL ? 1 : 3; }

int tm_worker_graph(const struct tm_options *o, struct tm_shared *s) {
  return tm_worker_check(o, s);
}

/* ---- the test's side ------------------------------------------------------- */

/* Runs the case; when its worker is ready sends the signals (0: none). The exit code; -n: ended by signal n. */
static int outcome(const char *what, int strict, const int *signals) {
  struct tm_options o = { .code = what, .quiet = 1, .strict = strict, .deadline_ms = 100 };
  int ready[2], err[2], status;
  char byte;
  int64_t n;
  pid_t pid;

  if (pipe(ready) != 0 || pipe(err) != 0) abort();
  ready_fd = ready[1];
  pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(err[1], STDERR_FILENO);
    close(err[1]);
    exit(tm_control_run(&o, &tm_io_real));
  }
  close(ready[1]);
  close(err[1]);
  n = tm_io_read_all(&tm_io_real, ready[0], &byte, 1);
  for (; n == 1 && *signals != 0; signals++) {
    kill(pid, *signals);
    poll(NULL, 0, 50);  /* two signals of one number that are both pending are one */
  }
  n = tm_io_read_all(&tm_io_real, err[0], said, sizeof said - 1);
  said[n < 0 ? 0 : n] = '\0';
  close(ready[0]);
  close(err[0]);
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define SIGNALS(...) (const int[]){ __VA_ARGS__, 0 }
#define EXITS(code, what, strict, signals)                                             \
  do {                                                                                 \
    int got = outcome(what, strict, signals);                                          \
    CHECK(got == (code), "%s: exit code %d, expected %d; %s", what, got, code, said);  \
  } while (0)
#define SAYS(text) CHECK(strstr(said, text) != NULL, "said: %s", said)

static int lines(void) {
  int n = 0;

  for (const char *p = said; (p = strchr(p, '\n')) != NULL; p++) n++;
  return n;
}

static void exit_codes(void) {
  EXITS(0, "ok", 0, SIGNALS(0));
  CHECK(said[0] == '\0', "said: %s", said);
  EXITS(1, "exit 1", 0, SIGNALS(0));
  EXITS(3, "exit 3", 1, SIGNALS(0));
  EXITS(0, "fail", 0, SIGNALS(0));
  EXITS(1, "fail", 1, SIGNALS(0));
}

static void signals(void) {
  EXITS(0, "drain", 0, SIGNALS(SIGTERM));
  EXITS(130, "drain", 0, SIGNALS(SIGINT));
  EXITS(0, "drain", 0, SIGNALS(SIGPIPE, SIGHUP, SIGTERM));
  EXITS(143, "hang", 0, SIGNALS(SIGINT, SIGTERM));
  EXITS(130, "hang", 0, SIGNALS(SIGTERM, SIGINT));
  EXITS(-SIGKILL, "hang", 0, SIGNALS(SIGKILL));  /* reading stderr to its end also waits for the worker's death */
}

static void deaths(void) {
  EXITS(3, "die loading", 0, SIGNALS(0));
  SAYS("ended by signal 9 (Killed) while it loaded the code of -e");
  EXITS(0, "die once", 0, SIGNALS(0));
  SAYS("ended by signal 6 (Aborted) in pipeline clean, tx.ndjson line 17: {\"a\":1}: the next worker goes on at the "
       "first event not finished, with empty state\n");
  EXITS(1, "die once", 1, SIGNALS(0));
  EXITS(42, "die twice", 0, SIGNALS(0));
  SAYS("with empty state; this event ended it before and is left out\n");
  CHECK(lines() == 2, "once a death: %s", said);
  EXITS(0, "die outside", 0, SIGNALS(0));
  SAYS("outside of user code");
  EXITS(1, "die always", 0, SIGNALS(0));
  SAYS("5 times without getting any further; giving up");
  CHECK(lines() == 5, "once a death: %s", said);
  EXITS(0, "leave rubbish", 0, SIGNALS(0));
  SAYS("in pipeline number -6: the next worker");
  EXITS(0, "poison", 0, SIGNALS(0));
  CHECK(lines() == 12, "each quarantined event is progress: %s", said);
}

static void deadline(void) {
  EXITS(0, "run away", 0, SIGNALS(0));
  SAYS("worker killed: one event was not done after 200 ms (deadline 100 ms), in pipeline clean");
  EXITS(1, "run away", 1, SIGNALS(0));
  EXITS(0, "wait in an event", 0, SIGNALS(0));
  CHECK(said[0] == '\0', "waiting is not running away: %s", said);
}

static void checks(void) {
  struct tm_options o = { .code = "die loading", .deadline_ms = 100 };
  int status;
  pid_t pid = fork();

  if (pid == 0) {
    if (freopen("/dev/null", "w", stderr) == NULL) abort();
    exit(tm_control_check(&o, &tm_io_real));
  }
  waitpid(pid, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "check of a script that crashes: %d", status);
}

int main(void) {
  exit_codes();
  signals();
  deaths();
  deadline();
  checks();
  return unit_end("control");
}
