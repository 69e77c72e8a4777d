/* options_table.h - the one table of options: what parses them, where the value goes, what help says.
 *
 * An option exists because a line of options_table.c says so; parser, environment, settings file and help read the
 * same lines. Those of kind LATER are part of the decided command line but not of this version: they are refused with
 * that reason instead of as unknown, and help does not list them. */
#ifndef TM_COMMAND_OPTIONS_TABLE_H
#define TM_COMMAND_OPTIONS_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum tm_option_kind {
  TM_OPTION_FLAG,       /* int: 1 when given */
  TM_OPTION_TEXT,       /* const char * */
  TM_OPTION_LIST,       /* const char *[TM_OPT_LIST_MAX], count at count_at */
  TM_OPTION_PAIRS,      /* a LIST of k=v */
  TM_OPTION_FORMAT,     /* const char *: a name from the list of formats */
  TM_OPTION_DURATION,   /* int64_t, ms */
  TM_OPTION_SIZE,       /* int64_t, bytes */
  TM_OPTION_SIZE32,     /* int32_t, bytes */
  TM_OPTION_COUNT32,    /* int32_t */
  TM_OPTION_PLACE,      /* const char *: a place in an event log (eventlog/point.h); on the command line only, as others have its name */
  TM_OPTION_DRAWING,    /* const char *: a way to draw a graph; on the command line only, as others have its name */
  TM_OPTION_LATER       /* not in this version */
};

struct tm_option {
  const char *name;      /* without the dashes */
  const char *value;     /* what help calls its value; NULL for flags */
  enum tm_option_kind kind;
  unsigned commands;     /* enum tm_options_command, or-ed */
  size_t at, count_at;   /* offsets in struct tm_options */
  int64_t start;         /* numbers: the default */
  int64_t min, max;      /* numbers: both allowed */
  const char *sentence;
};

extern const struct tm_option tm_options_table[];  /* ends with a NULL name */

/* The option's name in tidemill.lua, script_memory; out has 64 bytes. Returns out. */
const char *tm_option_setting(const struct tm_option *opt, char *out);
/* The name of the option's environment variable, TIDEMILL_SCRIPT_MEMORY; out has 64 bytes. Returns out. */
const char *tm_option_variable(const struct tm_option *opt, char *out);

#endif
