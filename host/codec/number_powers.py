#!/usr/bin/env python3
"""Writes number_powers.h: the powers of ten that number_text.c multiplies with.

Run by hand (python3 host/codec/number_powers.py > host/codec/number_powers.h), never by the build: the table is
a constant of mathematics. g(k) = ceil(10^k * 2^-e), with e such that g(k) has exactly 128 bits.
"""
FIRST, LAST = -292, 324


def power(k):
    """the 128 leading bits of 10^k, rounded up"""
    if k >= 0:
        value = 10 ** k
        shift = value.bit_length() - 128
        return value << -shift if shift <= 0 else -(-value >> shift)
    divisor = 10 ** -k
    shift = divisor.bit_length() + 127
    value = -(-(1 << shift) // divisor)
    if value.bit_length() > 128:
        value = -(-(1 << (shift - 1)) // divisor)
    assert value.bit_length() == 128
    return value


def main():
    print("/* number_powers.h - 128 leading bits of 10^k, rounded up, for k from %d to %d: high and low halves." % (FIRST, LAST))
    print(" * Written by number_powers.py; number_text.c is its one reader. */")
    print("#ifndef TM_CODEC_NUMBER_POWERS_H")
    print("#define TM_CODEC_NUMBER_POWERS_H")
    print()
    print("#include <stdint.h>")
    print()
    print("enum { TM_POWERS_FIRST = %d, TM_POWERS_LAST = %d };" % (FIRST, LAST))
    print()
    print("static const uint64_t tm_powers[%d][2] = {" % (LAST - FIRST + 1))
    row = []
    for k in range(FIRST, LAST + 1):
        g = power(k)
        row.append("{0x%016x, 0x%016x}" % (g >> 64, g & (2 ** 64 - 1)))
        if len(row) == 2 or k == LAST:
            print("  " + ", ".join(row) + ",")
            row = []
    print("};")
    print()
    print("#endif")


main()
