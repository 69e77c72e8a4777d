/* options.c - reads argv, the environment and the settings file into struct tm_options, by the table.
 *
 * Four passes: defaults, then argv, then the environment for what argv left unsaid, then tidemill.lua for what both
 * left unsaid; at last the scripts are looked at. The first thing that is wrong ends it, with what was found, what was
 * expected and what to do. Nothing is printed here: the caller logs the error once. */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/suggest.h"
#include "../codec/format.h"
#include "../eventlog/point.h"
#include "options_table.h"
#include "quantity.h"
#include "settings.h"

enum { OPTIONS_MAX = 128, USAGE = 2, REJECTED = 3 };

struct parse {
  struct tm_options *o;
  unsigned command;
  struct tm_err *err;
  char given[OPTIONS_MAX];   /* by index in the table: argv or the environment named it */
};

/* The first of the commands. */
static const char *command_name(unsigned commands) {
  static const char *const names[] = { "run", "check", "graph", "state ls", "state get", "replay", "state import", "reload", "status", "rules", "backtest",
                                       "why" };
  int i = 0;

  while (i < 11 && (commands >> i & 1) == 0) i++;
  return names[i];
}

/* What help calls it. */
static const char *help_name(unsigned commands) {
  const unsigned own = TM_OPTIONS_RUN | TM_OPTIONS_CHECK | TM_OPTIONS_GRAPH | TM_OPTIONS_REPLAY | TM_OPTIONS_RELOAD | TM_OPTIONS_REMOTE |
                       TM_OPTIONS_SHADOW | TM_OPTIONS_BACKTEST | TM_OPTIONS_WHY;
  return commands & own ? command_name(commands) : "state";
}

static void *member(struct tm_options *o, size_t at) {
  return (char *)o + at;
}

/* The member is read and written by memcpy: the table knows its offset and kind, not its C type. */
static void set_text(struct tm_options *o, size_t at, const char *text) {
  memcpy(member(o, at), &text, sizeof text);
}

static void set_number(struct tm_options *o, const struct tm_option *opt, int64_t v) {
  int32_t v32 = (int32_t)v;

  if (opt->kind == TM_OPTION_SIZE32 || opt->kind == TM_OPTION_COUNT32) memcpy(member(o, opt->at), &v32, sizeof v32);
  else memcpy(member(o, opt->at), &v, sizeof v);
}

void tm_options_defaults(struct tm_options *o) {
  const struct tm_option *opt;

  memset(o, 0, sizeof *o);
  o->snapshot = -1;
  for (opt = tm_options_table; opt->name != NULL; opt++) {
    if (opt->kind >= TM_OPTION_DURATION && opt->kind <= TM_OPTION_COUNT32) set_number(o, opt, opt->start);
  }
}

/* ---- one value -------------------------------------------------------------- */

/* In all of these `from` is how the option was spelled: "--deadline", "TIDEMILL_DEADLINE", or
 * "tidemill.lua:3: deadline". */

static int take_number(struct parse *p, const struct tm_option *opt, const char *from, const char *value) {
  char why[256], low[32], high[32];
  int64_t v;
  int bad;

  if (opt->kind == TM_OPTION_DURATION) bad = tm_quantity_duration(value, &v, why, sizeof why);
  else if (opt->kind == TM_OPTION_COUNT32) bad = tm_quantity_count(value, &v, why, sizeof why);
  else bad = tm_quantity_size(value, &v, why, sizeof why);
  if (bad) return tm_err_set(p->err, USAGE, "option-value", "%s: %s", from, why);
  if (v >= opt->min && v <= opt->max) {
    set_number(p->o, opt, v);
    return 0;
  }
  if (opt->kind == TM_OPTION_DURATION) {
    tm_quantity_duration_text(opt->min, low);
    tm_quantity_duration_text(opt->max, high);
  } else if (opt->kind == TM_OPTION_COUNT32) {
    snprintf(low, sizeof low, "%lld", (long long)opt->min);
    snprintf(high, sizeof high, "%lld", (long long)opt->max);
  } else {
    tm_quantity_size_text(opt->min, low);
    tm_quantity_size_text(opt->max, high);
  }
  return tm_err_set(p->err, USAGE, "option-range", "%s: '%s' is out of range: at least %s, at most %s", from, value,
                    low, high);
}

