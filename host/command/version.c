/* version.c - `tidemill version`: what a report of a problem should begin with.
 *
 * Names the program, what built it, the libraries that can be asked here, and the scanner in use on this machine. */
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "../base/version.h"
#include "../codec/json.h"
#include "commands.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

int tm_command_version(int argc, char *const *argv) {
  const char *simd = tm_json_use(NULL);

  if (argc == 1 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0)) return tm_help_print("version");
  if (argc > 0) {
    tm_log_error("version takes no arguments, found '%.80s'", argv[0]);
    return 2;
  }
  printf("tidemill %s\n", TM_VERSION);
  printf("compiler %s\n", COMPILER);
  printf("libev    %d.%d\n", ev_version_major(), ev_version_minor());
  printf("scanner  %s\n", simd != NULL ? simd : "none");
  printf("abi      %d\n", TM_ABI_VERSION);
  return tm_help_flush();
}
