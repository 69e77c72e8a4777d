/* abi_c.h - abi.h for C: adds the types it leans on and a guard. */
#ifndef TM_ABI_C_H
#define TM_ABI_C_H
#include <stdint.h>
#include "abi.h"
#endif
