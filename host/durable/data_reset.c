/* data_reset.c - forgetting what a data folder keeps (data_dir.h). */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data_dir.h"

/* Names of ours end with a dot and more, or are whole. */
static int is_kept(const char *name) {
  static const char *const ours[] = {"journal.", "snapshot.", "lost.", "files.", "begun"};
  if (strcmp(name, "meta") == 0 || strcmp(name, "manifest") == 0) return 1;
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
    if (strncmp(name, ours[i], strlen(ours[i])) == 0) return 1;
  return 0;
}

int tm_data_dir_reset(struct tm_data_dir *d, struct tm_err *err) {
  char path[TM_DATA_PATH_MAX + 64];
  const struct dirent *e;
  int rc = 0;
  /* without its meta the folder holds nothing that could be taken up, whatever else of it is still there */
  tm_data_path(d->path, "meta", path);
  rc = d->io->unlink(d->io, path);
  if (rc == 0) rc = d->io->fsync_dir(d->io, d->path);
  if (rc == -ENOENT) rc = 0;
  DIR *list = rc == 0 ? opendir(d->path) : NULL;
  if (rc == 0 && list == NULL) rc = -errno;
  while (list != NULL && rc == 0 && (e = readdir(list)) != NULL) {
    if (!is_kept(e->d_name) || strlen(e->d_name) > 60) continue;
    tm_data_path(d->path, e->d_name, path);
    rc = d->io->unlink(d->io, path);
  }
  if (list != NULL) closedir(list);
  if (rc != 0) return tm_err_set(err, 1, "reset", "%s: cannot be reset: %s", path, strerror(-rc));
  d->has_meta = 0;
  return 0;
}
