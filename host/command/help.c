/* help.c - `tidemill help`, and the table of commands.
 *
 * Every list here is made from a table that something else uses too: commands from tm_commands_list, options from
 * tm_options_table, counters from counters.def. So help cannot name what does not exist. Lines fit 80 columns. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../base/counters.h"
#include "../base/log.h"
#include "../base/suggest.h"
#include "../base/version.h"
#include "commands.h"
#include "options.h"
#include "options_table.h"
#include "quantity.h"

enum { WIDTH = 80, INDENT = 26, NAMES_MAX = 64 };

const struct tm_command tm_commands_list[] = {
  { "run", "SCRIPT... | -e CODE  [OPTIONS]", "Run scripts over a stream, to the end of input or a signal.",
    tm_command_run },
  { "check", "SCRIPT... | -e CODE  [OPTIONS]", "Load scripts, validate and lint them; run nothing.", tm_command_check },
  { "graph", "SCRIPT... | -e CODE  [OPTIONS]", "Draw what reads what: sources, pipelines with their steps, sinks. Nothing runs.",
    tm_command_graph },
  { "state", "ls | get NAME [KEY] | export | import  SCRIPT | -e CODE",
    "Run scripts to the end of input, write nothing, and print what their steps keep, or look into the folder of a run that is kept "
    "(--data); or put states into one.",
    tm_command_state },
  { "journal", "ls | verify | cat | repair --accept-loss  DIR  [--json]",
    "Look at the journal of a data folder, and give up what is behind damage so that a run can start again.", tm_command_journal },
  { "snapshot", "ls | verify | make DIR | export [N] SCRIPT --data DIR",
    "Look at the snapshots of a data folder, make the next one, or write what one holds as lines of JSON.", tm_command_snapshot },
  { "replay", "SCRIPT... | -e CODE  --log NAME  [OPTIONS]",
    "Run the history in an event log through scripts, new or old, into outputs of their own; or compare these with what was written.",
    tm_command_replay },
  { "backtest", "PACK | SCRIPT | -e CODE  --from FILE|log:NAME [--labels FILE]  [OPTIONS]",
    "Run history through a rule pack and tell what it finds, misses and raises in vain: rule by rule, in events, cases and money.",
    tm_command_backtest },
  { "why", "ID... PACK | SCRIPT  --from FILE|log:NAME | --data DIR  [OPTIONS]",
    "Rebuild what was known when a decision was made, and show each rule's conditions as they stood.", tm_command_why },
  { "log", "ls [NAME] | cat NAME | verify [NAME]  --data DIR  [OPTIONS]",
    "The event logs of a data folder: list them, print events, or read all of them through and tell what is damaged.", tm_command_log },
  { "dev", "SCRIPT... | PACK  [OPTIONS]",
    "Run scripts, and load them anew when one of their files changes: what is wrong is told while the old ones run on.", tm_command_dev },
  { "reload", "[SCRIPT | --data DIR | --control PATH]  [--back]",
    "Load the scripts of a running host anew while it goes on: tried first in a process of their own, switched between two events, or refused "
    "and told why.", tm_command_reload },
  { "status", "[SCRIPT | DIR | --data DIR | --control PATH]  [--json]",
    "How a running host stands: its sources, sinks, states, rules, watermarks and counters; or, where none uses the data folder DIR, how the last one "
    "left it: epoch, sizes, sinks and what they guarantee, failed and quarantined events.", tm_command_status },
  { "drain", "[SCRIPT | --data DIR | --control PATH]", "Tell a running host to read no more, finish what was read, and end; wait for that.",
    tm_command_drain },
  { "rules", "shadow PACK_OR_SCRIPT | diff | promote | discard | stats  [--data DIR | --control PATH]  [OPTIONS]",
    "The rules of a running host: what each did and cost; a candidate beside it, fed with the same events and writing nothing outward, and what it "
    "decides otherwise.",
    tm_command_rules },
  { "test", "[PATH...]  [--json]", "Run the specs of scripts: files and folders, *_spec.lua in the current one by default.", tm_command_test },
  { "repl", "[SCRIPT | PACK]",
    "Type events and expressions, and see what comes of them: rows, decisions of a rule pack with their reasons, features. Lines come from "
    "a pipe, too.",
    tm_command_repl },
  { "new", "pipeline | pack  DIR",
    "Write a small project to start from. pipeline: a pipeline, its spec, a sample, and what editors need; pack: a rule pack, its "
    "tests and a sample. Overwrites nothing.",
    tm_command_new },
  { "list", "[operators | aggregates | sources | sinks | functions]  [--json]", "What scripts can call, a line each.",
    tm_command_list },
  { "help", "[COMMAND | counters | settings | NAME]  [--json]",
    "This list, a command's options, what the counters mean, what tidemill.lua may say; or all about something scripts call, "
    "such as filter or tm.sink.file (--json: only of these).", tm_command_help },
  { "version", "", "The version, and what it was built with.", tm_command_version },
  { NULL, NULL, NULL, NULL },
};

/* decided, not in this version */
static const char *const later[] = {
  "tap", "top", "demo", "bench", "completion",
};

