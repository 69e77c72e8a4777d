/* backtest.c - `tidemill backtest`: history through a rule pack, and what it found of what is labelled.
 *
 * A run whose sinks are thrown away or one file, and that ends with a pipeline more, which prints the report (tidemill.backtest). State and
 * positions are in memory, and end with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/log.h"
#include "../engine/control.h"
#include "commands.h"
#include "history.h"
#include "options.h"

enum { USAGE = 2 };

/* Decisions of another backtest must not stand in front of these. */
static int check_new(const char *path) {
  int fd = tm_io_real.open(&tm_io_real, path, O_RDONLY, 0);

  if (fd < 0) return 0;
  tm_io_real.close(&tm_io_real, fd);
  tm_log_error("--decisions: %s is there already; name a new file, so that these decisions are of this backtest alone", path);
  return USAGE;
}

static int check(const struct tm_options *o) {
  if (o->unlabelled != NULL && strcmp(o->unlabelled, "legit") != 0 && strcmp(o->unlabelled, "unknown") != 0) {
    tm_log_error("--unlabelled: an event without a label is legit or unknown, got '%.80s'", o->unlabelled);
    return USAGE;
  }
  if (o->labels_n == 0 && (o->label_event != NULL || o->unlabelled != NULL || o->event_id != NULL)) {
    tm_log_error("backtest: --id, --unlabelled and --label-event say something of labels; give --labels FILE too");
    return USAGE;
  }
  return o->decisions != NULL ? check_new(o->decisions) : 0;
}

/* The first pass, in a process of its own: labelled events become those that confirm them, in a file that is read beside the history.
 * 0, or the exit code. */
static int confirm(struct tm_options *o, char *path, size_t size) {
  const char *folder = getenv("TMPDIR");
  int status = 0;

  if (o->replay != NULL || o->from_n == 0 || strcmp(o->from[0], "-") == 0) {
    tm_log_error("--label-event reads the history twice, and by time beside other events: give --from FILE");
    return USAGE;
  }
  if (o->from_n == TM_OPT_LIST_MAX) {
    tm_log_error("--label-event: one --from less, as the events it makes are read too");
    return USAGE;
  }
  snprintf(path, size, "%.3000s/tidemill-confirmed-XXXXXX.ndjson", folder != NULL && folder[0] != '\0' ? folder : "/tmp");
  int fd = mkstemps(path, (int)strlen(".ndjson"));
  if (fd < 0) {
    tm_log_error("--label-event: %s cannot be made: %s (TMPDIR says where)", path, strerror(errno));
    path[0] = '\0';
    return 1;
  }
  pid_t child = fork();
  if (child == 0) {
    o->state = "confirm";
    _exit(dup2(fd, STDOUT_FILENO) < 0 ? 1 : tm_control_run(o, &tm_io_real));
  }
  close(fd);
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
    tm_log_error("--label-event: the first pass over the history did not end");
    return 1;
  }
  o->from[o->from_n++] = path;
  return WEXITSTATUS(status);
}

int tm_command_backtest(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  char confirmed[4096] = "";
  int r = tm_options_parse(&o, TM_OPTIONS_BACKTEST, argc, argv, &tm_io_real, &err);

  if (r == TM_OPTIONS_HELP) return tm_help_print("backtest");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  if ((r = check(&o)) != 0 || (r = tm_history_settle(&o, "backtest")) != 0) return r;
  o.quiet = 1;
  if (o.label_event != NULL) r = confirm(&o, confirmed, sizeof confirmed);
  o.state = "backtest";
  if (r == 0) r = tm_control_run(&o, &tm_io_real);
  if (confirmed[0] != '\0') unlink(confirmed);
  return r;
}
