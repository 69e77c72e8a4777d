"""msgpack_reference.py - random events through the program, in every direction, judged by Python's msgpack and json.

  python3 msgpack_reference.py PROGRAM SEED ROUNDS

Every second round packs values in other forms than the shortest (an int of 8 bytes for 1, float32, str32, map32 ...), so
that "byte for byte" means something. Prints "N comparisons" and ends with 0, or shows the first difference and ends with 1.
"""
import base64
import datetime
import io
import json
import math
import random
import struct
import subprocess
import sys

import msgpack

PROGRAM, SEED, ROUNDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rnd = random.Random(SEED)
done = 0

PIECES = ['a', 'b', '"', '\\', '\n', '\t', '\x00', '\x1f', 'é', '日', '😀', '\x7f', '/']
NAMES = ['a', 'b', 'geo', 'id', '', 'x y', 'ключ', 'k' * 31, 'k' * 40, '"q"', 'n\n', 'amount']
EDGES = [2**53, 2**53 + 1, -2**53, -2**53 - 1, 2**63, 2**64 - 1, -2**63, 0, -0.0, 127, 128, 255, 256, 65535, 65536, -32, -33,
         -128, -129, -32768, -32769, 2**31, 2**32]
SECONDS = [0, 1, 2**32 - 1, 2**32, 2**34 - 1, 2**34, -1, -62135596800, 253402300799, 253402300800]
FORMS = [(0xcc, '>B', 0, 2**8 - 1), (0xcd, '>H', 0, 2**16 - 1), (0xce, '>I', 0, 2**32 - 1), (0xcf, '>Q', 0, 2**64 - 1),
         (0xd0, '>b', -2**7, 2**7 - 1), (0xd1, '>h', -2**15, 2**15 - 1), (0xd2, '>i', -2**31, 2**31 - 1),
         (0xd3, '>q', -2**63, 2**63 - 1)]


# ---- values ----

def text():
    return ''.join(rnd.choice(PIECES + ['x' * rnd.randint(0, 40)]) for _ in range(rnd.randint(0, 6)))


def some_bytes():
    return bytes(rnd.getrandbits(8) for _ in range(rnd.choice([0, 1, 2, 3, 4, 8, 16, 17, 300])))


def scalar():
    return rnd.choice([
        lambda: None, lambda: rnd.random() < .5, lambda: rnd.randint(-40, 140),
        lambda: rnd.randint(-2**rnd.randint(0, 63), 2**rnd.randint(0, 64) - 1), lambda: rnd.choice(EDGES),
        lambda: rnd.uniform(-1e6, 1e6), lambda: struct.unpack('<d', struct.pack('<Q', rnd.getrandbits(64)))[0],
        lambda: float(rnd.randint(-1000, 1000)), some_bytes, lambda: msgpack.ExtType(rnd.randint(0, 127), some_bytes()),
        lambda: msgpack.Timestamp(rnd.choice(SECONDS + [rnd.randint(0, 2**40)]), rnd.choice([0, 1, 999999999, 5000000, 1000])),
        text, text])()


def value(depth):
    k = rnd.randint(0, 9)
    if depth < 4 and k == 0:
        return [value(depth + 1) for _ in range(rnd.choice([0, 1, 2, 3, 17]))]
    return event(depth + 1) if depth < 4 and k == 1 else scalar()


def event(depth):
    n = rnd.choice([0, 1, 2, 3, 5, 16 if depth == 0 else 2])
    return {(rnd.choice(NAMES) if rnd.random() < .8 else text()): value(depth) for _ in range(n)}


def pack(v, wild):
    """As msgpack, where wild in forms that need not be the shortest."""
    odd = wild and rnd.random() < .3
    if isinstance(v, bool) or v is None or isinstance(v, msgpack.Timestamp):
        return msgpack.packb(v)
    if isinstance(v, int):
        return rnd.choice([bytes([c]) + struct.pack(f, v) for c, f, lo, hi in FORMS if lo <= v <= hi]) if odd else msgpack.packb(v)
    if isinstance(v, float):
        return b'\xca' + struct.pack('>f', v) if odd and (v != v or abs(v) < 3e38) else msgpack.packb(v)
    if isinstance(v, str):
        return b'\xdb' + struct.pack('>I', len(v.encode())) + v.encode() if odd else msgpack.packb(v)
    if isinstance(v, msgpack.ExtType):
        return b'\xc9' + struct.pack('>Ib', len(v.data), v.code) + v.data if odd else msgpack.packb(v)
    if isinstance(v, bytes):
        return b'\xc5' + struct.pack('>H', len(v)) + v if odd else msgpack.packb(v)
    if isinstance(v, list):
        head = b'\xdd' + struct.pack('>I', len(v)) if odd else msgpack.Packer().pack_array_header(len(v))
        return head + b''.join(pack(x, wild) for x in v)
    head = b'\xdf' + struct.pack('>I', len(v)) if odd else msgpack.Packer().pack_map_header(len(v))
    return head + b''.join(pack(k, wild) + pack(x, wild) for k, x in v.items())


