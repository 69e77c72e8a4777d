/* script_error.c - what a failed call into Lua says (script_own.h): its code, its words, and the place in the script.
 *
 * The message handler runs where an error was raised: it takes the deadline's hook off first - from then on the host has control - and lets
 * the library add the place in the script. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "guard.h"
#include "lua_state.h"
#include "script_own.h"

enum { PLACE_LEVELS = 250 };

static const char deadline_text[] = "tidemill: deadline";

static const char overdue_text[] = "still at work on this event at the deadline (--deadline): an endless loop?";

/* Where in a script the error was raised (chunks of scripts are named "@file", those of the library not). Takes no
 * room on the stack, which after an overflow has none. */
static void place_find(struct tm_script *s, lua_State *L) {
  lua_Debug ar;
  s->place_line = 0;
  for (int level = 1; level < PLACE_LEVELS && lua_getstack(L, level, &ar); level++) {
    if (!lua_getinfo(L, "Sl", &ar)) continue;
    if (strcmp(ar.source, "=tidemill.testing") == 0) return;  /* what is above it called for events, and is none of their script */
    if (ar.source[0] != '@' || ar.currentline <= 0) continue;
    if (s->place_chunk != ar.source) snprintf(s->place_source, sizeof s->place_source, "%s", ar.source + 1);
    s->place_chunk = ar.source;
    s->place_line = ar.currentline;
    return;
  }
}

/* The "file:line:" that Lua puts in front of a message, if there is one. */
static void place_of_text(struct tm_script *s, const char *text) {
  s->place_line = 0;
  s->place_chunk = NULL;
  if (strncmp(text, "tidemill.", 9) == 0 || text[0] == '(') return;  /* the library's own chunks */
  for (const char *p = strchr(text, ':'); p != NULL; p = strchr(p + 1, ':')) {
    char *end;
    long line = strtol(p + 1, &end, 10);
    if (end == p + 1 || *end != ':' || line <= 0 || (size_t)(p - text) >= sizeof s->place_source) continue;
    memcpy(s->place_source, text, (size_t)(p - text));
    s->place_source[p - text] = 0;
    s->place_line = (int)line;
    return;
  }
}

/* The same text from the same place as the last time: a stream in which every event fails of one cause. */
static int is_told(const struct tm_script *s, const char *text) {
  return text == s->told_text && s->place_line == s->told_line && s->place_chunk == s->told_chunk;
}

/* The table at the top of the stack is what the handler made of this text. */
static void tell(struct tm_script *s, lua_State *L, const char *text) {
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "raised");
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, s->ref_told);
  s->told_text = text;
  s->told_line = s->place_line;
  s->told_chunk = s->place_chunk;
}

/* Message handler, a C function so that it runs with the hook still armed: takes it off, then asks the library. */
int tm_script_message_handler(lua_State *L) {
  struct tm_script *s = lua_touserdata(L, lua_upvalueindex(1));
  int overdue = tm_guard_disarm();
  const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : NULL;
  /* Walking an overflowed stack line by line has crashed this LuaJIT: its own words about the place must do. */
  if (text != NULL && text != s->told_text && strstr(text, "stack overflow") != NULL) {
    place_of_text(s, text);
    return 1;
  }
  place_find(s, L);
  if (overdue || (text != NULL && text != s->told_text && strcmp(text, deadline_text) == 0)) {
    lua_pushstring(L, overdue_text);
    lua_replace(L, 1);
    text = NULL;
  }
  if (text != NULL && is_told(s, text)) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref_told);
    return 1;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref_lib);
  lua_getfield(L, -1, "handle");
  lua_pushvalue(L, 1);
  if (s->place_line != 0) {
    lua_pushstring(L, s->place_source);
    lua_pushinteger(L, s->place_line);
  }
  lua_call(L, s->place_line != 0 ? 3 : 1, 1);
  if (overdue) {
    lua_pushliteral(L, "deadline");
    lua_setfield(L, -2, "code");
  } else if (text != NULL && s->place_line != 0) {
    tell(s, L, text);
  }
  return 1;
}

void tm_script_push_handler(struct tm_script *s) {
  s->place_line = 0;
  lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->ref_handler);
}

/* What holds the memory is the scripts' own, so nothing here can free it, and each further event would fail. */
static void give_up(struct tm_script *s) {
  if (!s->shared->failed)
    tm_log_error("scripts hold too much of their %.1f MiB (--script-memory) to go on, and no collection frees it: globals or upvalues that grow "
                 "with the events? Keep such things in the state of a step (process, running), which has bounds; the run ends",
                 (double)s->script_memory / (1 << 20));
  s->shared->failed = 1;
  s->shared->drain = 1;
}

/* After a failed call: makes sure that a table is at the top. The handler made one, unless there was no memory (then it
 * is not called), the stack was full, or a function of the script that it asked (__tostring) never ended. */
void tm_script_error_fill(struct tm_script *s, int rc) {
  lua_State *L = s->L;
  int overdue = tm_guard_disarm();
  if (rc == LUA_ERRMEM && tm_lua_state_regain(L)) give_up(s);
  if (lua_istable(L, -1)) return;
  lua_newtable(L);
  lua_pushstring(L, rc == LUA_ERRMEM ? "memory" : overdue ? "deadline" : "stack-overflow");
  lua_setfield(L, -2, "code");
  lua_pushstring(L, rc == LUA_ERRMEM ? "the script used more than its memory (--script-memory)"
                    : overdue        ? overdue_text
                                     : "the script's stack overflowed: a recursion without an end?");
  lua_setfield(L, -2, "message");
  if (s->place_line == 0) return;
  lua_pushstring(L, s->place_source);
  lua_setfield(L, -2, "source");
  lua_pushinteger(L, s->place_line);
  lua_setfield(L, -2, "line");
}

/* the error at the top of the stack, which error_fill has seen */
void tm_script_error_of_load(struct tm_script *s, struct tm_err *err) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  lua_getfield(L, top, "message");
  lua_getfield(L, top, "code");
  lua_getfield(L, top, "source");
  lua_getfield(L, top, "line");
  lua_getfield(L, top, "traceback");
  const char *message = lua_tostring(L, top + 1), *code = lua_tostring(L, top + 2), *source = lua_tostring(L, top + 3);
  const char *trace = lua_tostring(L, top + 5);
  int usage = code != NULL && strcmp(code, "usage") == 0;
  int placed = usage || source == NULL || (code != NULL && strcmp(code, "script") == 0);
  int changed = s->host.changed || (code != NULL && strcmp(code, "state-changed") == 0);
  int exit_code = usage ? 2 : changed ? 6 : 3;
  if (placed)
    tm_err_set(err, exit_code, "script", "%s", message);
  else
    tm_err_set(err, exit_code, "script", "%s:%d: %s%s%s", source, (int)lua_tointeger(L, top + 4), message,
               trace != NULL && strchr(trace, '\n') != NULL ? "\n" : "", trace != NULL && strchr(trace, '\n') != NULL ? trace : "");
  lua_settop(L, top);
}
