"""chains_random.py - random chains of steps with time and state, run by the program and by chains_reference.py.

  python3 chains_random.py TIDEMILL FOLDER FIRST LAST [OPTION…]      seeds; options for `tidemill run`

Pipelines of ten seeds are one script. Prints what differs and ends with the number of chains; exit 1 where one differed. Rows are
compared as they come, with all late events: field by field, numbers exactly.
"""
import json
import os
import random
import subprocess
import sys

from chains_reference import (EventTime, Filter, Join, KeyBy, Map, Over, Process, Running, Sessions, Sink, Sliding, Windows)

KEYS = ['a', 'b', 'c', 7, '7', 'a longer key, which is no short one', 1.5, 'd', 'e', 'f', 'g', 'h']
TESTS = [('e.v and e.v > 0', lambda r: r.get('v') is not None and r['v'] > 0), ('(e.i or 0) % 2 == 0', lambda r: (r.get('i') or 0) % 2 == 0)]
MOVING = ['count', 'sum', 'avg', 'var', 'stddev', 'min', 'max', 'first', 'last', 'distinct']
ALL = MOVING + ['argmin', 'argmax', 'collect', 'collect_events', 'top', 'custom']
CUSTOM = 'init = function() return 0 end, add = function(n, e) return n + (e.i or 0) end, merge = function(n, m) return n + m end'


def ms(n):
    return "'%dms'" % n


