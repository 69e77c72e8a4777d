"""chains_reference.py - steps with time and state the slow and obvious way: each keeps all it has seen and computes every row anew.

Steps push events on (`event`) and then the watermark (`mark`), which is told behind every event of the source, whether it moved or
not: so what an event makes due is done behind it, step by step. The numbers in comments are sentences of the semantics.
"""
import math
from fractions import Fraction

INF = float('inf')


class Event:
    def __init__(self, row, time, key=()):
        self.row, self.time, self.key = row, time, key   # key: ((field, value), …)


class Step:
    def __init__(self):
        self.next, self.w = [], -INF

    def out(self, row, time, key):
        for step in self.next:
            step.event(Event(row, time, key))

    def event(self, e):
        self.out(e.row, e.time, e.key)

    def behind(self):
        """The watermark of the steps behind."""
        return self.w

    def due(self, w):
        """Does what is due at w."""

    def mark(self, w):
        w = max(w, self.w)
        self.due(w)      # 3: rows reach the steps behind before w does
        self.w = w
        for step in self.next:
            step.mark(self.behind())

    def end(self):
        self.mark(INF)


class Sink(Step):
    def __init__(self):
        super().__init__()
        self.rows = []

    def event(self, e):
        self.rows.append(e.row)


class Filter(Step):
    def __init__(self, test):
        super().__init__()
        self.test = test

    def event(self, e):
        if self.test(e.row):
            self.out(e.row, e.time, e.key)


class Map(Step):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def event(self, e):
        self.out(self.change(e.row), e.time, e.key)   # 10: the row inherits time and key


class KeyBy(Step):
    def __init__(self, fields):
        super().__init__()
        self.fields = fields

    def event(self, e):
        self.out(e.row, e.time, tuple((f, e.row[f]) for f in self.fields))


class EventTime(Step):
    def __init__(self, out_of_order):
        super().__init__()
        self.out_of_order = out_of_order

    def event(self, e):
        self.out(e.row, e.row['t'], e.key)
        super().mark(e.row['t'] - self.out_of_order - 1)   # 1: after every event


# Aggregates: over (time, arrival, row) -----------------------------------------------------------------------------

