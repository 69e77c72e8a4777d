/* run.c - `tidemill run`: scripts over a stream, to the end of input or until a signal.
 *
 * Parses and hands over; the control process does the rest. */
#include "../base/log.h"
#include "../engine/control.h"
#include "commands.h"
#include "options.h"

int tm_command_run(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int r = tm_options_parse(&o, TM_OPTIONS_RUN, argc, argv, &tm_io_real, &err);

  if (r == TM_OPTIONS_HELP) return tm_help_print("run");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  return tm_control_run(&o, &tm_io_real);
}