class Case:
    def __init__(self, seed):
        self.seed, self.pick, self.late, self.depth, self.joined = seed, random.Random(seed), [], 0, False
        self.sink = Sink()

    def name(self, field):
        return field if not self.depth else '%s%d' % (field, self.depth)

    def aggregates(self, kinds, prefix='', over=None):
        """Declared in Lua, and as the reference takes them; the first is 'v', a number that steps behind look at."""
        R, made, lua = self.pick, {}, []
        for j in range(R.randint(1, 4)):
            kind = R.choice(kinds if j else MOVING)
            name, option, more = prefix + ('v' if j == 0 else 'a%d' % j), {}, []
            if over:
                option['over'] = R.choice(over)
                more.append('over = ' + ms(option['over']))
            if R.random() < .25:
                text, option['where'] = R.choice(TESTS)
                more.append('where = function(e) return %s end' % text)
            args = ["'v'"]
            if kind in ('count', 'collect_events', 'custom'):
                args = []
            if kind in ('argmin', 'argmax'):
                option['pick'] = 'i'
                args.append("'i'")
            elif kind == 'top':
                option['n'] = R.randint(1, 3)
                args.insert(0, str(option['n']))
            elif kind.startswith('collect'):
                option['max'] = R.choice([3, 1000])
                more.append('max = %d' % option['max'])
            elif kind == 'custom':
                more.append(CUSTOM)
            kind, field = kind.split('_')[0], 'v' if args else None
            if more:
                args.append('{ %s }' % ', '.join(more))
            lua.append('%s = tm.agg.%s(%s)' % (name, kind, ', '.join(args)))
            made[name] = (kind, field, option)
        return made, '{ %s }' % ', '.join(lua)

    def windows(self):
        R = self.pick
        size = R.choice([4, 10, 20, 50, 100])
        slide = R.choice([size, size, 2, size // 2, size + 2])
        offset, lateness = 2 * (R.randint(-slide + 2, slide - 2) // 2), R.choice([0, 0, 5, 30, 200])
        mode, every, count, accumulate = R.choice(['final', 'final', 'closed', 'updates', 'retract']), None, None, True
        emit = "'%s'" % mode
        if mode == 'final' and R.random() < .6:
            every, count = R.choice([(4, None), (26, None), (None, 1), (None, 3), (None, None)])
            accumulate = R.random() < .6
            early = ', early = ' + ms(every) if every else ', early = { count = %d }' % count if count else ''
            emit = "{ mode = 'final'%s, accumulate = %s }" % (early, str(accumulate).lower())
        made, lua = self.aggregates(ALL)
        kind = 'hopping(%s, %s, { offset = %s })' % (ms(size), ms(slide), ms(offset))
        if slide == size:
            kind = 'tumbling(%s, { offset = %s })' % (ms(size), ms(offset))
        return (Windows(size, slide, offset, lateness, mode, every, count, accumulate, made, self.late),
                ":window('w%d', tm.window.%s, { lateness = %s }):aggregate %s:emit(%s)" % (self.depth, kind, ms(lateness), lua, emit))

    def sessions(self):
        R = self.pick
        gap, lateness, mode = R.choice([3, 10, 25]), R.choice([0, 0, 5, 30, 200]), R.choice(['final', 'final', 'closed', 'updates', 'retract'])
        made, lua = self.aggregates(ALL)
        return (Sessions(gap, lateness, mode, made, self.late),
                ":window('w%d', tm.window.session %s, { lateness = %s }):aggregate %s:emit '%s'" % (self.depth, ms(gap), ms(lateness), lua, mode))

    def sliding(self):
        size = self.pick.choice([1, 5, 20, 100])
        made, lua = self.aggregates(MOVING)
        return Sliding(size, made, self.late), ":window('w%d', tm.window.sliding %s):aggregate %s" % (self.depth, ms(size), lua)

    def over(self):
        made, lua = self.aggregates(MOVING, 'o%d_' % self.depth, [1, 5, 20, 100])
        return Over(made), ":over('o%d', %s)" % (self.depth, lua)

    def running(self):
        made, lua = self.aggregates(ALL)
        return Running(made), ":running('r%d', %s, { unbounded = true })" % (self.depth, lua)

    def process(self):
        wait = self.pick.choice([0, 5, 20, 50])
        return Process(wait), """:process('p%d', { state = { n = 0 }, unbounded = true, on_event = function(e, s, ctx)
      s.n = s.n + 1 ctx.timer('t', ctx.time + %d) if s.n %% 3 == 0 then ctx.emit { v = s.n, i = s.n } end end,
      on_timer = function(name, s, ctx) ctx.emit { v = s.n, i = ctx.time %% 7 } end })""" % (self.depth, wait)

    def filter(self):
        return Filter(lambda r: (r.get('v') or 0) > -2), ':filter(function(e) return (e.v or 0) > -2 end)'

    def events(self):
        R, rows, low = self.pick, [], self.pick.choice([0, -300, 1600000000000, -62135596800000, 9000000000000])
        t, disorder, step, keys = low, R.choice([0, 0, 3, 10, 40]), R.choice([0, 1, 3, 10]), R.choice([1, 2, 4, 12])
        values = R.choice([range(-5, 10), [.1, .2, .3, 1.5, -2.25, 7, 1e-3, 12345.678], [1e7, -1e7, 1, .1, 1e-9, 3, 123456789.123]])
        for i in range(R.choice([5, 30, 80, 150])):
            t += R.choice([0, 0, 1, step, step * 2]) if R.random() > .03 else R.choice([100, 500, 3000])
            row = dict(t=t - R.choice([0, R.randint(0, disorder)]), k=R.choice(KEYS[:keys]), g=R.randint(0, 1), i=i, side=R.choice('lrb'))
            if R.random() < .95:
                row['v'] = R.choice(values) if R.random() < .95 else None
            rows += [row] * (2 if R.random() < .03 else 1)
        return rows

    def join(self, head):
        R = self.pick
        before, after = R.choice([0, 5, 20, -2, 100]), R.choice([0, 5, 20, 50, -1])
        if before + after < 0:
            before = -after
        kind, where, on = R.choice(['inner', 'left', 'right', 'full']), R.random() < .3, R.choice([('k', 'k'), ('k', 'other')])
        join = Join(on, before, after, kind, (lambda l, r: (l.get('v') or 0) >= (r.get('v') or 0)) if where else None, self.late)
        left, right = Filter(lambda r: r['side'] != 'r'), Filter(lambda r: r['side'] != 'l')
        rename = Map(lambda r: {on[1] if f == 'k' else f: v for f, v in r.items()})
        head.next += [left, right]
        left.next, right.next, rename.next = [join.left], [rename], [join.right]
        flat = Map(lambda r: dict(k=r['k'], v=(r.get('v') or 0) + ((r.get('r') or {}).get('v') or 0), i=r.get('i', -1)))
        join.next = [flat]
        return flat, """:filter(function(e) return e.side ~= 'r' end):join('j', s:filter(function(e) return e.side ~= 'l' end)%s, { on = { k = '%s' }, as = 'r', kind = '%s',
      within = { before = %s, after = %s }%s })
    :map(function(e) return { k = e.k, v = (e.v or 0) + (e.r and e.r.v or 0), i = e.i or -1 } end)""" % (
            ":rename { k = 'other' }" if on[1] == 'other' else '', on[1], kind, ms(before), ms(after),
            ', where = function(l, r) return (l.v or 0) >= (r.v or 0) end' if where else '')

    def make(self, folder):
        """Text of the pipeline; self.head takes the events."""
        R = self.pick
        self.rows, self.folder = self.events(), '%s/%d' % (folder, self.seed)
        os.makedirs(self.folder)
        with open(self.folder + '/in.ndjson', 'w') as f:
            f.writelines(json.dumps(r) + '\n' for r in self.rows)
        out_of_order = R.choice([0, 0, 3, 10, 50])
        self.head = last = EventTime(out_of_order)
        text = ''
        if R.random() < .3:
            last, text = self.join(last)
        else:
            keys = R.choice([[], ['k'], ['k'], ['k', 'g']])
            if keys:
                last.next, text = [KeyBy(keys)], ':key_by { %s }' % ', '.join("'%s'" % k for k in keys)
                last = last.next[0]
        for self.depth in range(1, R.randint(2, 4)):
            if text and R.random() < .05:
                last.next, text = [KeyBy([])], text + ':key_by {}'
                last = last.next[0]
            step, more = getattr(self, R.choice(['windows'] * 4 + ['sessions'] * 3 + ['sliding', 'sliding', 'over', 'running', 'process',
                                                                                    'process', 'filter']))()
            last.next, text = [step], text + '\n    ' + more
            last = step
        last.next = [self.sink]
        return """do
  local s = tm.pipeline 'p%d':from(tm.source.file '%s/in.ndjson'):event_time { field = 't', out_of_order = %s }
  all[#all + 1] = s%s
    :late_to(tm.sink.file '%s/late'):on_error(tm.sink.file '%s/failed'):to(tm.sink.file '%s/out')
end
""" % (self.seed, self.folder, ms(out_of_order), text, self.folder, self.folder, self.folder)

    def read(self, name):
        try:
            with open(self.folder + '/' + name) as f:
                return [json.loads(line) for line in f]
        except FileNotFoundError:
            return []

    def differs(self):
        for row in self.rows:
            self.head.event(type('Read', (), {'row': row, 'key': ()}))
        self.head.mark(float('inf'))
        if self.read('failed'):
            return 'failed: %s' % json.dumps(self.read('failed')[0])
        for what, got, want in ('rows', self.read('out'), self.sink.rows), ('late', self.read('late'), self.late):
            got, want = [plain(r) for r in got], [plain(r) for r in want]
            if got != want:
                at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
                return '%s: %d of %d, at %d\n  got  %s\n  want %s' % (what, len(got), len(want), at, got[at:at + 1], want[at:at + 1])
        return None


def plain(v):
    """Numbers as doubles; null and absent are the same."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items() if x is not None}
    if isinstance(v, list):
        return [plain(x) for x in v]
    return float(v) if isinstance(v, (int, float)) else v


def main():
    program, folder, first, last, options = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]
    wrong = 0
    for seed in range(first, last + 1, 10):
        cases = [Case(s) for s in range(seed, min(seed + 10, last + 1))]
        texts = [c.make(folder) for c in cases]
        script = '%s/%d.lua' % (folder, seed)
        with open(script, 'w') as f:
            f.write("local tm, all = require 'tidemill', {}\n" + ''.join(texts) + 'return all\n')
        run = subprocess.run([program, 'run', '--quiet', script] + options, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if run.returncode or 'error' in run.stderr:
            wrong += 1
            print('%s: exit %d\n%s' % (script, run.returncode, run.stderr[:2000]))
            continue
        for case, text in zip(cases, texts):
            difference = case.differs()
            if difference:
                wrong += 1
                print('seed %d\n%s%s' % (case.seed, text, difference))
    print('%d chains, %d wrong' % (last - first + 1, wrong))
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
