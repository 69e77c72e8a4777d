/* options.h - what the command line, the environment and the settings file say, after parsing.
 *
 * A flag goes before TIDEMILL_<NAME> in the environment (an empty variable counts as unset), that before tidemill.lua
 * in the current folder, that before the default; --set goes before the file name by name. All texts are borrowed:
 * from argv and the environment, which outlive the program's work, and from the file's, kept until the next parse. */
#ifndef TM_COMMAND_OPTIONS_H
#define TM_COMMAND_OPTIONS_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

enum { TM_OPT_LIST_MAX = 256, TM_OPT_INSTEAD_MAX = 32 };

struct tm_options {
  const char *scripts[TM_OPT_LIST_MAX];  /* SCRIPT...; with -e, none */
  int scripts_n;
  const char *code;                      /* -e CODE, or NULL */
  const char *from[TM_OPT_LIST_MAX];     /* --from F (may be repeated; "-" is stdin); empty: stdin */
  int from_n;
  const char *to;                        /* --to F; NULL or "-": stdout */
  const char *format;                    /* --format json; NULL: json */
  const char *out_format;
  const char *delimiter;                 /* --delimiter ';' of the default input; NULL: a comma */
  const char *columns;                   /* --columns a,b; NULL: the first row */
  const char *time_key;                  /* --time-key date, --tag-key tag: of events of Fluent Bit; NULL: date, none */
  const char *tag_key;
  const char *out_delimiter;
  const char *out_columns;
  const char *replay;                    /* replay --log NAME; NULL for all other commands */
  const char *replay_from;               /* --from and --to of replay: places in the log; NULL: all of it */
  const char *replay_to;
  const char *speed;                     /* --speed max or 10x; NULL: max */
  const char *compare;                   /* --compare LOG or OUTPUT=LOG; NULL: none */
  const char *out;                       /* --out DIR; NULL: the one output goes to stdout */
  const char *logs;                      /* the folder of --data, where a run only reads event logs of it */
  const char *set[TM_OPT_LIST_MAX];      /* --set k=v */
  int set_n;
  const char *sample;                    /* check --sample FILE */
  const char *state;                     /* what is printed when the input has come to its end: of the command state "ls", "get" or "export",
                                          * "backtest", its first pass "confirm", "why"; NULL for all others */
  int64_t snapshot;                      /* snapshot export: the epoch of the snapshot that is looked at, 0 the newest; -1 for all others */
  int import;                            /* state import: standard input becomes what the run in DIR keeps, and nothing else is done */
  const char *state_name;                /* state get NAME [KEY]; NULL: not given */
  const char *state_key;
  const char *ids[TM_OPT_LIST_MAX];      /* why ID...: decisions (lua/tidemill/decision_ids.lua) */
  int ids_n;
  const char *ids_file;                  /* why --ids FILE; NULL: none */
  const char *labels[TM_OPT_LIST_MAX];   /* backtest --labels FILE (may be repeated) */
  int labels_n;
  const char *unlabelled;                /* backtest --unlabelled legit|unknown; NULL: legit */
  const char *label_event;               /* backtest --label-event FIELD=VALUE; NULL: labels make no events */
  int64_t label_delay_ms;                /* backtest --label-delay 7d */
  const char *event_id;                  /* backtest --id FIELD; NULL: id */
  const char *decisions;                 /* backtest --decisions FILE; NULL: they are thrown away */
  int32_t limit;                         /* state get --limit N, records; 0: all */
  const char *drawing;                   /* graph --format text (the default), dot or mermaid; with --json: json */
  const char *instead[TM_OPT_INSTEAD_MAX];  /* no option: folders of packs, each in the place of the run's pack of its name (engine/shadow.h) */
  int instead_n;
  const char *amount;                    /* rules shadow, backtest --amount FIELD: whose values are added up by decision; NULL: amount */
  int shadow;                            /* no option: the scripts are a candidate's, whose sinks write nothing outward but files in `out` */
  int follow;                            /* --follow: the files of --from are read on as they grow */
  const char *rate;                      /* --rate 1000/s: events of each source that has no rate of its own; NULL none */
  int strict;                            /* --strict */
  int quiet;                             /* --quiet: no end summary */
  int json;                              /* --json: the summary or the graph as one JSON object, the states as an array */
  int jit_off;                           /* --no-jit: for tests and for machines where the guard fails */
  const char *data;                      /* --data DIR: where the run is kept, and event logs are; NULL: nowhere */
  int64_t epoch_ms;                      /* --epoch 100ms */
  int64_t epoch_min_ms;                  /* --epoch-min 1ms */
  const char *control;                   /* --control PATH: of the socket by which the run is told things; NULL: DIR/control.sock, or by its process */
  int back;                              /* reload --back */
  int dev;                               /* the command dev: scripts are loaded anew when one of their files changes */
  int reset;                             /* --reset: what is kept in DIR is forgotten */
  int64_t deadline_ms;                   /* --deadline 1s */
  int64_t memory;                        /* --memory, bytes of keyed state; 0: no bound */
  int64_t script_memory;                 /* --script-memory 256M, bytes */
  int32_t max_event;                     /* --max-event 16M, bytes */
  int32_t max_rows;                      /* --max-rows 100000 */
};

/* The commands that take options: bits. */
enum tm_options_command {
  TM_OPTIONS_RUN = 1, TM_OPTIONS_CHECK = 2, TM_OPTIONS_GRAPH = 4, TM_OPTIONS_STATE_LS = 8, TM_OPTIONS_STATE_GET = 16, TM_OPTIONS_REPLAY = 32,
  TM_OPTIONS_STATE_IMPORT = 64, TM_OPTIONS_RELOAD = 128, TM_OPTIONS_REMOTE = 256, TM_OPTIONS_SHADOW = 512, TM_OPTIONS_BACKTEST = 1024,
  TM_OPTIONS_WHY = 2048
};

enum tm_options_result { TM_OPTIONS_OK = 0, TM_OPTIONS_HELP = 1 };

/* What holds where nothing is said. */
void tm_options_defaults(struct tm_options *o);
/* Parses what stands behind the command's name. Scripts must exist and be readable: they are opened once, through
 * io. Returns TM_OPTIONS_OK, TM_OPTIONS_HELP (-h was given; o is not complete), or -1 with err: exit code 2 for
 * usage, 3 for a script that cannot be read and for what is wrong in tidemill.lua. */
int tm_options_parse(struct tm_options *o, enum tm_options_command command, int argc, char *const *argv,
                     const struct tm_io *io, struct tm_err *err);

#endif
