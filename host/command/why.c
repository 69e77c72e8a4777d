/* why.c - `tidemill why`: what was known when a decision was made, and how each rule's conditions stood.
 *
 * A run over the same history whose sinks are thrown away. At the events that the ids name it looks (tidemill.why); it ends behind the last of
 * them, and prints what it saw by a pipeline more. */
#include "../base/log.h"
#include "../engine/control.h"
#include "commands.h"
#include "history.h"
#include "options.h"

enum { USAGE = 2 };

int tm_command_why(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int r = tm_options_parse(&o, TM_OPTIONS_WHY, argc, argv, &tm_io_real, &err);

  if (r == TM_OPTIONS_HELP) return tm_help_print("why");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  if (o.ids_n == 0 && o.ids_file == NULL) {
    tm_log_error("why takes the id of a decision, such as limits-d369724a@payments.ndjson:17: it is the field `id` of a row that the pack wrote");
    return USAGE;
  }
  if ((r = tm_history_settle(&o, "why")) != 0) return r;
  o.quiet = 1;
  o.state = "why";
  return tm_control_run(&o, &tm_io_real);
}
