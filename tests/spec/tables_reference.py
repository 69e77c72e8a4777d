"""tables_reference.py - random tables and lookups, the slow and obvious way: all rows there ever were, searched from the first.

    python3 tables_reference.py SEED CASES FOLDER [EVENTS]

Writes FOLDER/N/in.ndjson, script.lua and what must come out: want-rows, want-changes, and want-counts, two numbers of the summary.
Rows and questions come in one stream, so what a question finds is decided by what came before it. Nothing here is shared with the
program: the rules are those of semantics.md, 17 and 18, and of `help tm.table`.
"""
import json
import os
import random
import sys


def text(value):
    return json.dumps(value, separators=(',', ':'), ensure_ascii=False)


KEYS = ['a', 'b', 'ccc', 'ä', 'x' * 200, 1, 2, -7, 2.5, True, False, '1', '', 9007199254740993, 'q"\\\n']


def key_kind(v):
    return 'b' if isinstance(v, bool) else 's' if isinstance(v, str) else 'n'


def canonical(v):
    """Types differ, equal numbers are equal."""
    return (key_kind(v), v)


class Table:
    """Of each key all rows that were ever put, as (time, row text or None for 'there is none from then on')."""
    def __init__(self, o):
        self.o, self.rows, self.kinds = o, {}, {}

    def holds(self, key, t):
        """The text of the row that holds at t, or None."""
        best = None
        for time, row in self.rows.get(key, []):
            if not self.o['timed'] or time <= t:
                if best is None or not self.o['timed'] or time >= best[0]:
                    best = (time, row)
        return best and best[1]

    def put(self, key, t, row):
        """What the change is: (op, before, after) or None."""
        before = self.holds(key, t)
        if row is None and not self.o['timed'] and before is None:
            return None
        for i, part in enumerate(key):
            self.kinds.setdefault(i, set()).add(part[0])
        rows = self.rows.setdefault(key, [])
        if self.o['timed']:
            rows[:] = [r for r in rows if r[0] != t]
        rows.append((t, row))
        if row is None:
            return ('d', before, None) if before is not None else None
        if before is None:
            return 'c', None, row
        return None if before == row and not self.o['timed'] else ('u', before, row)


def make(rng, n):
    o = {'timed': rng.random() < 0.7, 'composite': rng.random() < 0.3, 'delete': rng.random() < 0.6, 'drop': rng.random() < 0.3,
         'read': rng.choice([None, 'set', 'filter', 'map', 'select', 'branch', 'flat', 'rename', 'again', 'write']),
         'versioned': rng.choice([None, 50, 400]), 'jitter': rng.choice([0, 30])}
    if not o['timed']:
        o['versioned'] = None
    keys = rng.sample(KEYS, rng.randint(1, len(KEYS)))
    clock, events = 1000, []
    for i in range(n):
        clock += rng.choice([0, 1, 5, 20])
        e = {'n': i, 'ts': clock - rng.randint(0, o['jitter'])}
        e['kind'] = 'row' if rng.random() < 0.4 else 'ask'
        if rng.random() < 0.95:
            e['k'] = rng.choice(keys)
        elif rng.random() < 0.5:
            e['k'] = None
        if o['composite'] and rng.random() < 0.95:
            e['j'] = rng.choice([1, 2, 'z'])
        if e['kind'] == 'row':
            back = min(o['versioned'] or 400, 400)
            e['since'] = e['ts'] - rng.randint(0, max(back - o['jitter'], 0)) if rng.random() < 0.6 else e['ts']
            e['v'] = rng.choice([1, 2.50, 'text', 'with "quotes" and \\', None, [1, {'a': 2}], {'deep': {'er': True}}, 1e300, 'é'])
            if o['delete'] and rng.random() < 0.2:
                e['gone'] = True
        elif rng.random() < 0.2:
            e['p'] = 'its own'
        if e['kind'] == 'ask' and rng.random() < 0.1:
            e['ts'] -= rng.randint(0, 600)   # late, perhaps later than versions are kept
        events.append(e)
    return o, events


def read(row, name):
    return json.loads(row).get(name) if row is not None else None


def run(o, events):
    table, rows, changes, missed, mistyped = Table(o), [], [], 0, 0
    highest = -float('inf')
    names = ['k', 'j'] if o['composite'] else ['k']
    for e in events:
        w = highest - o['jitter'] - 1
        highest = max(highest, e['ts'])
        parts = [e.get(name) for name in names]
        key = None if any(v is None for v in parts) else tuple(map(canonical, parts))
        if e['kind'] == 'row':
            if key is None:
                continue   # a dead letter
            change = table.put(key, e['since'], None if e.get('gone') and o['delete'] else e['text'])
            if change:
                op, before, after = change
                members = {'k': text(e['k']), 'op': text(op)}
                if o['composite']:
                    members['j'] = text(e['j'])
                if before is not None:
                    members['before'] = before
                if after is not None:
                    members['after'] = after
                changes.append('{' + ','.join('"%s":%s' % m for m in sorted(members.items())) + '}')
            continue
        found = None
        if key is not None:
            found = table.holds(key, e['ts'])
            if o['versioned'] is not None and e['ts'] < w - o['versioned']:
                found = None
        if found is None:
            missed += 1
            foreign = False
            if key is not None:
                for i, part in enumerate(key):
                    foreign = foreign or part[0] not in table.kinds.get(i, part[0])
            mistyped += foreign
            if o['drop']:
                continue
        members = {k: text(v) for k, v in e.items() if k not in ('text', 'p') or k == 'p' and found is not None}
        if found is not None:
            members['p'] = found
        rows += out(o, e, members, found)
    return rows, changes, missed, mistyped


