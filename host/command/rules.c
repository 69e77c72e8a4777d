/* rules.c - `tidemill rules`: the rules of a running host, and a candidate beside it (engine/control_shadow.c): shadow, diff, promote, discard, stats. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/log.h"
#include "../base/suggest.h"
#include "commands.h"
#include "options.h"
#include "remote.h"

enum { FAILED = 1, USAGE = 2, REJECTED = 3, ANSWER_MAX = 64 << 20, SAID_MAX = 64 << 10, TELL_MS = 10000, WORDS = 5 };

static const char *const words[WORDS] = { "shadow", "diff", "promote", "discard", "stats" };

static int usage(const char *word) {
  const char *meant = word != NULL ? tm_suggest(word, words, WORDS) : NULL;
  if (word == NULL) tm_log_error("rules takes shadow, diff, promote, discard or stats: 'tidemill rules stats' shows what each rule did");
  else if (meant != NULL) tm_log_error("rules has no '%.80s'; did you mean 'rules %s'?", word, meant);
  else tm_log_error("rules has no '%.80s'; it takes shadow, diff, promote, discard or stats first: 'tidemill help rules' tells more", word);
  return USAGE;
}

/* Asks; a refusal is told: the exit code, with the answer in out where it is 0 or --json is given. */
static int ask(const struct tm_options *o, const char *method, const char *target, const char *body, int timeout_ms, struct tm_buf *out) {
  struct tm_err err;
  char *error = malloc(SAID_MAX);
  int status = tm_remote_ask(o, method, target, body, timeout_ms, out, &err), code = 0;
  if (status < 0) {
    tm_log_error("%s", err.detail);
    code = err.exit_code;
  } else if (status != 200) {
    code = (int)tm_remote_number(out->data, "exit_code", FAILED);
    if (o->json) fputs(out->data, stdout);
    else if (error != NULL) tm_log_error("%s", tm_remote_text(out->data, "error", error, SAID_MAX));
  }
  free(error);
  return code;
}

/* ---- shadow ---- */

/* A line NAME=PATH of the body, the path as a whole one. */
static int put_path(struct tm_buf *body, const char *name, const char *path) {
  char whole[PATH_MAX];
  if (realpath(path, whole) == NULL) {
    tm_log_error("%.400s: %s", path, strerror(errno));
    return REJECTED;
  }
  if (strchr(whole, '\n') != NULL) {
    tm_log_error("%.400s: a path with a line break cannot be given to a run", whole);
    return USAGE;
  }
  return tm_buf_put(body, name, (int32_t)strlen(name)) == 0 && tm_buf_put(body, whole, (int32_t)strlen(whole)) == 0 && tm_buf_put(body, "\n", 1) == 0 ? 0 : FAILED;
}

static int make_out(const char *path) {
  if (mkdir(path, 0777) == 0 || errno == EEXIST) return 0;
  tm_log_error("--out: %.400s cannot be made: %s", path, strerror(errno));
  return REJECTED;
}

static int shadow(struct tm_options *o, struct tm_buf *out) {
  struct tm_buf body;
  char text[512];
  int code = 0;
  if (o->scripts_n != 1) {
    tm_log_error("rules shadow takes one candidate, a folder with pack.lua or a script: tidemill rules shadow packs/card_fraud_next");
    return USAGE;
  }
  if (o->amount != NULL && (strlen(o->amount) > 200 || strchr(o->amount, '\n') != NULL)) {
    tm_log_error("--amount takes the name of a field");
    return USAGE;
  }
  tm_buf_init(&body, 4 * PATH_MAX);
  code = put_path(&body, "candidate=", o->scripts[0]);
  if (code == 0 && o->out != NULL && (code = make_out(o->out)) == 0) code = put_path(&body, "out=", o->out);
  int n = snprintf(text, sizeof text, "memory=%lld\n%s%s%s", (long long)o->memory, o->amount != NULL ? "amount=" : "", o->amount != NULL ? o->amount : "",
                   o->amount != NULL ? "\n" : "");
  if (code == 0 && (tm_buf_put(&body, text, n) != 0 || tm_buf_put(&body, "", 1) != 0)) code = FAILED;
  o->scripts_n = 0;  /* it names the candidate, not the run */
  if (code == 0) code = ask(o, "POST", "/rules/shadow", body.data, -1, out);
  if (code == 0 && !o->json)
    printf("the candidate runs beside the run (pid %.0f): 'tidemill rules diff' shows what it decides otherwise\n", tm_remote_number(out->data, "pid", 0));
  tm_buf_fini(&body);
  return code;
}

/* ---- promote ---- */

static int promote(const struct tm_options *o, struct tm_buf *out) {
  int code = ask(o, "POST", "/rules/promote", NULL, -1, out);
  char *said = malloc(SAID_MAX);
  if (said != NULL && out->len > 0 && !o->json) {
    tm_remote_text(out->data, "said", said, SAID_MAX);
    tm_log_text(said, strlen(said));
  }
  free(said);
  if (code == 0 && !o->json) {
    printf("the candidate is the run's now (generation %.0f, after %.0f ms)\n", tm_remote_number(out->data, "generation", 0),
           tm_remote_number(out->data, "ms", 0));
    tm_log_info("start the run with it from now on: its command line still names what ran before");
  }
  return code;
}

int tm_command_rules(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  struct tm_buf out;
  int which = 0, code, r;
  if (argc > 0 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0)) return tm_help_print("rules");
  while (argc > 0 && which < WORDS && strcmp(argv[0], words[which]) != 0) which++;
  if (argc == 0 || which == WORDS) return usage(argc > 0 ? argv[0] : NULL);
  r = tm_options_parse(&o, which == 0 ? TM_OPTIONS_SHADOW : TM_OPTIONS_REMOTE, argc - 1, argv + 1, &tm_io_real, &err);
  if (r == TM_OPTIONS_HELP) return tm_help_print("rules");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  tm_buf_init(&out, ANSWER_MAX);
  switch (which) {
    case 0: code = shadow(&o, &out); break;
    case 1: code = ask(&o, "GET", o.json ? "/rules/diff" : "/rules/diff?text", NULL, TELL_MS, &out); break;
    case 2: code = promote(&o, &out); break;
    case 3: code = ask(&o, "POST", "/rules/discard", NULL, TELL_MS, &out); break;
    default: code = ask(&o, "GET", o.json ? "/rules/stats" : "/rules/stats?text", NULL, TELL_MS, &out);
  }
  if (code == 0 && (o.json || which == 1 || which == 4)) fputs(out.data, stdout);
  else if (code == 0 && which == 3) printf("the candidate has ended\n");
  if (tm_help_flush() != 0 && code == 0) code = FAILED;
  tm_buf_fini(&out);
  return code;
}
