/* snapshot_start.c - starting the process that makes a snapshot: this program again, told whose child it is.
 *
 * Spawned, not forked: a fork copies the page tables of the whole state. The child lowers its own priority and dies with its
 * parent (command/snapshot.c). */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snapshot.h"

extern char **environ;

int tm_snapshot_start(const char *dir, struct tm_err *err) {
  char parent[32], name[] = "tidemill", command[] = "snapshot", make[] = "make", of[] = "--of";
  char *argv[] = { name, command, make, of, parent, NULL, NULL };
  posix_spawnattr_t attr;
  posix_spawn_file_actions_t files;
  sigset_t none, all;
  pid_t pid;
  int r;

  argv[5] = (char *)(uintptr_t)dir;  /* nobody changes it */
  snprintf(parent, sizeof parent, "%d", (int)getpid());
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_init(&attr);
  posix_spawnattr_setsigmask(&attr, &none);
  posix_spawnattr_setsigdefault(&attr, &all);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_init(&files);
  /* the run's input and output are not its business */
  r = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", 0, 0);
  if (r == 0) r = posix_spawn_file_actions_adddup2(&files, 2, 1);  /* not reached: no memory inside the C library */
  if (r == 0) r = posix_spawn(&pid, "/proc/self/exe", &files, &attr, argv, environ);  /* not reached: the same */
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attr);
  if (r != 0) return tm_err_set(err, 1, "snapshot-start", "cannot start making a snapshot of %.400s: %s", dir, strerror(r));
  return (int)pid;
}
