/* main.c - picks the command.
 *
 * Everything else is a command's: their table is in command/help.c. Without a command the short help is printed, and
 * the exit code says that nothing was done. */
#include <string.h>

#include "base/log.h"
#include "command/commands.h"

int main(int argc, char **argv) {
  const struct tm_command *c;

  tm_log_init();
  if (argc < 2) {
    tm_help_print(NULL);
    return 2;
  }
  if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) return tm_help_print(NULL);
  if (strcmp(argv[1], "--version") == 0) return tm_command_version(0, argv + 2);
  c = tm_command_find(argv[1]);
  if (c == NULL) return tm_command_unknown(argv[1]);
  return c->run(argc - 2, argv + 2);
}
