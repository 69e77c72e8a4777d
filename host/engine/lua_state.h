/* lua_state.h - the worker's Lua state: LuaJIT with a memory cap; and settings files and the catalog, which run in one of
 * their own.
 *
 * One state a process: the cap counts for all of it. */
#ifndef TM_ENGINE_LUA_STATE_H
#define TM_ENGINE_LUA_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "../abi_c.h"
#include "../base/err.h"

struct lua_State;

/* A state whose allocations never exceed memory_max bytes; NULL and err without memory. jit: 0 interprets only. */
struct lua_State *tm_lua_state_new(int64_t memory_max, int jit, struct tm_err *err);
void tm_lua_state_free(struct lua_State *L);
/* Nothing runs in it any more: the cap is for the next one, and this one may be freed later. */
void tm_lua_state_retire(struct lua_State *L);
/* 0: what is loaded and run from here on is interpreted; 1: compiled. */
void tm_lua_state_compile(struct lua_State *L, int on);
/* Bytes in use. */
int64_t tm_lua_state_used(void);
/* Now and then: collects more eagerly where the cap is near. */
void tm_lua_state_pace(struct lua_State *L);
/* Room beyond the cap for what is not the script's: telling of an event that failed, beginning a batch; closed again by 0. */
void tm_lua_state_reserve(int open);
/* An event was done. */
void tm_lua_state_served(void);
/* After an allocation failed. 1: scripts hold the memory, as the last failures in a row have shown; once. */
int tm_lua_state_regain(struct lua_State *L);

/* Evaluates a settings file: text that returns a table of values, in an empty environment, with no function to call,
 * interpreted, a million instructions and 4 MiB at most. Appends each entry of the table to out, keys in byte order:
 *
 *   key NUL where what text NUL
 *
 *   where   '.' the entry itself   '[' an item of a list   '{' a member of a table, text is "name=text"
 *   what    's' string   'n' number, as digits   'b' "true" or "false"   'e' a table without entries (text is empty)
 *           '?' no setting can be this; text says what it is, such as "function"
 *
 * 0, or -1 and err (exit code 3) with "name:line: why". A single instruction may take long (it joins long texts): run
 * it in a process whose time is bounded. */
int tm_lua_settings_eval(const char *name, const char *text, size_t len, struct tm_buf *out, struct tm_err *err);

/* Calls a function of the library's tidemill.reference, which prints the catalog (list, help, has): its text appended to
 * out, 0; or -1 and err (exit code 2: there is no such name). In a state of its own, without scripts. name may be NULL. */
int tm_lua_reference(const char *function, const char *name, int json, const char *others, struct tm_buf *out, struct tm_err *err);

#endif