static int is_later(const char *name) {
  size_t i;

  for (i = 0; i < sizeof later / sizeof later[0]; i++) {
    if (strcmp(later[i], name) == 0) return 1;
  }
  return 0;
}

const struct tm_command *tm_command_find(const char *name) {
  const struct tm_command *c;

  for (c = tm_commands_list; c->name != NULL; c++) {
    if (strcmp(c->name, name) == 0) return c;
  }
  return NULL;
}

/* The command or topic of help that a mistyped name means, or NULL. */
static const char *meant(const char *name) {
  const char *names[NAMES_MAX];
  int n = 0;

  for (; tm_commands_list[n].name != NULL; n++) names[n] = tm_commands_list[n].name;
  names[n++] = "counters";
  names[n++] = "settings";
  return tm_suggest(name, names, n);
}

int tm_command_unknown(const char *name) {
  const char *word = meant(name);
  size_t len = strlen(name);

  if (is_later(name)) {
    tm_log_error("the command %s is not available in this version", name);
    return 2;
  }
  if (word != NULL && strcmp(word, "counters") == 0) word = "help counters";
  if (word != NULL && strcmp(word, "settings") == 0) word = "help settings";
  if (len > 4 && strcmp(name + len - 4, ".lua") == 0)
    tm_log_error("unknown command '%.200s'; to run a script: tidemill run %.200s", name, name);
  else if (word != NULL)
    tm_log_error("unknown command '%.80s'; did you mean '%s'?", name, word);
  else
    tm_log_error("unknown command '%.80s'; 'tidemill help' lists them", name);
  return 2;
}

/* ---- printing ------------------------------------------------------------------ */

/* Prints the text from column `at` on, in lines that begin at column `indent`. */
static void print_wrapped(const char *text, int at, int indent) {
  while (*text == ' ') text++;
  while (*text != '\0') {
    int word = (int)strcspn(text, " ");

    if (at + 1 + word > WIDTH && at > indent) {
      printf("\n%*s", indent, "");
      at = indent;
    }
    at += printf("%s%.*s", at > indent ? " " : "", word, text);
    text += word;
    while (*text == ' ') text++;
  }
  printf("\n");
}

/* "  name VALUE     sentence": the sentence begins on a line of its own if the name is long. */
static void print_entry(const char *name, const char *sentence) {
  int n = printf("  %s", name);

  if (n > INDENT - 2) printf("\n%*s", INDENT, "");
  else printf("%*s", INDENT - n, "");
  print_wrapped(sentence, INDENT, INDENT);
}

/* An option under the name and value it has on the command line or in the settings file. */
static void print_option(const char *name, const struct tm_option *opt) {
  char sentence[512], number[32];

  number[0] = '\0';
  if (opt->kind == TM_OPTION_DURATION) tm_quantity_duration_text(opt->start, number);
  else if (opt->kind == TM_OPTION_SIZE || opt->kind == TM_OPTION_SIZE32) tm_quantity_size_text(opt->start, number);
  else if (opt->kind == TM_OPTION_COUNT32) snprintf(number, sizeof number, "%lld", (long long)opt->start);
  snprintf(sentence, sizeof sentence, "%s%s%s%s", opt->sentence, number[0] != '\0' ? " Default: " : "", number,
           number[0] != '\0' ? "." : "");
  print_entry(name, sentence);
}

