/* test_options.c - command/options and command/quantity: what is taken, what is refused, and in which words.
 *
 * Expected numbers are worked out by hand from the units; the order flag, environment, default is tried for each
 * kind of option. The texts of refusals are part of the contract: they name what was found and what to write. */
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "../../host/command/options.h"
#include "../../host/command/quantity.h"
#include "../../host/command/settings.h"
#include "unit.h"

enum { ARGS_MAX = 16 };

static struct tm_options o;
static struct tm_err err;

/* Parses the arguments up to a NULL. */
static int parse(enum tm_options_command command, const char *const *args) {
  char *argv[ARGS_MAX];
  int argc = 0;

  for (; args[argc] != NULL; argc++) {
    if (argc == ARGS_MAX) abort();
    argv[argc] = (char *)(uintptr_t)args[argc];
  }
  memset(&err, 0, sizeof err);
  return tm_options_parse(&o, command, argc, argv, &tm_io_real, &err);
}

#define RUN(...) parse(TM_OPTIONS_RUN, (const char *const[]){ __VA_ARGS__, NULL })
#define CHECKED(...) parse(TM_OPTIONS_CHECK, (const char *const[]){ __VA_ARGS__, NULL })
#define GRAPH(...) parse(TM_OPTIONS_GRAPH, (const char *const[]){ __VA_ARGS__, NULL })
#define GET(...) parse(TM_OPTIONS_STATE_GET, (const char *const[]){ __VA_ARGS__, NULL })
#define REFUSED(code, text, ...)                                                                              \
  CHECK(RUN(__VA_ARGS__) == -1 && err.exit_code == (code) && strcmp(err.detail, text) == 0, "found %d, %s", \
        err.exit_code, err.detail)

static void durations(void) {
  static const struct { const char *text; int64_t ms; } good[] = {
    { "1ms", 1 }, { "250ms", 250 }, { "1s", 1000 }, { "1m30s", 90000 }, { "2h", 7200000 }, { "1d", 86400000 },
    { "1d2h3m4s5ms", 93784005 }, { "0s", 0 }, { "90m", 5400000 }, { "106751991167d", 9223372036828800000 },
  };
  static const char *const bad[] = { "", "s", "1000", "1.5s", "-1s", "+1s", " 1s", "1s ", "1 s", "1S", "1min", "1s1m",
    "1s1s", "1m30", "106751991168d", "9223372036854775808ms", "1e3s", "ms1" };
  char why[256], text[32];
  int64_t ms;
  size_t i;

  for (i = 0; i < sizeof good / sizeof good[0]; i++) {
    ms = -1;
    CHECK(tm_quantity_duration(good[i].text, &ms, why, sizeof why) == 0 && ms == good[i].ms, "%s", good[i].text);
    CHECK(tm_quantity_duration(tm_quantity_duration_text(ms, text), &ms, why, sizeof why) == 0 && ms == good[i].ms,
          "%s written as %s", good[i].text, text);
  }
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK(tm_quantity_duration(bad[i], &ms, why, sizeof why) == -1, "'%s' is taken", bad[i]);
  tm_quantity_duration("1000", &ms, why, sizeof why);
  CHECK(strcmp(why, "'1000' has no unit: write '1000ms' or '1000s'") == 0, "%s", why);
}

