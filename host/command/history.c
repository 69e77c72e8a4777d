/* history.c - what --from names for commands that go through history again (history.h).
 *
 * An event log is written log:NAME, so a file of such a name is ./log:NAME. It is read as in a replay: from its start to where it ends now. */
#include "history.h"

#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "../eventlog/format.h"

enum { USAGE = 2 };

static const char PREFIX[] = "log:";

static const char *log_name(const char *from) {
  return strncmp(from, PREFIX, sizeof PREFIX - 1) == 0 ? from + sizeof PREFIX - 1 : NULL;
}

/* Is the folder that of a run that `why` can go back in? */
static int is_kept(const struct tm_options *o, const char *command) {
  char path[4096];
  struct tm_io_look found;

  if (o->data == NULL || strcmp(command, "why") != 0) return 0;
  snprintf(path, sizeof path, "%s/meta", o->data);
  return tm_io_real.look(&tm_io_real, path, &found) == 0;
}

int tm_history_settle(struct tm_options *o, const char *command) {
  const char *name = NULL;

  for (int i = 0; i < o->from_n; i++) {
    if (log_name(o->from[i]) != NULL) name = log_name(o->from[i]);
  }
  if (name != NULL && o->from_n > 1) {
    tm_log_error("%s: --from log:%.80s stands alone: a log is a history by itself", command, name);
    return USAGE;
  }
  if (o->logs == NULL) o->logs = o->data;
  if (!is_kept(o, command)) o->data = NULL;
  if (name == NULL) return 0;
  if (!tm_eventlog_name_ok(name)) {
    tm_log_error("--from: '%.80s' is no name of a log: it has letters, digits and . _ -, and does not begin with a dot; a file is ./log:…", name);
    return USAGE;
  }
  if (o->logs == NULL) {
    tm_log_error("%s: which data folder is the log '%.80s' in? Give --data DIR, or --logs DIR", command, name);
    return USAGE;
  }
  o->replay = name;
  o->from_n = 0;
  return 0;
}
