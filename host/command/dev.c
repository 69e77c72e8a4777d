/* dev.c - `tidemill dev`: a run whose scripts are loaded anew when one of their files changes (engine/control_dev.c). */
#include "../base/log.h"
#include "../engine/control.h"
#include "commands.h"
#include "options.h"

int tm_command_dev(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int r = tm_options_parse(&o, TM_OPTIONS_RUN, argc, argv, &tm_io_real, &err);

  if (r == TM_OPTIONS_HELP) return tm_help_print("dev");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  if (o.code != NULL) {
    tm_log_error("dev: -e has no file that could change; name a script or a pack");
    return 2;
  }
  o.dev = 1;
  return tm_control_run(&o, &tm_io_real);
}
