"""together_cases.py SEED CASES DIR EVENTS [join] - random pipelines in which the operators stand behind and beside each other in any order.

Writes for each case DIR/i/: chain.lua, noop.lua (the same with a map in front of each sink that changes nothing), in.ndjson,
in.msgpack (the same events). Nobody knows what comes out: it is for
comparing one way to run with another. Some chains are refused when they are loaded. join: each begins with a join of two pipelines.
"""
import json
import os
import random
import sys

import msgpack

FILTERS = [
    "return e.v and e.v > 5", "return type(e.v) == 'number' and e.v % 3 ~= 0", "return e.g ~= 'x'", "return e.o and e.o.a", "return e.b",
    "if e.i and e.i % 17 == 3 then error('boom') end return true", "return not e.b", "return tm.is_null(e, 'n') or e.v", "return e.l",
    "return e.s and tm.starts(e.s, 'a') or e.i", "return e.k == 1 or e.k == 'a' or e.k == nil", "return e.i == nil or e.i % 5 ~= 0"]
MAPS = [
    "e.x = e.v return e", "e.o = nil return e", "if e.o then e.o.a = e.i end return e", "return { k = e.k, v = e.v, ts = e.ts, i = e.i, g = e.g }",
    "if e.arr then e.arr[#e.arr + 1] = e.i end return e", "return e.v and e or nil", "e.n = tm.null return e", "e.v = tostring(e.v) return e",
    "e.v = (tonumber(e.v) or 0) * 1.5 return e", "e.t = tm.time(e) return e", "e.c = tm.copy(e) return e", "e.mk = tm.meta(e).key return e",
    "if e.i and e.i % 29 == 0 then e.v = 0/0 end return e", "e.big = e.big return e", "e.s = (e.s or '') .. 'é\"\\\\' return e",
    "if e.i and e.i % 13 == 1 then e.v = nil error 'x13' end return e", "e.g, e.k = e.k, e.g return e", "e.arr = tm.array {} return e"]
FLAT = [
    "emit(e) emit { i = e.i, v = e.v, g = e.g }", "for j = 1, (e.i or 1) % 4 do emit { j = j, i = e.i, v = j, k = e.k, g = e.g } end",
    "if e.arr then for _, x in ipairs(e.arr) do emit { x = x, v = e.v, g = e.g, k = e.k } end end",
    "emit { i = e.i } if e.i and e.i % 11 == 0 then error 'eleven' end emit { i = e.i, v = 2, g = e.g }"]
KEYS = [":key_by 'k'", ":key_by 'g'", ":key_by { 'g', 'b' }", ":key_by('k', { missing = 'drop' })", ":key_by('g', { missing = 'keep' })",
        ":key_by(function(e) return (e.i or 0) % 3 end, 'm3')", ":key_by {}"]
APPLY = ["emit { n = #rows, first = rows[1] and rows[1].i, v = rows[#rows] and rows[#rows].v }",
         "for i, r in ipairs(rows) do emit { i = r.i, g = r.g, at = i, window_end = w.window_end } end",
         "local t = 0 for i = 1, #rows do t = t + (tonumber(rows[i].v) or 0) end if t % 7 == 3 then error 'seven' end "
         "emit { total = t, last = rows[#rows] and tm.copy(rows[#rows]) }"]
PROCESS = [
    "state = { n = 0, last = 'any' }, on_event = function(e, s, ctx) s.n = s.n + 1 if s.n % 2 == 0 then e.nth = s.n e.last = s.last ctx.emit(e) end "
    "s.last = e.v end",
    "state = { n = 0 }, on_event = function(e, s, ctx) s.n = s.n + 1 ctx.timer('idle', ctx.time + 300) "
    "if e.i and e.i % 5 == 0 then ctx.timer('b', ctx.time - 50) end ctx.emit(e) end, "
    "on_timer = function(name, s, ctx) ctx.emit { key = ctx.key, what = name, n = s.n, t = ctx.time, w = ctx.watermark } "
    "if name == 'idle' then ctx.clear() end end",
    "state = { seen = tm.state.set { max = 5 }, l = tm.state.list { max = 3 }, m = tm.state.map { max = 4 } }, on_event = function(e, s, ctx) "
    "if e.g then s.seen:add(e.g) s.m:set(e.g, e.i) end if e.v ~= nil then s.l:push(e.v) end local all = {} "
    "for _, x in s.l:each() do all[#all + 1] = x end ctx.emit { g = e.g, i = e.i, v = s.seen:size(), all = all, m = e.g and s.m:get(e.g) } end",
    "state = { n = 0 }, on_event = function(e, s, ctx) s.n = s.n + 1 ctx.emit { n = s.n, g = e.g, i = e.i, v = e.v } if s.n % 7 == 0 then error 'p7' end end"]