def root(square):
    """The square root of a fraction, rounded."""
    n, d = square.numerator, square.denominator
    shift = max(0, 160 - (n.bit_length() - d.bit_length()))
    shift += shift & 1
    return float(Fraction(math.isqrt((n << shift) // d), 1 << (shift // 2)))


def aggregate(kind, field, option, items):
    items = [x for x in sorted(items, key=lambda x: x[:2]) if not option.get('where') or option['where'](x[2])]
    if kind == 'count':
        return len(items)
    if kind == 'custom':
        return sum(x[2].get('i') or 0 for x in items)
    if kind == 'collect' and field is None:
        return [x[2] for x in items][-option['max']:]
    items = [x for x in items if x[2].get(field) is not None]   # all skip nil
    values = [x[2][field] for x in items]
    exact = [Fraction(v) for v in values] if kind in ('sum', 'avg', 'var', 'stddev') else []
    n = len(values)
    if kind == 'sum':
        return float(sum(exact))
    if kind in ('var', 'stddev'):
        square = (sum(x * x for x in exact) - sum(exact) ** 2 / n) / (n - 1) if n > 1 else None
        return square and (float(square) if kind == 'var' else root(square)) if n > 1 else None
    if kind == 'collect':
        return values[-option['max']:]
    if kind == 'distinct':
        return len(set(values))
    if kind == 'top':
        return sorted(values, reverse=True)[:option['n']]
    if n == 0:
        return None
    if kind == 'avg':
        return float(sum(exact) / n)
    if kind in ('argmin', 'argmax'):
        best = (min if kind == 'argmin' else max)(values)
        return items[values.index(best)][2].get(option['pick'])
    return {'min': min(values), 'max': max(values), 'first': values[0], 'last': values[-1]}[kind]


def results(aggregates, items):
    return {name: aggregate(*of, items) for name, of in aggregates.items()}


# Windows -----------------------------------------------------------------------------------------------------------

class Held:
    """What a window has of a key."""
    def __init__(self):
        self.items, self.since, self.final, self.revision, self.shown = [], [], False, 0, None


class Windows(Step):
    def __init__(self, size, slide, offset, lateness, mode, every, count, accumulate, aggregates, late):
        super().__init__()
        self.size, self.slide, self.offset, self.lateness, self.mode = size, slide, offset, lateness, mode
        self.every, self.count, self.accumulate, self.aggregates, self.late = every, count, accumulate, aggregates, late
        self.open, self.arrival = {}, 0    # (end, start) -> key -> Held, in order of arrival

    def behind(self):
        return self.w - self.lateness if self.mode == 'closed' else self.w

    def send(self, held, key, window, revision):
        row = dict(key, window_start=window[1], window_end=window[0])
        row.update(results(self.aggregates, held.items if self.accumulate else held.since))
        held.since = []
        if self.mode == 'retract':
            if held.shown:
                self.out(dict(held.shown, op='-'), window[0] - 1, key)
            held.shown, row = row, dict(row, op='+')
        elif revision:
            row['revision'] = revision
        self.out(row, window[0] - 1, key)

    def event(self, e):
        start = (e.time - self.offset) // self.slide * self.slide + self.offset
        windows = []
        while start + self.size > e.time:
            windows.append((start + self.size, start))
            start -= self.slide
        windows_open = [x for x in windows if x[0] - 1 + self.lateness > self.w]
        if windows and not windows_open:
            self.late.append(e.row)    # 2: all of its windows are over
            return
        self.arrival += 1
        for window in windows_open:
            keys = self.open.setdefault(window, {})
            over = any(held.final for held in keys.values())
            held = keys.setdefault(e.key, Held())
            held.items.append((e.time, self.arrival, e.row))
            held.since.append(held.items[-1])
            if self.mode == 'updates':
                self.send(held, e.key, window, 0)
            elif over and self.mode != 'closed':
                held.revision, held.final = held.revision + 1 if held.final else 0, True
                self.send(held, e.key, window, held.revision)
            elif self.count and len(held.items) % self.count == 0 and window[0] - 1 > self.w:
                self.send(held, e.key, window, 0)

    def waiting(self):
        return [w for w in sorted(self.open) if not all(held.final for held in self.open[w].values())]

    def final(self, w):
        more = self.lateness if self.mode == 'closed' else 0
        for window in self.waiting():
            if window[0] - 1 + more <= w and self.mode != 'updates':
                for key, held in self.open[window].items():
                    if not held.final:
                        held.final = True
                        self.send(held, key, window, 0)

    def due(self, w):
        now = self.w
        while self.every and now > -INF and w < INF and self.waiting():     # 6: each multiple that w passes
            tick = (now // self.every + 1) * self.every
            end = self.waiting()[0][0] - 1
            if min(tick, end) > w:
                break
            if end < tick:
                self.final(end)
                continue
            for window in self.waiting():
                for key, held in self.open[window].items():
                    if not held.final:
                        self.send(held, key, window, 0)
            now = tick
        self.final(w)
        self.open = {x: keys for x, keys in self.open.items() if x[0] - 1 + self.lateness > w}


class Sessions(Step):
    def __init__(self, gap, lateness, mode, aggregates, late):
        super().__init__()
        self.gap, self.lateness, self.mode, self.aggregates, self.late = gap, lateness, mode, aggregates, late
        self.open, self.arrival = [], 0

    def behind(self):
        return self.w - self.lateness if self.mode == 'closed' else self.w

    def take_back(self, s):
        for row in s['shown']:
            self.out(dict(row, op='-'), row['window_end'] - 1, s['key'])
        s['shown'] = []

    def send(self, s):
        row = dict(s['key'], window_start=s['start'], window_end=s['end'])
        row.update(results(self.aggregates, s['items']))
        if self.mode == 'retract':
            self.take_back(s)
            s['shown'], row = [row], dict(row, op='+')
        elif self.mode != 'updates' and s['sent']:
            row['revision'] = s['sent']
        s['sent'] += 1
        self.out(row, s['end'] - 1, s['key'])

    def event(self, e):
        near = sorted((s for s in self.open if s['key'] == e.key and s['start'] <= e.time + self.gap and e.time <= s['end']),
                      key=lambda s: s['start'])     # 5: gap exactly reached = merged
        start, end = min([e.time] + [s['start'] for s in near]), max([e.time + self.gap] + [s['end'] for s in near])
        if end - 1 + self.lateness <= self.w:
            self.late.append(e.row)
            return
        self.arrival += 1
        same = [s for s in near if s['end'] == end]
        new = dict(key=e.key, start=start, end=end, final=False, sent=max([s['sent'] for s in near] + [0]),
                   items=[x for s in near for x in s['items']] + [(e.time, self.arrival, e.row)],
                   shown=[row for s in near for row in s['shown']],
                   given=same[0]['given'] if len(near) == 1 and same and not same[0]['final'] else self.arrival)
        self.open = [s for s in self.open if s not in near] + [new]
        if self.mode == 'updates':
            self.send(new)
        elif self.mode == 'retract':
            self.take_back(new)

    def due(self, w):
        more = self.lateness if self.mode == 'closed' else 0
        for s in sorted((s for s in self.open if not s['final'] and s['end'] - 1 + more <= w), key=lambda s: (s['end'], s['given'])):
            s['final'] = True
            if self.mode != 'updates':
                self.send(s)
        self.open = [s for s in self.open if s['end'] - 1 + self.lateness > w]


class Sliding(Step):
    """11: (t - size, t], a row per event, in order of time, then of arrival."""
    def __init__(self, size, aggregates, late):
        super().__init__()
        self.size, self.aggregates, self.late = size, aggregates, late
        self.waits, self.past, self.arrival = [], {}, 0

    def event(self, e):
        if e.time <= self.w:
            self.late.append(e.row)
            return
        self.arrival += 1
        self.waits.append((e.time, self.arrival, e))

    def due(self, w):
        turns = sorted((x for x in self.waits if x[0] <= w), key=lambda x: x[:2])
        self.waits = [x for x in self.waits if x[0] > w]
        for t, arrival, e in turns:
            past = self.past.setdefault(e.key, [])
            past.append((t, arrival, e.row))
            row = dict(e.key, window_start=t - self.size + 1, window_end=t + 1)
            row.update(results(self.aggregates, [x for x in past if x[0] > t - self.size]))
            self.out(row, t, e.key)


class Over(Step):
    def __init__(self, aggregates):
        super().__init__()
        self.aggregates, self.past, self.arrival = aggregates, {}, 0

    def event(self, e):
        self.arrival += 1
        past = self.past.setdefault(e.key, [])
        past.append((e.time, self.arrival, e.row))
        row = dict(e.row)
        for name, (kind, field, option) in self.aggregates.items():
            low = max(e.time, self.w) - option['over'] if e.time <= self.w else e.time - option['over']
            row[name] = aggregate(kind, field, option, [x for x in past if low < x[0] <= e.time or x[1] == self.arrival])
        self.out(row, e.time, e.key)


class Running(Step):
    def __init__(self, aggregates):
        super().__init__()
        self.aggregates, self.past, self.arrival = aggregates, {}, 0

    def event(self, e):
        self.arrival += 1
        past = self.past.setdefault(e.key, [])
        past.append((e.time, self.arrival, e.row))
        self.out(dict(e.key, **results(self.aggregates, past)), e.time, e.key)


class Process(Step):
    """Counts events of a key; its timer t, set `wait` behind each event, sends the count, and so does every third event."""
    def __init__(self, wait):
        super().__init__()
        self.wait, self.count, self.timers, self.set = wait, {}, {}, 0

    def event(self, e):
        n = self.count[e.key] = self.count.get(e.key, 0) + 1
        if n % 3 == 0:
            self.out({'v': n, 'i': n}, e.time, e.key)
        at = e.time + self.wait
        self.set += 1
        if self.timers.get(e.key, (None,))[0] != at:
            self.timers[e.key] = (at, self.set)

    def due(self, w):
        for key, (at, _) in sorted(self.timers.items(), key=lambda x: x[1]):
            if at <= w:
                del self.timers[key]
                self.out({'v': self.count[key], 'i': at % 7}, at, key)


# Joins -------------------------------------------------------------------------------------------------------------

class Side(Step):
    def __init__(self, join, left):
        super().__init__()
        self.join, self.left = join, left

    def event(self, e):
        self.join.take(self.left, e)

    def due(self, w):
        self.w = w
        self.join.mark(min(self.join.left.w, self.join.right.w))


class Join(Step):
    """16, 17: of two sides that have one clock. on: the field of either side."""
    def __init__(self, on, before, after, kind, where, late):
        super().__init__()
        self.on, self.before, self.after, self.kind, self.where, self.late = on, before, after, kind, where, late
        self.left, self.right, self.kept, self.arrival = Side(self, True), Side(self, False), [], 0

    def behind(self):
        waits = [0]
        if self.kind in ('left', 'full'):
            waits.append(self.after)
        if self.kind in ('right', 'full'):
            waits.append(self.before)
        return self.w - max(waits)

    def take(self, left, e):
        if e.time <= self.w:
            self.late.append(e.row)
            return
        self.arrival += 1
        key = e.row[self.on[0 if left else 1]]
        me = dict(left=left, e=e, key=key, arrival=self.arrival, met=False)
        for other in self.kept:
            l, r = (me, other) if left else (other, me)
            if other['left'] != left and other['key'] == key and -self.before <= r['e'].time - l['e'].time <= self.after:
                if not self.where or self.where(l['e'].row, r['e'].row):
                    l['met'] = r['met'] = True
                    self.out(dict(l['e'].row, r=r['e'].row), max(l['e'].time, r['e'].time), ((self.on[0], key),))
        self.kept.append(me)

    def due(self, w):
        alone = []
        for x in self.kept:
            at = x['e'].time + (self.after if x['left'] else self.before)
            if not x['met'] and at <= w and self.kind in ('left' if x['left'] else 'right', 'full'):
                alone.append((at, x['arrival'], x))
        for _, _, x in sorted(alone, key=lambda y: y[:2]):
            x['met'] = True
            row = x['e'].row if x['left'] else {self.on[0]: x['key'], 'r': x['e'].row}
            self.out(row, x['e'].time, ((self.on[0], x['key']),))