static void sizes_and_counts(void) {
  static const struct { const char *text; int64_t bytes; } good[] = {
    { "0", 0 }, { "1", 1 }, { "1023", 1023 }, { "64K", 65536 }, { "16M", 16777216 }, { "1G", 1073741824 },
    { "8589934591G", 9223372035781033984 }, { "9223372036854775807", INT64_MAX },
  };
  static const char *const bad[] = { "", "K", "-1", "1.5M", "1k", "1MB", "1MiB", "1T", "1 M", "8589934592G",
    "9223372036854775808", "0x10" };
  char why[256], text[32];
  int64_t v;
  size_t i;

  for (i = 0; i < sizeof good / sizeof good[0]; i++) {
    v = -1;
    CHECK(tm_quantity_size(good[i].text, &v, why, sizeof why) == 0 && v == good[i].bytes, "%s", good[i].text);
    CHECK(strcmp(tm_quantity_size_text(v, text), good[i].text) == 0, "%s written as %s", good[i].text, text);
  }
  for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK(tm_quantity_size(bad[i], &v, why, sizeof why) == -1, "'%s' is taken", bad[i]);
  CHECK(tm_quantity_count("100000", &v, why, sizeof why) == 0 && v == 100000, "a count");
  CHECK(tm_quantity_count("1e5", &v, why, sizeof why) == -1 && tm_quantity_count("", &v, why, sizeof why) == -1 &&
        tm_quantity_count("1K", &v, why, sizeof why) == -1, "counts are digits");
}

static void taken(void) {
  CHECK(RUN("-e", "stream") == TM_OPTIONS_OK && strcmp(o.code, "stream") == 0, "%s", err.detail);
  CHECK(o.scripts_n == 0 && o.from_n == 0 && o.to == NULL && o.format == NULL && o.out_format == NULL &&
        o.set_n == 0 && o.sample == NULL && !o.strict && !o.quiet && !o.json && !o.jit_off, "nothing else is set");
  CHECK(o.deadline_ms == 1000 && o.script_memory == 268435456 && o.max_event == 16777216 && o.max_rows == 100000,
        "defaults");
  CHECK(RUN("--from", "a", "-e", "x", "--from=b", "--to", "-", "--set=k=v=w", "--set", "l=", "--format", "json", "--out-format", "msgpack") == 0 &&
        o.from_n == 2 && strcmp(o.from[0], "a") == 0 && strcmp(o.from[1], "b") == 0 && strcmp(o.to, "-") == 0 &&
        o.set_n == 2 && strcmp(o.set[0], "k=v=w") == 0 && strcmp(o.set[1], "l=") == 0 && strcmp(o.format, "json") == 0 && strcmp(o.out_format, "msgpack") == 0,
        "both spellings: %s", err.detail);
  CHECK(RUN("-e", "--x", "--strict", "--quiet", "--json", "--no-jit") == 0 && strcmp(o.code, "--x") == 0 && o.strict &&
        o.quiet && o.json && o.jit_off, "flags; code may begin with dashes");
  CHECK(RUN("--deadline", "1m30s", "--script-memory=1G", "--max-event", "1000", "--max-rows", "5", "-e", "x") == 0 &&
        o.deadline_ms == 90000 && o.script_memory == 1073741824 && o.max_event == 1000 && o.max_rows == 5, "numbers");
  CHECK(RUN("-e", "x", "--strict=0") == 0 && !o.strict, "a flag said to be off");
  CHECK(RUN("-e", "x", "--help") == TM_OPTIONS_HELP && RUN("-h", "--nonsense") == TM_OPTIONS_HELP, "help");
  CHECK(CHECKED("-e", "x", "--sample", "s.ndjson") == 0 && strcmp(o.sample, "s.ndjson") == 0, "sample");
  CHECK(CHECKED("-e", "x", "--json") == -1 && strcmp(err.detail, "--json belongs to 'tidemill run', not to 'check'") == 0,
        "%s", err.detail);
  CHECK(CHECKED("-e", "x", "--strict") == 0 && o.strict, "strict");
  CHECK(GRAPH("-e", "x", "--format", "dot", "--from", "a") == 0 && strcmp(o.drawing, "dot") == 0 && o.format == NULL && o.from_n == 1,
        "a drawing");
  CHECK(GRAPH("-e", "x", "--json") == 0 && o.json && o.drawing == NULL, "a drawing in JSON");
  CHECK(GRAPH("-e", "x", "--format", "dto") == -1 && err.exit_code == 2 &&
        strcmp(err.detail, "--format: a graph is not drawn as 'dto'; did you mean dot?") == 0, "%s", err.detail);
  CHECK(GRAPH("-e", "x", "--format=json") == -1 &&
        strcmp(err.detail, "--format: a graph is drawn as text, dot or mermaid, not as 'json'") == 0, "%s", err.detail);
  CHECK(GRAPH("-e", "x", "--quiet") == -1 && strcmp(err.detail, "--quiet belongs to 'tidemill run', not to 'graph'") == 0, "%s",
        err.detail);
  CHECK(parse(TM_OPTIONS_STATE_LS, (const char *const[]){ "-e", "x", "--json", "--from", "f", NULL }) == 0 && o.json && o.from_n == 1 &&
        o.state_name == NULL, "state ls: %s", err.detail);
  CHECK(GET("totals", "-e", "x") == 0 && strcmp(o.state_name, "totals") == 0 && o.state_key == NULL && o.scripts_n == 0, "a state");
  CHECK(GET("totals", "-5", "--limit", "7", "-e", "x") == 0 && strcmp(o.state_key, "-5") == 0 && o.limit == 7, "a negative key");
  CHECK(GET("-e", "x", "totals", "k.lua") == 0 && strcmp(o.state_key, "k.lua") == 0 && o.scripts_n == 0, "a key, as there are no scripts");
  CHECK(GET("totals", "", "-e", "x") == 0 && o.state_key != NULL && o.state_key[0] == '\0', "the empty key");
  CHECK(GET("totals", "/dev/null") == 0 && o.state_key == NULL && o.scripts_n == 1, "a script, as there must be one");
  CHECK(GET("totals", "k", "/dev/null", "/dev/null") == 0 && strcmp(o.state_key, "k") == 0 && o.scripts_n == 2, "a key and scripts");
  CHECK(GET("totals", "--", "/dev/null", "/dev/null") == 0 && o.state_key == NULL && o.scripts_n == 2, "all behind -- are scripts");
  CHECK(GET("totals", "a.lua", "b") == -1 && err.exit_code == 3 && strncmp(err.detail, "a.lua: ", 7) == 0, "%s", err.detail);
  CHECK(GET(NULL) == -1 && err.exit_code == 2 && strncmp(err.detail, "state get takes the NAME", 24) == 0, "%s", err.detail);
  CHECK(GRAPH(NULL) == -1 && strncmp(err.detail, "nothing to draw: ", 17) == 0, "%s", err.detail);
}

