/* backtest.c - `tidemill backtest`: history through a rule pack, and what it found of what is labelled.
 *
 * A run whose sinks are thrown away or one file, and that ends with a pipeline more, which prints the report (tidemill.backtest). State and
 * positions are in memory, and end with it. */
#include <fcntl.h>
#include <string.h>

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
  if (o->labels_n == 0 && (o->label_event != NULL || o->label_delay_ms > 0 || o->unlabelled != NULL || o->event_id != NULL)) {
    tm_log_error("backtest: --id, --unlabelled, --label-delay and --label-event say something of labels; give --labels FILE too");
    return USAGE;
  }
  return o->decisions != NULL ? check_new(o->decisions) : 0;
}

int tm_command_backtest(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int r = tm_options_parse(&o, TM_OPTIONS_BACKTEST, argc, argv, &tm_io_real, &err);

  if (r == TM_OPTIONS_HELP) return tm_help_print("backtest");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  if ((r = check(&o)) != 0 || (r = tm_history_settle(&o, "backtest")) != 0) return r;
  o.quiet = 1;
  o.state = "backtest";
  return tm_control_run(&o, &tm_io_real);
}