def line(members):
    return '{' + ','.join('%s:%s' % (json.dumps(k), v) for k, v in members.items()) + '}'


def out(o, e, members, found):
    """What the step behind the lookup makes of it."""
    v, how = read(found, 'v'), o['read']
    if how == 'set':
        if v is not None:
            members['got'] = text(v).replace('e+', 'e')   # 1e+300 as the program writes numbers
        return [line(members)]
    if how == 'filter':
        return [line(members)] if isinstance(v, (int, float)) and not isinstance(v, bool) else []
    if how == 'map':
        made = {'n': members['n']}
        if found is not None:
            made['p'] = found
        return [line(made)]
    if how in ('select', 'again'):
        return [line({k: members[k] for k in ('p', 'n') if k in members})]
    if how == 'rename':
        if 'p' in members:
            value = members.pop('p')
            members['q'] = value
        return [line(members)]
    if how == 'flat':
        return [line(members), line({'n': members['n']})]
    if how == 'branch':
        changed = dict(members)
        changed['p'] = '"taken"'
        return [line(changed), line(members)]
    if how == 'write':
        if found is not None:
            row = json.loads(found)
            row['v'] = 0
            body = found
            # the value of v alone is another one; it is the last member but `gone`
            at = body.index('"v":') + 4
            rest = ',"gone":true}' if row.get('gone') else '}'
            members['p'] = body[:at] + '0' + rest
        return [line(members)]
    return [line(members)]


BEHIND = {
    None: '', 'set': ":set { got = function(e) return e.p and e.p.v end }",
    'filter': ":filter(function(e) return e.p ~= nil and type(e.p.v) == 'number' end)",
    'map': ':map(function(e) return { n = e.n, p = e.p } end)', 'select': ":select { 'p', 'n' }",
    'rename': ":rename { p = 'q' }",
    'flat': ':flat_map(function(e, emit) emit(e) emit { n = e.n } end)',
    'again': ":select { 'p', 'n' }:filter(function(e) return e.n >= 0 end)",
    'write': ":map(function(e) if e.p then e.p.v = 0 end return e end)",
}


def lua(o):
    key = "{ 'k', 'j' }" if o['composite'] else "'k'"
    options = ['key = ' + key, "from = s:filter(function(e) return e.kind == 'row' end)", 'unbounded = true']
    if o['timed']:
        options.append("time = 'since'")
    if o['versioned'] is not None:
        options.append("versioned = '%dms'" % o['versioned'])
    if o['delete']:
        options.append('delete = function(row) return row.gone end')
    look = "asks:lookup(t, { on = %s, as = 'p'%s })" % (key, ", missing = 'drop'" if o['drop'] else '')
    if o['read'] == 'branch':
        ends = ("local l = %s\nlocal b = l:branch { one = function(e) return true end, two = function(e) return true end }\n"
                "local rows = tm.pipeline 'rows':from(tm.union(b.one:map(function(e) e.p = 'taken' return e end), b.two))" % look)
    else:
        ends = 'local rows = ' + look + BEHIND[o['read']]
    return '''local tm = require 'tidemill'
local s = tm.pipeline 'all':event_time { field = 'ts', out_of_order = '%dms' }
local t = tm.table('t', { %s })
local asks = s:filter(function(e) return e.kind == 'ask' end)
%s
return { rows, t:changes():to(tm.sink.file(tm.setting('changes', '/dev/null'))) }
''' % (o['jitter'], ', '.join(options), ends)


def main():
    seed, cases, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    n = int(sys.argv[4]) if len(sys.argv) > 4 else 300
    for i in range(cases):
        rng = random.Random('%d/%d' % (seed, i))
        o, events = make(rng, n)
        for e in events:
            e['text'] = text(e)
        rows, changes, missed, mistyped = run(o, events)
        path = os.path.join(folder, str(i))
        os.mkdir(path)
        for name, content in (('in.ndjson', [e['text'] for e in events]), ('want-rows', rows), ('want-changes', changes)):
            with open(os.path.join(path, name), 'w', encoding='utf-8') as f:
                f.writelines(item + '\n' for item in content)
        with open(os.path.join(path, 'want-counts'), 'w') as f:
            f.write('%d %d\n' % (missed, mistyped))
        with open(os.path.join(path, 'script.lua'), 'w') as f:
            f.write(lua(o))


main()