static void refused(void) {
  REFUSED(2, "unknown option --form; did you mean --from?", "--form", "x");
  REFUSED(2, "unknown option --max-row; did you mean --max-rows?", "--max-row=3", "-e", "x");
  REFUSED(2, "unknown option --zzzzzzz; 'tidemill help run' lists them", "--zzzzzzz");
  REFUSED(2, "unknown option -q; short ones are -e CODE and -h", "-q");
  REFUSED(2, "--deadline: '1000' has no unit: write '1000ms' or '1000s'", "--deadline", "1000", "-e", "x");
  REFUSED(2, "--deadline: '2h' is out of range: at least 10ms, at most 1h", "--deadline=2h", "-e", "x");
  REFUSED(2, "--script-memory: '1M' is out of range: at least 4M, at most 64G", "--script-memory=1M", "-e", "x");
  REFUSED(2, "--max-rows: '0' is out of range: at least 1, at most 1000000000", "--max-rows", "0", "-e", "x");
  REFUSED(2, "--max-event: '1MB' is no size: write whole bytes, or '64K', '16M', '1G' (powers of 1024)", "--max-event",
          "1MB");
  REFUSED(2, "--workers is not available in this version", "--workers", "4", "-e", "x");
  REFUSED(2, "--listen is not available in this version", "-e", "x", "--listen=d");
  REFUSED(2, "--format: no format is called 'cvs'; did you mean csv?", "--format", "cvs");
  REFUSED(2, "--format: no format is called 'jsno'; did you mean json?", "--format", "jsno");
  REFUSED(2, "--to needs a value: --to FILE", "-e", "x", "--to");
  REFUSED(2, "--to needs a value: --to FILE", "--to", "--strict", "-e", "x");
  REFUSED(2, "--to: an empty value; expected FILE", "--to=", "-e", "x");
  REFUSED(2, "--set: 'k' is no setting: write KEY=VALUE", "--set", "k", "-e", "x");
  REFUSED(2, "--strict: 'maybe' is neither yes nor no: write 1 or 0", "--strict=maybe", "-e", "x");
  REFUSED(2, "-e needs a value: -e CODE", "-e");
  REFUSED(2, "-e is given twice; one piece of code is run", "-e", "a", "-e", "b");
  REFUSED(2, "both a script (a.lua) and -e are given; write one of them", "a.lua", "-e", "x");
  CHECK(RUN(NULL) == -1 && err.exit_code == 2 && strncmp(err.detail, "nothing to run: ", 16) == 0, "%s", err.detail);
}

