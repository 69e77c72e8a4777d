/* guard.h - the deadline of user code, and the memory it may take.
 *
 * Compiled traces never look at debug hooks, but traces recorded while LuaJIT's own profiler runs carry a check in
 * every loop. So the profiler is started before any script is compiled; a timer signal compares the attempt marker
 * with its last look, and when the same event and step has been at work for the whole deadline it arms a count hook
 * and raises SIGPROF once: traces exit, the interpreter meets the hook, the hook raises - again and again, until
 * the host has control (guard_disarm). One guarded Lua state a process: the profiler serves one.
 *
 * One of the files that know lua.h. */
#ifndef TM_ENGINE_GUARD_H
#define TM_ENGINE_GUARD_H

#include <stdint.h>

#include "../abi_c.h"
#include "../base/err.h"

struct lua_State;

/* 1: TIDEMILL_UNGUARDED is set, which only the benchmark does, to tell what the guard costs: nothing below is to be called. */
int tm_guard_unwanted(void);
/* Starts profiler and timer for this state; call before any script is compiled. */
int tm_guard_start(struct lua_State *L, struct tm_marker *marker, int64_t deadline_ms, struct tm_err *err);
/* Stops one endless compiled loop to see that this LuaJIT can be stopped: 0, or -1 and err. */
int tm_guard_self_test(struct lua_State *L, struct tm_err *err);
/* The host has control: no hook is armed from here on. Returns 1 if the deadline had passed. */
int tm_guard_disarm(void);
void tm_guard_stop(void);

#endif
