/* graph.c - `tidemill graph`: what reads what, as text, for Graphviz, for Mermaid, or as JSON.
 *
 * The scripts are loaded in a worker, as in a check; nothing runs, and no source or sink is opened. */
#include "../base/log.h"
#include "../engine/control.h"
#include "commands.h"
#include "options.h"

int tm_command_graph(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int r = tm_options_parse(&o, TM_OPTIONS_GRAPH, argc, argv, &tm_io_real, &err);

  if (r == TM_OPTIONS_HELP) return tm_help_print("graph");
  if (r == TM_OPTIONS_OK && o.json && o.drawing != NULL)
    r = tm_err_set(&err, 2, "drawing-and-json", "both --json and --format %s are given; write one of them", o.drawing);
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  if (o.json) o.drawing = "json";
  else if (o.drawing == NULL) o.drawing = "text";
  return tm_control_graph(&o, &tm_io_real);
}
