"""any_reference.py - random values of Lua as Python's msgpack packs them: the judge of what a state keeps.

  python3 any_reference.py pack           expressions, one a line, as any_spec.lua writes them -> their bytes in hexadecimal
  python3 any_reference.py values SEED N  N random values as hexadecimal bytes, one a line

Maps are packed with their keys as pairs visits them: numbers ascending, texts by byte, false, true. Texts may be any bytes.
"""
import random
import struct
import sys

import msgpack


class T(str):
    """A text of any bytes."""
    def __new__(cls, raw):
        return super().__new__(cls, raw.decode('utf-8', 'surrogateescape'))


def raw(text):
    return text.encode('utf-8', 'surrogateescape')


def order(key):
    if isinstance(key, bool):
        return (2, key)
    return (1, raw(key)) if isinstance(key, str) else (0, key)


def canonical_key(v):
    """-0 as a key is 0."""
    return 0 if v == 0 and not isinstance(v, bool) else canonical(v)


def canonical(v):
    """Numbers that are whole are ints, tables with the keys 1..n lists, all other keys in order."""
    if isinstance(v, float) and v == v and abs(v) <= 2**53 and v == int(v) and not (v == 0 and str(v)[0] == '-'):
        return int(v)
    if isinstance(v, Pairs):
        return Pairs((k, canonical(x)) for k, x in v)
    if isinstance(v, list):
        return [canonical(x) for x in v]
    if isinstance(v, dict):
        pairs = sorted(((canonical_key(k), canonical(x)) for k, x in v.items()), key=lambda p: order(p[0]))
        keys = [k for k, _ in pairs]
        if keys and all(type(k) is int for k in keys) and keys == list(range(1, len(keys) + 1)):
            return [x for _, x in pairs]
        return Pairs(pairs)
    return v


class Pairs(list):
    """A map as the list of its pairs: a dict would take True for 1."""


def pack(v):
    packer = msgpack.Packer(use_bin_type=True, unicode_errors='surrogateescape', strict_types=False)
    if isinstance(v, Pairs):
        return packer.pack_map_header(len(v)) + b''.join(pack(k) + pack(x) for k, x in v)
    if isinstance(v, list):
        return packer.pack_array_header(len(v)) + b''.join(pack(x) for x in v)
    if isinstance(v, float) and v != v:
        return b'\xcb\x7f\xf8' + bytes(6)
    return packer.pack(str(v) if isinstance(v, T) else v)


def scalar(rnd):
    return rnd.choice([
        lambda: rnd.random() < .5, lambda: rnd.randint(-40, 140), lambda: rnd.randint(-2**53, 2**53), lambda: -0.0,
        lambda: rnd.choice([127, 128, 255, 256, 65535, 65536, 2**32, -32, -33, -128, -129, -32768, -32769, -2**31, -2**31 - 1]),
        lambda: rnd.uniform(-1e6, 1e6), lambda: struct.unpack('<d', struct.pack('<Q', rnd.getrandbits(64)))[0],
        lambda: T(bytes(rnd.getrandbits(8) for _ in range(rnd.choice([0, 1, 5, 8, 12, 31, 32, 40, 255, 256, 9000 if rnd.random() < .01 else 3]))))])()


def value(rnd, depth):
    kind = rnd.randint(0, 9)
    if depth > 2 or kind > 3:
        return scalar(rnd)
    n = rnd.choice([0, 1, 2, 3, 5, 15, 16, 17 if depth > 0 else 40])
    if kind == 0:
        return [value(rnd, depth + 1) for _ in range(n)]
    pairs, seen = {}, set()
    for _ in range(n):
        key = canonical_key(scalar(rnd))
        name = (type(key) is bool, raw(key) if isinstance(key, str) else key)
        if key == key and name not in seen:
            seen.add(name)
            pairs[len(pairs)] = (key, value(rnd, depth + 1))
    ordered = sorted(pairs.values(), key=lambda p: order(p[0]))
    keys = [k for k, _ in ordered]
    if all(type(k) is int for k in keys) and keys == list(range(1, len(keys) + 1)) and keys:
        return [x for _, x in ordered]
    return Pairs(ordered)


class D(dict):
    """A table as Lua wrote it: a list of pairs."""
    def __init__(self, *pairs):
        super().__init__()
        self.pairs = pairs

    def items(self):
        return self.pairs


if sys.argv[1] == 'pack':
    names = {'T': T, 'D': D, 'X': msgpack.ExtType, 'B': bytes, 'inf': float('inf'), 'nan': float('nan'), 'F': float.fromhex}
    for line in sys.stdin:
        print(pack(canonical(eval(line, names))).hex())  # pylint: disable=eval-used
else:
    generator = random.Random(int(sys.argv[2]))
    for _ in range(int(sys.argv[3])):
        item = value(generator, 0)
        print(pack(canonical(item)).hex())
