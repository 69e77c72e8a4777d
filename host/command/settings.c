/* settings.c - reads tidemill.lua and has it evaluated by a child (settings.h).
 *
 * The child has one second of processor time; beyond it the kernel ends it by SIGXCPU, or, if it ignored that, by
 * SIGKILL. Its answer comes through a pipe: "+" and the entries, or "-" and why not. */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../engine/lua_state.h"

enum { TEXT_MAX = 1 << 20, ANSWER_MAX = 8 << 20, PIECE = 64 * 1024, REJECTED = 3, SECONDS = 1 };

void tm_settings_fini(struct tm_settings *s) {
  free(s->text);
  tm_buf_fini(&s->entries);
  s->text = NULL;
  s->text_len = 0;
}

/* The file's text: 1 read, 0 there is none, -1 and err. NONBLOCK, as a pipe of that name would keep us for ever. */
static int text_read(struct tm_settings *s, const struct tm_io *io, struct tm_err *err) {
  int fd = io->open(io, TM_SETTINGS_FILE, O_RDONLY | O_NONBLOCK, 0);
  int64_t n;

  if (fd == -ENOENT) return 0;
  n = fd;
  if (fd >= 0) {
    s->text = malloc(TEXT_MAX + 1);
    n = s->text != NULL ? tm_io_read_all(io, fd, s->text, TEXT_MAX + 1) : -ENOMEM;
    io->close(io, fd);
  }
  if (n > TEXT_MAX) n = -EFBIG;
  if (n < 0)
    return tm_err_set(err, REJECTED, "settings-read", "%s: cannot read the settings: %s", TM_SETTINGS_FILE,
                      strerror((int)-n));
  s->text_len = (size_t)n;
  return 1;
}

static void child(const struct tm_settings *s, const struct tm_io *io, int fd) {
  struct rlimit cpu = { SECONDS, SECONDS + 1 }, core = { 0, 0 };
  struct tm_buf answer;
  struct tm_err err;
  int failed;

  signal(SIGXCPU, SIG_DFL);
  setrlimit(RLIMIT_CPU, &cpu);
  setrlimit(RLIMIT_CORE, &core);
  tm_buf_init(&answer, ANSWER_MAX);
  failed = tm_buf_put(&answer, "+", 1) != 0;
  if (failed || tm_lua_settings_eval(TM_SETTINGS_FILE, s->text, s->text_len, &answer, &err) != 0) {
    tm_io_write_all(io, fd, "-", 1);
    if (failed) _exit(1);
    _exit(tm_io_write_all(io, fd, err.detail, strlen(err.detail)) != 0);
  }
  _exit(tm_io_write_all(io, fd, answer.data, (size_t)answer.len) != 0);
}

/* What the child writes until it closes the pipe: 0, or -errno. */
static int answer_read(const struct tm_io *io, int fd, struct tm_buf *answer) {
  for (;;) {
    int64_t n;

    if (tm_buf_reserve(answer, PIECE) != 0) return -ENOMEM;
    n = io->read(io, fd, answer->data + answer->len, PIECE);
    if (n == -EINTR) continue;
    if (n <= 0) return (int)n;
    answer->len += (int32_t)n;
  }
}

static int answer_judge(struct tm_settings *s, int status, struct tm_err *err) {
  struct tm_buf *a = &s->entries;

  if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
    return tm_err_set(err, REJECTED, "settings-time", "%s: still at work after %d s: a loop over long texts?",
                      TM_SETTINGS_FILE, SECONDS);
  if (WIFSIGNALED(status))
    return tm_err_set(err, REJECTED, "settings-crash", "%s: ended by signal %d (%s) while it was evaluated",
                      TM_SETTINGS_FILE, WTERMSIG(status), strsignal(WTERMSIG(status)));
  if (a->len > 1 && a->data[0] == '-')
    return tm_err_set(err, REJECTED, "settings", "%.*s", (int)a->len - 1, a->data + 1);
  if (WEXITSTATUS(status) != 0 || a->len == 0 || a->data[0] != '+')
    return tm_err_set(err, REJECTED, "settings-crash", "%s: could not be evaluated: no memory?", TM_SETTINGS_FILE);
  a->len--;
  memmove(a->data, a->data + 1, (size_t)a->len);
  return 0;
}

