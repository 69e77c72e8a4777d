/* server.h - an HTTP server on a Unix socket, on the loop of who makes it; it never waits.
 *
 *   accepted -> read (READ_S at most) -> served: answered now, or later -> written (WRITE_S at most) -> closed
 *
 * At most TM_SERVER_VISITS connections; further ones wait in the system's queue. Who is served is a *visit*: it stays until it
 * is answered, also when the other side has gone away, so whoever keeps one need not ask. One message a connection. */
#ifndef TM_NET_SERVER_H
#define TM_NET_SERVER_H

#include <stddef.h>

#include "../base/err.h"
#include "http.h"

enum { TM_SERVER_VISITS = 32 };

struct ev_loop;
struct tm_server;
struct tm_visit;

/* Called with each message; whoever is called answers the visit, then or later, exactly once. */
typedef void tm_serve(void *ctx, struct tm_visit *v);

/* Listens at the path, for this user alone (mode 0600); what lies there as a socket is replaced. NULL and err. */
struct tm_server *tm_server_open(struct ev_loop *loop, const char *path, tm_serve *serve, void *ctx, struct tm_err *err);
/* Answers that are under way get some time to be taken; visits that wait get 503; the path is removed. */
void tm_server_close(struct tm_server *s);
/* In a child process: its descriptors go, nothing else happens. */
void tm_server_abandon(struct tm_server *s);

/* What was asked; valid until it is answered. */
const struct tm_http_request *tm_visit_request(const struct tm_visit *v);
/* The body, terminated. */
const char *tm_visit_body(const struct tm_visit *v);
/* Answers with n bytes of JSON, which are copied. */
void tm_visit_answer(struct tm_visit *v, int status, const char *json, size_t n);

#endif
