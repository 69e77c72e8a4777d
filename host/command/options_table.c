/* options_table.c - every option of the commands that load scripts, one entry each.
 *
 * Limits are those of what holds the value: an event's text has to fit a cell's 27-bit length with room to spare,
 * LuaJIT cannot start in less than a few hundred KiB, and a deadline under 10 ms would be looked at more often
 * than the timer is good for. */
#include "options_table.h"

#include <stdio.h>

#include "options.h"

#define AT(member) offsetof(struct tm_options, member)
#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)
#define LATER(name) { name, "VALUE", TM_OPTION_LATER, BOTH | STATE, 0, 0, 0, 0, 0, "" }

enum {
  RUN = TM_OPTIONS_RUN | TM_OPTIONS_STATE_IMPORT, CHECK = TM_OPTIONS_CHECK, GRAPH = TM_OPTIONS_GRAPH, LS = TM_OPTIONS_STATE_LS, GET = TM_OPTIONS_STATE_GET,
  REPLAY = TM_OPTIONS_REPLAY, RELOAD = TM_OPTIONS_RELOAD, SHADOW = TM_OPTIONS_SHADOW,
  REMOTE = TM_OPTIONS_RELOAD | TM_OPTIONS_REMOTE | TM_OPTIONS_SHADOW,
  BACKTEST = TM_OPTIONS_BACKTEST, WHY = TM_OPTIONS_WHY, AGAIN = BACKTEST | WHY,
  BOTH = RUN | CHECK, STATE = LS | GET, ALL = BOTH | GRAPH | STATE
};

