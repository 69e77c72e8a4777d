/* state.c - `tidemill state ls` and `state get`: what the steps of scripts keep, at the end of a run.
 *
 * A run whose sinks throw away what they get, and that ends with a pipeline more: one that reads nothing and writes what
 * is kept (tidemill.state_query). So printing waits for a slow reader as any row does. */
#include <string.h>

#include "../base/log.h"
#include "../base/suggest.h"
#include "../engine/control.h"
#include "commands.h"
#include "options.h"

static int usage(const char *word) {
  static const char *const words[] = { "ls", "get" };
  const char *meant = word != NULL ? tm_suggest(word, words, 2) : NULL;

  if (word == NULL) tm_log_error("state takes ls or get: 'tidemill state ls SCRIPT' lists what the script keeps");
  else if (meant != NULL) tm_log_error("state has no '%.80s'; did you mean 'state %s'?", word, meant);
  else tm_log_error("state has no '%.80s'; it takes ls or get first: 'tidemill help state' tells more", word);
  return 2;
}

int tm_command_state(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int get = argc > 0 && strcmp(argv[0], "get") == 0, r;

  if (argc > 0 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0)) return tm_help_print("state");
  if (!get && (argc == 0 || strcmp(argv[0], "ls") != 0)) return usage(argc > 0 ? argv[0] : NULL);
  r = tm_options_parse(&o, get ? TM_OPTIONS_STATE_GET : TM_OPTIONS_STATE_LS, argc - 1, argv + 1, &tm_io_real, &err);
  if (r == TM_OPTIONS_HELP) return tm_help_print("state");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  o.state = get ? "get" : "ls";
  o.quiet = 1;
  return tm_control_run(&o, &tm_io_real);
}
