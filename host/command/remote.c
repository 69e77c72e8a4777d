/* remote.c - finding a run and asking it (remote.h).
 *
 * A script means the run that has it among its own: each socket of this user is asked for its status, which has their whole paths. */
#include "remote.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../codec/json.h"
#include "../net/client.h"
#include "../net/runs.h"

enum { USAGE = 2, UNREACHABLE = 5, LOOK_MS = 3000, ANSWER_MAX = 64 << 20 };

/* ---- reading an answer ---- */

/* Behind "name": or NULL. Answers are the host's own and without blanks; a name within a text has its quotes escaped. */
static const char *member(const char *json, const char *name) {
  char key[64];
  int n = snprintf(key, sizeof key, "\"%s\":", name);
  const char *at = json != NULL ? strstr(json, key) : NULL;
  return at != NULL ? at + n : NULL;
}

double tm_remote_number(const char *json, const char *name, double otherwise) {
  const char *at = member(json, name);
  if (at == NULL) return otherwise;
  if (strncmp(at, "true", 4) == 0) return 1;
  if (strncmp(at, "false", 5) == 0) return 0;
  char *end;
  double v = strtod(at, &end);
  return end != at ? v : otherwise;
}

/* One escape of JSON at `at`, as the host writes them, into out: bytes it takes of the text. */
static int escape(const char *at, char *out) {
  static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
  const char *short_one = at[1] != '\0' ? strchr(from, at[1]) : NULL;
  unsigned code;
  if (at[1] == 'u' && sscanf(at + 2, "%4x", &code) == 1) {
    *out = code < 0x80 ? (char)code : '?';
    return 6;
  }
  *out = short_one != NULL ? to[short_one - from] : at[1];
  return at[1] != '\0' ? 2 : 1;
}

const char *tm_remote_text(const char *json, const char *name, char *out, size_t size) {
  const char *at = member(json, name);
  size_t n = 0;
  if (at != NULL && *at == '"') {
    for (at++; *at != '\0' && *at != '"' && n + 1 < size; n++) {
      if (*at == '\\') at += escape(at, out + n);
      else out[n] = *at++;
    }
  }
  out[n] = '\0';
  return out;
}

/* ---- which run ---- */

/* 1: its status says that it has that script (whole path). */
static int has_script(const char *status, const char *script) {
  char text[2 * PATH_MAX];
  struct tm_buf key;
  tm_buf_init(&key, 8 * PATH_MAX);
  const char *list = member(status, "scripts"), *end = list != NULL ? strchr(list, ']') : NULL;
  int found = 0;
  if (list != NULL && end != NULL && tm_ffi_json_lossy(&key, script, (int32_t)strlen(script)) == 0 && key.len < (int32_t)sizeof text) {
    snprintf(text, sizeof text, "%.*s", key.len, key.data);
    const char *at = strstr(list, text);
    found = at != NULL && at < end;
  }
  tm_buf_fini(&key);
  return found;
}

struct found {
  char *paths[TM_RUNS_MAX];
  int n;
};

/* Keeps those runs that have the script; NULL: all that answer. */
static void keep_those(struct found *f, const char *script) {
  int kept = 0;
  for (int i = 0; i < f->n; i++) {
    struct tm_buf status;
    struct tm_err err;
    tm_buf_init(&status, ANSWER_MAX);
    int rc = tm_client_ask(f->paths[i], "GET", "/status", NULL, LOOK_MS, &status, &err);
    int mine = rc == 200 && tm_buf_put(&status, "", 1) == 0 && (script == NULL || has_script(status.data, script));
    tm_buf_fini(&status);
    if (mine) continue;
    free(f->paths[i]);
    f->paths[i] = NULL;
  }
  for (int i = 0; i < f->n; i++)
    if (f->paths[i] != NULL) f->paths[kept++] = f->paths[i];
  f->n = kept;
}

static int unclear(const struct found *f, const struct tm_options *o, struct tm_err *err) {
  char list[512] = "";
  size_t n = 0;
  if (f->n == 0 && o->scripts_n > 0)
    return tm_err_set(err, UNREACHABLE, "control", "%.400s: no run of this user has this script; name the run by --data DIR or --control PATH", o->scripts[0]);
  if (f->n == 0) return tm_err_set(err, UNREACHABLE, "control", "no run of this user is there; name one by its script, --data DIR or --control PATH");
  for (int i = 0; i < f->n && n < sizeof list - 64; i++) n += (size_t)snprintf(list + n, sizeof list - n, "\n  --control %.200s", f->paths[i]);
  return tm_err_set(err, USAGE, "control", "%d runs could be meant; name one of them:%s", f->n, list);
}

/* The path of the socket into out: 0, or -1 err. */
static int find(const struct tm_options *o, char *out, size_t size, struct tm_err *err) {
  struct found f;
  char whole[PATH_MAX];
  if (o->control != NULL || o->data != NULL) {
    snprintf(out, size, o->control != NULL ? "%s" : "%s/control.sock", o->control != NULL ? o->control : o->data);
    return 0;
  }
  if (o->scripts_n > 0 && realpath(o->scripts[0], whole) == NULL) snprintf(whole, sizeof whole, "%s", o->scripts[0]);
  f.n = tm_runs_list(f.paths, TM_RUNS_MAX);
  keep_those(&f, o->scripts_n > 0 ? whole : NULL);
  int rc = f.n == 1 ? 0 : unclear(&f, o, err);
  if (rc == 0) snprintf(out, size, "%s", f.paths[0]);
  for (int i = 0; i < f.n; i++) free(f.paths[i]);
  return rc;
}

int tm_remote_ask(const struct tm_options *o, const char *method, const char *target, const char *body, int timeout_ms, struct tm_buf *out,
                  struct tm_err *err) {
  char path[PATH_MAX + 32];
  if (find(o, path, sizeof path, err) != 0) return -1;
  int status = tm_client_ask(path, method, target, body, timeout_ms, out, err);
  if (status < 0) return -1;
  return tm_buf_put(out, "", 1) == 0 ? status : tm_err_set(err, 1, "memory", "no memory for the answer");
}
