/* control_dev.c - `tidemill dev`: a run whose scripts are loaded anew when one of their files changes, with a line that tells how it goes.
 *
 * Which files there are the generation says (texts.h): that which runs, and the last that was tried, so that a file which is wrong or missing is
 * watched too. Folders are watched, not files, as editors put a new file in the old one's place. Changes that come together are one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../base/log.h"
#include "control_own.h"

enum { FOLDERS_MAX = 512, WIDTH_MAX = 400, NAMES_SHOWN = 12 };
static const double DEBOUNCE_S = 0.03, LINE_EVERY_S = 0.5;
static const uint32_t CHANGES = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE;

/* A folder as scripts name it: what is in front of a file's name. */
struct folder {
  int watch;
  int whole;               /* each file in it counts: it was read as a folder */
  char *prefix;            /* "" or "packs/card/" */
};

struct tm_control_dev {
  struct control *control;
  int fd;
  ev_io changed;
  ev_timer debounce, line;
  struct folder folders[FOLDERS_MAX];
  int folders_n;
  int terminal;
  double events_shown;
  uint64_t shown_ns;
};

/* ---- what is watched ---- */

static void watch(struct tm_control_dev *d, const char *prefix, size_t n, int whole) {
  char path[PATH_MAX];
  for (int i = 0; i < d->folders_n; i++) {
    if (strlen(d->folders[i].prefix) != n || strncmp(d->folders[i].prefix, prefix, n) != 0) continue;
    d->folders[i].whole |= whole;
    return;
  }
  if (d->folders_n == FOLDERS_MAX || n + 2 > sizeof path) return;
  snprintf(path, sizeof path, "%.*s.", (int)n, prefix);
  int id = inotify_add_watch(d->fd, path, CHANGES);
  if (id < 0) return;  /* it is not there: its own folder tells when it comes */
  d->folders[d->folders_n] = (struct folder){id, whole, strndup(prefix, n)};
  if (d->folders[d->folders_n].prefix != NULL) d->folders_n++;
}

static void watch_all(struct tm_control_dev *d, const struct tm_texts *t) {
  struct tm_text file;
  uint64_t at = 0;
  while (t != NULL && tm_texts_next(t, &at, &file)) {
    const char *slash = strrchr(file.path, '/');
    char folder[PATH_MAX];
    watch(d, file.path, slash != NULL ? (size_t)(slash - file.path) + 1 : 0, 0);
    if (file.kind == TM_TEXTS_FOLDER && snprintf(folder, sizeof folder, "%s/", file.path) < (int)sizeof folder) watch(d, folder, strlen(folder), 1);
  }
}

static int is_of(const struct tm_texts *t, const char *path) {
  struct tm_text file;
  return t != NULL && tm_texts_find(t, TM_TEXTS_FILE, path, &file);
}

/* Does the change of this name in that folder concern the scripts? */
static int concerns(const struct tm_control_dev *d, int id, const char *name) {
  const struct tm_shared *s = d->control->shared;
  char path[PATH_MAX];
  size_t n = strlen(name);
  if (n == 0 || name[0] == '.' || name[n - 1] == '~') return 0;
  for (int i = 0; i < d->folders_n; i++) {
    if (d->folders[i].watch != id) continue;
    if (d->folders[i].whole && n > 4 && strcmp(name + n - 4, ".lua") == 0) return 1;
    snprintf(path, sizeof path, "%s%s", d->folders[i].prefix, name);
    if (is_of(s->texts, path) || is_of(s->candidate, path)) return 1;
  }
  return 0;
}

static void clear_line(const struct tm_control_dev *d) {
  if (d->terminal && d->shown_ns != 0) tm_log_text("\r\033[K", 4);
}

static void on_debounce(struct ev_loop *loop, ev_timer *w, int revents) {
  struct tm_control_dev *d = w->data;
  (void)loop;
  (void)revents;
  clear_line(d);
  tm_control_changed(d->control);
}