static int take_flag(struct parse *p, const struct tm_option *opt, const char *from, const char *value) {
  static const char *const yes[] = { "1", "true", "yes", "on" }, *const no[] = { "0", "false", "no", "off" };
  int on = -1;
  size_t i;

  for (i = 0; i < sizeof yes / sizeof yes[0]; i++) {
    if (strcmp(value, yes[i]) == 0) on = 1;
    if (strcmp(value, no[i]) == 0) on = 0;
  }
  if (on < 0)
    return tm_err_set(p->err, USAGE, "option-value", "%s: '%s' is neither yes nor no: write 1 or 0", from, value);
  memcpy(member(p->o, opt->at), &on, sizeof on);
  return 0;
}

static int take_format(struct parse *p, const struct tm_option *opt, const char *from, const char *value) {
  const char *formats[TM_FORMATS];

  for (int i = 0; i < TM_FORMATS; i++) formats[i] = tm_formats[i].name;
  if (tm_format_find(value) >= 0) {
    set_text(p->o, opt->at, value);
    return 0;
  }
  const char *meant = tm_suggest(value, formats, TM_FORMATS);
  return tm_err_set(p->err, USAGE, "format-unknown", "%s: no format is called '%s'; did you mean %s?", from, value,
                    meant != NULL ? meant : formats[0]);
}

static int take_drawing(struct parse *p, const struct tm_option *opt, const char *from, const char *value) {
  static const char *const drawings[] = { "text", "dot", "mermaid" };
  const char *meant = tm_suggest(value, drawings, 3);
  size_t i;

  for (i = 0; i < sizeof drawings / sizeof drawings[0]; i++) {
    if (strcmp(value, drawings[i]) != 0) continue;
    set_text(p->o, opt->at, value);
    return 0;
  }
  if (meant == NULL)
    return tm_err_set(p->err, USAGE, "drawing-unknown", "%s: a graph is drawn as text, dot or mermaid, not as '%s'", from, value);
  return tm_err_set(p->err, USAGE, "drawing-unknown", "%s: a graph is not drawn as '%s'; did you mean %s?", from, value, meant);
}

static int take_place(struct parse *p, const struct tm_option *opt, const char *from, const char *value) {
  struct tm_log_point point;
  char why[256];

  if (tm_log_point_parse(value, &point, why, sizeof why) != 0) return tm_err_set(p->err, USAGE, "option-value", "%s: %s", from, why);
  set_text(p->o, opt->at, value);
  return 0;
}

static int take_list(struct parse *p, const struct tm_option *opt, const char *from, const char *value) {
  int n;

  if (opt->kind == TM_OPTION_PAIRS && (value[0] == '=' || strchr(value, '=') == NULL))
    return tm_err_set(p->err, USAGE, "option-value", "%s: '%s' is no setting: write KEY=VALUE", from, value);
  memcpy(&n, member(p->o, opt->count_at), sizeof n);
  if (n == TM_OPT_LIST_MAX)
    return tm_err_set(p->err, USAGE, "option-count", "%s: given more than %d times", from, TM_OPT_LIST_MAX);
  set_text(p->o, opt->at + (size_t)n * sizeof(char *), value);
  n++;
  memcpy(member(p->o, opt->count_at), &n, sizeof n);
  return 0;
}

static int take(struct parse *p, const struct tm_option *opt, const char *from, const char *value) {
  switch (opt->kind) {
    case TM_OPTION_FLAG:
      return take_flag(p, opt, from, value);
    case TM_OPTION_FORMAT:
      return take_format(p, opt, from, value);
    case TM_OPTION_PLACE:
      return take_place(p, opt, from, value);
    case TM_OPTION_DRAWING:
      return take_drawing(p, opt, from, value);
    case TM_OPTION_LIST:
    case TM_OPTION_PAIRS:
      if (value[0] == '\0') break;
      return take_list(p, opt, from, value);
    case TM_OPTION_TEXT:
      if (value[0] == '\0') break;
      set_text(p->o, opt->at, value);
      return 0;
    case TM_OPTION_LATER:
      return tm_err_set(p->err, USAGE, "option-later", "%s is not available in this version", from);
    default:
      return take_number(p, opt, from, value);
  }
  return tm_err_set(p->err, USAGE, "option-value", "%s: an empty value; expected %s", from, opt->value);
}

/* ---- argv --------------------------------------------------------------------- */

