/* data_reset.c - forgetting what a data folder keeps (data_dir.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data_dir.h"

enum { NAME_MAX_OURS = 60 };

/* One name of the folder that is to go. */
struct victim {
  char name[NAME_MAX_OURS + 1];
};

/* Names of ours end with a dot and more, or are whole. */
static int is_kept(const char *name) {
  static const char *const ours[] = { "journal.", "snapshot.", "lost.", "files.", "durable", "begun", "generation." };

  if (strcmp(name, "manifest") == 0) return 1;
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
    if (strncmp(name, ours[i], strlen(ours[i])) == 0) return strlen(name) <= NAME_MAX_OURS;
  }
  return 0;
}

static int victim_take(void *ctx, const char *name) {
  struct victim *v = ctx;

  if (!is_kept(name)) return 0;
  snprintf(v->name, sizeof v->name, "%s", name);
  return 1;
}

static int failed(struct tm_err *err, const char *path, int code) {
  return tm_err_set(err, 1, "reset", "%s: cannot be reset: %s", path, strerror(-code));
}

int tm_data_dir_reset(struct tm_data_dir *d, struct tm_err *err) {
  char path[TM_DATA_PATH_MAX + 64], resetting[TM_DATA_PATH_MAX + 64];
  struct victim victim;
  int r;

  /* without its meta the folder holds nothing that could be taken up, whatever else of it is still there */
  tm_data_path(d->path, TM_DATA_RESETTING, resetting);
  r = d->io->rename(d->io, tm_data_path(d->path, "meta", path), resetting);
  if (r == 0) r = d->io->fsync_dir(d->io, d->path);
  if (r < 0 && r != -ENOENT) return failed(err, path, r);
  /* one by one, as a folder whose names go while it is listed may leave some out */
  while ((r = d->io->list(d->io, d->path, victim_take, &victim)) > 0) {
    r = d->io->unlink(d->io, tm_data_path(d->path, victim.name, path));
    if (r < 0) return failed(err, path, r);
  }
  if (r == 0) r = d->io->fsync_dir(d->io, d->path);
  if (r < 0) return failed(err, d->path, r);
  r = d->io->unlink(d->io, resetting);
  if (r == 0) r = d->io->fsync_dir(d->io, d->path);
  return r < 0 && r != -ENOENT ? failed(err, resetting, r) : 0;
}
