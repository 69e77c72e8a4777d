/* settings.h - the project's settings file, tidemill.lua in the current folder: read and evaluated, not yet understood.
 *
 * A Lua file that returns a table of values. It is evaluated in a process of its own, bounded in time and memory
 * (engine/lua_state.h says how), so that whatever is written there, the command line is left to tell. What the
 * entries mean is options.c's; this gives them as texts. */
#ifndef TM_COMMAND_SETTINGS_H
#define TM_COMMAND_SETTINGS_H

#include <stddef.h>

#include "../abi_c.h"
#include "../base/err.h"
#include "../base/io.h"

#define TM_SETTINGS_FILE "tidemill.lua"

struct tm_settings {
  char *text;            /* the file; NULL: there is none */
  size_t text_len;
  struct tm_buf entries; /* as tm_lua_settings_eval writes them */
};

/* Reads and evaluates the file: 0, also when there is none (no entries), or -1 with err (exit code 3) and *s as if
 * there were none. */
int tm_settings_read(struct tm_settings *s, const struct tm_io *io, struct tm_err *err);
void tm_settings_fini(struct tm_settings *s);
/* The line on which `key = value` is written, looked for in the text (so a guess, for messages); 0: nowhere. */
int tm_settings_line(const struct tm_settings *s, const char *key);

#endif