/* The command's option of that name, else another command's, else NULL. */
static const struct tm_option *find(unsigned command, const char *name, size_t len) {
  const struct tm_option *opt, *other = NULL;

  for (opt = tm_options_table; opt->name != NULL; opt++) {
    if (strlen(opt->name) != len || memcmp(opt->name, name, len) != 0) continue;
    if ((opt->commands & command) != 0) return opt;
    if (other == NULL) other = opt;
  }
  return other;
}

static int unknown(struct parse *p, const char *name, int len) {
  const char *names[OPTIONS_MAX], *meant;
  const struct tm_option *opt;
  char word[64];
  int n = 0;

  for (opt = tm_options_table; opt->name != NULL && n < OPTIONS_MAX; opt++) {
    if (opt->kind != TM_OPTION_LATER && (opt->commands & p->command) != 0) names[n++] = opt->name;
  }
  snprintf(word, sizeof word, "%.*s", len, name);
  meant = tm_suggest(word, names, n);
  if (meant != NULL)
    return tm_err_set(p->err, USAGE, "option-unknown", "unknown option --%.*s; did you mean --%s?", len, name, meant);
  return tm_err_set(p->err, USAGE, "option-unknown", "unknown option --%.*s; 'tidemill help %s' lists them", len, name,
                    help_name(p->command));
}

/* --name, --name=value or --name value; *i is left at the last argument used. */
static int take_long(struct parse *p, int argc, char *const *argv, int *i) {
  const char *name = argv[*i] + 2, *value = strchr(name, '=');
  size_t len = value != NULL ? (size_t)(value - name) : strlen(name);
  const struct tm_option *opt = find(p->command, name, len);
  char from[80];

  if (opt == NULL) return unknown(p, name, len > 200 ? 200 : (int)len);
  snprintf(from, sizeof from, "--%s", opt->name);
  if ((opt->commands & p->command) == 0)
    return tm_err_set(p->err, USAGE, "option-command", "%s belongs to 'tidemill %s', not to '%s'", from,
                      command_name(opt->commands), command_name(p->command));
  p->given[opt - tm_options_table] = 1;
  if (opt->kind == TM_OPTION_LATER) return take(p, opt, from, "");
  if (value != NULL) return take(p, opt, from, value + 1);
  if (opt->kind == TM_OPTION_FLAG) return take(p, opt, from, "1");
  if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
    return tm_err_set(p->err, USAGE, "option-value", "%s needs a value: %s %s", from, from, opt->value);
  (*i)++;
  return take(p, opt, from, argv[*i]);
}

static int take_code(struct parse *p, int argc, char *const *argv, int *i) {
  if (*i + 1 >= argc) return tm_err_set(p->err, USAGE, "option-value", "-e needs a value: -e CODE");
  if (p->o->code != NULL) return tm_err_set(p->err, USAGE, "code-twice", "-e is given twice; one piece of code is run");
  (*i)++;
  p->o->code = argv[*i];
  return 0;
}

static int take_script(struct parse *p, const char *path) {
  if (p->o->scripts_n == TM_OPT_LIST_MAX)
    return tm_err_set(p->err, USAGE, "script-count", "more than %d scripts", TM_OPT_LIST_MAX);
  p->o->scripts[p->o->scripts_n++] = path;
  return 0;
}

static int ends_in_lua(const char *path) {
  size_t len = strlen(path);

  return len > 4 && strcmp(path + len - 4, ".lua") == 0;
}

/* Is this the id of a decision? PACK-8 hexadecimal digits@PLACE */
static int is_decision(const char *arg) {
  const char *at = strchr(arg, '@');

  if (at == NULL || at - arg < 10 || at[-9] != '-' || at[1] == '\0') return 0;
  for (const char *p = at - 8; p < at; p++) {
    if ((*p < '0' || *p > '9') && (*p < 'a' || *p > 'f')) return 0;
  }
  return 1;
}

/* What is no option: a script; for `why` ids of decisions too; for `state get` first the NAME, then a KEY, which does not end in .lua. */
static int take_operand(struct parse *p, const char *arg, int only_scripts) {
  struct tm_options *o = p->o;

  if (p->command == TM_OPTIONS_WHY && !only_scripts && is_decision(arg)) {
    if (o->ids_n == TM_OPT_LIST_MAX)
      return tm_err_set(p->err, USAGE, "ids", "why takes at most %d ids on the command line; more of them in a file: --ids FILE", TM_OPT_LIST_MAX);
    o->ids[o->ids_n++] = arg;
    return 0;
  }
  if (p->command != TM_OPTIONS_STATE_GET || only_scripts) return take_script(p, arg);
  if (o->state_name == NULL) o->state_name = arg;
  else if (o->state_key == NULL && o->scripts_n == 0 && !ends_in_lua(arg)) o->state_key = arg;
  else return take_script(p, arg);
  return 0;
}