static int evaluate(struct tm_settings *s, const struct tm_io *io, struct tm_err *err) {
  int ends[2], status = 0, r;
  pid_t pid;

  if (pipe2(ends, O_CLOEXEC) != 0)
    return tm_err_set(err, 1, "settings-process", "%s: no pipe: %s", TM_SETTINGS_FILE, strerror(errno));
  pid = fork();
  if (pid == 0) child(s, io, ends[1]);
  r = pid < 0 ? -errno : 0;
  io->close(io, ends[1]);
  if (r == 0) r = answer_read(io, ends[0], &s->entries);
  io->close(io, ends[0]);
  if (pid > 0) {
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  }
  if (r < 0)
    return tm_err_set(err, 1, "settings-process", "%s: cannot evaluate the settings: %s", TM_SETTINGS_FILE,
                      strerror(-r));
  return answer_judge(s, status, err);
}

int tm_settings_read(struct tm_settings *s, const struct tm_io *io, struct tm_err *err) {
  int r;

  s->text = NULL;
  s->text_len = 0;
  tm_buf_init(&s->entries, ANSWER_MAX + PIECE);
  r = text_read(s, io, err);
  if (r > 0) r = evaluate(s, io, err);
  if (r < 0) tm_settings_fini(s);
  return r;
}

/* ---- where a key is written ---------------------------------------------------- */

/* A cursor over Lua text that knows comments, strings and braces. */
struct scan {
  const char *p, *end;
  int line;
  int depth;      /* of braces */
};

static int is_word(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* [[ ... ]], [==[ ... ]==] at p: moves behind it and returns 1. */
static int skip_long(struct scan *c) {
  const char *p = c->p + 1;
  size_t level = 0, n;

  while (p < c->end && *p == '=') p++, level++;
  if (p >= c->end || *p != '[') return 0;
  for (; p < c->end; p++) {
    if (*p == '\n') c->line++;
    if (*p != ']') continue;
    for (n = 0; p + 1 + n < c->end && p[1 + n] == '='; n++) continue;
    if (n == level && p + 1 + n < c->end && p[1 + n] == ']') break;
  }
  c->p = p < c->end ? p + 2 + level : c->end;
  return 1;
}

static void skip_string(struct scan *c) {
  char quote = *c->p++;

  while (c->p < c->end && *c->p != quote && *c->p != '\n') c->p += *c->p == '\\' && c->p + 1 < c->end ? 2 : 1;
  if (c->p < c->end && *c->p == quote) c->p++;
}

static void skip_comment(struct scan *c) {
  c->p += 2;
  if (c->p < c->end && *c->p == '[' && skip_long(c)) return;
  while (c->p < c->end && *c->p != '\n') c->p++;
}

/* The next word or short string, without its quotes; braces on the way are counted. 0 at the end. */
static size_t next_word(struct scan *c, const char **word) {
  while (c->p < c->end) {
    const char *from = c->p;

    if (*from == '\n') c->line++, c->p++;
    else if (*from == '-' && from + 1 < c->end && from[1] == '-') skip_comment(c);
    else if (*from == '\'' || *from == '"') {
      skip_string(c);
      *word = from + 1;
      if (c->p - from > 2) return (size_t)(c->p - from) - 2;
    } else if (is_word(*from)) {
      while (c->p < c->end && is_word(*c->p)) c->p++;
      *word = from;
      return (size_t)(c->p - from);
    } else if (*from != '[' || !skip_long(c)) {
      c->depth += (*from == '{') - (*from == '}');
      c->p++;
    }
  }
  return 0;
}

/* Is the word at hand written as `word =`, or `['word'] =`? */
static int is_assigned(const struct scan *c) {
  const char *p = c->p;

  while (p < c->end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == ']')) p++;
  return p < c->end && *p == '=' && (p + 1 == c->end || p[1] != '=');
}

/* The outermost place wins: `set = { deadline = '1' }` is no setting named deadline. */
int tm_settings_line(const struct tm_settings *s, const char *key) {
  struct scan c = { .p = s->text, .end = s->text + s->text_len, .line = 1 };
  size_t len = strlen(key), n;
  int found = 0, depth = 0;
  const char *word;

  while ((n = next_word(&c, &word)) > 0) {
    if (n != len || memcmp(word, key, n) != 0 || !is_assigned(&c) || (found != 0 && c.depth >= depth)) continue;
    found = c.line;
    depth = c.depth;
  }
  return found;
}
