/* state.c - `tidemill state ls`, `get`, `export` and `import`: what the steps of scripts keep.
 *
 * The first three are a run whose sinks throw away what they get, and that ends with a pipeline more: one that reads nothing and writes what
 * is kept (tidemill.state_query). So printing waits for a slow reader as any row does. import is a run that is kept and reads no event:
 * standard input becomes its states (tidemill.state_export). */
#include <string.h>

#include "../base/log.h"
#include "../base/suggest.h"
#include "../engine/control.h"
#include "commands.h"
#include "options.h"

static const char *const words[] = { "ls", "get", "export", "import" };
static const enum tm_options_command commands[] = { TM_OPTIONS_STATE_LS, TM_OPTIONS_STATE_GET, TM_OPTIONS_STATE_LS, TM_OPTIONS_STATE_IMPORT };
enum { WORDS = 4, IMPORT = 3 };

static int usage(const char *word) {
  const char *meant = word != NULL ? tm_suggest(word, words, WORDS) : NULL;

  if (word == NULL)
    tm_log_error("state takes ls, get, export or import: 'tidemill state ls SCRIPT' lists what the script keeps");
  else if (meant != NULL) tm_log_error("state has no '%.80s'; did you mean 'state %s'?", word, meant);
  else tm_log_error("state has no '%.80s'; it takes ls, get, export or import first: 'tidemill help state' tells more", word);
  return 2;
}

int tm_command_state(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int which = 0, r;

  if (argc > 0 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0)) return tm_help_print("state");
  while (argc > 0 && which < WORDS && strcmp(argv[0], words[which]) != 0) which++;
  if (argc == 0 || which == WORDS) return usage(argc > 0 ? argv[0] : NULL);
  r = tm_options_parse(&o, commands[which], argc - 1, argv + 1, &tm_io_real, &err);
  if (r == TM_OPTIONS_HELP) return tm_help_print("state");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  o.quiet = 1;
  if (which != IMPORT) {
    o.state = words[which];
  } else if (o.data != NULL) {
    o.import = 1;
  } else {
    tm_log_error("state import needs the folder in which the run is kept: tidemill state import SCRIPT --data DIR < FILE");
    return 2;
  }
  return tm_control_run(&o, &tm_io_real);
}