/* A negative number is a KEY, no option. */
static int is_operand(const struct parse *p, const char *arg) {
  if (arg[0] != '-' || arg[1] == '\0') return 1;
  return p->command == TM_OPTIONS_STATE_GET && arg[1] >= '0' && arg[1] <= '9';
}

static int read_argv(struct parse *p, int argc, char *const *argv) {
  int i, only_scripts = 0, r;

  for (i = 0; i < argc; i++) {
    const char *arg = argv[i];

    if (only_scripts || is_operand(p, arg)) r = take_operand(p, arg, only_scripts);
    else if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0) return TM_OPTIONS_HELP;
    else if (strcmp(arg, "-e") == 0) r = take_code(p, argc, argv, &i);
    else if (strcmp(arg, "--") == 0) only_scripts = 1, r = 0;
    else if (arg[1] == '-') r = take_long(p, argc, argv, &i);
    else
      r = tm_err_set(p->err, USAGE, "option-unknown", "unknown option %.80s; short ones are -e CODE and -h", arg);
    if (r != 0) return -1;
  }
  return TM_OPTIONS_OK;
}

/* ---- environment ----------------------------------------------------- */

static int read_environment(struct parse *p) {
  const struct tm_option *opt;
  char name[64];

  for (opt = tm_options_table; opt->name != NULL; opt++) {
    const char *value = getenv(tm_option_variable(opt, name));

    if (value == NULL || value[0] == '\0' || opt->kind == TM_OPTION_DRAWING || opt->kind == TM_OPTION_PLACE) continue;
    if (p->given[opt - tm_options_table] || (opt->commands & p->command) == 0) continue;
    if (take(p, opt, name, value) != 0) return -1;
    p->given[opt - tm_options_table] = 1;
  }
  return 0;
}

/* ---- tidemill.lua -------------------------------------------------------------------- */

/* "tidemill.lua:3: deadline" */
static void setting_place(const struct tm_settings *s, const char *key, char *out, size_t size) {
  int line = tm_settings_line(s, key);

  if (line > 0) snprintf(out, size, "%s:%d: %.200s", TM_SETTINGS_FILE, line, key);
  else snprintf(out, size, "%s: %.200s", TM_SETTINGS_FILE, key);
}

static int setting_unknown(struct parse *p, const struct tm_settings *s, const char *key) {
  char names[OPTIONS_MAX][64], place[256];
  const char *list[OPTIONS_MAX], *meant;
  const struct tm_option *opt;
  int n = 0, line = tm_settings_line(s, key);

  for (opt = tm_options_table; opt->name != NULL && n < OPTIONS_MAX; opt++) {
    if (opt->kind >= TM_OPTION_PLACE) continue;
    list[n] = tm_option_setting(opt, names[n]);
    n++;
  }
  meant = tm_suggest(key, list, n);
  snprintf(place, sizeof place, line > 0 ? "%s:%d" : "%s", TM_SETTINGS_FILE, line);
  if (meant != NULL)
    return tm_err_set(p->err, REJECTED, "setting-unknown", "%s: unknown setting '%.80s'; did you mean %s?", place, key,
                      meant);
  return tm_err_set(p->err, REJECTED, "setting-unknown", "%s: unknown setting '%.80s'; 'tidemill help settings' lists "
                    "them", place, key);
}

/* What a setting of each kind is in Lua: where and what of tm_lua_settings_eval's entries, and that in words. */
static const struct { const char *where, *what, *expected; } setting_kinds[] = {
  [TM_OPTION_FLAG] = { ".", "b", "true or false" },
  [TM_OPTION_TEXT] = { ".", "s", "a string" },
  [TM_OPTION_LIST] = { ".[", "se", "a string, or a list of strings" },
  [TM_OPTION_PAIRS] = { ".{", "snbe", "a table of names and values, such as { threshold = '100' }" },
  [TM_OPTION_FORMAT] = { ".", "s", "a string" },
  [TM_OPTION_DURATION] = { ".", "sn", "a string such as '250ms', '1s' or '1m30s'" },
  [TM_OPTION_SIZE] = { ".", "sn", "a string such as '64K', '16M' or '1G'" },
  [TM_OPTION_SIZE32] = { ".", "sn", "a string such as '64K', '16M' or '1G'" },
  [TM_OPTION_COUNT32] = { ".", "sn", "a number, such as 100000" },
};