static void scripts(void) {
  char path[] = "/tmp/tidemill-options-XXXXXX", text[800];
  char *argv[TM_OPT_LIST_MAX + 2];
  int fd = mkstemp(path), i;

  CHECK(fd >= 0 && RUN(path, "--", path) == 0 && o.scripts_n == 2 && strcmp(o.scripts[1], path) == 0, "%s", err.detail);
  for (i = 0; i < TM_OPT_LIST_MAX + 1; i++) argv[i] = path;
  CHECK(tm_options_parse(&o, TM_OPTIONS_RUN, TM_OPT_LIST_MAX, argv, &tm_io_real, &err) == 0 &&
        o.scripts_n == TM_OPT_LIST_MAX, "as many as there is room for");
  CHECK(tm_options_parse(&o, TM_OPTIONS_RUN, TM_OPT_LIST_MAX + 1, argv, &tm_io_real, &err) == -1 && err.exit_code == 2,
        "one more than there is room for");
  close(fd);
  unlink(path);
  snprintf(text, sizeof text, "%s: cannot read the script: No such file or directory", path);
  REFUSED(3, text, path);
  REFUSED(3, "/tmp: cannot read the script: Is a directory", "/tmp");
  REFUSED(3, "--x: cannot read the script: No such file or directory", "--", "--x");
}

static void environment(void) {
  setenv("TIDEMILL_DEADLINE", "5s", 1);
  setenv("TIDEMILL_STRICT", "1", 1);
  setenv("TIDEMILL_SCRIPT_MEMORY", "", 1);
  setenv("TIDEMILL_FROM", "env.ndjson", 1);
  setenv("TIDEMILL_NO_JIT", "no", 1);
  CHECK(RUN("-e", "x") == 0 && o.deadline_ms == 5000 && o.strict && o.from_n == 1 &&
        strcmp(o.from[0], "env.ndjson") == 0 && !o.jit_off, "environment before default: %s", err.detail);
  CHECK(o.script_memory == 268435456, "empty is unset");
  CHECK(RUN("-e", "x", "--deadline", "2s", "--strict=0", "--from", "a", "--from", "b") == 0 && o.deadline_ms == 2000 &&
        !o.strict && o.from_n == 2 && strcmp(o.from[0], "a") == 0, "flag before environment");
  setenv("TIDEMILL_QUIET", "1", 1);
  CHECK(CHECKED("-e", "x") == 0 && o.strict && !o.quiet, "a variable of another command's option");
  unsetenv("TIDEMILL_QUIET");
  setenv("TIDEMILL_FORMAT", "json", 1);
  CHECK(GRAPH("-e", "x") == 0 && o.drawing == NULL && o.format == NULL, "the format of events is not that of a drawing: %s", err.detail);
  unsetenv("TIDEMILL_FORMAT");
  setenv("TIDEMILL_DEADLINE", "5", 1);
  REFUSED(2, "TIDEMILL_DEADLINE: '5' has no unit: write '5ms' or '5s'", "-e", "x");
  CHECK(RUN("-e", "x", "--deadline", "1s") == 0, "a wrong variable that is not asked");
  unsetenv("TIDEMILL_DEADLINE");
  setenv("TIDEMILL_LISTEN", "d", 1);
  REFUSED(2, "TIDEMILL_LISTEN is not available in this version", "-e", "x");
  unsetenv("TIDEMILL_LISTEN");
  unsetenv("TIDEMILL_STRICT");
  unsetenv("TIDEMILL_FROM");
}

