/* control_shadow.c - a candidate beside the run, as control sees it (shadow.h): asked for, watched, shown, promoted, ended.
 *
 * The worker forks it between two batches; what it finds lies in shared memory. Here it is watched from outside, as nothing in it can be
 * trusted to end: one that takes more memory of its own than it may is killed, and one that works on one batch for STUCK_DEADLINES
 * deadlines of processor time. Promoted, it takes the run's place as a reload does, with the state that the run has: that of the candidate is
 * ahead or behind by some batches, and has missed what did not fit into the ring. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/log.h"
#include "control_own.h"
#include "feed.h"

enum { FAILED = 1, USAGE = 2, STUCK_DEADLINES = 20, WEIGH_MS = 500, ANSWER_MAX = 8 << 20 };
#define MEMORY_DEFAULT ((int64_t)1 << 30)
static const double LOOK_EVERY_S = 0.01, WATCH_EVERY_S = 0.1;

/* The lists of the last generations, in turn, and the one in force while a reload is at work. */
enum { KEPT = 8, BEFORE = KEPT };
struct tm_adopted {
  int32_t generation, n;
  struct tm_candidate list[TM_SHADOW_ADOPTED];
};

static struct tm_shadow *shadow_of(struct control *c) { return c->shared->shadow; }

static int is_at_work(const struct tm_shadow *s) {
  return s->phase == TM_SHADOW_ASKED || s->phase == TM_SHADOW_LOADING || s->phase == TM_SHADOW_RUNNING;
}

static void put(struct tm_buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct tm_buf *out, const char *fmt, ...) {
  char text[TM_SHADOW_PATH + 4096];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (n < 0 || n >= (int)sizeof text || tm_buf_put(out, text, n) != 0) out->cap_max = -1;
}

static void put_string(struct tm_buf *out, const char *text) {
  if (tm_ffi_json_lossy(out, text, (int32_t)strlen(text)) != 0) out->cap_max = -1;
}

static void answer_error(struct tm_visit *v, int status, int code, const char *error) {
  struct tm_buf json;
  tm_buf_init(&json, ANSWER_MAX);
  put(&json, "{\"ok\":false,\"exit_code\":%d,\"error\":", code);
  put_string(&json, error);
  put(&json, "}\n");
  tm_visit_answer(v, status, json.data, json.cap_max < 0 ? 0 : (size_t)json.len);
  tm_buf_fini(&json);
}

/* ---- watching it ---- */

static void kill_it(struct control *c, const char *why) {
  struct tm_shadow *s = shadow_of(c);
  pid_t pid = s->pid;
  tm_shadow_ended(s, why);
  if (pid > 0) kill(pid, SIGKILL);
  if (c->pid > 0) kill(c->pid, SIGUSR1);  /* the worker waits for it, and hands nothing over any more */
}

/* Bytes that are its own, and not the run's too; -1 not known. */
static long long own_bytes(pid_t pid) {
  char path[64], line[160];
  long long sum = 0, kib;
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
  FILE *f = fopen(path, "re");
  if (f == NULL) return -1;
  while (fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "Private_Dirty: %lld", &kib) == 1 || sscanf(line, "Private_Clean: %lld", &kib) == 1 || sscanf(line, "Swap: %lld", &kib) == 1) sum += kib;
  fclose(f);
  return sum * 1024;
}

static uint64_t cpu_ns(pid_t pid) {
  clockid_t clock;
  struct timespec ts;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) != 0) return 0;
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void weigh(struct control *c) {
  struct tm_shadow *s = shadow_of(c);
  uint64_t now = c->io->mono_ns(c->io);
  char why[256];
  if (now - c->shadow.weighed_ns < WEIGH_MS * UINT64_C(1000000)) return;
  c->shadow.weighed_ns = now;
  long long own = own_bytes(s->pid);
  if (own <= s->memory) return;
  snprintf(why, sizeof why, "it has %.1f MiB of memory of its own, and may have %.1f MiB (--memory)", (double)own / 1048576.0, (double)s->memory / 1048576.0);
  kill_it(c, why);
}

