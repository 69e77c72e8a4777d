/* runs.c - places of control sockets (runs.h). */
#include "runs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder of all runs into out (PATH_MAX): 0, or -1 err. make: it is made if it is missing. Another's is never used. */
static int folder(char *out, int make, struct tm_err *err) {
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  struct stat st;
  int n = runtime != NULL && runtime[0] == '/' ? snprintf(out, PATH_MAX, "%s/tidemill", runtime)
                                               : snprintf(out, PATH_MAX, "/tmp/tidemill-%u", (unsigned)geteuid());
  if (n >= PATH_MAX - 32) return tm_err_set(err, 1, "control", "XDG_RUNTIME_DIR is too long for a control socket");
  if (make && mkdir(out, 0700) != 0 && errno != EEXIST)
    return tm_err_set(err, 1, "control", "%.400s: no folder for control sockets can be made: %s; name a path with --control", out, strerror(errno));
  if (lstat(out, &st) != 0) return tm_err_set(err, 1, "control", "%.400s: %s", out, strerror(errno));
  if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
    return tm_err_set(err, 1, "control", "%.400s: is not a folder that this user alone can write; remove it, or name a path with --control", out);
  return 0;
}

static char *text_of(const char *folder_path, const char *name) {
  char *out = NULL;
  return asprintf(&out, "%s/%s", folder_path, name) < 0 ? NULL : out;
}

char *tm_runs_place(const char *control, const char *data, struct tm_err *err) {
  char dir[PATH_MAX], name[32], *path;
  if (control == NULL && data == NULL && folder(dir, 1, err) != 0) return NULL;
  snprintf(name, sizeof name, "%d.sock", (int)getpid());
  path = control != NULL ? strdup(control) : data != NULL ? text_of(data, "control.sock") : text_of(dir, name);
  if (path == NULL) {
    tm_err_set(err, 1, "memory", "no memory for the control socket");
    return NULL;
  }
  struct stat st;
  if (control == NULL && data == NULL && lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) unlink(path);  /* of a process that had the number before */
  return path;
}

char *tm_runs_link(const char *path) {
  char dir[PATH_MAX], whole[PATH_MAX], name[32], *link;
  struct tm_err err;
  snprintf(name, sizeof name, "%d.sock", (int)getpid());
  if (folder(dir, 1, &err) != 0 || realpath(path, whole) == NULL || (link = text_of(dir, name)) == NULL) return NULL;
  char *there = realpath(dir, NULL);
  int inside = there != NULL && strncmp(whole, there, strlen(there)) == 0 && whole[strlen(there)] == '/';
  free(there);
  if (!inside) {
    unlink(link);
    if (symlink(whole, link) == 0) return link;
  }
  free(link);
  return NULL;
}

int tm_runs_list(char **paths, int most) {
  char dir[PATH_MAX];
  struct tm_err err;
  int n = 0;
  DIR *d = folder(dir, 0, &err) == 0 ? opendir(dir) : NULL;
  if (d == NULL) return 0;
  for (struct dirent *e; n < most && (e = readdir(d)) != NULL;) {
    char *end;
    long pid = strtol(e->d_name, &end, 10);
    if (pid <= 0 || strcmp(end, ".sock") != 0) continue;
    char *path = text_of(dir, e->d_name);
    if (path == NULL) break;
    if (kill((pid_t)pid, 0) == 0 || errno == EPERM) {
      paths[n++] = path;
      continue;
    }
    unlink(path);
    free(path);
  }
  closedir(d);
  return n;
}
