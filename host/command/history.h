/* history.h - where `backtest` and `why` read what has been: files, or an event log. */
#ifndef TM_COMMAND_HISTORY_H
#define TM_COMMAND_HISTORY_H

#include "options.h"

/* Makes of --from log:NAME the log that is read, and of --data the folder it is in. 0, or the exit code with the reason logged. */
int tm_history_settle(struct tm_options *o, const char *command);

#endif