STEPS = ['filter', 'filter', 'map', 'map', 'select', 'drop', 'rename', 'set', 'flat_map', 'key_by', 'key_by', 'running', 'dedup', 'top', 'suppress',
         'throttle', 'sample', 'process', 'process', 'window', 'window', 'window', 'over', 'over', 'schema', 'union', 'lookup', 'join', 'join',
         'window_join', 'to', 'link']


class Chain:
    def __init__(self, rng, joined=False):
        self.joined = joined
        self.rng, self.names, self.sinks, self.lines, self.table, self.other = rng, 0, 0, ["local tm = require 'tidemill'"], None, None

    def pick(self, *items):
        return self.rng.choice(items)

    def name(self, what):
        self.names += 1
        return '%s%d' % (what, self.names)

    def var(self, text):
        v = self.name('s')
        self.lines.append('local %s = %s' % (v, text))
        return v

    def agg(self, over):
        options = []
        if over == 'over':
            options.append("over = '%s'" % self.pick('1s', '300ms', '10s'))
        if self.rng.random() < 0.2:
            options.append('where = function(e) %s end' % self.pick('return e.b', "if e.i == 77 then error 'w77' end return true"))
        tail = ', { %s }' % ', '.join(options) if options else ''
        number, any_ = self.pick('v', 'v', 'i', 'x', 'big', 'n'), self.pick('v', 'g', 's', 'i', 'k')
        kinds = ['count(%s)' % tail[2:]] + ["%s('%s'%s)" % (k, number, tail) for k in ('sum', 'avg', 'min', 'max', 'stddev')]
        kinds += ["%s('%s'%s)" % (k, any_, tail) for k in ('first', 'last', 'distinct')] + ["quantile('%s', 0.5%s)" % (number, tail)]
        if not over:
            kinds += ["collect('%s', { max = 2 })" % any_, 'collect()', "argmax('v', 'i')", "argmin 'v'", "top(2, 'v')", "heavy_hitters('g', 2)",
                      'custom { init = 0, add = function(a, e) return a + (tonumber(e.v) or 1) end, merge = function(a, b) return a + b end }']
        return 'tm.agg.' + self.rng.choice(kinds)

    def aggs(self, over=None):
        names = self.rng.sample(['n', 'v', 'i', 'a1', 'a2'], self.rng.randint(1, 3))
        return '{ %s }' % ', '.join('%s = %s' % (n, self.agg(over)) for n in names)

    def bound(self):
        return self.pick('unbounded = true', 'unbounded = true', 'max_keys = 1000', 'max_keys = 3', "max_keys = 4, on_full = 'refuse'")

    def event_time(self):
        return ":event_time { field = 'ts', out_of_order = '%s' }" % self.pick('0s', '200ms', '1s', '3s')

    def window(self):
        window = self.pick("tumbling '1s'", "tumbling('300ms', { offset = '100ms' })", "hopping('1s', '500ms')", "hopping('1s', '2s')",
                           "session '100ms'", "session '2s'", "session(function(e) return 100 + (e.i or 0) % 3 * 200 end)", 'count(3)',
                           'count(5, { slide = 2 })', 'global()', "sliding '1s'")
        fixed = not window.startswith(('count', 'global', 'sliding'))
        text = ":window('%s', tm.window.%s%s)" % (self.name('w'), window, self.pick('', ", { lateness = '500ms' }", ", { lateness = '5s' }") if fixed else '')
        if window.startswith('sliding'):
            return text + ':aggregate ' + self.aggs('sliding')
        text += self.pick(':aggregate ' + self.aggs(), ':aggregate ' + self.aggs(), ':apply(function(key, w, rows, emit) %s end)' % self.pick(*APPLY),
                          ":reduce('red', function(a, b) return (b.i or 0) > (a.i or 0) and b or a end)")
        if self.rng.random() < 0.55:
            modes = ["'updates'", '{ early = { count = 2 } }']
            if not window.startswith('global'):
                modes += ["'retract'", "{ mode = 'final', accumulate = false }"]
            if fixed:
                modes += ["'closed'", "{ early = '200ms' }", "{ mode = 'final', early = '700ms', accumulate = false }"]
            text += ':emit ' + self.rng.choice(modes)
        return text

    def sink(self, tag='out'):
        self.sinks += 1
        kind = self.pick('ndjson', 'csv', 'msgpack') if tag == 'out' else 'ndjson'
        if kind == 'csv':
            return "tm.sink.file { path = '%s%d.csv', columns = { 'i', 'g', 'v', 'n', 'window_end', 'right', 'o' } }" % (tag, self.sinks)
        return "tm.sink.file '%s%d.%s'" % (tag, self.sinks, kind)

    def simple(self, kind):
        """A step with one stream in and one out."""
        named = lambda what, more: ":%s('%s', %s)" % (what, self.name(what[0]), more)
        if kind == 'filter':
            return ':filter(function(e) %s end)' % self.pick(*FILTERS)
        if kind == 'map':
            return ':map(function(e) %s end)' % self.pick(*MAPS)
        if kind == 'flat_map':
            return ':flat_map(function(e, emit) %s end)' % self.pick(*FLAT)
        if kind == 'select':
            fields = self.rng.sample(['i', 'ts', 'v', 'k', 'g', 's', 'o', 'arr', 'window_end', 'n', 'big', 'right'], 7)
            return ':select { %s }' % ', '.join("'%s'" % f for f in fields)
        if kind == 'drop':
            return ":drop { '%s', 'arr' }" % self.pick('s', 'o', 'n', 'v')
        if kind == 'rename':
            return ':rename { %s }' % self.pick("s = 'z'", "v = 'i', i = 'v'", "o = 'v'", "g = 'k'", "n = 'big'")
        if kind == 'set':
            return ':set { %s }' % self.pick("x = function(e) return e.v end, y = 'lit'", 'n = function(e) return nil end',
                                             'o = function(e) return { a = e.v, b = { e.s } } end')
        if kind == 'key_by':
            return self.pick(*KEYS)
        if kind == 'schema':
            return ':schema { %s }' % self.pick("big = 'int64'", "v = 'decimal(2)'", "v = 'number', s = 'string'", "i = 'integer'", "ts = 'time_ms'")
        if kind == 'running':
            return named(kind, '%s, { %s%s }' % (self.aggs(), self.bound(), self.pick('', '', ", emit = 'final'")))
        if kind == 'dedup':
            return named(kind, '{ %s%s%s }' % (self.pick("on = 'g', ", "on = { 'g', 'b' }, ", ''), self.bound(),
                                               self.pick('', ", within = '500ms'", ", keep = 'last'")))
        if kind == 'top':
            return named(kind, "2, '%s', { %s%s }" % (self.pick('v', 'i', 's'), self.bound(), self.pick('', ", emit = 'final'")))
        if kind == 'suppress':
            return named(kind, "{ by = '%s', within = '300ms', %s }" % (self.pick('g', 'k'), self.bound()))
        if kind == 'throttle':
            return named(kind, "{ by = '%s', rate = '3/s', %s }" % (self.pick('g', 'k'), self.bound()))
        if kind == 'sample':
            return ':sample ' + self.pick('{ every = 3 }', "{ rate = 0.5, on = 'g' }", '(0.7)')
        if kind == 'process':
            return named(kind, '{ %s, %s }' % (self.pick(self.bound(), "ttl = '3s', on_expire = function(s, ctx) ctx.emit { gone = ctx.key } end"),
                                               self.pick(*PROCESS)))
        if kind == 'over':
            return named(kind, self.aggs('over') + self.pick('', ', { max = 3 }', ', { max_keys = 3 }'))
        if kind == 'lookup' and self.table:
            return ":lookup(%s, { on = 'g'%s })" % (self.table, self.pick('', ", missing = 'drop'", ", as = 'o'"))
        return self.window()

    def step(self, v, kind=None):
        """What comes behind stream v."""
        kind = kind or self.rng.choice(STEPS)
        some = lambda: self.var(v + self.simple('filter'))
        if kind == 'union':
            return self.var('tm.union(%s, %s)%s' % (some(), self.var(v + self.simple('map')), self.event_time()))
        if kind in ('join', 'window_join'):
            options = ['on = ' + self.pick("'g'", "'k'", "{ g = 'k' }"), "kind = '%s'" % self.pick('inner', 'left', 'right', 'full')]
            if self.rng.random() < 0.3:
                options.append("where = function(l, r) if l.v == 20 then error 'v20' end return type(l.v) == type(r.v) end")
            if kind == 'join':
                options.append(self.pick("within = { before = '200ms', after = '500ms' }", "within = { after = '1s' }", 'unbounded = true, max = 3'))
            window = '' if kind == 'join' else "tm.window.%s, " % self.pick("tumbling '1s'", "hopping('1s', '500ms')", "session '300ms'",
                                                                               "session(function(e) return 100 + (e.i or 0) % 3 * 200 end)")
            right = self.other if self.other and (self.joined or self.rng.random() < 0.5) else some()
            return self.var("%s:%s('%s', %s, %s{ %s })" % (v, kind, self.name('j'), right, window, ', '.join(options)))
        if kind == 'to':
            return self.var('%s:to(%s)' % (v, self.sink()))
        if kind == 'link':
            return self.var("tm.pipeline '%s':from(%s)%s" % (self.name('l'), v, self.event_time()))
        return self.var(v + self.simple(kind))

    def pipeline(self, name, steps):
        v = self.var("tm.pipeline '%s'%s:on_error(%s):late_to(%s)" % (name, self.event_time(), self.sink('dead'), self.sink('late')))
        for i in range(steps):
            v = self.step(v, self.pick('join', 'window_join') if self.joined and name == 'p' and i == 0 else None)
        return v

    def script(self):
        ends = []
        if self.rng.random() < 0.35:
            self.table = self.var(
                "tm.table('tab', { key = 'g', from = tm.pipeline 'rows':filter(function(e) return e.l == nil end), %s%s%s })" % (
                    self.pick('unbounded = true', 'max_keys = 3'), self.pick('', ', delete = function(r) return r.b end'),
                    self.pick('', '', ", time = 'ts', versioned = '1s'")))
            ends.append(self.var(self.table + ':changes()'))
        if self.joined or self.rng.random() < 0.35:
            self.other = self.pipeline('other', self.rng.randint(0, 2))
            ends.append(self.other)
        v = self.pipeline('p', self.rng.randint(2, 6))
        if self.table:
            v = self.var(v + ":lookup(%s, { on = 'g' })" % self.table)
        ends.append(v)
        same = ':map(function(e) return e end)'
        noop = [line.replace(':to(', same + ':to(') for line in self.lines]
        return ('\n'.join(self.lines + ['return { %s }\n' % ', '.join(ends)]),
                '\n'.join(noop + ['return { %s }\n' % ', '.join(e if self.ends_in_sink(e) else e + same for e in ends)]))

    def ends_in_sink(self, v):
        return any(line.startswith('local %s = ' % v) and ':to(' in line for line in self.lines)


