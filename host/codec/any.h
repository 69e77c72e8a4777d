/* any.h - values of type `any` in keyed state: msgpack in one form for each value, and what Lua's serializer reads and writes.
 *
 * Lua tables come and go through LuaJIT's string.buffer, which turns a table into bytes, or bytes into a table, in one
 * call that the compiler knows; these files make msgpack of those bytes and back. The functions are in abi.h. The bytes
 * ("Lua bytes"), as far as they are used here; U is a length, 1 byte up to df, else e0-fe and 1 more, or ff and 4 (little-endian):
 *
 *   00 nil (a hole)   01 false   02 true   03 tm.null   07 double   20+U... string (20 is added to its length)
 *   08 {}   09 U pairs: key value ...   0a U items from [0]   0b U U items from [0], then pairs
 *   0c U items from [1] (U is one more than there are)   0d U U the same, then pairs   0e U table: one with a metatable of the list
 *   04 05 a pointer: as a key it marks an event view   13 01 U bytes   13 00 type U an extension (13 is ours)
 *
 * One form for each value: maps have their keys in the order of pairs (numbers ascending, strings by byte, false, true), a table
 * whose keys are 1..n is an array, everything has its shortest head, whole numbers up to 2^53 are ints, NaN is 7ff8.... So
 * values are equal exactly when their bytes are. Texts need not be UTF-8: they are what Lua has. */
#ifndef TM_CODEC_ANY_H
#define TM_CODEC_ANY_H

enum {
  TM_ANY_DEPTH_MAX = 512,       /* containers in each other */
  TM_ANY_DEPTH_LUA = 90,        /* deeper ones are not given to LuaJIT's serializer, which stops at 100 */
  TM_ANY_SIZE_MAX = 16 << 20    /* bytes of a value as msgpack: what a text in a state may have */
};

/* Tags of Lua bytes. */
enum {
  TM_LUA_NIL = 0x00, TM_LUA_FALSE = 0x01, TM_LUA_TRUE = 0x02, TM_LUA_NULL = 0x03, TM_LUA_POINTER32 = 0x04,
  TM_LUA_POINTER64 = 0x05, TM_LUA_NUMBER = 0x07, TM_LUA_EMPTY = 0x08, TM_LUA_HASH = 0x09, TM_LUA_ITEMS0 = 0x0a,
  TM_LUA_MIXED0 = 0x0b, TM_LUA_ITEMS1 = 0x0c, TM_LUA_MIXED1 = 0x0d, TM_LUA_META = 0x0e, TM_LUA_OPAQUE = 0x13,
  TM_LUA_STRING = 0x20
};

/* The metatables that Lua's serializer is told of, in their order. */
enum { TM_LUA_META_ARRAY = 0, TM_LUA_META_NULL = 1 };

#endif