/* Is an entry of the right shape? 0, or -1 and err with what was found instead. */
static int setting_fits(struct parse *p, const struct tm_option *opt, const char *place, const char *entry) {
  char where = entry[0], what = entry[1];
  const char *text = entry + 2, *within = where == '[' ? " in a list" : "", *quote = what == 's' ? "'" : "";
  const char *expected = setting_kinds[opt->kind].expected;
  int name = where == '{' ? (int)strcspn(text, "=") : 0;

  /* `set = 'k=v'` is no table; an empty one is neither list nor text */
  if (strchr(setting_kinds[opt->kind].where, where) != NULL && strchr(setting_kinds[opt->kind].what, what) != NULL &&
      (opt->kind != TM_OPTION_PAIRS || where == '{' || what == 'e'))
    return 0;
  if (what == '?') quote = "a ";
  if (what == 'e')
    return tm_err_set(p->err, REJECTED, "setting-type", "%s: found an empty table; expected %s", place, expected);
  return tm_err_set(p->err, REJECTED, "setting-type", "%s: found %.*s%s%s%.80s%s%s; expected %s", place,
                    name > 80 ? 80 : name, text, name > 0 ? " = " : "", quote, text + name + (name > 0),
                    what == 's' ? quote : "", within, expected);
}

/* 1 if --set or TIDEMILL_SET gave the name of this "name=value". */
static int pair_is_given(const struct tm_options *o, const char *pair) {
  size_t n = strcspn(pair, "=") + 1;
  int i;

  for (i = 0; i < o->set_n; i++) {
    if (strncmp(o->set[i], pair, n) == 0) return 1;
  }
  return 0;
}

/* Every entry is checked, also one that a flag overrides or another command's: the file is right or it is mended. */
static int take_setting(struct parse *p, const struct tm_settings *s, const char *key, const char *entry) {
  static struct tm_options unused;
  struct parse here = *p;
  const struct tm_option *opt;
  char place[256], name[64];

  for (opt = tm_options_table; opt->name != NULL; opt++) {
    if (strcmp(tm_option_setting(opt, name), key) == 0) break;
  }
  if (opt->name == NULL) return setting_unknown(p, s, key);
  setting_place(s, key, place, sizeof place);
  if (opt->kind != TM_OPTION_LATER && setting_fits(p, opt, place, entry) != 0) return -1;
  if (entry[1] == 'e') return 0;
  if ((opt->commands & p->command) == 0 || (opt->kind == TM_OPTION_PAIRS ? pair_is_given(p->o, entry + 2)
                                                                         : p->given[opt - tm_options_table])) {
    memset(&unused, 0, sizeof unused);
    here.o = &unused;
  }
  if (take(&here, opt, place, entry + 2) == 0) return 0;
  p->err->exit_code = REJECTED;
  return -1;
}

/* The texts are borrowed for the rest of the program, or until options are parsed again. */
static int read_settings(struct parse *p, const struct tm_io *io) {
  static struct tm_settings s;
  const char *key, *end;

  tm_settings_fini(&s);
  if (tm_settings_read(&s, io, p->err) != 0) return -1;
  end = s.entries.data + s.entries.len;
  for (key = s.entries.data; key < end;) {
    const char *entry = key + strlen(key) + 1;

    if (take_setting(p, &s, key, entry) != 0) return -1;
    key = entry + strlen(entry) + 1;
  }
  return 0;
}

/* ---- scripts --------------------------------------------------------------------------- */

/* A folder with pack.lua in it is a rule pack, which may stand for a script. */
static int is_pack(const struct tm_io *io, const char *path) {
  char manifest[4096];
  if (snprintf(manifest, sizeof manifest, "%s/pack.lua", path) >= (int)sizeof manifest) return 0;
  int fd = io->open(io, manifest, O_RDONLY, 0);
  if (fd >= 0) io->close(io, fd);
  return fd >= 0;
}

