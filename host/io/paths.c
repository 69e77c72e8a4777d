/* paths.c - looking up patterns and folders (paths.h). */
#include "paths.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"

enum { REJECTED = 3, TEXT_MAX = 1 << 28, TOLD_MAX = 3 };

struct found {
  struct tm_buf text;   /* entries as in the list, not sorted */
  int32_t n;
};

static int add(struct found *f, char how, const char *dir, const char *name, struct tm_err *err) {
  const char *slash = dir[0] == '\0' || dir[strlen(dir) - 1] == '/' ? "" : "/";

  if (f->n == TM_PATHS_MAX) return tm_err_set(err, REJECTED, "files", "a source reads at most %d files", TM_PATHS_MAX);
  f->n++;
  if (tm_buf_put(&f->text, &how, 1) == 0 && tm_buf_put(&f->text, dir, (int32_t)strlen(dir)) == 0 &&
      tm_buf_put(&f->text, slash, (int32_t)strlen(slash)) == 0 && tm_buf_put(&f->text, name, (int32_t)strlen(name) + 1) == 0)
    return 0;
  return tm_err_set(err, 1, "memory", "no memory for the names of a source's files");
}

/* ---- folders -------------------------------------------------------------- */

/* A name that leads nowhere (a dangling link) is kept: left out it would be missed by nobody. */
static int is_wanted(DIR *dir, const char *name) {
  struct stat st;

  if (name[0] == '.') return 0;
  return fstatat(dirfd(dir), name, &st, 0) != 0 || S_ISREG(st.st_mode);
}

static int find_in_folder(struct found *f, const char *path, struct tm_err *err) {
  DIR *dir = opendir(path);
  const struct dirent *entry;
  int32_t before = f->n;
  int r = 0;

  if (dir == NULL) return tm_err_set(err, REJECTED, "folder", "%.600s: the folder cannot be read: %s", path, strerror(errno));
  for (errno = 0; r == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
    if (is_wanted(dir, entry->d_name)) r = add(f, TM_PATH_FOUND, path, entry->d_name, err);
    if (r != 0) break;
  }
  if (r == 0 && errno != 0) r = tm_err_set(err, REJECTED, "folder", "%.600s: the folder cannot be read: %s", path, strerror(errno));
  closedir(dir);
  if (r == 0 && f->n == before)
    r = tm_err_set(err, REJECTED, "folder-empty",
                   "%.600s: there is no file in this folder (hidden ones and those of folders below are not read)", path);
  return r;
}

/* ---- patterns ---------------------------------------------------------------- */

/* glob(3) has no argument for its callback */
static struct { char path[512]; int why; } failed;

static int on_failed(const char *path, int why) {
  if (why == ENOENT || why == ENOTDIR) return 0;
  snprintf(failed.path, sizeof failed.path, "%s", path);
  failed.why = why;
  return 1;
}

static int is_folder(const char *path) {
  struct stat st;

  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* glob(3) where ? is a character, not a byte of one. */
static int glob_utf8(const char *pattern, glob_t *g) {
  locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = (locale_t)0;
  int rc;

  if (utf8 != (locale_t)0) before = uselocale(utf8);
  rc = glob(pattern, GLOB_NOSORT, on_failed, g);
  if (utf8 != (locale_t)0) {
    uselocale(before);
    freelocale(utf8);
  }
  return rc;
}

static int find_matches(struct found *f, const char *pattern, struct tm_err *err) {
  int32_t before = f->n;
  glob_t g;
  size_t i;
  int r = 0, rc;

  failed.why = 0;
  rc = glob_utf8(pattern, &g);
  if (rc != 0 && rc != GLOB_NOMATCH) {
    if (failed.why == 0) r = tm_err_set(err, 1, "memory", "%.600s: no memory for what matches", pattern);
    else
      r = tm_err_set(err, REJECTED, "pattern", "%.300s: cannot look for it: %s: %s", pattern, failed.path, strerror(failed.why));
  }
  for (i = 0; rc == 0 && r == 0 && i < g.gl_pathc; i++) {
    if (!is_folder(g.gl_pathv[i])) r = add(f, TM_PATH_FOUND, "", g.gl_pathv[i], err);
  }
  if (rc == 0) globfree(&g);
  if (r == 0 && f->n == before)
    r = tm_err_set(err, REJECTED, "pattern-empty", "%.600s: %s", pattern,
                   rc == 0 ? "only folders match this pattern; name a folder to read the files in it"
                           : "no file matches this pattern, and none is called so");
  return r;
}

/* ---- the list ------------------------------------------------------------------ */

static int by_path(const void *a, const void *b) {
  const char *x = *(const char *const *)a, *y = *(const char *const *)b;
  int rc = strcmp(x + 1, y + 1);

  return rc != 0 ? rc : (x[0] == TM_PATH_FOUND) - (y[0] == TM_PATH_FOUND);
}

/* In order, and what was found again left out. */
static int arrange(const struct found *f, struct tm_buf *out, int32_t *files, struct tm_err *err) {
  const char **list = calloc((size_t)f->n + 1, sizeof *list), *p = f->text.data, *last = NULL;
  int bad = list == NULL;
  int32_t i;

  *files = 0;
  for (i = 0; !bad && i < f->n; i++) {
    list[i] = p;
    p += strlen(p) + 1;
  }
  if (!bad) qsort(list, (size_t)f->n, sizeof *list, by_path);
  for (i = 0; !bad && i < f->n; i++) {
    if (last != NULL && list[i][0] == TM_PATH_FOUND && strcmp(last + 1, list[i] + 1) == 0) continue;
    last = list[i];
    bad = tm_buf_put(out, last, (int32_t)strlen(last) + 1) != 0;
    ++*files;
  }
  free(list);
  return bad ? tm_err_set(err, 1, "memory", "no memory for the names of a source's files") : 0;
}

int tm_paths_find(char *const *given, int32_t n, struct tm_buf *out, int32_t *files, struct tm_err *err) {
  struct found f = { .n = 0 };
  struct stat st;
  int32_t i;
  int r = 0;

  tm_buf_init(&f.text, TEXT_MAX);
  for (i = 0; r == 0 && i < n; i++) {
    int there = stat(given[i], &st) == 0;

    if (there && S_ISDIR(st.st_mode)) r = find_in_folder(&f, given[i], err);
    else if (there || strpbrk(given[i], "*?[") == NULL) r = add(&f, TM_PATH_NAMED, "", given[i], err);
    else r = find_matches(&f, given[i], err);
  }
  if (r == 0) r = arrange(&f, out, files, err);
  tm_buf_fini(&f.text);
  return r;
}

int tm_paths_readable(char *const *paths, int32_t n, struct tm_err *err) {
  char text[640];
  size_t used = 0;
  int32_t i, bad = 0;

  for (i = 0; i < n; i++) {
    if (access(paths[i], R_OK) == 0) continue;
    if (bad++ < TOLD_MAX && used < sizeof text)
      used += (size_t)snprintf(text + used, sizeof text - used, "%s%s: cannot be read: %s", bad > 1 ? "; " : "", paths[i],
                               strerror(errno));
  }
  if (bad == 0) return 0;
  if (bad <= TOLD_MAX) return tm_err_set(err, REJECTED, "file-open", "%s", text);
  return tm_err_set(err, REJECTED, "file-open", "%s; and %d more of %d files", text, bad - TOLD_MAX, n);
}