static void print_options(unsigned command) {
  const struct tm_option *opt;
  char name[80];

  printf("\nOptions (also from the environment, where --max-rows is TIDEMILL_MAX_ROWS,\n"
         "and from tidemill.lua: 'tidemill help settings'):\n");
  print_entry("-e CODE", "Code instead of a script: an expression or a chunk over `stream`, the default input.");
  for (opt = tm_options_table; opt->name != NULL; opt++) {
    if (opt->kind == TM_OPTION_LATER || (opt->commands & command) == 0) continue;
    snprintf(name, sizeof name, "--%s%s%s", opt->name, opt->value != NULL ? " " : "",
             opt->value != NULL ? opt->value : "");
    print_option(name, opt);
  }
  print_entry("-h, --help", "This text.");
  printf("\nTIME is written as 250ms, 1s or 1m30s; SIZE in bytes or as 64K, 16M, 1G.\n");
}

static void print_run(void) {
  print_options(TM_OPTIONS_RUN);
  printf("\nSignals: TERM and INT finish what was read and end; a second one ends at once.\n"
         "Exit codes: 0 ok, 1 the run failed, 2 usage, 3 a script was rejected,\n"
         "128 + n ended by signal n (a drained TERM is 0).\n"
         "\nExample:\n"
         "  tidemill run -e 'stream:filter(function(e) return e.amount > 100 end)' \\\n"
         "    --from tx.ndjson > large.ndjson\n");
}

static void print_check(void) {
  print_options(TM_OPTIONS_CHECK);
  printf("\nProblems reject a script: names that do not exist, fields the schema does not\n"
         "have, steps that drop everything. Warnings do not: variables, globals and\n"
         "tables from outside in which a function called for every event keeps something,\n"
         "functions made and string patterns used for every event.\n"
         "Exit codes: 0 ok, also with warnings; 2 usage; 3 problems, or with --strict\n"
         "warnings, or events of the sample that failed.\n");
}

static void print_graph(void) {
  print_options(TM_OPTIONS_GRAPH);
  printf("\nExample:\n"
         "  tidemill graph clean.lua --format dot | dot -Tsvg > clean.svg\n");
}

static void print_state(void) {
  print_options(TM_OPTIONS_STATE_LS | TM_OPTIONS_STATE_GET);
  printf("\nThe scripts run as they do in 'tidemill run', but nothing is written: rows and\n"
         "dead letters are made and thrown away. What fails is told on stderr. When the\n"
         "input is at its end, or after TERM or INT, the states are printed. Should the\n"
         "worker die, its states are gone, and the exit code is 1.\n"
         "\nls   name, kind, keys, bytes, bytes a key, evicted (keys dropped to make room),\n"
         "     the bound and the fields of each state. With --data also those of steps\n"
         "     that no script has any more (orphans): they are kept for 7 days, and a\n"
         "     script that declares them again goes on with them.\n"
         "get  one JSON object a record, in order of the keys' first arrival: the fields\n"
         "     of the key, then those of the state. NAME is PIPELINE/STEP, or STEP where\n"
         "     only one state has it. Lists and sets are arrays, maps arrays of\n"
         "     [key, value]; what is nil is null; infinities are \"inf\" and \"-inf\"; a field\n"
         "     of `process` with the name of one of the key is written as \"state.NAME\".\n"
         "     KEY is a string, or JSON: 42 a number, '\"42\"' a string, null a missing key,\n"
         "     '[\"DE\",\"c1\"]' or '{\"country\":\"DE\",\"card\":\"c1\"}' a key of several fields.\n"
         "     What ends in .lua is a script, and so is all behind --. With KEY all\n"
         "     windows of the key are told, the events of a join, matches that have\n"
         "     begun, its timers. Without a script, ls and get show what the folder of\n"
         "     --data keeps; get in the form of export.\n"
         "export  one JSON object a key of every state, windows with their bounds:\n"
         "     {\"state\":\"spend/idle\",\"key\":[\"c1\"],\"value\":{\"n\":3},\"more\":{…},\"due\":17}\n"
         "     `more` is what is kept of a field beside its value, or for a step itself;\n"
         "     `due` when it is looked at; then how far clocks are. Left out are\n"
         "     aggregates of sliding windows and features of different values. Lines\n"
         "     under a seal go together, and are refused where one was changed. Maps\n"
         "     are arrays of [key, value]. What has no form in JSON is\n"
         "     {\"$bytes\":\"base64\"}, {\"$msgpack\":\"base64\"}, {\"$number\":\"inf\"},\n"
         "     {\"$integer\":\"digits\"}: it reads back bit by bit.\n"
         "import  reads such lines from standard input into the run that is kept in the\n"
         "     folder of --data, made if it is missing. Keys of the lines are replaced,\n"
         "     others stay; all lines are taken, or none. Give the options of 'tidemill\n"
         "     run', as its plan is kept too. No event is read. Keys count as written in\n"
         "     the order of lines.\n"
         "Exit codes: 0 ok, 1 no such key, or the run failed, 2 usage, also a NAME that no\n"
         "state has, 3 a script was rejected, 130 ended by INT.\n"
         "\nExample:\n"
         "  tidemill state get totals c-17 scripts/examples/totals_per_card.lua \\\n"
         "    --from scripts/examples/data/card_payments.ndjson\n");
}

