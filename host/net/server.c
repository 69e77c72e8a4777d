/* server.c - the server on a Unix socket (server.h): one listening watcher, and a place for each connection. */
#include "server.h"

#include <errno.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>
#pragma GCC diagnostic pop
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "unix_path.h"

enum { BACKLOG = 64, ANSWER_MAX = 16 << 20, CLOSE_MS = 500 };
static const double READ_S = 10, WRITE_S = 10, LINGER_S = 1;

/* LINGER: it is answered; what still comes is dropped, as closing with something unread would take the answer away */
enum visit_state { VISIT_FREE = 0, VISIT_READ, VISIT_SERVED, VISIT_WRITE, VISIT_LINGER };

struct tm_visit {
  struct tm_server *server;
  enum visit_state state;
  int fd;                          /* -1: the other side has gone */
  ev_io io;
  ev_timer late;
  struct tm_buf in, out;
  int32_t written;
  struct tm_http_request request;
};

struct tm_server {
  struct ev_loop *loop;
  tm_serve *serve;
  void *ctx;
  char *path;
  int fd;
  ev_io listening;
  struct tm_visit visits[TM_SERVER_VISITS];
};

/* ---- a connection ---- */

static void hang_up(struct tm_visit *v) {
  ev_io_stop(v->server->loop, &v->io);
  ev_timer_stop(v->server->loop, &v->late);
  if (v->fd >= 0) close(v->fd);
  v->fd = -1;
}

static void visit_end(struct tm_visit *v) {
  hang_up(v);
  tm_buf_fini(&v->in);
  tm_buf_fini(&v->out);
  v->state = VISIT_FREE;
  if (!ev_is_active(&v->server->listening)) ev_io_start(v->server->loop, &v->server->listening);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int revents) {
  (void)loop;
  (void)revents;
  visit_end(w->data);
}

/* 1 all is written or nobody is there, 0 there is more. */
static int write_some(struct tm_visit *v) {
  while (v->fd >= 0 && v->written < v->out.len) {
    ssize_t n = send(v->fd, v->out.data + v->written, (size_t)(v->out.len - v->written), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    if (n <= 0) return 1;
    v->written += (int32_t)n;
  }
  return 1;
}

static void on_rest(struct ev_loop *loop, ev_io *w, int revents) {
  struct tm_visit *v = w->data;
  char waste[4096];
  (void)loop;
  (void)revents;
  ssize_t n = recv(v->fd, waste, sizeof waste, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) visit_end(v);
}

/* All is written. */
static void linger(struct tm_visit *v) {
  ev_io_stop(v->server->loop, &v->io);
  if (v->fd < 0 || shutdown(v->fd, SHUT_WR) != 0) {
    visit_end(v);
    return;
  }
  v->state = VISIT_LINGER;
  ev_io_init(&v->io, on_rest, v->fd, EV_READ);
  v->io.data = v;
  ev_io_start(v->server->loop, &v->io);
  ev_timer_stop(v->server->loop, &v->late);
  ev_timer_set(&v->late, LINGER_S, 0);
  ev_timer_start(v->server->loop, &v->late);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents) {
  struct tm_visit *v = w->data;
  (void)loop;
  (void)revents;
  if (write_some(v)) linger(v);
}

void tm_visit_answer(struct tm_visit *v, int status, const char *json, size_t n) {
  char head[256];
  TM_ASSERT(v->state == VISIT_SERVED);
  ev_io_stop(v->server->loop, &v->io);
  if (n > ANSWER_MAX) n = 0, status = 500;
  int head_n = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                        status, tm_http_reason(status), n);
  v->state = VISIT_WRITE;
  if (v->fd < 0 || tm_buf_put(&v->out, head, head_n) != 0 || tm_buf_put(&v->out, json, (int32_t)n) != 0) {
    visit_end(v);
    return;
  }
  if (write_some(v)) {
    linger(v);
    return;
  }
  ev_io_init(&v->io, on_writable, v->fd, EV_WRITE);
  v->io.data = v;
  ev_io_start(v->server->loop, &v->io);
  ev_timer_set(&v->late, WRITE_S, 0);
  ev_timer_start(v->server->loop, &v->late);
}

static void refuse(struct tm_visit *v, int status) {
  char text[96];
  int n = snprintf(text, sizeof text, "{\"error\":\"%s\"}\n", tm_http_reason(status));
  v->state = VISIT_SERVED;
  tm_visit_answer(v, status, text, (size_t)n);
}

