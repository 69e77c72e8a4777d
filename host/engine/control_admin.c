/* control_admin.c - what a running host tells, and can be told, over its control socket (net/server.h): JSON over HTTP/1.1.
 *
 *   GET  /status            how the run stands: sources, watermarks, sinks, states, rules, counters, deaths, memory, epochs, generation;
 *                           /status?text: the same in lines, for people
 *   POST /reload            {"back":true} or nothing: the scripts are loaded anew; answered when that has ended, 200 or 409
 *   GET  /rules/stats       cost, matches and coverage of each rule of the packs; ?text
 *   POST /rules/shadow      lines NAME=VALUE: candidate (whole path), memory (bytes), amount, out; answered when it runs, or cannot
 *   GET  /rules/diff        decisions of the run and of the candidate, compared; ?text
 *   POST /rules/promote     the candidate becomes the run's, as a reload; /rules/discard: it is ended
 *   POST /drain             no more is read, what was read is finished; answered when the run has ended
 *
 * The socket is there from when a worker runs until the run ends: DIR/control.sock of a run that is kept, else --control PATH, else
 * PID.sock in the folder of all runs of this user ($XDG_RUNTIME_DIR/tidemill, or /tmp/tidemill-UID), where one that is elsewhere
 * has a link. A further route is a line of `routes`. Nothing here waits: the worker tells of itself when it comes to it. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/log.h"
#include "../net/runs.h"
#include "control_own.h"
#include "rules_stats.h"
#include "status.h"
#include "worker.h"

static const double OPEN_AFTER_S = 0.005, OPEN_EVERY_S = 0.02, LOOK_EVERY_S = 0.002;
enum { TELL_MS = 1000 };  /* a worker that has not told by then is at a long event: what was known before is shown, and that it is old */

/* ---- status ---- */

static void answer_status(struct control *c, int told) {
  struct tm_status s = {.shared = c->shared, .options = c->o, .wall_ns = c->io->mono_ns(c->io) - c->begun_ns, .worker = c->pid, .deaths = c->deaths,
                        .told = told, .reloading = c->reload.stage != TM_RELOAD_NONE};
  struct tm_buf json;
  for (int i = 0; i < c->admin.asked.n; i++) {
    const struct tm_http_request *r = tm_visit_request(c->admin.asked.visits[i]);
    int text = strcmp(r->query, "text") == 0, rules = strcmp(r->path, "/rules/stats") == 0;
    tm_buf_init(&json, 8 << 20);
    int bad = (rules ? text ? tm_rules_text : tm_rules_json : text ? tm_status_text : tm_status_json)(&s, &json) != 0;
    tm_visit_answer(c->admin.asked.visits[i], bad ? 500 : 200, json.data, bad ? 0 : (size_t)json.len);
    tm_buf_fini(&json);
  }
  c->admin.asked.n = 0;
  ev_timer_stop(c->loop, &c->admin.asking);
}

static void on_asking(struct ev_loop *loop, ev_timer *w, int revents) {
  struct control *c = w->data;
  (void)loop;
  (void)revents;
  int told = c->shared->told == c->shared->ask;
  if (told || c->io->mono_ns(c->io) - c->admin.asked_ns > TELL_MS * UINT64_C(1000000)) answer_status(c, told);
}

static void serve_status(struct control *c, struct tm_visit *v) {
  tm_visitors_add(&c->admin.asked, v);
  if (ev_is_active(&c->admin.asking)) return;
  c->admin.asked_ns = c->io->mono_ns(c->io);
  c->shared->ask++;
  if (c->pid > 0) kill(c->pid, SIGUSR1);
  ev_timer_set(&c->admin.asking, LOOK_EVERY_S, LOOK_EVERY_S);
  ev_timer_start(c->loop, &c->admin.asking);
}

/* ---- reload and drain ---- */

static void serve_error(struct tm_visit *v, int status, const char *text) {
  char json[512];
  int n = snprintf(json, sizeof json, "{\"ok\":false,\"exit_code\":2,\"error\":\"%s\"}\n", text);
  tm_visit_answer(v, status, json, (size_t)n);
}

