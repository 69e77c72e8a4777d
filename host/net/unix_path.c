/* unix_path.c - addresses of Unix sockets (unix_path.h). */
#include "unix_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int tm_unix_path(const char *path, struct sockaddr_un *out, int *folder) {
  char dir[PATH_MAX];
  const char *name = strrchr(path, '/');
  memset(out, 0, sizeof *out);
  out->sun_family = AF_UNIX;
  *folder = -1;
  if (strlen(path) < sizeof out->sun_path) {
    memcpy(out->sun_path, path, strlen(path) + 1);
    return 0;
  }
  if (name == NULL || name == path || (size_t)(name - path) >= sizeof dir) return -ENAMETOOLONG;
  snprintf(dir, sizeof dir, "%.*s", (int)(name - path), path);
  *folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (*folder < 0) return -errno;
  int n = snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d%s", *folder, name);
  return n < (int)sizeof out->sun_path ? 0 : -ENAMETOOLONG;
}
