"""one_reference.py SEED DIR - pipelines that share a table and read one source, event by event, the slow and obvious way.

Writes into DIR: in.ndjson, in.msgpack, in.csv, part0.ndjson … part2.ndjson (the same events, dealt out), script.lua, turns.lua (with event
time), and what must come out: want/, csv/ (of in.csv), parts/ (of the three files, which take turns), each with changes, all and
found. Each event goes to the table first, then to those who look it up.
"""
import csv
import json
import os
import random
import sys

import msgpack

SCRIPT = """local tm = require 'tidemill'
local t = tm.table('t', { key = 'g', from = tm.pipeline 'rows':filter(function(e) return tonumber(e.w) == 1 end)%s, unbounded = true,
  delete = function(row) return tonumber(row.d) == 1 end })
return { t:changes():to(tm.sink.file 'changes'),
  tm.pipeline 'all'%s:filter(function(e) return tonumber(e.r) == 1 end):lookup(t, { on = 'g' }):to(tm.sink.file 'all'),
  tm.pipeline 'found'%s:lookup(t, { on = 'g', missing = 'drop', as = 'row' }):select { 'i', 'row' }:to(tm.sink.file 'found') }
"""
TIME = ":event_time { field = 'ts', out_of_order = '1s' }"


def expected(events):
    table, rows = {}, {'changes': [], 'all': [], 'found': []}
    for e in events:
        g = e['g']
        if int(e['w']) == 1:
            before = table.pop(g, None)
            if int(e['d']) == 1:
                if before:
                    rows['changes'].append({'before': before, 'g': g, 'op': 'd'})
            else:
                table[g] = e
                if before != e:
                    rows['changes'].append({'after': e, 'before': before, 'g': g, 'op': 'u'} if before else {'after': e, 'g': g, 'op': 'c'})
        if int(e['r']) == 1:
            rows['all'].append(dict(e, t=table[g]) if g in table else e)
        if g in table:
            rows['found'].append({'i': e['i'], 'row': table[g]})
    return rows


def turns(parts):
    """The file whose next event is oldest, the first of them by name."""
    parts, out = [list(p) for p in parts], []
    while any(parts):
        first = min((p for p in parts if p), key=lambda p: p[0]['ts'])
        out.append(first.pop(0))
    return out


def text(rows):
    return ''.join(json.dumps(r, separators=(',', ':')) + '\n' for r in rows)


def main():
    rng, folder, t, events = random.Random(int(sys.argv[1])), sys.argv[2], 1000000, []

    def put(name, content):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())

    keys = rng.choice([2, 10, 200])
    for i in range(rng.choice([40, 1500, 3000])):
        t += rng.randint(0, 40)
        late = rng.randint(0, 300) if rng.random() < 0.3 else 0
        events.append({'i': i, 'ts': t - late, 'g': 'g%d' % rng.randint(0, keys), 'w': rng.randint(0, 1), 'r': rng.randint(0, 1),
                       'd': int(rng.random() < 0.1), 'p': 'x' * rng.choice([0, 3, 50])})
    parts = [[], [], []]
    for e in events:
        rng.choice(parts).append(e)
    put('in.ndjson', text(events))
    put('in.msgpack', b''.join(msgpack.packb(e) for e in events))
    with open(os.path.join(folder, 'in.csv'), 'w') as f:
        table = csv.writer(f, lineterminator='\n')
        table.writerow(events[0])
        table.writerows(e.values() for e in events)
    for i, part in enumerate(parts):
        put('part%d.ndjson' % i, text(part))
    put('script.lua', SCRIPT % ('', '', ''))
    put('turns.lua', SCRIPT % (TIME, TIME, TIME))
    for name, list_ in (('want', events), ('csv', [{k: str(v) for k, v in e.items()} for e in events]), ('parts', turns(parts))):
        for sink, rows in expected(list_).items():
            put('%s/%s' % (name, sink), text(rows))


main()
