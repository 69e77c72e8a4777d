/* reload.c - `tidemill reload`, `tidemill status` and `tidemill drain`: a running host is told and asked (engine/control_admin.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "commands.h"
#include "options.h"
#include "remote.h"

enum { FAILED = 1, ANSWER_MAX = 64 << 20, SAID_MAX = 64 << 10, STATUS_MS = 10000 };

/* Parses, asks, and gives the answer to tell: the exit code. */
static int ask(const char *name, enum tm_options_command command, int argc, char *const *argv, const char *method, const char *target, int timeout_ms,
               int (*tell)(const struct tm_options *o, int status, const char *json)) {
  struct tm_options o;
  struct tm_err err;
  struct tm_buf out;
  int r = tm_options_parse(&o, command, argc, argv, &tm_io_real, &err);
  if (r == TM_OPTIONS_HELP) return tm_help_print(name);
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  tm_buf_init(&out, ANSWER_MAX);
  if (!o.json && strcmp(target, "/status") == 0) target = "/status?text";
  int status = tm_remote_ask(&o, method, target, o.back ? "{\"back\":true}" : NULL, timeout_ms, &out, &err);
  int code;
  if (status < 0) {
    tm_log_error("%s", err.detail);
    code = err.exit_code;
  } else if (o.json) {
    fputs(out.data, stdout);
    code = status == 200 ? 0 : (int)tm_remote_number(out.data, "exit_code", FAILED);
    if (tm_help_flush() != 0) code = FAILED;
  } else {
    code = tell(&o, status, out.data);
  }
  tm_buf_fini(&out);
  return code;
}

/* ---- reload ---- */

static int tell_reload(const struct tm_options *o, int status, const char *json) {
  int code = (int)tm_remote_number(json, "exit_code", FAILED);
  char *said = malloc(SAID_MAX), error[1024];
  (void)o;
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

int tm_command_reload(int argc, char *const *argv) { return ask("reload", TM_OPTIONS_RELOAD, argc, argv, "POST", "/reload", -1, tell_reload); }

/* ---- drain ---- */

static int tell_drain(const struct tm_options *o, int status, const char *json) {
  int code = (int)tm_remote_number(json, "exit_code", FAILED);
  (void)o;
  if (status == 200) printf("the run has ended with exit code %d\n", code);
  else tm_log_error("the run did not answer as expected (%d)", status);
  return tm_help_flush() != 0 || status != 200 ? FAILED : code;
}

int tm_command_drain(int argc, char *const *argv) { return ask("drain", TM_OPTIONS_REMOTE, argc, argv, "POST", "/drain", -1, tell_drain); }

/* ---- status ---- */

static int tell_status(const struct tm_options *o, int status, const char *text) {
  (void)o;
  if (status == 200) fputs(text, stdout);
  else tm_log_error("the run did not answer as expected (%d)", status);
  return tm_help_flush() != 0 || status != 200 ? FAILED : 0;
}

int tm_command_status(int argc, char *const *argv) {
  return ask("status", TM_OPTIONS_REMOTE, argc, argv, "GET", "/status", STATUS_MS, tell_status);
}