static void print_journal(void) {
  printf("\nls      a line a segment: number, bytes of frames, frames, epochs, and what it is\n"
         "verify  reads all of it and says whether a run can start: 0, or 1 and why not\n"
         "cat     one JSON object an epoch: its number, bytes, those of its head, ranges,\n"
         "        bytes changed and bytes that became zero\n"
         "repair  says what would be lost; with --accept-loss it gives that up: the\n"
         "        damaged segment keeps its valid part, later ones are renamed to lost.N\n"
         "--json  JSON instead of tables (ls, verify)\n"
         "DIR is what 'tidemill run --data' was given. All but repair may be used while a\n"
         "run uses the folder; what they show may be over when it is read.\n"
         "Exit codes: 0 ok, 1 damaged, or it could not be read, 2 usage.\n");
}

static void print_snapshot(void) {
  printf("\nls      a line a generation, the newest first: epoch, bytes\n"
         "verify  reads all of each: 0, or 1 when one is damaged\n"
         "export  what the newest snapshot holds, or that of epoch N, as lines of\n"
         "        'tidemill state export'; SCRIPT is that of the run, with its options\n"
         "make    makes the next one from the one before and the journal, as a run does by\n"
         "        itself when the journal has grown as large as the state\n"
         "--json  JSON instead of tables\n"
         "Exit codes: 0 ok, 1 damaged, or it could not be read or made, 2 usage.\n");
}

static void print_replay(void) {
  print_options(TM_OPTIONS_REPLAY);
  printf("\nThe scripts run as in 'tidemill run', with the log as their input and all state in\n"
         "memory. The input is what the script reads by tm.source.log, or else its only\n"
         "source; tables and files beside it are read as they are. Its own sinks are never\n"
         "written: with --out each becomes a file in DIR, else the only one goes to stdout.\n"
         "The same log and script give the same bytes.\n"
         "Exit codes: 0 ok, 1 the replay failed, 2 usage, 3 a script was rejected, 4 what\n"
         "--compare looked at differs.\n"
         "\nExample:\n"
         "  tidemill replay scripts/examples/balances.lua --log ledger --data data \\\n"
         "    --to 2026-03-01T12:00:00Z\n");
}

static void print_backtest(void) {
  print_options(TM_OPTIONS_BACKTEST);
  printf("\nThe script has one pack; its sinks are not written. Events pass as in 'tidemill\n"
         "run', so decisions are those of a live run over the same input, byte for byte.\n"
         "\nLabels are lines of JSON, or CSV with a header (*.csv, *.tsv). A label names\n"
         "  id                    one event, by its field --id; or\n"
         "  key value from to     all events whose field `key` has `value`, in that time:\n"
         "                        ms since 1970 or ISO 8601, both ends included\n"
         "and says\n"
         "  label                 fraud, true, 1 or yes; legit, false, 0 or no; without\n"
         "                        the column: fraud\n"
         "  case                  events of one case belong together: it is found with\n"
         "                        its first alert\n"
         "Other columns are ignored. Labels that no event has are counted and told.\n"
         "\nAn alert is a decision that has a reason: of a rule in mode enforce or alert, or\n"
         "of a scorecard, suppressed or not. precision: alerts that were fraud; recall:\n"
         "fraud that was an alert. Of a rule the same of its matches; `alone`: fraud that\n"
         "no other rule found. caught, missed, false: money of fraud with an alert, of\n"
         "fraud without one, of alerts that were none.\n"
         "Exit codes: 0 ok, 1 the backtest failed, 2 usage, 3 a script or label was\n"
         "rejected.\n"
         "\nExample:\n"
         "  tidemill backtest scripts/packs/limits --labels labels.csv \\\n"
         "    --from scripts/packs/limits/sample.ndjson\n");
}

