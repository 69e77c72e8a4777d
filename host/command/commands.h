/* commands.h - the commands of the program: one file each, one table of them all.
 *
 * A command gets what stands behind its name and returns the program's exit code (0 ok, 1 failed, 2 usage,
 * 3 script rejected, 128 + n signal). It prints data to stdout, everything else to stderr. */
#ifndef TM_COMMAND_COMMANDS_H
#define TM_COMMAND_COMMANDS_H

struct tm_command {
  const char *name;
  const char *usage;      /* what may follow the name */
  const char *sentence;   /* for the list of commands */
  int (*run)(int argc, char *const *argv);
};

extern const struct tm_command tm_commands_list[];  /* ends with a NULL name */

/* NULL: no such command in this version. */
const struct tm_command *tm_command_find(const char *name);
/* Says on stderr what is wrong with a name that tm_command_find does not know: later, mistyped, unknown. Returns 2. */
int tm_command_unknown(const char *name);

int tm_command_run(int argc, char *const *argv);
int tm_command_check(int argc, char *const *argv);
int tm_command_graph(int argc, char *const *argv);
int tm_command_state(int argc, char *const *argv);
int tm_command_journal(int argc, char *const *argv);
int tm_command_snapshot(int argc, char *const *argv);
/* status_data.c: prints how the run of a data folder stands, from its files: the exit code. */
int tm_status_data(const char *dir, int json);
int tm_command_replay(int argc, char *const *argv);
int tm_command_backtest(int argc, char *const *argv);
int tm_command_why(int argc, char *const *argv);
int tm_command_log(int argc, char *const *argv);
int tm_command_dev(int argc, char *const *argv);
int tm_command_reload(int argc, char *const *argv);
int tm_command_status(int argc, char *const *argv);
int tm_command_drain(int argc, char *const *argv);
int tm_command_rules(int argc, char *const *argv);
int tm_command_test(int argc, char *const *argv);
int tm_command_repl(int argc, char *const *argv);
int tm_command_new(int argc, char *const *argv);
int tm_command_list(int argc, char *const *argv);
int tm_command_help(int argc, char *const *argv);
int tm_command_version(int argc, char *const *argv);

/* Prints the help of one command (NULL: the short list of all) to stdout. Returns 0, or 1 if stdout failed. */
int tm_help_print(const char *command);
/* Prints what the library's catalog says: function "list" of a kind of things (NULL: all), "help" of one of them. others:
 * names that help knows besides, for its suggestions. Returns 0, 2 if there is no such name, 1 if it failed. */
int tm_reference_print(const char *function, const char *name, int json, const char *others);
/* 1 if the catalog has something of that name. */
int tm_reference_has(const char *name);
/* Ends writing to stdout: 0, or 1 with the reason logged. */
int tm_help_flush(void);

#endif
