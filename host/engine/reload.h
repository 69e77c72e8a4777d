/* reload.h - scripts are loaded anew while the run goes on: a child of the worker takes its place.
 *
 *   control   HUP: shared->reload counts up                                  heir is the worker from here on
 *   worker    batches | none begun, sinks have what is theirs | fork, waits ................. ends
 *   child                                                     | loads, opens, takes up | goes on with batches
 *
 * Between two batches, with nothing on its way, the worker forks. The child has all keyed state at the same addresses, so it makes a new
 * Lua state with the scripts as they are now, which find states, sources and sinks by name, and is given what the library kept.
 * When all of it is open the worker ends and the child is the worker. If anything is wrong, the child says what and ends, and the
 * worker goes on as if nothing had been asked: what the child did to shared memory is put back. */
#ifndef TM_ENGINE_RELOAD_H
#define TM_ENGINE_RELOAD_H

#include "../base/err.h"

struct tm_worker;

/* One step of what was asked for, in each turn: 0 nothing is to be done, or what is on its way comes first; 1 turn again; -1 err: the
 * run cannot go on. In the child that has taken over it returns 1, and w has the new scripts. */
int tm_reload(struct tm_worker *w, struct tm_err *err);
/* In a child that has taken over, now and then: is the process before it gone, and is there time to free what it had? */
void tm_reload_settle(struct tm_worker *w);

#endif