static void print_why(void) {
  print_options(TM_OPTIONS_WHY);
  printf("\nID is the `id` of a decision: PACK-HASH@PLACE. History is read up to its event,\n"
         "as in 'tidemill run'; then each rule is shown: what it needs, `only`, and each\n"
         "condition of `when` with the values that it had. A pack that has changed since is\n"
         "told, as the decision may then be another one.\n"
         "Exit codes: 0 ok, 1 an id was not found, or reading failed, 2 usage, 3 a script\n"
         "was rejected.\n"
         "\nExample:\n"
         "  tidemill why limits-d369724a@scripts/packs/limits/sample.ndjson:7 \\\n"
         "    scripts/packs/limits --from scripts/packs/limits/sample.ndjson\n");
}

static void print_log(void) {
  printf("\n");
  print_entry("--data DIR", "The data folder; also from TIDEMILL_DATA, and from tidemill.lua.");
  print_entry("--from PLACE", "cat: begin there. start, end, a sequence number such as 17, a time such as 2026-03-01T10:00:00Z, or @ and ms since 1970.");
  print_entry("--to PLACE", "cat: end there; the place itself is included. By time, events are printed whose own time lies there.");
  print_entry("--follow", "cat: go on as the log is written.");
  print_entry("--json", "cat: {\"sequence\":…,\"time\":…,\"event\":…} a line. ls: one array.");
  print_entry("-h, --help", "This text.");
  printf("\nA log is written by tm.sink.log, and read by tm.source.log and 'tidemill replay'.\n"
         "Exit codes: 0 ok, 1 no such log, or it is damaged, 2 usage. What a write that was\n"
         "cut off left at the end of the newest segment is no damage.\n");
}

static void print_test(void) {
  print_entry("--json", "One object on stdout instead of busted's words: passed, failed, errors, pending, and tests, each with name, "
              "file, line, status and message.");
  print_entry("-h, --help", "This text.");
  printf("\nA spec is a file of busted (https://lunarmodules.github.io/busted/, Debian's\n"
         "lua-busted) that runs in this program, outside the sandbox. In it:\n\n"
         "  local tm = require 'tidemill'\n"
         "  local t = tm.testing.run('script.lua', { watermark = 'manual',\n"
         "    set = { k = 'v' } })      a path beside the spec or from the current folder,\n"
         "                              a stream, or a list of streams; options if wanted\n"
         "  t:send([source,] row)       a table, or a line of text\n"
         "  t:watermark([source,] ms)   on to this time; math.huge ends the input\n"
         "  t:advance '5m'              the clock, which starts at 0\n"
         "  t:out([name])               rows of a pipeline or sink so far, as tables, and\n"
         "  t:late()  t:errors()        late events, dead letters: each is given once\n"
         "  t:state(name[, key])        what a step keeps of a key\n"
         "\nSources and sinks are memory: no file is read or written. Each event has a view\n"
         "of its own, so that one kept after its call is told. One run at a time: the next\n"
         "tm.testing.run ends the one before. TIDEMILL_* and tidemill.lua are not read;\n"
         "what `--set` gives in a run is `set` here.\n"
         "Exit codes: 0 all passed, 4 some failed, 3 a spec or a script does not load,\n"
         "2 usage, 1 busted is missing.\n");
}

static void print_dev(void) {
  print_options(TM_OPTIONS_RUN);
  printf("\nScripts, modules and packs with their lists are watched. A change is loaded, linted\n"
         "and tested (card_spec.lua beside card.lua, tests/ of a pack) in a process of its own,\n"
         "then takes over with all state, some 100 ms after the file was written. Errors come\n"
         "with file and line. On a terminal a line tells of events and alerts.\n"
         "\nExample:\n"
         "  tidemill dev card.lua --from tx.ndjson --follow\n");
}