def unpack(data):
    return list(msgpack.Unpacker(io.BytesIO(data), strict_map_key=False, raw=False))


# ---- what should come out ----

def holds(test, v):
    """Is it true of every value inside v?"""
    if isinstance(v, list):
        return all(holds(test, x) for x in v)
    if isinstance(v, dict):
        return all(holds(test, x) for x in v.values())
    return test(v)


def finite(v):
    return holds(lambda x: not isinstance(x, float) or math.isfinite(x), v)


def small(v):
    """Lua can read it: no integer is rounded."""
    return holds(lambda x: isinstance(x, bool) or not isinstance(x, int) or abs(x) <= 2**53, v)


def iso8601(t):
    if not -62135596800 <= t.seconds <= 253402300799:
        return {'ext': -1, 'data': base64.b64encode(t.to_bytes()).decode()}
    day = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=t.seconds)
    ns = t.nanoseconds
    digits = 0 if ns == 0 else 3 if ns % 10**6 == 0 else 6 if ns % 10**3 == 0 else 9
    return day.isoformat().split('.')[0] + ('.%09d' % ns)[:digits + 1 if digits else 0] + 'Z'


def as_json(v):
    if isinstance(v, msgpack.Timestamp):
        return iso8601(v)
    if isinstance(v, msgpack.ExtType):
        return {'ext': v.code, 'data': base64.b64encode(v.data).decode()}
    if isinstance(v, bytes):
        return base64.b64encode(v).decode()
    if isinstance(v, list):
        return [as_json(x) for x in v]
    return {k: as_json(x) for k, x in v.items()} if isinstance(v, dict) else v


def same(a, b):
    """Equal, with equal types; but a number may be an int or a float, and keys stand in the same order."""
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (a, b))
    if type(a) != type(b) and not numbers:
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    # a double's shortest digits may be an integer that is not exactly the double
    return a == b or (numbers and (float(a) == float(b) or (a != a and b != b)))


def by_name(v):
    if isinstance(v, dict):
        return {k: by_name(v[k]) for k in sorted(v, key=str.encode)}
    return [by_name(x) for x in v] if isinstance(v, list) else v


# ---- the program ----

def run(code, data, source, sink):
    command = [PROGRAM, 'run', '--quiet', '-e', code, '--format', source, '--out-format', sink]
    return subprocess.run(command, input=data, capture_output=True, check=False)


def differ(code, what, result):
    print('seed %d, %s: %s\n%s' % (SEED, code, what, result.stderr.decode(errors='replace')[:2000]))
    sys.exit(1)


def compare(code, wanted, got, result):
    global done
    if len(wanted) != len(got):
        differ(code, '%d rows wanted, %d came' % (len(wanted), len(got)), result)
    for a, b in zip(wanted, got):
        done += 1
        if not same(a, b):
            differ(code, 'wanted\n%r, got\n%r' % (a, b), result)


def check_bytes(code, data, wanted):
    global done
    result = run(code, data, 'msgpack', 'msgpack')
    if result.stdout != wanted:
        at = next((i for i, (x, y) in enumerate(zip(result.stdout, wanted)) if x != y), min(len(wanted), len(result.stdout)))
        differ(code, 'at byte %d: wanted %r, got %r' % (at, wanted[max(0, at - 40):at + 20], result.stdout[max(0, at - 40):at + 20]), result)
    done += 1


def check_packed(code, data, wanted):
    result = run(code, data, 'msgpack', 'msgpack')
    compare(code, wanted, unpack(result.stdout), result)


def check_json(code, data, wanted):
    result = run(code, data, 'msgpack', 'json')
    compare(code, [as_json(e) for e in wanted if finite(e)], [json.loads(x) for x in result.stdout.decode().splitlines()], result)


def with_one_more(e, raw):
    head = 1 if raw[0] < 0x90 else 3 if raw[0] == 0xde else 5
    return msgpack.Packer().pack_map_header(len(e) + 1) + raw[head:] + b'\xa2zz\x01'


