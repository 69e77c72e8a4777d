/* script_read.h - how the library reads files and folders for scripts: through the texts of the generation (texts.h), where there are any. */
#ifndef TM_ENGINE_SCRIPT_READ_H
#define TM_ENGINE_SCRIPT_READ_H

struct lua_State;

/* read(path, system): the file's text, or nil and why not. system: it belongs to the machine, not to the scripts, and is not kept.
 * Upvalue 1 is the struct tm_script_host. */
int tm_script_read(struct lua_State *L);
/* read_data(path, bytes): the same of a file that is data and no script, of at most so many bytes: it is never kept. */
int tm_script_read_data(struct lua_State *L);
/* folder(path): the names in it in byte order, hidden ones left out; nil and why not. */
int tm_script_folder(struct lua_State *L);
/* compiled(name): a module of the library as bytecode, where some process of this run has left it; nothing: compile its text. compiled(name, bytes)
 * leaves it. */
int tm_script_compiled(struct lua_State *L);

#endif
