/* runs.h - where the control sockets of this user's runs are, so that commands find them.
 *
 *   DIR/control.sock                        of a run that is kept (--data DIR)
 *   $XDG_RUNTIME_DIR/tidemill/PID.sock      of others, and a link to those that are elsewhere; without that variable
 *   /tmp/tidemill-UID/PID.sock              this folder, mode 0700
 */
#ifndef TM_NET_RUNS_H
#define TM_NET_RUNS_H

#include "../base/err.h"

enum { TM_RUNS_MAX = 256 };

/* Where the socket of this process is to be: control (--control), else in the folder data, else in the folder of all runs, which is made.
 * The caller's to free; NULL and err. */
char *tm_runs_place(const char *control, const char *data, struct tm_err *err);
/* A link to a socket elsewhere, in the folder of all runs: its path, the caller's to free; NULL: it lies there, or no link can be made. */
char *tm_runs_link(const char *path);
/* Paths of the sockets in the folder of all runs whose process lives, at most `most`, the caller's to free: how many. Those of processes
 * that are gone are removed. */
int tm_runs_list(char **paths, int most);

#endif