static void serve_reload(struct control *c, struct tm_visit *v) {
  const char *body = tm_visit_body(v);
  int back = strcmp(body, "{\"back\":true}") == 0;
  if (body[0] != '\0' && strcmp(body, "{}") != 0 && strcmp(body, "{\"back\":false}") != 0 && !back)
    serve_error(v, 400, "the body of a reload is nothing, {} or {\\\"back\\\":true}");
  else if (c->drain_signal != 0 || c->stop_signal != 0) serve_error(v, 409, "the run is about to end");
  else tm_control_reload(c, back, v);
}

static void serve_drain(struct control *c, struct tm_visit *v) {
  tm_visitors_add(&c->admin.drains, v);
  if (c->drain_signal == 0) tm_control_drain(c, SIGTERM);
}

/* ---- routes ---- */

static const struct {
  const char *method, *path;
  void (*serve)(struct control *c, struct tm_visit *v);
} routes[] = {
  {"GET", "/status", serve_status},
  {"POST", "/reload", serve_reload},
  {"POST", "/drain", serve_drain},
  {"POST", "/rules/shadow", tm_serve_rules_shadow},
  {"GET", "/rules/diff", tm_serve_rules_diff},
  {"POST", "/rules/promote", tm_serve_rules_promote},
  {"POST", "/rules/discard", tm_serve_rules_discard},
  {"GET", "/rules/stats", serve_status},
};

static void serve(void *ctx, struct tm_visit *v) {
  const struct tm_http_request *r = tm_visit_request(v);
  int known = 0;
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
    if (strcmp(r->path, routes[i].path) != 0) continue;
    known = 1;
    if (strcmp(r->method, routes[i].method) != 0) continue;
    routes[i].serve(ctx, v);
    return;
  }
  if (known) serve_error(v, 405, "this path has another method");
  else serve_error(v, 404, "no such path: there are GET /status, POST /reload, POST /drain, and /rules/");
}

/* ---- the socket ---- */

/* The worker has the lock of its folder by now, so nobody else may want the socket. */
static void on_opening(struct ev_loop *loop, ev_timer *w, int revents) {
  struct control *c = w->data;
  struct tm_err err;
  (void)revents;
  if (c->shared->phase != TM_PHASE_RUNNING) return;
  ev_timer_stop(loop, w);
  tm_control_dev_watch(c);
  c->admin.path = tm_runs_place(c->o->control, c->o->data, &err);
  if (c->admin.path != NULL) c->admin.server = tm_server_open(loop, c->admin.path, serve, c, &err);
  if (c->admin.server == NULL) {
    tm_log_warning("%s; the run goes on without", err.detail);
    return;
  }
  c->admin.alias = tm_runs_link(c->admin.path);
}

void tm_control_admin_begin(struct control *c) {
  ev_timer_init(&c->admin.opening, on_opening, OPEN_AFTER_S, OPEN_EVERY_S);
  ev_init(&c->admin.asking, on_asking);
  c->admin.opening.data = c->admin.asking.data = c;
  if (c->entry == tm_worker_main && c->o->state == NULL && !c->o->import && c->o->replay == NULL && c->o->snapshot < 0)
    ev_timer_start(c->loop, &c->admin.opening);
}

/* Who waits for the end is told it: the last that is said. */
void tm_control_admin_end(struct control *c) {
  char json[128];
  int n = snprintf(json, sizeof json, "{\"ok\":%s,\"exit_code\":%d}\n", c->exit_code == 0 ? "true" : "false", c->exit_code);
  ev_timer_stop(c->loop, &c->admin.opening);
  ev_timer_stop(c->loop, &c->admin.asking);
  tm_visitors_answer(&c->admin.drains, 200, json, (size_t)n);
  tm_server_close(c->admin.server);
  if (c->admin.alias != NULL) unlink(c->admin.alias);
  free(c->admin.alias);
  free(c->admin.path);
  c->admin.server = NULL;
}