static void on_changed(struct ev_loop *loop, ev_io *w, int revents) {
  struct tm_control_dev *d = w->data;
  char buffer[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
  ssize_t n;
  int any = 0;
  (void)revents;
  while ((n = read(d->fd, buffer, sizeof buffer)) > 0) {
    for (const char *p = buffer; p < buffer + n;) {
      const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
      any |= (e->mask & IN_Q_OVERFLOW) != 0 || (e->len > 0 && concerns(d, e->wd, e->name));
      p += sizeof *e + e->len;
    }
  }
  if (!any) return;
  ev_timer_stop(loop, &d->debounce);
  ev_timer_set(&d->debounce, DEBOUNCE_S, 0);
  ev_timer_start(loop, &d->debounce);
}

/* 1: the file is not as it was read, or cannot be read now. */
static int differs(const struct tm_text *was) {
  char part[16384];
  size_t at = 0;
  ssize_t n;
  int fd = open(was->path, O_RDONLY | O_CLOEXEC), same = fd >= 0;
  while (same && (n = read(fd, part, sizeof part)) != 0) {
    same = n > 0 && (size_t)n <= was->n - at && memcmp(part, was->text + at, (size_t)n) == 0;
    at += n > 0 ? (size_t)n : 0;
  }
  if (fd >= 0) close(fd);
  return !same || at != was->n;
}

/* What was changed between reading and watching nobody tells. */
static void look_once(struct tm_control_dev *d, const struct tm_texts *t) {
  struct tm_text file;
  uint64_t at = 0;
  while (t != NULL && tm_texts_next(t, &at, &file)) {
    if (file.kind != TM_TEXTS_FILE || file.error != 0 || !differs(&file)) continue;
    ev_timer_stop(d->control->loop, &d->debounce);
    ev_timer_set(&d->debounce, DEBOUNCE_S, 0);
    ev_timer_start(d->control->loop, &d->debounce);
    return;
  }
}

/* ---- the line ---- */

static int terminal_width(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
}

/* Alerts: matches of rules where there are some, else rows. */
static int put_alerts(const struct tm_shared *s, char *out, size_t size) {
  int n = 0, rules = s->rules_n < TM_SHARED_RULES ? s->rules_n : TM_SHARED_RULES, shown = 0;
  double matches = 0;
  for (int i = 0; i < rules; i++) matches += s->rules[i].matches;
  if (rules <= 0) return snprintf(out, size, "rows %llu", (unsigned long long)s->counters.rows_out);
  n = snprintf(out, size, "alerts %.0f", matches);
  for (int i = 0; i < rules && shown < NAMES_SHOWN && (size_t)n < size; i++) {
    if (s->rules[i].matches <= 0) continue;
    n += snprintf(out + n, size - (size_t)n, "%s%.60s %.0f", shown++ == 0 ? ": " : ", ", s->rules[i].name, s->rules[i].matches);
  }
  return n;
}

static void on_line(struct ev_loop *loop, ev_timer *w, int revents) {
  struct tm_control_dev *d = w->data;
  struct control *c = d->control;
  struct tm_shared *s = c->shared;
  char alerts[WIDTH_MAX + 1], line[2 * WIDTH_MAX], clean[8 * WIDTH_MAX + 16];
  uint64_t now = c->io->mono_ns(c->io);
  double events = (double)s->counters.events_in, seconds = (double)(now - d->shown_ns) / 1e9;
  (void)loop;
  (void)revents;
  if (c->pid <= 0 || s->phase == TM_PHASE_LOADING) return;
  put_alerts(s, alerts, sizeof alerts);
  int n = snprintf(line, sizeof line, "generation %d | %.0f events, %.0f/s | failed %llu | %s", s->generation, events,
                   d->shown_ns != 0 ? (events - d->events_shown) / seconds : 0, (unsigned long long)s->counters.events_failed, alerts);
  int width = terminal_width() - 1;
  if (n > width) n = width;
  size_t used = 4;
  memcpy(clean, "\r\033[K", 4);
  used += tm_log_clean(clean + used, line, (size_t)n);
  clean[used++] = '\r';
  tm_log_text(clean, used);
  d->events_shown = events;
  d->shown_ns = now;
  s->ask++;  /* for the next line: sizes and rules as they are then */
  if (c->pid > 0) kill(c->pid, SIGUSR1);
}

/* ---- the whole ---- */

void tm_control_dev_watch(struct control *c) {
  if (c->dev == NULL) return;
  watch_all(c->dev, c->shared->texts);
  watch_all(c->dev, c->shared->candidate);
  if (!c->reload.back) look_once(c->dev, c->shared->candidate != NULL ? c->shared->candidate : c->shared->texts);
}

void tm_control_dev_begin(struct control *c) {
  struct tm_control_dev *d = c->o->dev ? calloc(1, sizeof *d) : NULL;
  if (d == NULL) return;
  d->control = c;
  d->terminal = isatty(STDERR_FILENO);
  d->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (d->fd < 0) {
    tm_log_warning("changes of files cannot be seen (%s): send HUP, or use 'tidemill reload'", strerror(errno));
    free(d);
    return;
  }
  ev_io_init(&d->changed, on_changed, d->fd, EV_READ);
  ev_timer_init(&d->debounce, on_debounce, DEBOUNCE_S, 0);
  ev_timer_init(&d->line, on_line, LINE_EVERY_S, LINE_EVERY_S);
  d->changed.data = d->debounce.data = d->line.data = d;
  ev_io_start(c->loop, &d->changed);
  if (d->terminal) ev_timer_start(c->loop, &d->line);
  c->dev = d;
}

void tm_control_dev_end(struct control *c) {
  struct tm_control_dev *d = c->dev;
  if (d == NULL) return;
  ev_io_stop(c->loop, &d->changed);
  ev_timer_stop(c->loop, &d->debounce);
  ev_timer_stop(c->loop, &d->line);
  clear_line(d);
  close(d->fd);
  for (int i = 0; i < d->folders_n; i++) free(d->folders[i].prefix);
  free(d);
  c->dev = NULL;
}
