/* trial.c - tests before scripts are loaded anew (trial.h). */
#include "trial.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../base/log.h"
#include "testing.h"
#include "texts.h"

enum { TESTS_SECONDS = 60, PATH_BYTES = 4096, TEXT_BYTES = 128 << 10, FAILED = 1 };

struct tests {
  struct tm_options options;   /* scripts: what is to be run */
  char text[TEXT_BYTES];       /* their paths */
  size_t used;
};

static void add(struct tests *t, const char *path) {
  size_t n = strlen(path) + 1;
  if (t->options.scripts_n == TM_OPT_LIST_MAX || n > sizeof t->text - t->used) {
    tm_log_warning("%s: there are too many tests: it is not run", path);
    return;
  }
  memcpy(t->text + t->used, path, n);
  t->options.scripts[t->options.scripts_n++] = t->text + t->used;
  t->used += n;
}

static int is_there(const char *path, int folder) {
  struct stat st;
  return stat(path, &st) == 0 && (folder ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
}

/* card.lua: card_spec.lua */
static void add_spec(struct tests *t, const char *script) {
  char path[PATH_BYTES];
  size_t n = strlen(script);
  if (n < 5 || strcmp(script + n - 4, ".lua") != 0 || n + 8 >= sizeof path) return;
  snprintf(path, sizeof path, "%.*s_spec.lua", (int)n - 4, script);
  if (is_there(path, 0)) add(t, path);
}

/* DIR/pack.lua, where DIR/tests is there */
static void add_pack(struct tests *t, const struct tm_text *file) {
  static const char manifest[] = "/pack.lua";
  char path[PATH_BYTES];
  size_t n = strlen(file->path), m = sizeof manifest - 1;
  if (file->kind != TM_TEXTS_FILE || file->error != 0 || n <= m || n + 8 >= sizeof path || strcmp(file->path + n - m, manifest) != 0) return;
  snprintf(path, sizeof path, "%.*s/tests", (int)(n - m), file->path);
  if (is_there(path, 1)) add(t, file->path);
}

/* In a child: what busted prints goes where all else is said. */
_Noreturn static void run(const struct tests *t, struct tm_texts *texts) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  int code = tm_testing_of(&t->options, texts);
  fflush(stdout);
  _exit(code);
}

/* The child's exit code; FAILED, and told, if it took too long or died. */
static int wait_for(pid_t pid) {
  const struct timespec moment = {0, 2 * 1000 * 1000};
  time_t until = time(NULL) + TESTS_SECONDS;
  int status = 0;
  pid_t rc;
  while ((rc = waitpid(pid, &status, WNOHANG)) == 0 && time(NULL) <= until) nanosleep(&moment, NULL);
  if (rc == 0) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    tm_log_error("the tests of the scripts were not done within %d s", TESTS_SECONDS);
    return 4;
  }
  if (rc > 0 && WIFEXITED(status)) return WEXITSTATUS(status);
  tm_log_error("the process that ran the tests of the scripts died");
  return 4;
}

int tm_trial_tests(const struct tm_options *o, struct tm_texts *texts) {
  struct tests t;
  struct tm_text file;
  uint64_t at = 0;
  int code = 0;
  t.used = 0;
  tm_options_defaults(&t.options);
  for (int i = 0; i < o->scripts_n; i++) add_spec(&t, o->scripts[i]);
  while (texts != NULL && tm_texts_next(texts, &at, &file)) add_pack(&t, &file);
  if (t.options.scripts_n > 0) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) run(&t, texts);
    if (pid < 0) tm_log_error("the tests of the scripts cannot be run: no process: %s", strerror(errno));
    code = pid < 0 ? FAILED : wait_for(pid);
    if (pid > 0 && code == FAILED) {  /* busted is missing, and said so */
      tm_log_warning("the scripts are taken without their tests");
      code = 0;
    }
    if (code == 4) tm_log_error("tests of the scripts failed: they are not taken");
  }
  return code;
}
