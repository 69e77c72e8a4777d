"""fluent_reference.py - random messages of Fluent Bit, in all modes, and what they hold as JSON; packed by Python's msgpack.

  python3 fluent_reference.py SEED MESSAGES messages.bin expected.ndjson [TIME_KEY [TAG_KEY]]

Events come as [time, record], [[time, metadata], record], and in Message, Forward and PackedForward mode with and without an
option; between them nil, marks of groups, empty containers. Every tenth message or event is none: those leave no row, and
their number is printed, with that of the events.
"""
import base64
import datetime
import json
import math
import random
import struct
import sys

import msgpack

SEED, MESSAGES = int(sys.argv[1]), int(sys.argv[2])
TIME_KEY = sys.argv[5] if len(sys.argv) > 5 else 'date'
TAG_KEY = sys.argv[6] if len(sys.argv) > 6 else None
rnd = random.Random(SEED)
rows, bad = [], 0


def stamp(seconds, ns):
    """ISO 8601 in UTC, with 0, 3, 6 or 9 decimals."""
    when = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    digits = '%09d' % ns
    while digits.endswith('000'):
        digits = digits[:-3]
    return when.strftime('%Y-%m-%dT%H:%M:%S').rjust(19, '0') + ('.' + digits if digits else '') + 'Z'


def time():
    """A time, and what it is as text."""
    k, seconds = rnd.randint(0, 5), rnd.choice([0, 1, 2**31, 2**32 - 3, 1700000000 + rnd.randint(0, 10**6)])
    ns = rnd.choice([0, 1, 5000000, 999999999, 123456000, rnd.randint(0, 999999999)])
    if k == 0:
        return seconds, stamp(seconds, 0)
    if k == 1:
        quarters = rnd.randint(0, 3)
        return seconds + quarters / 4, stamp(seconds, quarters * 250000000)
    if k == 2:
        return msgpack.Timestamp(seconds, ns), stamp(seconds, ns)
    return msgpack.ExtType(0, struct.pack('>II', seconds, ns)), stamp(seconds, ns)


def value(depth=0):
    k = rnd.randint(0, 11)
    if k == 0 and depth < 3:
        return [value(depth + 1) for _ in range(rnd.choice([0, 1, 3, 17]))]
    if k == 1 and depth < 3:
        return record(depth + 1)
    return rnd.choice([None, True, False, rnd.randint(-2**40, 2**40), rnd.randint(-40, 140), rnd.randint(-8000, 8000) / 8, 'é"\n',
                       'x' * rnd.randint(0, 60), bytes(rnd.getrandbits(8) for _ in range(rnd.randint(0, 9)))])


def record(depth=0):
    names = ['log', 'level', 'stream', 'kubernetes', '', 'ключ', 'k' * 40] + ['n%d' % i for i in range(20)]
    return {name: value(depth) for name in rnd.sample(names, rnd.choice([0, 1, 2, 3, 5, 20]))}


def as_json(v):
    if isinstance(v, bytes):
        return base64.b64encode(v).decode()
    if isinstance(v, dict):
        return {k: as_json(x) for k, x in v.items()}
    if isinstance(v, list):
        return [as_json(x) for x in v]
    return int(v) if isinstance(v, float) and v == math.floor(v) else v


def event(tag, good=True):
    """What stands for one event (an array), with a row for it unless it is none."""
    global bad
    when, text = time()
    fields = record()
    if not good or rnd.randint(0, 9) == 0:
        bad += 1
        return rnd.choice([[when], [when, fields, 1], [when, [fields]], ['no time', fields], [[], fields], [None, fields], 7,
                           [msgpack.ExtType(1, b'12345678'), fields], [msgpack.ExtType(0, b'1234'), fields], {'a': 1},
                           [msgpack.ExtType(0, struct.pack('>II', 5, 10**9)), fields], [when, {1: 2}],
                           [when, {TIME_KEY: 1, 'z': 2}], [float('inf'), fields], [2**63, fields]])
    row = {TIME_KEY: text}
    if tag and TAG_KEY:
        row[TAG_KEY] = tag
    row.update(as_json(fields))
    rows.append(row)
    metadata = rnd.choice([{}, {'otlp': {'severity': 9}}])
    return [[when, metadata], fields] if rnd.random() < .5 else [when, fields]


def mark():
    return [[msgpack.ExtType(0, struct.pack('>i', rnd.choice([-1, -2])) + bytes(4)), {'schema': 'otlp'}], {}]


def events(tag):
    return [mark() if rnd.randint(0, 9) == 0 else event(tag) for _ in range(rnd.choice([0, 1, 2, 5, 40, 1500 if rnd.random() < .03 else 3]))]


def message():
    global bad
    tag = rnd.choice(['app', 'kube.var.log.containers.x', 't' * rnd.randint(0, 255)])
    option = [[], [{'chunk': 'p8n9gmxTQVC8/nh2wlKKeQ==', 'size': 3}]][rnd.randint(0, 1)]
    k = rnd.randint(0, 9)
    if k == 0:
        return None
    if k == 1:
        when, text = time()
        fields = record()
        rows.append({TIME_KEY: text, **({TAG_KEY: tag} if TAG_KEY and tag else {}), **as_json(fields)})
        return [tag, when, fields] + option
    if k == 2:
        return [tag, events(tag)] + option
    if k == 3:
        packed = b''.join(msgpack.packb(e, use_bin_type=True, strict_types=False) for e in events(tag))
        if rnd.random() < .1:
            bad += 1
            packed += rnd.choice([b'\x92', b'\xc1\x92', b'\x92\xd7\x00\x00\x00', b'\x92\x05\xdf\xff\xff\xff\x00'])
        return [tag, packed] + option
    if k == 4:
        bad += 1
        return rnd.choice([[tag, b'\x1f\x8b\x08\x00', {'compressed': 'gzip'}], [tag], [tag, None, {}], ['t' * 256, [[1, {}]]], {'a': 1}, 'x',
                           [tag, {}], [tag, [], {}, 1], [], [tag, 5, {}, {}, 5]])
    if k == 5:
        return mark()
    return event(None)


with open(sys.argv[3], 'wb') as out:
    for _ in range(MESSAGES):
        out.write(msgpack.packb(message(), use_bin_type=True, strict_types=False))
with open(sys.argv[4], 'w') as out:
    for row in rows:
        out.write(json.dumps(row, ensure_ascii=False, separators=(',', ':')) + '\n')
print(len(rows), bad)
