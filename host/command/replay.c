/* replay.c - `tidemill replay`: the history in an event log through scripts, new or old, into outputs of its own.
 *
 * A run whose input is the log and whose sinks are others (tidemill.replay says which become what); state is in memory. What is left here is
 * to see that the folder of outputs is a new one. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "../base/log.h"
#include "../engine/control.h"
#include "../eventlog/format.h"
#include "commands.h"
#include "options.h"

enum { USAGE = 2 };

/* Makes the folder, or finds nothing in it: 0, else the exit code. */
static int make_out(const char *path) {
  int rc = tm_io_real.mkdir(&tm_io_real, path, 0777), files = 0;

  if (rc == 0) return 0;
  DIR *d = rc == -EEXIST ? opendir(path) : NULL;
  if (rc != -EEXIST) {
    tm_log_error("--out: %s cannot be made: %s", path, strerror(-rc));
    return 1;
  }
  if (d == NULL) {
    tm_log_error("--out: %s cannot be read: %s", path, strerror(errno));
    return 1;
  }
  for (struct dirent *e; (e = readdir(d)) != NULL;) files += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
  closedir(d);
  if (files == 0) return 0;
  tm_log_error("--out: %s is not empty; name a new folder, so that these outputs are of this replay alone", path);
  return USAGE;
}

static int check(const struct tm_options *o) {
  if (o->replay == NULL) {
    tm_log_error("replay takes a log: --log NAME; 'tidemill log ls --data DIR' lists those there are");
    return USAGE;
  }
  if (!tm_eventlog_name_ok(o->replay)) {
    tm_log_error("--log: '%.80s' is no name of a log: it has letters, digits and . _ -, and does not begin with a dot", o->replay);
    return USAGE;
  }
  if (o->logs == NULL) {
    tm_log_error("replay: which data folder is the log in? Give --data DIR");
    return USAGE;
  }
  if (o->compare != NULL && o->replay_from != NULL && strcmp(o->replay_from, "start") != 0) {
    tm_log_error("--compare: what was written live had seen what came before --from, so a replay from there gives other rows; leave --from out");
    return USAGE;
  }
  return 0;
}

int tm_command_replay(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int r = tm_options_parse(&o, TM_OPTIONS_REPLAY, argc, argv, &tm_io_real, &err);

  if (r == TM_OPTIONS_HELP) return tm_help_print("replay");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  o.logs = o.data;  /* read there, and nothing else: its state is its own */
  o.data = NULL;
  if ((r = check(&o)) != 0) return r;
  if (o.out != NULL && (r = make_out(o.out)) != 0) return r;
  return tm_control_run(&o, &tm_io_real);
}