const struct tm_option tm_options_table[] = {
  { "from", "FILE", TM_OPTION_LIST, ALL, AT(from), AT(from_n), 0, 0, 0,
    "The default input, for pipelines without :from: a file, a folder (all files in it), or a pattern in quotes such as "
    "'data/*.ndjson'. May be repeated; read in the order of names. - is stdin, which is also the default. gzip and zstd "
    "are recognized by content." },
  { "follow", NULL, TM_OPTION_FLAG, RUN, AT(follow), 0, 0, 0, 0,
    "Read the files of --from on as they grow, through rotation, and look for new ones; the run ends when it is told to." },
  { "rate", "N/s", TM_OPTION_TEXT, RUN, AT(rate), 0, 0, 0, 0,
    "Events a second at most (also N/m, N/h), of each source that has no rate of its own." },
  { "to", "FILE", TM_OPTION_TEXT, BOTH | GRAPH, AT(to), 0, 0, 0, 0,
    "The default output, for pipelines without :to; appended to. - is stdout, which is also the default. Compressed if it "
    "ends in .gz or .zst; {field} in it is the row's field, so that 'out/{day}.ndjson' is a file a day." },
  { "format", "NAME", TM_OPTION_FORMAT, BOTH | STATE | AGAIN, AT(format), 0, 0, 0, 0,
    "Format of the default input: json, one object a line; msgpack, one map behind the other; csv; lines, plain text; or "
    "fluent, msgpack of Fluent Bit and fluentd. Without it csv for *.csv and *.tsv, msgpack for *.msgpack and *.mpk, lines for "
    "*.lines, else json; the files of a folder must agree." },
  { "out-format", "NAME", TM_OPTION_FORMAT, BOTH | STATE, AT(out_format), 0, 0, 0, 0,
    "Format of the default output, as for --format, but for fluent." },
  { "delimiter", "CHAR", TM_OPTION_TEXT, BOTH | STATE | AGAIN, AT(delimiter), 0, 0, 0, 0,
    "What separates the fields of CSV in the default input: one character, '\\t' for a tab. Without it a comma." },
  { "columns", "NAMES", TM_OPTION_TEXT, BOTH | STATE | AGAIN, AT(columns), 0, 0, 0, 0,
    "Names of the columns of CSV in the default input, with commas between; then its first row is an event." },
  { "time-key", "NAME", TM_OPTION_TEXT, BOTH | STATE | AGAIN, AT(time_key), 0, 0, 0, 0,
    "The field that holds the time of an event of --format fluent, a timestamp. Without it date." },
  { "tag-key", "NAME", TM_OPTION_TEXT, BOTH | STATE | AGAIN, AT(tag_key), 0, 0, 0, 0,
    "The field that holds the tag of an event of --format fluent. Without it the tag is left out." },
  { "out-delimiter", "CHAR", TM_OPTION_TEXT, BOTH | STATE, AT(out_delimiter), 0, 0, 0, 0,
    "What separates the fields of CSV in the default output." },
  { "out-columns", "NAMES", TM_OPTION_TEXT, BOTH | STATE, AT(out_columns), 0, 0, 0, 0,
    "Columns of CSV in the default output, with commas between. Without it those of :select, else of the first row." },
  { "data", "DIR", TM_OPTION_TEXT, CHECK | GRAPH | REPLAY, AT(data), 0, 0, 0, 0,
    "The folder in which the host keeps what outlives a run: event logs (tm.sink.log, tm.source.log) in DIR/logs." },
  { "log", "NAME", TM_OPTION_TEXT, REPLAY, AT(replay), 0, 0, 0, 0, "The event log whose history is read." },
  { "from", "PLACE", TM_OPTION_PLACE, REPLAY, AT(replay_from), 0, 0, 0, 0,
    "Begin there: start, end, a sequence number such as 17, a time such as 2026-03-01T10:00:00Z, or @ and ms since 1970. Without it at the start." },
  { "to", "PLACE", TM_OPTION_PLACE, REPLAY, AT(replay_to), 0, 0, 0, 0,
    "End there; the place itself is included. By time, events are read whose own time lies between. Without it where the log ends now." },
  { "speed", "max|Nx", TM_OPTION_TEXT, REPLAY, AT(speed), 0, 0, 0, 0,
    "As fast as the times of the events, times N, such as 1x or 10x; max, the default, is as fast as it goes." },
  { "out", "DIR", TM_OPTION_TEXT, REPLAY, AT(out), 0, 0, 0, 0,
    "A new folder for the outputs: each sink of the script becomes a file in it, the default output out.ndjson. Without it the script's only output goes to stdout." },
  { "compare", "[OUTPUT=]LOG", TM_OPTION_TEXT, REPLAY, AT(compare), 0, 0, 0, 0,
    "Compare the rows of an output with that event log, and end with exit code 4 at the first that differs. The output is the sink of that log, or the only one, or the one named." },
  { "from", "FILE|log:NAME", TM_OPTION_LIST, AGAIN, AT(from), AT(from_n), 0, 0, 0,
    "The history: files, as for 'tidemill run', or an event log of the folder of --data. It takes the place of what the script reads." },
  { "data", "DIR", TM_OPTION_TEXT, BACKTEST, AT(data), 0, 0, 0, 0, "The data folder in which the log of --from log:NAME is; it is only read." },
  { "data", "DIR", TM_OPTION_TEXT, WHY, AT(data), 0, 0, 0, 0,
    "The folder in which the run is kept, also while it goes on: state comes from its snapshot and journal, as they were before the decision, and history "
    "is read on from there. And where the log of --from log:NAME is. It is only read." },
  { "labels", "FILE", TM_OPTION_LIST, BACKTEST, AT(labels), AT(labels_n), 0, 0, 0,
    "What each event was in truth, ndjson or csv: columns id, or key, value, from and to; and label, case (below). May be repeated." },
  { "unlabelled", "WHAT", TM_OPTION_TEXT, BACKTEST, AT(unlabelled), 0, 0, 0, 0,
    "What an event without a label is: legit (the default), or unknown, and then left out of precision and of false alerts." },
  { "label-event", "FIELD=VALUE", TM_OPTION_TEXT, BACKTEST, AT(label_event), 0, 0, 0, 0,
    "Of each event that is labelled fraud make another one, --label-delay later, with this value: what features of confirmed fraud count. For files of "
    "JSON lines, which are read twice." },
  { "label-delay", "TIME", TM_OPTION_DURATION, BACKTEST, AT(label_delay_ms), 0, 7 * 86400000LL, 0, 366 * 86400000LL,
    "How long after an event it becomes known that it was fraud." },
  { "id", "FIELD", TM_OPTION_TEXT, BACKTEST, AT(event_id), 0, 0, 0, 0, "The field by which labels name an event. Without it id." },
  { "amount", "FIELD", TM_OPTION_TEXT, BACKTEST, AT(amount), 0, 0, 0, 0,
    "The field that holds an event's money. Without it amount, where the schema has it." },
  { "decisions", "FILE", TM_OPTION_TEXT, BACKTEST, AT(decisions), 0, 0, 0, 0,
    "A new file for what the script writes: byte for byte what a run over the same input writes." },
  { "ids", "FILE", TM_OPTION_TEXT, WHY, AT(ids_file), 0, 0, 0, 0, "Ids of decisions, one a line; or rows of decisions, of which `id` is taken." },
  { "set", "KEY=VALUE", TM_OPTION_PAIRS, ALL | REPLAY | AGAIN, AT(set), AT(set_n), 0, 0, 0,
    "A setting that scripts can read. May be repeated." },
  { "sample", "FILE", TM_OPTION_TEXT, CHECK, AT(sample), 0, 0, 0, 0,
    "Also run the events of FILE through the script, writing nothing, report what fails, and show a :schema learned from them." },
  { "strict", NULL, TM_OPTION_FLAG, BOTH | STATE | REPLAY | AGAIN, AT(strict), 0, 0, 0, 0,
    "run, state: end with exit code 1 if an event failed, a line was bad, a file was gone or a worker died. check: end "
    "with exit code 3 also when there are only warnings." },
  { "deadline", "TIME", TM_OPTION_DURATION, ALL | REPLAY | AGAIN, AT(deadline_ms), 0, 1000, 10, 3600000,
    "How long the script may work on one event; a longer one fails." },
  { "script-memory", "SIZE", TM_OPTION_SIZE, ALL | REPLAY | AGAIN, AT(script_memory), 0, 256 * MIB, 4 * MIB, 64 * GIB,
    "Memory for the scripts' own data." },
  { "memory", "SIZE", TM_OPTION_SIZE, BOTH | STATE | REPLAY | AGAIN, AT(memory), 0, 0, 0, 1024 * GIB,
    "Memory for all keyed state; at 80 % reading waits while it gives back what it can, at 95 % the run ends in order. Without it there is no bound." },
  { "max-event", "SIZE", TM_OPTION_SIZE32, BOTH | STATE | REPLAY | AGAIN, AT(max_event), 0, 16 * MIB, 16, 64 * MIB,
    "The longest line that is taken as an event; longer ones are bad lines." },
  { "max-rows", "N", TM_OPTION_COUNT32, BOTH | STATE | REPLAY | AGAIN, AT(max_rows), 0, 100000, 1, 1000000000,
    "Rows that one event may make; beyond it the event fails." },
  { "data", "DIR", TM_OPTION_TEXT, STATE, AT(data), 0, 0, 0, 0,
    "Shows what the run that is kept in this folder has, as of its last durable epoch, and reads no input. The run may go on meanwhile." },
  { "data", "DIR", TM_OPTION_TEXT, RUN, AT(data), 0, 0, 0, 0,
    "A folder in which the run is kept, made if it is missing: state, positions and what was written. Killed at any time, the same "
    "command goes on where it was. Without it nothing is kept." },
  { "data", "DIR", TM_OPTION_TEXT, REMOTE, AT(data), 0, 0, 0, 0,
    "The run that is kept in this folder." },
  { "control", "PATH", TM_OPTION_TEXT, RUN, AT(control), 0, 0, 0, 0,
    "Where the socket is by which 'tidemill status', 'reload' and 'drain' reach the run. Without it DIR/control.sock with --data, else PID.sock in "
    "$XDG_RUNTIME_DIR/tidemill, or /tmp/tidemill-UID." },
  { "control", "PATH", TM_OPTION_TEXT, REMOTE, AT(control), 0, 0, 0, 0,
    "The run whose socket this is." },
  { "back", NULL, TM_OPTION_FLAG, RELOAD, AT(back), 0, 0, 0, 0,
    "Load the scripts, packs and lists as they were before the last change, from what the run has kept of them; the files stay as they are." },
  { "amount", "FIELD", TM_OPTION_TEXT, SHADOW, AT(amount), 0, 0, 0, 0,
    "The field of events whose values 'rules diff' adds up by decision. Without it amount." },
  { "memory", "SIZE", TM_OPTION_SIZE, SHADOW, AT(memory), 0, GIB, 16 * MIB, 1024 * GIB,
    "Memory of its own that the candidate may have: its keyed state, and all pages that it does not share with the run. Beyond it the candidate ends." },
  { "out", "DIR", TM_OPTION_TEXT, SHADOW, AT(out), 0, 0, 0, 0,
    "A folder for what the candidate would have written: each sink becomes a file in it, as in a replay. Without it rows are counted alone." },
  { "logs", "DIR", TM_OPTION_TEXT, BOTH | GRAPH | STATE | AGAIN, AT(logs), 0, 0, 0, 0,
    "A data folder for event logs alone (tm.sink.log, tm.source.log in DIR/logs): that of another run, or of several. The run itself is "
    "not kept there." },
  { "epoch", "TIME", TM_OPTION_DURATION, RUN, AT(epoch_ms), 0, 100, 1, 3600000,
    "With --data: how often, at the latest, what has changed is written there; that much is done again after a kill." },
  { "epoch-min", "TIME", TM_OPTION_DURATION, RUN, AT(epoch_min_ms), 0, 1, 1, 3600000,
    "With --data: how soon after the one before it is written when somebody waits for it, as a reader of tm.sink.log does. Less is faster for them, and "
    "costs more syncs." },
  { "reset", NULL, TM_OPTION_FLAG, RUN, AT(reset), 0, 0, 0, 0,
    "With --data: forget what is kept there and start anew. Files that were written stay, and are appended to." },
  { "quiet", NULL, TM_OPTION_FLAG, RUN | REPLAY, AT(quiet), 0, 0, 0, 0, "No summary at the end." },
  { "json", NULL, TM_OPTION_FLAG, RUN | GRAPH | STATE | REPLAY | AGAIN, AT(json), 0, 0, 0, 0,
    "run: the summary as one line of JSON (on stderr, too). graph: its nodes and edges as JSON. state ls: "
    "the states as one array; what get prints is JSON anyway. backtest: the report as one object. why: an object a decision." },
  { "json", NULL, TM_OPTION_FLAG, REMOTE, AT(json), 0, 0, 0, 0, "What the run answers, as JSON." },
  { "limit", "N", TM_OPTION_COUNT32, GET, AT(limit), 0, 0, 0, 2000000000,
    "How many records are printed at most; 0 is all." },
  { "format", "NAME", TM_OPTION_DRAWING, GRAPH, AT(drawing), 0, 0, 0, 0,
    "How the graph is drawn: text (the default), dot for Graphviz, mermaid for Markdown pages." },
  { "no-jit", NULL, TM_OPTION_FLAG, ALL | REPLAY | AGAIN, AT(jit_off), 0, 0, 0, 0,
    "Interpret the scripts instead of compiling them: slower, for finding errors." },
  LATER("workers"),
  LATER("listen"),
  { NULL, NULL, TM_OPTION_LATER, 0, 0, 0, 0, 0, 0, NULL },
};

const char *tm_option_variable(const struct tm_option *opt, char *out) {
  char *p;

  snprintf(out, 64, "TIDEMILL_%s", opt->name);
  for (p = out; *p != '\0'; p++) {
    if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
    else if (*p == '-') *p = '_';
  }
  return out;
}

const char *tm_option_setting(const struct tm_option *opt, char *out) {
  char *p;

  snprintf(out, 64, "%s", opt->name);
  for (p = out; *p != '\0'; p++) {
    if (*p == '-') *p = '_';
  }
  return out;
}