static void print_remote(unsigned command) {
  print_options(command);
  printf("\nThe run is the one that has this SCRIPT or folder, or whose socket PATH is; where\n"
         "only one of this user's runs is there, it need not be named.\n");
}

static void print_reload(void) {
  print_remote(TM_OPTIONS_RELOAD);
  printf("\nThe files are read anew, loaded and linted in a process of their own. Then\n"
         "the worker's successor takes over between two events, with all state, at the end of\n"
         "an epoch where the run is kept. If anything is wrong the old scripts run on.\n"
         "A changed threshold keeps state; a state whose layout changed is migrated, or the\n"
         "change is refused. HUP does the same, and tells on the run's stderr.\n"
         "Exit codes: 0 the new generation runs, 1 it failed, 2 usage, 3 the scripts were\n"
         "rejected, 4 tests failed, 5 no such run, 6 state does not fit them.\n");
}

static void print_rules(void) {
  print_remote(TM_OPTIONS_SHADOW);
  printf("\nshadow   begins a candidate: a folder with pack.lua, in the place of the run's\n"
         "         pack of that name, or a script in the place of all. It has the run's state\n"
         "         as it is then, a process of its own with a lower priority, and the memory\n"
         "         of --memory. What a reload would refuse is refused. A ring of 64 MiB\n"
         "         holds batches that it has not taken; where it is too slow, batches are\n"
         "         left out and counted: the run never waits for it. It ends with the run,\n"
         "         with a worker that dies, and when scripts are loaded anew.\n"
         "diff     decisions of the run and of the candidate, event by event: how many, how\n"
         "         much money (--amount), the rules that make the difference (+ they match in\n"
         "         the candidate alone, - in the run alone, ~ in both, with another score or\n"
         "         mode), and examples. Also when the candidate has ended, and why it has.\n"
         "promote  the candidate becomes the run's, by a reload, with the run's state.\n"
         "discard  ends it.\n"
         "stats    matches, cost and coverage of each rule of the run.\n"
         "Exit codes: 0 done, 1 refused, 2 usage, 3 the candidate was rejected, 5 no such\n"
         "run, 6 state does not fit it.\n");
}

static void print_counters(void) {
  char sentence[512];
  int i;

  printf("What is counted; the end summary shows it, 'tidemill run --json' names it so:\n\n");
  for (i = 0; i < TM_COUNTERS_N; i++) {
    snprintf(sentence, sizeof sentence, "(%s) %s", tm_counters_list[i].unit, tm_counters_list[i].sentence);
    print_entry(tm_counters_list[i].name, sentence);
  }
}

static void print_settings(void) {
  /* what stands before and behind the value's name */
  static const char *const around[][2] = {
    [TM_OPTION_FLAG] = { "true", "" }, [TM_OPTION_TEXT] = { "'", "'" }, [TM_OPTION_LIST] = { "{ '", "', ... }" },
    [TM_OPTION_PAIRS] = { "{ KEY = '", "' }" }, [TM_OPTION_FORMAT] = { "'", "'" }, [TM_OPTION_DURATION] = { "'", "'" },
    [TM_OPTION_SIZE] = { "'", "'" }, [TM_OPTION_SIZE32] = { "'", "'" }, [TM_OPTION_COUNT32] = { "", "" },
  };
  const struct tm_option *opt;
  char setting[64], name[160];

  printf("The file tidemill.lua in the current folder holds a project's settings:\n\n"
         "  return { deadline = '2s', strict = true, from = { 'a.ndjson', 'b.ndjson' },\n"
         "           set = { threshold = '100' } }\n\n"
         "It is Lua that returns a table and has no functions to call. A flag goes before\n"
         "TIDEMILL_<NAME> in the environment, that before this file, that before the\n"
         "default; for `set`, name by name. What a command has no option for, it leaves.\n\n");
  for (opt = tm_options_table; opt->name != NULL; opt++) {
    if (opt->kind >= TM_OPTION_PLACE) continue;
    snprintf(name, sizeof name, "%s = %s%s%s", tm_option_setting(opt, setting), around[opt->kind][0],
             opt->kind == TM_OPTION_PAIRS ? "VALUE" : opt->value != NULL ? opt->value : "", around[opt->kind][1]);
    print_option(name, opt);
  }
  printf("\nTIME is written as 250ms, 1s or 1m30s; SIZE in bytes or as 64K, 16M, 1G.\n");
}