def check_round(wild):
    raw = [pack(event(0), wild) for _ in range(300)]
    events, data = [msgpack.unpackb(x) for x in raw], b''.join(raw)
    check_bytes('stream', data, data)
    more = [with_one_more(e, x) for e, x in zip(events, raw)]
    check_bytes('stream:set { zz = 1 }', data, b''.join(more))
    # the whole event is visited: arrays are read and compared, large integers fail
    code = 'stream:map(function(e) for k in pairs(e) do e.zz = 1 end e.zz = 1 return e end)'
    seen = [all(small(v) for v in e.values() if not isinstance(v, dict)) for e in events]
    check_bytes(code, data, b''.join(x for x, ok in zip(more, seen) if ok))
    check_json('stream', data, events)
    # copied into tables: keys in byte order, numbers as Lua writes them
    check_packed('stream:map(function(e) return tm.copy(e) end)', data, [by_name(e) for e in events if small(e) and finite(e)])
    chosen = [{k: e[k] for k in ['geo', 'a', 'id'] if k in e} for e in events]
    check_packed('stream:select { "geo", "a", "zz", "id" }', data, chosen)
    check_json('stream:select { "geo", "a", "zz", "id" }', data, chosen)
    renamed = [{new: e[k] for k, new in [('a', 'r1'), ('geo', 'r2')] if k in e} for e in events]
    check_packed('stream:rename { a = "r1", geo = "r2" }:select { "r1", "r2" }', data, renamed)
    lines = [as_json(e) for e in events if finite(e)]
    source = ''.join(json.dumps(x, ensure_ascii=rnd.random() < .5) + '\n' for x in lines).encode()
    result = run('stream', source, 'json', 'msgpack')
    compare('json to msgpack', lines, unpack(result.stdout), result)
    check_json('stream', result.stdout, unpack(result.stdout))


# ---- rows with written fields, byte for byte ----

WRITES = [
    ('e.a = 1 e.zz = "é\\n"', {'a': b'\x01', 'zz': msgpack.packb('é\n')}),
    ('e.zz = 2^60 e.geo = -0.0 e.id = tm.null', {'zz': struct.pack('>Bd', 0xcb, 2.0**60), 'geo': struct.pack('>Bd', 0xcb, -0.0), 'id': b'\xc0'}),
    ('e.a = nil e.geo = true e[""] = nil', {'a': None, 'geo': b'\xc3', '': None}),
    ("e['%s'] = nil e['%s'] = nil e.b = false" % ('k' * 31, 'k' * 40), {'k' * 31: None, 'k' * 40: None, 'b': b'\xc2'}),
    ('e.b = tm.bin "xy" e.a = { 1, { q = {} } }', {'b': b'\xc4\x02xy', 'a': b'\x92\x01\x81\xa1q\x80'}),
    ('e.a = nil e.id = nil', {'a': None, 'id': None}),
]


def rewritten(members, changes):
    """The slow way: each member's own bytes, the last one of a written name exchanged, the earlier ones gone."""
    out = []
    for i, (name, raw) in enumerate(members):
        if name not in changes:
            out.append(raw)
        elif changes[name] is not None and name not in dict(members[i + 1:]):
            out.append((raw[0], changes[name]))
    for name, new in changes.items():
        if new is not None and name not in dict(members):
            out.append((msgpack.packb(name), new))
    return msgpack.Packer().pack_map_header(len(out)) + b''.join(k + v for k, v in out)


def check_rows():
    rows = []
    for _ in range(300):
        names = [rnd.choice(NAMES) for _ in range(rnd.choice([0, 1, 2, 3, 5, 15, 16, 17]))]
        if rnd.random() < .8:
            names = list(dict.fromkeys(names))
        rows.append([(name, (pack(name, True), pack(value(2), True))) for name in names])
    heads = [lambda n: msgpack.Packer().pack_map_header(n), lambda n: struct.pack('>BH', 0xde, n), lambda n: struct.pack('>BI', 0xdf, n)]
    raw = [rnd.choice(heads)(len(m)) + b''.join(k + v for _, (k, v) in m) for m in rows]
    data = b''.join(raw)
    for body, changes in WRITES:
        wanted = b''.join(rewritten(m, changes) for m in rows)
        check_bytes('stream:map(function(e) %s return e end)' % body, data, wanted)
    # under another name a value keeps its bytes
    wanted = [rewritten(m, {'b': None, 'zz': dict(m)['b'][1]}) if 'b' in dict(m) else x for m, x in zip(rows, raw)]
    check_bytes('stream:rename { b = "zz" }', data, b''.join(wanted))


for number in range(ROUNDS):
    check_round(number % 2 == 1)
    check_rows()
print('%d comparisons' % done)