static void look_for_loops(struct control *c) {
  struct tm_shadow *s = shadow_of(c);
  char why[256];
  if (s->turns != c->shadow.turns || c->shadow.cpu_ns == 0) {
    c->shadow.turns = s->turns;
    c->shadow.cpu_ns = cpu_ns(s->pid);
    return;
  }
  int64_t most_ms = STUCK_DEADLINES * tm_control_deadline_ms(c);
  uint64_t now = cpu_ns(s->pid);
  if (now < c->shadow.cpu_ns || now - c->shadow.cpu_ns < (uint64_t)most_ms * 1000000u) return;
  snprintf(why, sizeof why, "%s took more than %lld ms of processor time: a rule that does not end? (%d times --deadline)",
           s->phase == TM_SHADOW_LOADING ? "loading it" : "one batch", (long long)most_ms, STUCK_DEADLINES);
  kill_it(c, why);
}

static void answer_begun(struct control *c) {
  struct tm_shadow *s = shadow_of(c);
  struct tm_visitors *w = &c->shadow.waiting;
  if (s->phase == TM_SHADOW_ENDED) {
    for (int i = 0; i < w->n; i++) answer_error(w->visits[i], 409, s->code != 0 ? s->code : FAILED, s->why);
    w->n = 0;
  } else {
    char json[64];
    int n = snprintf(json, sizeof json, "{\"ok\":true,\"pid\":%d}\n", s->pid);
    tm_visitors_answer(w, 200, json, (size_t)n);
  }
}

static void on_watch(struct ev_loop *loop, ev_timer *w, int revents) {
  struct control *c = w->data;
  struct tm_shadow *s = shadow_of(c);
  (void)revents;
  if (c->shadow.waiting.n > 0 && (s->phase == TM_SHADOW_RUNNING || s->phase == TM_SHADOW_ENDED)) answer_begun(c);
  if (!is_at_work(s)) {
    ev_timer_stop(loop, w);
    return;
  }
  w->repeat = c->shadow.waiting.n > 0 ? LOOK_EVERY_S : WATCH_EVERY_S;
  ev_timer_again(loop, w);
  if (s->pid == 0) return;
  weigh(c);
  if (is_at_work(s)) look_for_loops(c);
}

void tm_control_shadow_begin(struct control *c) {
  if (shadow_of(c) != NULL) c->shadow.kept = calloc(KEPT + 1, sizeof *c->shadow.kept);
  ev_init(&c->shadow.watch, on_watch);
  c->shadow.watch.data = c;
}

void tm_control_shadow_end(struct control *c) {
  struct tm_shadow *s = shadow_of(c);
  ev_timer_stop(c->loop, &c->shadow.watch);
  free(c->shadow.kept);
  c->shadow.kept = NULL;
  if (s == NULL || !is_at_work(s)) return;
  pid_t pid = s->pid;
  tm_shadow_ended(s, "the run ended");
  if (pid > 0) kill(pid, SIGKILL);
  answer_begun(c);
  char *found = c->o->quiet || c->o->json ? NULL : malloc(TM_SHADOW_TEXT);
  int32_t n = found != NULL ? tm_shadow_told(s, found, NULL) : 0;
  tm_log_info("the candidate %s ended with the run%s", s->candidate.path, n > 0 ? "; what it found:" : "");
  if (n > 0) tm_log_text(found, (size_t)n);
  free(found);
}

void tm_control_shadow_died(struct control *c) {
  struct tm_shadow *s = shadow_of(c);
  if (s != NULL && is_at_work(s)) kill_it(c, "the run's worker died, and it began with what that had");
}

/* ---- it begins ---- */

/* The value of a line NAME=VALUE, into out; 0: there is none or it is too long. */
static int value_of(const char *body, const char *name, char *out, size_t size) {
  size_t n = strlen(name);
  out[0] = '\0';
  for (const char *line = body; *line != '\0'; line++) {
    const char *end = strchr(line, '\n');
    size_t len = end != NULL ? (size_t)(end - line) : strlen(line);
    if (len > n && strncmp(line, name, n) == 0 && line[n] == '=' && len - n - 1 < size) {
      memcpy(out, line + n + 1, len - n - 1);
      out[len - n - 1] = '\0';
      return 1;
    }
    if (end == NULL) break;
    line = end;
  }
  return 0;
}

static int is_folder_of_pack(const char *path) {
  char manifest[TM_SHADOW_PATH + 16];
  struct stat st;
  snprintf(manifest, sizeof manifest, "%s/pack.lua", path);
  return stat(manifest, &st) == 0;
}