static void print_all(void) {
  const struct tm_command *c;

  printf("tidemill %s: stream processing in Lua\n\nUsage: tidemill COMMAND ...\n\n", TM_VERSION);
  for (c = tm_commands_list; c->name != NULL; c++) print_entry(c->name, c->sentence);
  printf("\n'tidemill help COMMAND' tells more. A first try:\n"
         "  echo '{\"amount\":120}' | \\\n"
         "    tidemill run -e 'stream:filter(function(e) return e.amount > 100 end)'\n");
}

int tm_help_flush(void) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
  tm_log_error("cannot write to stdout: %s", strerror(errno));
  return 1;
}

int tm_help_print(const char *command) {
  const struct tm_command *c = command != NULL ? tm_command_find(command) : NULL;

  if (c == NULL) {
    print_all();
    return tm_help_flush();
  }
  printf("Usage: tidemill %s%s%s\n", c->name, c->usage[0] != '\0' ? " " : "", c->usage);
  print_wrapped(c->sentence, 0, 0);
  if (c->run == tm_command_run) print_run();
  else if (c->run == tm_command_check) print_check();
  else if (c->run == tm_command_graph) print_graph();
  else if (c->run == tm_command_state) print_state();
  else if (c->run == tm_command_journal) print_journal();
  else if (c->run == tm_command_snapshot) print_snapshot();
  else if (c->run == tm_command_replay) print_replay();
  else if (c->run == tm_command_backtest) print_backtest();
  else if (c->run == tm_command_why) print_why();
  else if (c->run == tm_command_log) print_log();
  else if (c->run == tm_command_dev) print_dev();
  else if (c->run == tm_command_reload) print_reload();
  else if (c->run == tm_command_status || c->run == tm_command_drain) print_remote(TM_OPTIONS_REMOTE);
  else if (c->run == tm_command_rules) print_rules();
  else if (c->run == tm_command_test) print_test();
  return tm_help_flush();
}

/* Names that help knows besides those of the catalog, separated by blanks; out has 512 bytes. */
static const char *topics(char *out) {
  const struct tm_command *c;
  size_t n = (size_t)snprintf(out, 512, "counters settings");

  for (c = tm_commands_list; c->name != NULL; c++) n += (size_t)snprintf(out + n, 512 - n, " %s", c->name);
  TM_ASSERT(n < 512);
  return out;
}

/* A topic, a command, what the catalog has under the name, or both. */
static int help_of(const char *name, int json) {
  char others[512];
  size_t len = strlen(name);
  int has;

  if (!json && strcmp(name, "counters") == 0) {
    print_counters();
    return tm_help_flush();
  }
  if (!json && strcmp(name, "settings") == 0) {
    print_settings();
    return tm_help_flush();
  }
  has = tm_reference_has(name);
  if (!json && tm_command_find(name) != NULL) {
    if (tm_help_print(name) != 0) return 1;
    if (!has) return 0;
    printf("\n");
  } else if (!has && (is_later(name) || (len > 4 && strcmp(name + len - 4, ".lua") == 0))) {
    return tm_command_unknown(name);
  }
  return tm_reference_print("help", name, json, topics(others));
}

int tm_command_help(int argc, char *const *argv) {
  const char *name = NULL;
  int i, json = 0;

  for (i = 0; i < argc; i++) {
    if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) return tm_help_print("help");
    if (strcmp(argv[i], "--json") == 0) {
      json = 1;
    } else if (name == NULL) {
      name = argv[i];
    } else {
      tm_log_error("help takes one name, found '%.80s' too", argv[i]);
      return 2;
    }
  }
  if (name != NULL) return help_of(name, json);
  if (!json) return tm_help_print(NULL);
  tm_log_error("help --json takes the name of something scripts call, such as filter; 'tidemill list --json' has them all");
  return 2;
}
