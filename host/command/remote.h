/* remote.h - commands that ask a running host, over its control socket. */
#ifndef TM_COMMAND_REMOTE_H
#define TM_COMMAND_REMOTE_H

#include "../base/buf.h"
#include "options.h"

/* Asks the run that o means: by --control, --data or a script; where none is given, the only one that runs. The answer's body goes to out,
 * its status is returned. -1 and err: exit code 2 it is not clear which run is meant, 5 it does not answer. timeout_ms < 0: it may take long. */
int tm_remote_ask(const struct tm_options *o, const char *method, const char *target, const char *body, int timeout_ms, struct tm_buf *out,
                  struct tm_err *err);

/* Of an answer: the number or the truth behind "name": at its first place, or otherwise; and a text, unescaped, into out of that size. */
double tm_remote_number(const char *json, const char *name, double otherwise);
const char *tm_remote_text(const char *json, const char *name, char *out, size_t size);

#endif
