/* script_read.c - files and folders that scripts are loaded from (script_read.h). */
#include "script_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "script_host.h"
#include "texts.h"

enum { FILE_BYTES_MAX = 4 * 1024 * 1024, DATA_BYTES_MAX = 256 * 1024 * 1024, NAMES_MAX = 10000, NAMES_BYTES_MAX = 4 * 1024 * 1024 };

static struct tm_script_host *self_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

static int push_error(lua_State *L, int error) {
  lua_pushnil(L);
  lua_pushstring(L, error == EOVERFLOW ? "more than 10,000 files" : strerror(error));
  return 2;
}

/* ---- the disk ---- */

/* All of a file into out: 0 or errno. */
static int read_file(const struct tm_io *io, const char *path, int64_t max, struct tm_buf *out) {
  int fd = io->open(io, path, O_RDONLY, 0);
  if (fd < 0) return -fd;
  int64_t size = io->size(io, fd), n = -EFBIG;
  if (size < 0) size = FILE_BYTES_MAX;
  if (size <= max) n = tm_buf_reserve(out, (int32_t)size + 1) == 0 ? tm_io_read_all(io, fd, out->data, (size_t)size) : -ENOMEM;
  io->close(io, fd);
  if (n < 0) return (int)-n;
  out->len = (int32_t)n;
  return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names of a folder in byte order, each with a zero behind it: 0 or errno. */
static int read_folder(const char *path, struct tm_buf *out) {
  DIR *d = opendir(path);
  if (d == NULL) return errno;
  char **names = calloc(NAMES_MAX, sizeof *names);
  int32_t n = 0;
  int error = names == NULL ? ENOMEM : 0;
  for (struct dirent *e; error == 0 && (e = readdir(d)) != NULL;) {
    if (e->d_name[0] == '.') continue;
    if (n == NAMES_MAX) error = EOVERFLOW;
    else if ((names[n] = strdup(e->d_name)) == NULL) error = ENOMEM;
    else n++;
  }
  closedir(d);
  if (names != NULL) qsort(names, (size_t)n, sizeof *names, by_name);
  for (int32_t i = 0; i < n; i++) {
    if (error == 0 && tm_buf_put(out, names[i], (int32_t)strlen(names[i]) + 1) != 0) error = ENOMEM;
    free(names[i]);
  }
  free(names);
  return error;
}

/* ---- the generation, then the disk ---- */

/* Pushes what a text is, or nil and why it could not be read: how many values. */
static int push_text(lua_State *L, const struct tm_text *t) {
  if (t->error != 0) return push_error(L, t->error);
  if (t->kind == TM_TEXTS_FILE) {
    lua_pushlstring(L, t->text, t->n);
    return 1;
  }
  int i = 0;
  lua_newtable(L);
  for (const char *at = t->text; at < t->text + t->n; at += strlen(at) + 1) {
    lua_pushstring(L, at);
    lua_rawseti(L, -2, ++i);
  }
  return 1;
}

static int serve(lua_State *L, enum tm_texts_kind kind) {
  struct tm_script_host *h = self_of(L);
  struct tm_text t = {.kind = kind, .path = luaL_checkstring(L, 1)};
  struct tm_texts *texts = lua_toboolean(L, 2) ? NULL : h->flows->texts;
  if (texts != NULL && tm_texts_find(texts, kind, t.path, &t)) return push_text(L, &t);
  struct tm_buf *b = &h->read;  /* the host's: an error of Lua's leaves nothing behind */
  if (b->cap_max == 0) tm_buf_init(b, FILE_BYTES_MAX + NAMES_BYTES_MAX);
  b->len = 0;
  t.error = kind == TM_TEXTS_FILE ? read_file(h->flows->io, t.path, FILE_BYTES_MAX, b) : read_folder(t.path, b);
  t.text = b->data;
  t.n = t.error == 0 ? (size_t)b->len : 0;
  if (texts != NULL) tm_texts_put(texts, &t);
  int n = push_text(L, &t);
  if (b->cap > 1 << 20) tm_buf_fini(b);
  return n;
}

int tm_script_compiled(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_text t = {.kind = TM_TEXTS_COMPILED, .path = luaL_checkstring(L, 1)};
  if (h->flows->compiled == NULL) return 0;
  if (lua_isstring(L, 2)) {
    t.text = lua_tolstring(L, 2, &t.n);
    tm_texts_put(h->flows->compiled, &t);
    return 0;
  }
  if (!tm_texts_find(h->flows->compiled, TM_TEXTS_COMPILED, t.path, &t)) return 0;
  lua_pushlstring(L, t.text, t.n);
  return 1;
}

int tm_script_read_data(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_text t = {.kind = TM_TEXTS_FILE, .path = luaL_checkstring(L, 1)};
  struct tm_buf *b = &h->read;
  int64_t max = luaL_checkinteger(L, 2);
  tm_buf_fini(b);
  tm_buf_init(b, DATA_BYTES_MAX);
  t.error = read_file(h->flows->io, t.path, max < DATA_BYTES_MAX ? max : DATA_BYTES_MAX - 1, b);
  t.text = b->data;
  t.n = t.error == 0 ? (size_t)b->len : 0;
  int n = push_text(L, &t);
  tm_buf_fini(b);
  tm_buf_init(b, FILE_BYTES_MAX + NAMES_BYTES_MAX);
  return n;
}

int tm_script_read(lua_State *L) { return serve(L, TM_TEXTS_FILE); }
int tm_script_folder(lua_State *L) { return serve(L, TM_TEXTS_FOLDER); }