/* Parses "-e x" in a folder that holds this tidemill.lua alone. */
static int with_file(const char *text) {
  int fd = open(TM_SETTINGS_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0600);

  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) abort();
  close(fd);
  return RUN("-e", "x");
}

static void settings(void) {
  static const struct { const char *text, *key; int line; } places[] = {
    { "return { a = 1 }", "a", 1 }, { "return {\n a = 1,\n b = 2 }", "b", 3 }, { "return { ab = 1 }", "a", 0 },
    { "-- a = 1\n--[==[ a = 1 ]]\n]==]\nreturn { a = 1 }", "a", 4 },
    { "x = 'a = 1' y = \"\\\"a = 1\"\na=2", "a", 2 },
    { "z = [[ a = 1\n]] \na\n= 2", "a", 3 }, { "return { set = { a = 1 },\n a = 2 }", "a", 2 },
    { "return {\n['a-b'] = 1 }", "a-b", 2 }, { "if a == 1 then end", "a", 0 }, { "a", "a", 0 }, { "", "a", 0 },
    { "'a", "a", 0 }, { "[[ a = 1", "a", 0 }, { "--", "a", 0 }, { "a =", "a", 1 }, { "'\\", "a", 0 },
  };
  char folder[] = "/tmp/tidemill-settings-XXXXXX", home[4096], copy[256];
  size_t i;

  for (i = 0; i < sizeof places / sizeof places[0]; i++) {
    struct tm_settings s = { .text = copy, .text_len = strlen(places[i].text) };

    snprintf(copy, sizeof copy, "%s", places[i].text);
    CHECK(tm_settings_line(&s, places[i].key) == places[i].line, "'%s' in '%s': line %d", places[i].key, copy,
          tm_settings_line(&s, places[i].key));
  }
  if (getcwd(home, sizeof home) == NULL || mkdtemp(folder) == NULL || chdir(folder) != 0) abort();
  CHECK(with_file("return { deadline = '3s', strict = true, max_rows = 7, script_memory = '8M', max_event = 1000,\n"
                  "from = { 'a', 'b' }, to = 't', set = { k = 'v', n = -3 } }") == 0 && o.deadline_ms == 3000 &&
        o.strict && o.max_rows == 7 && o.script_memory == 8388608 && o.max_event == 1000 && o.from_n == 2 &&
        strcmp(o.from[1], "b") == 0 && strcmp(o.to, "t") == 0 && o.set_n == 2 && strcmp(o.set[0], "k=v") == 0 &&
        strcmp(o.set[1], "n=-3") == 0, "every kind: %s", err.detail);
  setenv("TIDEMILL_DEADLINE", "5s", 1);
  CHECK(RUN("-e", "x", "--set", "k=w", "--from", "c") == 0 && o.deadline_ms == 5000 && o.max_rows == 7 &&
        o.from_n == 1 && o.set_n == 2 && strcmp(o.set[0], "k=w") == 0 && strcmp(o.set[1], "n=-3") == 0,
        "flag, environment, file");
  unsetenv("TIDEMILL_DEADLINE");
  CHECK(with_file("return { deadline = 5 }") == -1 && err.exit_code == 3 &&
        strcmp(err.detail, "tidemill.lua:1: deadline: '5' has no unit: write '5ms' or '5s'") == 0, "%s", err.detail);
  CHECK(with_file("while true do end") == -1 && err.exit_code == 3, "%s", err.detail);
  unlink(TM_SETTINGS_FILE);
  CHECK(RUN("-e", "x") == 0 && o.max_rows == 100000, "no file, no trace of the last");
  if (chdir(home) != 0 || rmdir(folder) != 0) abort();
}

int main(void) {
  durations();
  sizes_and_counts();
  taken();
  refused();
  scripts();
  environment();
  settings();
  return unit_end("options");
}
