/* repl.c - `tidemill repl`: events and expressions, line by line.
 *
 * Looks at the words only; what a line means is the library's tidemill.repl, on the engine of `tidemill test`. */
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "../engine/testing.h"
#include "commands.h"
#include "options.h"

enum { USAGE = 2 };

int tm_command_repl(int argc, char *const *argv) {
  struct tm_options o;
  int i;

  tm_options_defaults(&o);
  for (i = 0; i < argc; i++) {
    if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) return tm_help_print("repl");
    if (argv[i][0] == '-') {
      tm_log_error("unknown option %.80s; repl has none, it takes a script or the folder of a pack", argv[i]);
      return USAGE;
    }
    if (o.scripts_n == 1) {
      tm_log_error("repl takes one script or folder of a pack, found %.80s too; .load takes the next one", argv[i]);
      return USAGE;
    }
    o.scripts[o.scripts_n++] = argv[i];
  }
  i = tm_testing_repl(&o);
  return fflush(stdout) == 0 || i != 0 ? i : 1;
}