/* What a body asks for; NULL, or why it cannot be. */
static const char *read_wish(struct tm_shadow *s, const char *body) {
  static char path[TM_SHADOW_PATH];
  char number[32];
  if (!value_of(body, "candidate", path, sizeof path)) return "the body names no candidate: candidate=PATH, a folder with pack.lua or a script";
  if (path[0] != '/') return "the path of a candidate is a whole one, from /";
  if (access(path, R_OK) != 0) return "the candidate cannot be read";
  memcpy(s->candidate.path, path, sizeof path);
  s->candidate.is_pack = is_folder_of_pack(path);
  s->memory = value_of(body, "memory", number, sizeof number) ? strtoll(number, NULL, 10) : MEMORY_DEFAULT;
  if (s->memory < (int64_t)16 << 20) return "memory: a candidate needs at least 16 MiB";
  if (!value_of(body, "amount", s->amount, sizeof s->amount)) snprintf(s->amount, sizeof s->amount, "amount");
  value_of(body, "out", s->out, sizeof s->out);
  return NULL;
}

void tm_serve_rules_shadow(struct control *c, struct tm_visit *v) {
  struct tm_shadow *s = shadow_of(c);
  const char *why = NULL;
  if (s == NULL) why = "there is no address space for a candidate (see ulimit -v)";
  else if (is_at_work(s)) why = "a candidate is there already: 'tidemill rules discard' ends it, 'rules promote' takes it";
  else if (c->drain_signal != 0 || c->stop_signal != 0 || c->pid <= 0) why = "the run is about to end";
  else if (c->reload.stage != TM_RELOAD_NONE) why = "scripts are being loaded anew; ask again";
  if (why != NULL) {
    answer_error(v, 409, FAILED, why);
    return;
  }
  if ((why = read_wish(s, tm_visit_body(v))) != NULL) {
    answer_error(v, 400, USAGE, why);
    return;
  }
  s->stop = 0;
  s->pid = 0;
  s->code = 0;
  s->why[0] = '\0';
  s->begun_ms = (double)c->io->real_ms(c->io);
  c->shadow.cpu_ns = 0;
  c->shadow.weighed_ns = c->io->mono_ns(c->io);
  tm_visitors_add(&c->shadow.waiting, v);
  s->phase = TM_SHADOW_ASKED;
  s->asked++;
  kill(c->pid, SIGUSR1);
  ev_timer_set(&c->shadow.watch, LOOK_EVERY_S, LOOK_EVERY_S);
  ev_timer_start(c->loop, &c->shadow.watch);
}

/* ---- what it has found ---- */

static void put_json(struct control *c, struct tm_buf *out, const char *found, int32_t n) {
  struct tm_shadow *s = shadow_of(c);
  struct tm_feed_counts f;
  tm_feed_count(s->feed, &f);
  put(out, "{\"ok\":true,\"phase\":\"%s\",\"pack\":%s,\"pid\":%d,\"candidate\":", tm_shadow_phase_name(s->phase), s->candidate.is_pack ? "true" : "false", s->pid);
  put_string(out, s->candidate.path);
  put(out, ",\"why\":");
  put_string(out, (const char *)s->why);
  put(out, ",\"begun_ms\":%.0f,\"events_fed\":%.0f,\"entries_fed\":%.0f,\"entries_taken\":%.0f,\"waiting_bytes\":%.0f,\"missed_events\":%.0f,\"missed_batches\":%.0f,",
      s->begun_ms, f.events, f.given, f.taken, f.bytes, f.missed_events, f.missed_batches);
  if (n > 1) tm_buf_put(out, found + 1, n - 1);  /* members of the same object */
  else put(out, "\"packs\":[],\"warming\":[]}");
  put(out, "\n");
}

static void put_text(struct control *c, struct tm_buf *out, const char *found, int32_t n) {
  struct tm_shadow *s = shadow_of(c);
  struct tm_feed_counts f;
  char path[4 * TM_SHADOW_PATH + 1], why[4 * sizeof s->why + 1];
  tm_feed_count(s->feed, &f);
  path[tm_log_clean(path, s->candidate.path, strlen(s->candidate.path))] = '\0';
  why[tm_log_clean(why, (const char *)s->why, strlen((const char *)s->why))] = '\0';
  put(out, "candidate %.4000s: ", path);
  if (s->phase == TM_SHADOW_ENDED) put(out, "has ended: %.4000s\n", why);
  else put(out, "%s (pid %d)\n", tm_shadow_phase_name(s->phase), s->pid);
  put(out, "  fed with %.0f events; %.0f of %.0f batches are behind it\n", f.events, f.taken, f.given);
  if (f.missed_events > 0 || f.missed_batches > 0)
    put(out, "  it was too slow: %.0f events in %.0f batches were left out, and its state lacks them\n", f.missed_events, f.missed_batches);
  if (n > 0) tm_buf_put(out, found, n);
}

