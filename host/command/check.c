/* check.c - `tidemill check`: loads, validates and lints scripts without running a stream.
 *
 * In a worker of its own, as in a run: a script that crashes or never ends while it loads is reported, not
 * suffered. */
#include "../base/log.h"
#include "../engine/control.h"
#include "commands.h"
#include "options.h"

int tm_command_check(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int r = tm_options_parse(&o, TM_OPTIONS_CHECK, argc, argv, &tm_io_real, &err);

  if (r == TM_OPTIONS_HELP) return tm_help_print("check");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  return tm_control_check(&o, &tm_io_real);
}
