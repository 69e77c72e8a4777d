#!/usr/bin/env python3
"""Writes case_table.h: Unicode's simple case mappings (one character to one) as runs. Run by hand:

  python3 host/library/case_table.py > host/library/case_table.h

A run is { first, last, step, delta }: the characters first, first + step ... last map to themselves + delta.
"""
import sys
import unicodedata


def simple(c, upper):
    # Python has the full mappings; where these are several characters the simple one is itself, but for those below
    full = chr(c).upper() if upper else chr(c).lower()
    if len(full) == 1:
        return ord(full)
    if not upper and c == 0x130:
        return 0x69
    if upper and (0x1F80 <= c <= 0x1FAF) and c & 8 == 0:
        return c + 8  # title case of Greek with iota is its simple upper case
    return {0x1FB3: 0x1FBC, 0x1FC3: 0x1FCC, 0x1FF3: 0x1FFC}.get(c, c) if upper else c


def runs(upper):
    pairs = [(c, simple(c, upper) - c) for c in range(0x80, 0x110000) if not 0xD800 <= c < 0xE000 and simple(c, upper) != c]
    out = []
    for c, delta in pairs:
        if out:
            first, last, step, d = out[-1]
            gap = c - last
            if d == delta and gap <= 2 and (first == last or gap == step):
                out[-1] = (first, c, gap, d)
                continue
        out.append((c, c, 1, delta))
    return out


def table(name, rows):
    print(f"static const struct case_run {name}[] = {{")
    line = " "
    for row in rows:
        item = " {0x%x, 0x%x, %d, %d}," % row
        if len(line) + len(item) > 130:
            print(line)
            line = " "
        line += item
    print(line + "\n};")


print(f"/* case_table.h - written by case_table.py (Unicode {unicodedata.unidata_version}): do not edit. */")
print("#ifndef TM_LIBRARY_CASE_TABLE_H\n#define TM_LIBRARY_CASE_TABLE_H\n")
print("#include <stdint.h>\n")
print("/* first, first + step ... last map to themselves + delta; in order, beyond ASCII alone */")
print("struct case_run {\n  uint32_t first, last;\n  int32_t step, delta;\n};\n")
table("to_upper", runs(True))
print()
table("to_lower", runs(False))
print("\n#endif")
sys.exit(0)
