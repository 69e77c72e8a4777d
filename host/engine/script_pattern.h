/* script_pattern.h - gsub with a function or table, and the making of gmatch's iterators.
 *
 * Making a closure in Lua gives a trace up, and with it the loop of the pipeline; a call of a C function only leaves it for a
 * moment. And Lua that is left outside of machine code, as what calls back often is, pays much for each call through the FFI.
 *
 * One of the files that know lua.h. */
#ifndef TM_ENGINE_SCRIPT_PATTERN_H
#define TM_ENGINE_SCRIPT_PATTERN_H

struct lua_State;

/* Sets in the table at the top of the stack (program: the cdata of tidemill.pattern; refuse(fault, s, steps, level): raises):
 *   pattern_make(f, program, s)                      f(program, s)
 *   pattern_replace(program, s, by, most, refuse)    s with matches replaced, and their number; called by the function whose
 *                                                    caller is told in messages */
void tm_script_pattern_push(struct lua_State *L);

#endif
