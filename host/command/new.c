/* new.c - `tidemill new pipeline DIR`, `tidemill new pack DIR`: a small project that runs and passes its tests, as a start.
 *
 * The files' texts are the library's (tidemill.project). Nothing is overwritten: if one of them is there, none is written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/io.h"
#include "../base/log.h"
#include "../base/suggest.h"
#include "../engine/lua_state.h"
#include "commands.h"

enum { TEXT_MAX = 4 << 20, USAGE = 2, FAILED = 1, PATH_SIZE = 4096 };

/* The path of a file in the folder: 0, or -1 with the reason logged. */
static int path_of(char *path, const char *dir, const char *name) {
  if (snprintf(path, PATH_SIZE, "%s/%s", dir, name) < PATH_SIZE) return 0;
  tm_log_error("new: the path of the folder is longer than %d bytes", PATH_SIZE);
  return -1;
}

/* Is none of the files there? */
static int is_free(const char *dir, const struct tm_buf *files) {
  const char *p = files->data, *end = files->data + files->len;
  char path[PATH_SIZE];
  struct stat st;

  for (; p < end; p += strlen(p) + 1, p += strlen(p) + 1) {
    if (path_of(path, dir, p) != 0) return 0;
    if (lstat(path, &st) != 0) continue;
    tm_log_error("new: %s exists; nothing was written. Give a folder that is empty or does not exist", path);
    return 0;
  }
  return 1;
}

static int file_write(const char *path, const char *text) {
  const struct tm_io *io = &tm_io_real;
  int fd = io->open(io, path, O_WRONLY | O_CREAT | O_EXCL, 0666), rc = fd < 0 ? fd : 0, closed;

  if (rc == 0) {
    rc = tm_io_write_all(io, fd, text, strlen(text));
    closed = io->close(io, fd);
    if (rc == 0) rc = closed;
  }
  if (rc < 0) tm_log_error("new: cannot write %s: %s", path, strerror(-rc));
  return rc < 0 ? FAILED : 0;
}

/* Makes the folders of a path, behind that which begins with `from` bytes. */
static int folders_make(char *path, size_t from) {
  for (char *p = path + from; (p = strchr(p, '/')) != NULL; p++) {
    *p = '\0';
    int rc = mkdir(path, 0777);
    if (rc != 0 && errno != EEXIST) {
      tm_log_error("new: cannot make the folder %.400s: %s", path, strerror(errno));
      return FAILED;
    }
    *p = '/';
  }
  return 0;
}

static int project_write(const char *dir, const struct tm_buf *files, int is_pack) {
  const char *p = files->data, *end = files->data + files->len;
  char path[PATH_SIZE];

  if (!is_free(dir, files)) return USAGE;
  if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
    tm_log_error("new: cannot make the folder %.400s: %s", dir, strerror(errno));
    return FAILED;
  }
  for (; p < end; p += strlen(p) + 1) {
    if (path_of(path, dir, p) != 0) return USAGE;
    p += strlen(p) + 1;
    if (folders_make(path, strlen(dir) + 1) != 0 || file_write(path, p) != 0) return FAILED;
  }
  if (is_pack) {
    printf("Made %s with a rule pack, its tests, and a sample. Next:\n\n"
           "  tidemill check %s\n"
           "  tidemill test %s\n"
           "  tidemill run %s --from %s/sample.ndjson\n", dir, dir, dir, dir, dir);
    return tm_help_flush();
  }
  printf("Made %s with pipeline.lua, its spec, and a sample. Next:\n\n"
         "  tidemill run %s/pipeline.lua --from %s/sample.ndjson\n"
         "  tidemill test %s\n"
         "  tidemill check %s/pipeline.lua\n", dir, dir, dir, dir, dir);
  return tm_help_flush();
}

int tm_command_new(int argc, char *const *argv) {
  static const char *const kinds[] = { "pipeline", "pack" };
  struct tm_buf files;
  struct tm_err err;
  size_t len;
  char dir[PATH_SIZE];
  int i, code;

  for (i = 0; i < argc; i++) {
    if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) return tm_help_print("new");
    if (argv[i][0] != '-') continue;
    tm_log_error("unknown option %.80s; new has none", argv[i]);
    return USAGE;
  }
  int is_pack = argc > 0 && strcmp(argv[0], kinds[1]) == 0;
  if (argc > 0 && strcmp(argv[0], kinds[0]) != 0 && !is_pack) {
    const char *meant = tm_suggest(argv[0], kinds, 2);
    tm_log_error("new: '%.80s' is nothing that can be made%s%s%s; write: tidemill new pipeline DIR, or tidemill new pack DIR", argv[0],
                 meant != NULL ? " (did you mean '" : "", meant != NULL ? meant : "", meant != NULL ? "'?)" : "");
    return USAGE;
  }
  if (argc != 2 || argv[1][0] == '\0') {
    tm_log_error("new takes what to make and a folder: tidemill new pipeline DIR, or tidemill new pack DIR");
    return USAGE;
  }
  snprintf(dir, sizeof dir, "%s", argv[1]);
  for (len = strlen(dir); len > 1 && dir[len - 1] == '/'; len--) dir[len - 1] = '\0';
  tm_buf_init(&files, TEXT_MAX);
  if (tm_lua_reference(is_pack ? "project_pack" : "project", NULL, 0, "", &files, &err) != 0) {
    tm_log_error("%s", err.detail);
    code = FAILED;
  } else {
    code = project_write(dir, &files, is_pack);
  }
  tm_buf_fini(&files);
  return code;
}