def events(rng, n):
    t, gap, disorder, out = rng.choice([0, 1700000000000]), rng.choice([5, 50, 300]), rng.choice([0, 200, 3000]), []
    for i in range(n):
        t += rng.choice([0, rng.randint(0, gap), rng.randint(0, gap)]) + (20 * gap if rng.random() < 0.01 else 0)
        e = {'i': i, 'ts': t - (rng.randint(0, disorder) if rng.random() < 0.3 else 0)}
        if rng.random() < 0.02:
            e['ts'] = 'never'
        for field, share, values in (
                ('k', 0.95, [1, 2, 3, 'a', '1', 'b', None, 2.5]), ('g', 0.95, ['a', 'b', 'x', 'é', 'q"\\', 'lång\n']),
                ('v', 0.9, [rng.randint(0, 50), rng.randint(-5, 5), rng.randint(0, 5000) + 0.25]),
                ('s', 0.4, ['abc', 'a"b', 'back\\slash', 'ünï😀', '', 'tab\t', 'z' * 60]),
                ('o', 0.3, [{'a': i}, {'a': None, 'deep': {'x': [1, {'y': 'é'}]}}, {}, 5]), ('arr', 0.2, [[], [1, 2], ['a', {'b': 2}], [[1], None]]),
                ('big', 0.2, [2**63 - 1, 2**53 + 1, -2**63, 7]), ('b', 0.3, [True, False]), ('n', 0.1, [None]), ('l', 0.5, [1])):
            if rng.random() < share:
                e[field] = rng.choice(values)
        if rng.random() < 0.06:
            e['v'] = rng.choice(['str', None, True, {'q': 1}, [1, 2], 2**53 + 1])
        out += [e] * (2 if rng.random() < 0.05 else 1)
    return out


def main():
    seed, cases, folder, n = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    for i in range(cases):
        rng = random.Random(seed * 1000 + i)
        case = os.path.join(folder, str(i))
        os.makedirs(case)
        rows = events(rng, n)
        plain, noop = Chain(rng, 'join' in sys.argv[5:]).script()
        for name, text in (('chain.lua', plain), ('noop.lua', noop),
                           ('in.ndjson', ''.join(json.dumps(e, ensure_ascii=False, separators=(',', ':')) + '\n' for e in rows))):
            with open(os.path.join(case, name), 'w') as f:
                f.write(text)
        with open(os.path.join(case, 'in.msgpack'), 'wb') as f:
            f.write(b''.join(msgpack.packb(e) for e in rows))


main()
