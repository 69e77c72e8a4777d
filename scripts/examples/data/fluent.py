"""fluent.py - writes fluent.msgpack, or with --json what is in it: messages as Fluent Bit's forward, file and HTTP outputs send them.

  python3 scripts/examples/data/fluent.py > scripts/examples/data/fluent.msgpack      (needs python3-msgpack)
"""
import json
import random
import struct
import sys

import msgpack

random.seed(7)
rows = []


def event(tag, metadata=None):
    seconds, ns = 1700000000 + len(rows) * 7, random.randint(0, 999999999)
    level = random.choice(['debug', 'info', 'info', 'info', 'warn', 'error', None])
    record = {'log': 'request %d took %d ms' % (len(rows), random.randint(1, 900)), 'level': level, 'pod': 'shop-%d' % random.randint(1, 3)}
    if level is None:
        del record['level']
    rows.append({'seconds': seconds, 'ns': ns, 'tag': tag, **record})
    time = msgpack.ExtType(0, struct.pack('>II', seconds, ns))
    return [[time, metadata], record] if metadata is not None else [time, record]


def packed(tag, n):
    return b''.join(msgpack.packb(event(tag, {})) for _ in range(n))


messages = [
    ['kube.shop', *event('kube.shop')],
    ['kube.shop', [event('kube.shop', {}) for _ in range(9)], {'size': 9, 'fluent_signal': 0}],
    ['kube.bill', packed('kube.bill', 12), {'size': 12}],
    None,
    event(None), event(None, {}),
]
if '--json' in sys.argv:
    for row in rows:
        print(json.dumps(row))
else:
    for message in messages:
        sys.stdout.buffer.write(msgpack.packb(message))