/* Opened and read for no bytes: that is what tells a folder from a file without taking anything out of a pipe. */
static int script_check(const struct tm_io *io, const char *path, struct tm_err *err) {
  int fd = io->open(io, path, O_RDONLY, 0);
  char nothing;
  int64_t r = fd;

  if (fd >= 0) {
    r = io->read(io, fd, &nothing, 0);
    io->close(io, fd);
  }
  if (r >= 0 || (r == -EISDIR && is_pack(io, path))) return 0;
  return tm_err_set(err, REJECTED, "script-open", "%.400s: cannot read the script: %s", path, strerror((int)-r));
}

/* A last operand that could be a KEY or a script: with -e there are no scripts, without it there is one. And a NAME is
 * there. */
static int settle_operands(struct parse *p, const struct tm_io *io) {
  struct tm_options *o = p->o;
  struct tm_err none;

  if (o->state_name == NULL)
    return tm_err_set(p->err, USAGE, "state-name",
                      "state get takes the NAME of a state first, as in\n  tidemill state get totals cards.lua --from tx.ndjson\n"
                      "'tidemill state ls' lists the states of a script");
  if (o->code == NULL && o->scripts_n == 0 && o->data != NULL && o->state_key != NULL && script_check(io, o->state_key, &none) != 0)
    return 0;  /* a KEY: what the folder keeps is looked at without a script */
  if (o->code == NULL && o->scripts_n == 0 && o->state_key != NULL) {
    o->scripts[o->scripts_n++] = o->state_key;
    o->state_key = NULL;
  } else if (o->code != NULL && o->scripts_n == 1 && o->state_key == NULL) {
    o->state_key = o->scripts[--o->scripts_n];
  }
  if (o->code == NULL && o->scripts_n == 0 && ends_in_lua(o->state_name))
    return tm_err_set(p->err, USAGE, "state-name",
                      "state get takes the NAME of a state first, then scripts; found '%.200s' alone: write\n"
                      "  tidemill state get NAME %.200s",
                      o->state_name, o->state_name);
  return 0;
}

/* A run is meant by its script, its folder or its socket. */
static int remote_operands(const struct tm_options *o, struct tm_err *err) {
  if (o->code != NULL) return tm_err_set(err, USAGE, "remote", "-e: a run is named by its script, by --data DIR or by --control PATH");
  if (o->scripts_n > 1) return tm_err_set(err, USAGE, "remote", "one script names the run; found '%.200s' too", o->scripts[1]);
  return TM_OPTIONS_OK;
}

/* The word for what a command does to a script. */
static const char *verb(unsigned command) {
  if (command == TM_OPTIONS_GRAPH) return "draw";
  if (command == TM_OPTIONS_WHY) return "ask";
  if (command == TM_OPTIONS_STATE_IMPORT) return "import into";
  return command & (TM_OPTIONS_STATE_LS | TM_OPTIONS_STATE_GET) ? "look at" : command_name(command);
}

int tm_options_parse(struct tm_options *o, enum tm_options_command command, int argc, char *const *argv,
                     const struct tm_io *io, struct tm_err *err) {
  struct parse p = { .o = o, .command = command, .err = err };
  int i, r;

  tm_options_defaults(o);
  r = read_argv(&p, argc, argv);
  if (r != TM_OPTIONS_OK) return r;
  if (read_environment(&p) != 0 || read_settings(&p, io) != 0) return -1;
  if (command == TM_OPTIONS_STATE_GET && settle_operands(&p, io) != 0) return -1;
  if (o->scripts_n > 0 && o->code != NULL)
    return tm_err_set(err, USAGE, "script-and-code", "both a script (%.200s) and -e are given; write one of them",
                      o->scripts[0]);
  if (command == TM_OPTIONS_RELOAD || command == TM_OPTIONS_REMOTE || command == TM_OPTIONS_SHADOW) return remote_operands(o, err);
  int looks = (command == TM_OPTIONS_STATE_LS || command == TM_OPTIONS_STATE_GET) && o->data != NULL;  /* at what a folder keeps */
  if (o->scripts_n == 0 && o->code == NULL && !looks)
    return tm_err_set(err, USAGE, "no-script",
                      "nothing to %s: name a script, or give code with -e, as in\n  tidemill %s%s -e 'stream:filter("
                      "function(e) return e.amount > 100 end)'", verb(command), command_name(command),
                      command == TM_OPTIONS_STATE_GET ? " NAME" : "");
  for (i = 0; i < o->scripts_n; i++) {
    if (script_check(io, o->scripts[i], err) != 0) return -1;
  }
  return TM_OPTIONS_OK;
}
