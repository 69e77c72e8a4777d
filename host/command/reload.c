/* reload.c - `tidemill reload`, `tidemill status` and `tidemill drain`: a running host is told and asked (engine/control_admin.c). */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/log.h"
#include "commands.h"
#include "options.h"
#include "remote.h"

enum { FAILED = 1, UNREACHABLE = 5, ANSWER_MAX = 64 << 20, SAID_MAX = 64 << 10, STATUS_MS = 10000 };

/* Options of the command: 0, or the exit code of a command that ends here, in *code. */
static int parse(struct tm_options *o, const char *name, enum tm_options_command command, int argc, char *const *argv, int *code) {
  struct tm_err err;
  int r = tm_options_parse(o, command, argc, argv, &tm_io_real, &err);
  if (r == TM_OPTIONS_OK) return 0;
  if (r == TM_OPTIONS_HELP) {
    *code = tm_help_print(name);
    return -1;
  }
  tm_log_error("%s", err.detail);
  *code = err.exit_code;
  return -1;
}

/* Asks, and gives the answer to tell: the exit code; -1 and err: there was none. */
static int ask(const struct tm_options *o, const char *method, const char *target, int timeout_ms,
               int (*tell)(int status, const char *json), struct tm_err *err) {
  struct tm_buf out;
  tm_buf_init(&out, ANSWER_MAX);
  int status = tm_remote_ask(o, method, target, o->back ? "{\"back\":true}" : NULL, timeout_ms, &out, err), code = -1;
  if (status >= 0 && o->json) {
    fputs(out.data, stdout);
    code = status == 200 ? 0 : (int)tm_remote_number(out.data, "exit_code", FAILED);
    if (tm_help_flush() != 0) code = FAILED;
  } else if (status >= 0) {
    code = tell(status, out.data);
  }
  tm_buf_fini(&out);
  return code;
}

/* A command that tells a run to do something: the exit code. */
static int order(const char *name, enum tm_options_command command, int argc, char *const *argv, const char *target,
                 int (*tell)(int status, const char *json)) {
  struct tm_options o;
  struct tm_err err;
  int code;
  if (parse(&o, name, command, argc, argv, &code) != 0) return code;
  code = ask(&o, "POST", target, -1, tell, &err);
  if (code >= 0) return code;
  tm_log_error("%s", err.detail);
  return err.exit_code;
}

/* ---- reload ---- */

static int tell_reload(int status, const char *json) {
  int code = (int)tm_remote_number(json, "exit_code", FAILED);
  char *said = malloc(SAID_MAX), error[1024];
  if (said == NULL) return FAILED;
  tm_remote_text(json, "said", said, SAID_MAX);
  tm_remote_text(json, "error", error, sizeof error);
  tm_log_text(said, strlen(said));
  if (status == 200) {
    printf("generation %.0f runs, after %.0f ms\n", tm_remote_number(json, "generation", 0), tm_remote_number(json, "ms", 0));
    code = tm_help_flush();
  } else {
    tm_log_error("%s", error[0] != '\0' ? error : "the run ended before the scripts were loaded anew");
    if (tm_remote_number(json, "generation", 0) > 0) tm_log_info("generation %.0f runs on", tm_remote_number(json, "generation", 0));
    code = code > 0 ? code : FAILED;
  }
  free(said);
  return code;
}

int tm_command_reload(int argc, char *const *argv) { return order("reload", TM_OPTIONS_RELOAD, argc, argv, "/reload", tell_reload); }

/* ---- drain ---- */

static int tell_drain(int status, const char *json) {
  int code = (int)tm_remote_number(json, "exit_code", FAILED);
  if (status == 200) printf("the run has ended with exit code %d\n", code);
  else tm_log_error("the run did not answer as expected (%d)", status);
  return tm_help_flush() != 0 || status != 200 ? FAILED : code;
}

int tm_command_drain(int argc, char *const *argv) { return order("drain", TM_OPTIONS_REMOTE, argc, argv, "/drain", tell_drain); }

/* ---- status ---- */

static int tell_status(int status, const char *text) {
  if (status == 200) fputs(text, stdout);
  else tm_log_error("the run did not answer as expected (%d)", status);
  return tm_help_flush() != 0 || status != 200 ? FAILED : 0;
}

/* A name that is no script's and no pack's is a data folder's. */
static int is_data_folder(const char *name) {
  char path[PATH_MAX];
  size_t n = strlen(name);
  if (n > 4 && strcmp(name + n - 4, ".lua") == 0) return 0;
  return snprintf(path, sizeof path, "%s/pack.lua", name) < (int)sizeof path && access(path, F_OK) != 0;
}

/* The run that uses a folder is asked; where none does, the folder's files tell how the last one stands. */
int tm_command_status(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int code;
  if (parse(&o, "status", TM_OPTIONS_REMOTE, argc, argv, &code) != 0) return code;
  if (o.data == NULL && o.control == NULL && o.scripts_n == 1 && is_data_folder(o.scripts[0])) {
    o.data = o.scripts[0];
    o.scripts_n = 0;
  }
  code = ask(&o, "GET", o.json ? "/status" : "/status?text", STATUS_MS, tell_status, &err);
  if (code >= 0) return code;
  if (o.data != NULL && o.control == NULL && err.exit_code == UNREACHABLE) return tm_status_data(o.data, o.json);
  tm_log_error("%s", err.detail);
  return err.exit_code;
}