void tm_serve_rules_diff(struct control *c, struct tm_visit *v) {
  struct tm_shadow *s = shadow_of(c);
  int text = strcmp(tm_visit_request(v)->query, "text") == 0;
  if (s == NULL || s->phase == TM_SHADOW_NONE) {
    answer_error(v, 409, FAILED, "there is no candidate: 'tidemill rules shadow PACK_OR_SCRIPT' begins one");
    return;
  }
  char *found = malloc(TM_SHADOW_JSON);
  struct tm_buf out;
  tm_buf_init(&out, ANSWER_MAX);
  int32_t n = found != NULL ? tm_shadow_told(s, text ? found : NULL, text ? NULL : found) : -1;
  if (n >= 0) (text ? put_text : put_json)(c, &out, found, n);
  if (n < 0 || out.cap_max < 0) answer_error(v, 503, FAILED, "what it found is being written; ask again");
  else tm_visit_answer(v, 200, out.data, (size_t)out.len);
  free(found);
  tm_buf_fini(&out);
}

/* ---- its end ---- */

void tm_serve_rules_discard(struct control *c, struct tm_visit *v) {
  struct tm_shadow *s = shadow_of(c);
  static const char ok[] = "{\"ok\":true}\n";
  if (s == NULL || !is_at_work(s)) {
    answer_error(v, 409, FAILED, "there is no candidate at work");
    return;
  }
  s->stop = 1;
  kill_it(c, "it was discarded");
  tm_visit_answer(v, 200, ok, sizeof ok - 1);
}

/* ---- what was promoted ---- */

static void remember(const struct tm_shadow *s, struct tm_adopted *to, int32_t generation) {
  to->generation = generation;
  to->n = s->adopted_n;
  memcpy(to->list, s->adopted, sizeof s->adopted);
}

static void recall(struct tm_shadow *s, const struct tm_adopted *from) {
  s->adopted_n = from->n;
  memcpy(s->adopted, from->list, sizeof s->adopted);
}

/* What is promoted takes the place of what was promoted before from the same folder, and a script that of all. */
static void adopt(struct tm_shadow *s) {
  int32_t n = 0;
  for (int32_t i = 0; s->candidate.is_pack && i < s->adopted_n; i++)
    if (strcmp(s->adopted[i].path, s->candidate.path) != 0) s->adopted[n++] = s->adopted[i];
  s->adopted[n++] = s->candidate;
  s->adopted_n = n;
}

void tm_control_shadow_reloading(struct control *c, int32_t back) {
  struct tm_shadow *s = shadow_of(c);
  struct tm_adopted *kept = c->shadow.kept;
  if (s == NULL || kept == NULL) return;
  c->shadow.reloading = 1;
  remember(s, &kept[BEFORE], c->shared->generation);
  remember(s, &kept[c->shared->generation % KEPT], c->shared->generation);
  if (c->shadow.promoting) adopt(s);
  if (back > 0 && kept[back % KEPT].generation == back) recall(s, &kept[back % KEPT]);
}

void tm_control_shadow_reloaded(struct control *c, int ok) {
  struct tm_shadow *s = shadow_of(c);
  int promoted = c->shadow.promoting, reloading = c->shadow.reloading;
  c->shadow.promoting = c->shadow.reloading = 0;
  if (s == NULL || !reloading) return;
  if (!ok) recall(s, &c->shadow.kept[BEFORE]);
  else if (promoted) tm_log_info("%s was promoted; start the run with it from now on, as its command line still says otherwise", s->candidate.path);
}

void tm_serve_rules_promote(struct control *c, struct tm_visit *v) {
  struct tm_shadow *s = shadow_of(c);
  const char *why = NULL;
  if (s == NULL || s->phase != TM_SHADOW_RUNNING) why = "there is no candidate at work; one that has ended is not promoted: see 'tidemill rules diff'";
  else if (c->reload.stage != TM_RELOAD_NONE || c->shadow.promoting) why = "scripts are being loaded anew; ask again";
  else if (c->drain_signal != 0 || c->stop_signal != 0) why = "the run is about to end";
  else if (c->shadow.kept == NULL) why = "there was no memory to go back to what ran before";
  else if (s->adopted_n == TM_SHADOW_ADOPTED) why = "16 candidates were promoted in this run; start it with the last ones";
  if (why != NULL) {
    answer_error(v, 409, FAILED, why);
    return;
  }
  c->shadow.promoting = 1;
  tm_control_reload(c, 0, v);
}
