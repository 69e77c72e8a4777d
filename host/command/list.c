/* list.c - `tidemill list`: operators, aggregates, sources, sinks and functions, from the library's catalog.
 *
 * What `help NAME` prints of one of them is asked for here too, so that one place knows how the catalog is reached. */
#include <stdio.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "../engine/lua_state.h"
#include "commands.h"

enum { TEXT_MAX = 4 << 20, USAGE = 2 };

int tm_reference_print(const char *function, const char *name, int json, const char *others) {
  struct tm_buf out;
  struct tm_err err;
  int r, code;

  tm_buf_init(&out, TEXT_MAX);
  r = tm_lua_reference(function, name, json, others, &out, &err);
  code = r == 0 ? 0 : err.exit_code;
  if (r == 0) {
    fwrite(out.data, 1, (size_t)out.len, stdout);
    code = tm_help_flush();
  } else {
    tm_log_error("%s", err.detail);
  }
  tm_buf_fini(&out);
  return code;
}

int tm_reference_has(const char *name) {
  struct tm_buf out;
  struct tm_err err;
  int r;

  tm_buf_init(&out, TEXT_MAX);
  r = tm_lua_reference("has", name, 0, "", &out, &err);
  tm_buf_fini(&out);
  return r == 0;
}

int tm_command_list(int argc, char *const *argv) {
  const char *name = NULL;
  int i, json = 0;

  for (i = 0; i < argc; i++) {
    if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) return tm_help_print("list");
    if (strcmp(argv[i], "--json") == 0) {
      json = 1;
    } else if (argv[i][0] == '-') {
      tm_log_error("unknown option %.80s; list has --json", argv[i]);
      return USAGE;
    } else if (name != NULL) {
      tm_log_error("list takes one name, found '%.80s' too", argv[i]);
      return USAGE;
    } else {
      name = argv[i];
    }
  }
  return tm_reference_print("list", name, json, "");
}