/* It is served: nothing more is read, but that it goes away. */
static void serve(struct tm_visit *v) {
  ev_timer_stop(v->server->loop, &v->late);
  v->state = VISIT_SERVED;
  v->in.data[v->request.body_at + v->request.body_n] = '\0';
  v->server->serve(v->server->ctx, v);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents) {
  struct tm_visit *v = w->data;
  char waste[256];
  (void)revents;
  if (v->state == VISIT_SERVED) {
    ssize_t n = recv(v->fd, waste, sizeof waste, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) hang_up(v);
    return;
  }
  if (tm_buf_reserve(&v->in, TM_HTTP_HEAD) != 0) {
    visit_end(v);
    return;
  }
  ssize_t n = recv(v->fd, v->in.data + v->in.len, (size_t)(v->in.cap - v->in.len - 1), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    visit_end(v);
    return;
  }
  v->in.len += (int32_t)n;
  v->in.data[v->in.len] = '\0';
  int got = tm_http_request_read(v->in.data, v->in.len, &v->request);
  if (got == 0) return;
  if (got < 0) {
    ev_timer_stop(loop, &v->late);
    refuse(v, -got);
    return;
  }
  serve(v);
}

static void on_connection(struct ev_loop *loop, ev_io *w, int revents) {
  struct tm_server *s = w->data;
  struct tm_visit *v = NULL;
  (void)revents;
  for (int i = 0; i < TM_SERVER_VISITS && v == NULL; i++)
    if (s->visits[i].state == VISIT_FREE) v = &s->visits[i];
  if (v == NULL) {
    ev_io_stop(loop, w);  /* until one ends */
    return;
  }
  int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  v->server = s;
  v->state = VISIT_READ;
  v->fd = fd;
  v->written = 0;
  tm_buf_init(&v->in, TM_HTTP_HEAD * 2 + TM_HTTP_BODY * 2);
  tm_buf_init(&v->out, ANSWER_MAX + 1024);
  ev_io_init(&v->io, on_readable, fd, EV_READ);
  ev_timer_init(&v->late, on_late, READ_S, 0);
  v->io.data = v->late.data = v;
  ev_io_start(loop, &v->io);
  ev_timer_start(loop, &v->late);
}

/* ---- the server ---- */

/* Bound under another name and renamed: so there is never a moment without a socket, nor one that others may connect to. */
static int listen_at(const char *path, struct tm_err *err) {
  struct sockaddr_un address;
  char fresh[4200];
  struct stat st;
  int folder;
  if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
    return tm_err_set(err, 2, "control", "%.200s...: the path of a control socket may have 4,000 bytes", path);
  if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
    return tm_err_set(err, 2, "control", "%.400s: there is something that is no socket; name another path with --control", path);
  unlink(fresh);
  int rc = tm_unix_path(fresh, &address, &folder);
  int fd = rc == 0 ? socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
  if (rc == 0 && fd < 0) rc = -errno;
  mode_t before = umask(0177);
  if (rc == 0 && bind(fd, (struct sockaddr *)&address, sizeof address) != 0) rc = -errno;
  umask(before);
  if (rc == 0 && (listen(fd, BACKLOG) != 0 || rename(fresh, path) != 0)) {
    rc = -errno;
    unlink(fresh);
  }
  if (folder >= 0) close(folder);
  if (rc == 0) return fd;
  if (fd >= 0) close(fd);
  return tm_err_set(err, 1, "control", "%.400s: no control socket can be made there: %s", path, strerror(-rc));
}

struct tm_server *tm_server_open(struct ev_loop *loop, const char *path, tm_serve *call, void *ctx, struct tm_err *err) {
  struct tm_server *s = calloc(1, sizeof *s);
  char *kept = strdup(path);
  int fd = s != NULL && kept != NULL ? listen_at(path, err) : tm_err_set(err, 1, "memory", "no memory for the control socket");
  if (fd < 0) {
    free(s);
    free(kept);
    return NULL;
  }
  *s = (struct tm_server){.loop = loop, .serve = call, .ctx = ctx, .path = kept, .fd = fd};
  for (int i = 0; i < TM_SERVER_VISITS; i++) s->visits[i].fd = -1;
  ev_io_init(&s->listening, on_connection, fd, EV_READ);
  s->listening.data = s;
  ev_io_start(loop, &s->listening);
  return s;
}

static void server_free(struct tm_server *s) {
  close(s->fd);
  free(s->path);
  free(s);
}

void tm_server_close(struct tm_server *s) {
  if (s == NULL) return;
  ev_io_stop(s->loop, &s->listening);
  unlink(s->path);
  for (int i = 0; i < TM_SERVER_VISITS; i++) {
    struct tm_visit *v = &s->visits[i];
    if (v->state == VISIT_SERVED) refuse(v, 503);
    if (v->state == VISIT_WRITE && v->fd >= 0) {
      struct pollfd p = {.fd = v->fd, .events = POLLOUT};
      while (!write_some(v) && poll(&p, 1, CLOSE_MS) > 0) {}
    }
    if (v->state != VISIT_FREE) visit_end(v);
  }
  ev_io_stop(s->loop, &s->listening);
  server_free(s);
}

void tm_server_abandon(struct tm_server *s) {
  if (s == NULL) return;
  for (int i = 0; i < TM_SERVER_VISITS; i++)
    if (s->visits[i].fd >= 0) close(s->visits[i].fd);
  close(s->fd);
}

const struct tm_http_request *tm_visit_request(const struct tm_visit *v) { return &v->request; }
const char *tm_visit_body(const struct tm_visit *v) { return v->in.data + v->request.body_at; }
