/* script_own.h - the inside of the calls into Lua; for script.c and script_error.c only. */
#ifndef TM_ENGINE_SCRIPT_OWN_H
#define TM_ENGINE_SCRIPT_OWN_H

#include <lua.h>

#include "script.h"
#include "script_host.h"

enum { TM_SCRIPT_TRACES = 4 };

struct tm_script {
  lua_State *L;
  struct tm_flows *flows;
  struct tm_shared *shared;
  double serial;
  double traces[TM_SCRIPT_TRACES];              /* compiled, given up, thrown away, loops: counted by tidemill.traces */
  double traces_told[TM_SCRIPT_TRACES];         /* of these, in the counters already */
  int ref_lib;                        /* the library's table */
  int ref_handler;                    /* the message handler */
  int ref_fail;                       /* the library's function `fail` */
  int ref_told;                       /* what the handler made of the last text that was raised, which keeps that text */
  const char *told_text;
  const char *told_chunk;             /* and where it was raised */
  int told_line;
  int ref_loops[TM_PIPELINES_MAX];
  int64_t script_memory;
  int checked;                    /* keyed state lies in an arena whose cuts are checked between batches (TIDEMILL_CHECK_CUTS) */
  int guarded;
  int place_line;                     /* where the error of this call was raised; 0: none, or not in a script */
  char place_source[256];
  const char *place_chunk;            /* the chunk's name of which place_source is a copy: scripts stay loaded; NULL none */
  struct tm_script_host host;
};

/* script_error.c. The message handler of every call, with s as its upvalue: takes the error, leaves a table that says code, message, place. */
int tm_script_message_handler(lua_State *L);
/* Pushes it for a call that begins. */
void tm_script_push_handler(struct tm_script *s);
/* After a failed call: makes sure that such a table is at the top, also where there was no memory for one. */
void tm_script_error_fill(struct tm_script *s, int rc);
/* The error at the top of the stack, which tm_script_error_fill has seen, as one of loading. */
void tm_script_error_of_load(struct tm_script *s, struct tm_err *err);

#endif
