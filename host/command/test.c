/* test.c - `tidemill test`: runs specs of scripts.
 *
 * Looks at the words only; what a spec is and how it is run is the library's tidemill.testing. */
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "../engine/testing.h"
#include "commands.h"
#include "options.h"

enum { USAGE = 2 };

int tm_command_test(int argc, char *const *argv) {
  struct tm_options o;
  int i, only_paths = 0;

  tm_options_defaults(&o);
  for (i = 0; i < argc; i++) {
    if (!only_paths && strcmp(argv[i], "--") == 0) {
      only_paths = 1;
    } else if (!only_paths && (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)) {
      return tm_help_print("test");
    } else if (!only_paths && strcmp(argv[i], "--json") == 0) {
      o.json = 1;
    } else if (!only_paths && argv[i][0] == '-') {
      tm_log_error("unknown option %.80s; test has --json", argv[i]);
      return USAGE;
    } else if (o.scripts_n == TM_OPT_LIST_MAX) {
      tm_log_error("test takes at most %d paths; name a folder instead", TM_OPT_LIST_MAX);
      return USAGE;
    } else {
      o.scripts[o.scripts_n++] = argv[i];
    }
  }
  i = tm_testing_main(&o);
  return fflush(stdout) == 0 || i != 0 ? i : 1;
}
