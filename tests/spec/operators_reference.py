"""operators_reference.py - random chains of event_time, dedup, top, running, sample, throttle, suppress over random events, the slow and obvious way.

    python3 operators_reference.py SEED CASES FOLDER [EVENTS [last]]       last: of dedup mostly, which keeps the last within a time

Writes FOLDER/N/in.ndjson, chain.lua and, of each of its sinks, what must come out: want-a, want-b. Nothing here is shared with
the program under test: rules come from the catalog's words, the hash from the specification of XXH64.

An event is a dict of texts in order, with its key and time beside it. A failing event is taken back by putting a copy of all
state back that was made before it.
"""
import copy
import json
import math
import os
import random
import sys


class Fails(Exception):
    pass


class Event:
    """made: a row without an event below, whose members stand in byte order."""
    def __init__(self, members, time=None, key=None, number=0, made=False):
        self.members, self.time, self.key, self.number, self.made = members, time, key, number, made

    def ordered(self):
        return dict(sorted(self.members.items())) if self.made else dict(self.members)

    def text(self):
        return '{' + ','.join(json.dumps(k) + ':' + v for k, v in self.ordered().items()) + '}'

    def get(self, name):
        v = self.members.get(name)
        return None if v is None else json.loads(v)

    def but(self, **changed):
        e = Event(dict(self.members), self.time, self.key, self.number, self.made)
        for name, v in changed.items():
            setattr(e, name, v)
        return e


def part(v):
    """One part of a key: equal numbers are equal, also large integers, types differ otherwise."""
    if isinstance(v, bool):
        return ('b', v)
    if isinstance(v, int) and abs(v) > 2 ** 53:
        return ('i', v)
    if isinstance(v, (int, float)):
        return ('n', float(v))
    if isinstance(v, str):
        return ('s', v)
    raise Fails('no key')


def shown(p):
    kind, v = p
    if kind == 'i':
        return str(v)
    if kind == 'n':
        return str(int(v)) if v == int(v) else repr(v)
    return json.dumps(v, ensure_ascii=False)


def key_of(e, fields):
    parts = []
    for f in fields:
        v = e.get(f)
        if v is None:
            return None
        parts.append(part(v))
    return tuple(parts)


# XXH64, after its specification

P1, P2, P3, P4, P5 = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261)
M = 2 ** 64 - 1


def rotl(x, r):
    return ((x << r) | (x >> (64 - r))) & M


def xxh64(data, seed):
    def round_(acc, lane):
        return rotl((acc + lane * P2) & M, 31) * P1 & M
    n, i = len(data), 0
    word = lambda at, size: int.from_bytes(data[at:at + size], 'little')
    if n >= 32:
        acc = [(seed + P1 + P2) & M, (seed + P2) & M, seed, (seed - P1) & M]
        while i + 32 <= n:
            for lane in range(4):
                acc[lane] = round_(acc[lane], word(i + 8 * lane, 8))
            i += 32
        h = (rotl(acc[0], 1) + rotl(acc[1], 7) + rotl(acc[2], 12) + rotl(acc[3], 18)) & M
        for a in acc:
            h = ((h ^ round_(0, a)) * P1 + P4) & M
    else:
        h = (seed + P5) & M
    h = (h + n) & M
    while i + 8 <= n:
        h = (rotl(h ^ round_(0, word(i, 8)), 27) * P1 + P4) & M
        i += 8
    if i + 4 <= n:
        h = (rotl(h ^ word(i, 4) * P1 & M, 23) * P2 + P3) & M
        i += 4
    while i < n:
        h = rotl(h ^ data[i] * P5 & M, 11) * P1 & M
        i += 1
    h = (h ^ h >> 33) * P2 & M
    h = (h ^ h >> 29) * P3 & M
    return h ^ h >> 32


def key_bytes(parts):
    """As host/state/key.h draws them."""
    out = b''
    for kind, v in parts:
        if kind == 'b':
            out += bytes([2 if v else 1])
        elif kind in 'is':
            s = str(v).encode()
            out += (b'\x03' if kind == 'i' else b'') + (bytes([128 + len(s)]) if len(s) < 128 else b'\x19' + len(s).to_bytes(2, 'little')) + s
        elif v == int(v):
            u = abs(int(v))
            n = (u.bit_length() + 7) // 8
            out += bytes([(16 if v < 0 else 8) + n]) + u.to_bytes(n, 'little')
        else:
            import struct
            out += b'\x18' + struct.pack('<d', v)
    return out


def share(parts, seed):
    return (xxh64(key_bytes(parts), seed & M) >> 11) / 2 ** 53


# Watermarks. A failing event has moved its clock all the same, so what takes events back leaves clocks alone.

class Clock:
    """w: the watermark before the event at hand."""
    def __init__(self):
        self.highest = self.w = -math.inf

    def __deepcopy__(self, memo):
        return self

    def move(self, time):
        self.w = self.highest - 1
        self.highest = max(self.highest, time)

    def now(self):
        return self.highest - 1


class Delayed:
    """Behind a step that sends events up to `wait` later than they came."""
    def __init__(self, base, wait):
        self.base, self.wait = base, wait

    def __deepcopy__(self, memo):
        return self

    @property
    def w(self):
        return self.base.w - self.wait

    def now(self):
        return self.base.now() - self.wait


# Steps: lua() is their text, event(e) gives rows, ends() gives for each record its rows

class Step:
    waits = False

    def ends(self):
        return []


class Keyed(Step):
    """Records by key; a new key beyond max_keys takes the place of the one written longest ago."""
    ttl = clock = None
    ended = False

    def __init__(self, rnd, name, fields):
        self.name, self.fields, self.records, self.written = name, fields, {}, []
        self.max_keys = rnd.choice([None, None, 2, 5])

    def may_expire(self, rnd, clock):
        """Keys go when the watermark reaches their last use + ttl."""
        self.clock = clock
        self.ttl = rnd.choice([None, 1, 10, 50, 200]) if clock else None

    def bound(self):
        bound = 'unbounded = true' if self.max_keys is None else 'max_keys = %d' % self.max_keys
        return bound + (", ttl = '%dms'" % self.ttl if self.ttl else '')

    def left(self):
        """Records at the end of input; from then on the watermark passes no more."""
        if self.ttl:
            self.pass_watermark(self.clock.w, self.ttl)
        return self.records

    def pass_watermark(self, w, ttl):
        for key in [] if self.ended else [k for k, r in self.records.items() if r['used'] + ttl <= w]:
            del self.records[key]
            self.written.remove(key)

    def on(self, option):
        if self.fields is None:
            return ''
        if len(self.fields) == 1:
            return "%s = '%s', " % (option, self.fields[0])
        return "%s = { %s }, " % (option, ', '.join("'%s'" % f for f in self.fields))

    def record(self, e):
        key = e.key if self.fields is None else key_of(e, self.fields)
        if self.fields is not None and key is None:
            raise Fails('no key')
        if self.ttl:
            self.pass_watermark(self.clock.w, self.ttl)
        new = key not in self.records
        if new:
            if self.max_keys and len(self.records) == self.max_keys:
                del self.records[self.written.pop(0)]
            self.records[key] = {}
        else:
            self.written.remove(key)
        self.written.append(key)
        if self.ttl:
            r = self.records[key]
            r['used'] = max(r.get('used', e.time), e.time)
        return new, self.records[key], key


class EventTime(Step):
    def __init__(self):
        self.clock = Clock()

    def lua(self):
        return ":event_time { field = 't' }"

    def event(self, e):
        v = e.get('t')
        if isinstance(v, str) and v.lstrip('-').isdigit():
            v = int(v)
        if isinstance(v, bool) or not isinstance(v, (int, float)):
            raise Fails('time')
        self.clock.move(math.floor(v))
        return [e.but(time=math.floor(v))]


class KeyBy(Step):
    def __init__(self, rnd):
        self.fields = rnd.choice([['k'], ['k'], ['id'], ['k', 'id']])
        self.missing = rnd.choice(['fail', 'drop', 'keep'])

    def lua(self):
        f = "'%s'" % self.fields[0] if len(self.fields) == 1 else "{ 'k', 'id' }"
        return ':key_by(%s%s)' % (f, '' if self.missing == 'fail' else ", { missing = '%s' }" % self.missing)

    def event(self, e):
        key = key_of(e, self.fields)
        if key is None and self.missing == 'fail':
            raise Fails('no key')
        if key is None and self.missing == 'drop':
            return []
        return [e.but(key=key)]


class Filter(Step):
    def lua(self):
        return ':filter(function(e) return (e.n or 0) % 3 ~= 1 end)'

    def event(self, e):
        return [e] if (e.get('n') or 0) % 3 != 1 else []


class Write(Step):
    def lua(self):
        return ":set { k = function(e) return e.id end }"

    def event(self, e):
        out = dict(e.members)
        v = e.get('id')
        if isinstance(v, int) and not isinstance(v, bool) and abs(v) > 2 ** 53:
            raise Fails('bigint')
        if v is None:
            out.pop('k', None)
        else:
            out['k'] = shown(part(v))
        return [e.but(members=out)]


class Double(Step):
    def lua(self):
        return ":flat_map(function(e, emit) emit(e) if (e.n or 0) % 2 == 0 then emit { n = e.n or 0, v = e.v, id = 'twin' } end end)"

    def event(self, e):
        rows = [e.but(members=e.ordered(), made=False)]
        n = e.get('n') or 0
        if n % 2 == 0:
            v = e.get('v')
            if isinstance(v, int) and not isinstance(v, bool) and abs(v) > 2 ** 53:
                raise Fails('bigint')
            row = {'id': '"twin"', 'n': str(n)}
            if v is not None:
                row['v'] = json.dumps(v, ensure_ascii=False, separators=(',', ':')) if isinstance(v, (str, bool, dict)) else shown(part(v))
            rows.append(e.but(members=row, made=True))
        return rows


class Bad(Step):
    def lua(self):
        return ":filter(function(e) if e.bad then error 'bad' end return true end)"

    def event(self, e):
        if e.get('bad'):
            raise Fails('bad')
        return [e]


class Dedup(Keyed):
    only_last = False

    def __init__(self, rnd, name, keyed, timed):
        super().__init__(rnd, name, rnd.choice(([None] if keyed else []) + [['id'], ['k'], ['k', 'id']]))
        self.keep = rnd.choice(['first', 'last'])
        self.within = rnd.choice([None, 5, 40]) if timed else None
        if self.only_last and timed:
            self.keep, self.within = 'last', rnd.choice([1, 5, 40, 300])
        self.may_expire(rnd, timed)
        if self.within:
            self.ttl = None
        self.waits, self.armed = self.keep == 'last' and self.within is not None, 0

    def lua(self):
        within = "within = '%dms', " % self.within if self.within else ''
        return ":dedup('%s', { %s%skeep = '%s', %s })" % (self.name, self.on('on'), within, self.keep, self.bound())

    def left(self):
        if self.within and not self.waits:
            self.pass_watermark(self.clock.w, self.within)
        return super().left()

    def begin(self, r, time):
        r['from'], self.armed = time, self.armed + 1
        r['due'] = (time + self.within - 1, self.armed)

    def forget(self, r):
        """Of the first group the last one stays."""
        while len(r['list']) > 1 and r['list'][1][0] < r['from'] + self.within:
            r['list'].pop(0)

    def wait(self, e):
        """keep = 'last' with within: the events of a key, in order of time."""
        new, r, _ = self.record(e)
        if not new and e.time < r['from'] and e.time <= self.clock.w:
            return [e.but(members=e.ordered(), made=False)] if e.time <= r['from'] - self.within else []
        r['list'] = sorted([x for x in r.get('list', []) if x[0] != e.time] + [(e.time, e)], key=lambda x: x[0])
        if new or e.time < r['from']:
            self.begin(r, e.time)
        if r['from'] <= self.clock.w:
            self.forget(r)
        return []

    def take(self, w):
        """The next event whose group is complete at w, or None."""
        due = sorted(((r['due'], key) for key, r in self.records.items() if r['due'][0] <= w), key=lambda x: x[0]) if self.waits else []
        if not due:
            return None
        key = due[0][1]
        r = self.records[key]
        self.forget(r)
        _, e = r['list'].pop(0)
        self.written.remove(key)
        if r['list']:
            self.begin(r, r['list'][0][0])
            self.written.append(key)
        else:
            del self.records[key]
        return e.but(members=e.ordered(), made=False)

    def ends(self):
        rows = iter(lambda: self.take(math.inf), None)
        return [[e] for e in rows]

    def event(self, e):
        if self.waits:
            return self.wait(e)
        if self.within:
            self.pass_watermark(self.clock.w, self.within)
        new, r, _ = self.record(e)
        if self.keep == 'last':
            if not new and r['text'] == e.text():
                return []
            r['text'], r['revision'] = e.text(), r.get('revision', -1) + 1
            out = dict(e.members)
            out['revision'] = str(r['revision'])
            return [e.but(members=out)]
        if self.within:
            if not new and abs(e.time - r['at']) < self.within:
                return []
            r['at'], r['used'] = e.time, max(r.get('used', e.time), e.time)
            return [e]
        return [e] if new else []


class Running(Keyed):
    def __init__(self, rnd, name, timed, key_fields):
        super().__init__(rnd, name, None)
        self.key_fields, self.final = key_fields, rnd.random() < .3
        self.may_expire(rnd, timed)

    def lua(self):
        return ":running('%s', { c = tm.agg.count() }, { %s%s })" % (self.name, "emit = 'final', " if self.final else '', self.bound())

    def row(self, r, key, time, number):
        members = {n: shown(p) for n, p in zip(self.key_fields, key or ())}
        return Event(dict(sorted(dict(members, c=str(r['c'])).items())), time, key, number, made=True)

    def event(self, e):
        new, r, key = self.record(e)
        r['c'], r['at'] = r.get('c', 0) + 1, e.time
        return [] if self.final else [self.row(r, key, e.time, e.number)]

    def ends(self):
        return [[self.row(r, key, r['at'], 0)] for key, r in self.left().items()] if self.final else []


class Top(Keyed):
    def __init__(self, rnd, name, keyed, timed):
        super().__init__(rnd, name, None)
        self.may_expire(rnd, timed)
        self.n, self.asc, self.final, self.timed = rnd.choice([1, 2, 3, 7]), rnd.random() < .4, rnd.random() < .5, timed

    def lua(self):
        return ":top('%s', %d, 'v', { %s%s%s })" % (self.name, self.n, "order = 'asc', " if self.asc else '',
                                                  "emit = 'final', " if self.final else '', self.bound())

    def rows(self, r, key):
        rows = []
        for rank, (_, e) in enumerate(r['list'], 1):
            out = e.ordered()
            for name in 'rank', 'revision':
                out.pop(name, None)
            out['rank'], out['revision'] = str(rank), str(r['revision'])
            rows.append(Event(out, r['at'], key, e.number))
        return rows

    def event(self, e):
        v = e.get('v')
        if isinstance(v, int) and not isinstance(v, bool) and abs(v) > 2 ** 53:
            raise Fails('bigint')
        if v is None:
            return []
        new, r, key = self.record(e)
        if isinstance(v, bool) or not isinstance(v, (int, float, str)):
            raise Fails('type')
        kind = isinstance(v, str)
        if r.setdefault('kind', kind) != kind:
            raise Fails('mix')
        r['seq'] = r.get('seq', 0) + 1
        value = v.encode() if kind else v
        before = r.get('list', [])
        time = e.time if self.timed else 0
        every = before + [((value, time, r['seq']), e)]
        every.sort(key=lambda x: (x[0][1], x[0][2]))
        every.sort(key=lambda x: x[0][0], reverse=not self.asc)
        if every[self.n:] and every[self.n][0][2] == r['seq']:
            return []
        r['list'], r['revision'], r['at'] = every[:self.n], r.get('revision', -1) + 1, e.time
        return [] if self.final else [x.but(number=e.number, key=e.key, time=e.time) for x in self.rows(r, key)]

    def ends(self):
        if not self.final:
            return []
        return [self.rows(r, key) for key, r in self.left().items() if 'list' in r]


class Sample(Step):
    def __init__(self, rnd):
        self.every, self.on, self.seed = rnd.choice([None, None, 2, 3]), rnd.choice([None, ['id'], ['k'], ['k', 'id']]), rnd.choice([0, 1, -7])
        self.rate = rnd.choice([0, .3, .5, .9, 1])

    def lua(self):
        if self.every:
            return ':sample { every = %d }' % self.every
        on = '' if self.on is None else "on = { %s }, " % ', '.join("'%s'" % f for f in self.on)
        return ':sample { %srate = %r, seed = %d }' % (on, self.rate, self.seed)

    def event(self, e):
        if self.every:
            return [e] if e.number % self.every == 0 else []
        key = key_of(e, self.on) if self.on else (('n', float(e.number)),)
        if key is None:
            raise Fails('no key')
        return [e] if share(key, self.seed) < self.rate else []


class Throttle(Keyed):
    def __init__(self, rnd, name, keyed, timed):
        super().__init__(rnd, name, rnd.choice([None, ['k'], ['id']]))
        self.n, self.per = rnd.choice([1, 2, 3]), rnd.choice([3, 10, 50])

    def lua(self):
        return ":throttle('%s', { %srate = { %d, per = '%dms' }, %s })" % (self.name, self.on('by'), self.n, self.per, self.bound())

    def event(self, e):
        from fractions import Fraction
        new, r, _ = self.record(e)
        if new:
            r['tokens'], r['at'] = Fraction(self.n), e.time
        elif e.time > r['at']:
            r['tokens'] = min(Fraction(self.n), r['tokens'] + Fraction(self.n * (e.time - r['at']), self.per))
            r['at'] = e.time
        if r['tokens'] < 1:
            return []
        r['tokens'] -= 1
        return [e]


class Suppress(Keyed):
    def __init__(self, rnd, name, keyed, timed, key_fields):
        super().__init__(rnd, name, rnd.choice([None, ['k'], ['k', 'id']]))
        self.within, self.key_fields = rnd.choice([4, 20, 100]), key_fields

    def lua(self):
        return ":suppress('%s', { %swithin = '%dms', %s })" % (self.name, self.on('by'), self.within, self.bound())

    def row(self, r, key, number):
        names = self.fields if self.fields is not None else self.key_fields
        members = {n: shown(p) for n, p in zip(names, key or ())}
        members['suppressed'] = str(r['held'])
        return Event(dict(sorted(members.items())), r['start'] + self.within - 1, key if self.fields is None else None, number,
                     made=True)

    def event(self, e):
        new, r, key = self.record(e)
        if not new and e.time < r['start'] + self.within:
            r['held'] += 1
            return []
        rows = [self.row(r, key, e.number)] if not new and r['held'] else []
        r['start'], r['held'] = e.time, 0
        return rows + [e]

    def ends(self):
        return [[self.row(r, key, 0)] for key, r in self.records.items() if r['held']]


# Trees of steps

class Node:
    def __init__(self, steps, arms=(), sink=None, link=None):
        self.steps, self.arms, self.sink, self.link = steps, arms, sink, link

    def push(self, e, out, at=0):
        if at < len(self.steps):
            for row in self.steps[at].event(e):
                self.push(row, out, at + 1)
            return
        for arm in self.arms:
            arm.push(e, out)
        if self.sink:
            out.append((self, e))

    def stateful(self, path=()):
        for at, step in enumerate(self.steps):
            yield self, at, step
        for arm in self.arms:
            yield from arm.stateful()


class Pipeline:
    """Runs events through a tree, all or nothing each."""
    def __init__(self, tree, deliver):
        self.tree, self.deliver, self.slots = tree, deliver, 0

    def take_back(self, kept):
        for step, state in kept:
            step.__dict__ = state

    def attempt(self, rows, node, at):
        kept = [(step, copy.deepcopy(step.__dict__)) for _, _, step in self.tree.stateful()]
        out = []
        try:
            for e in rows:
                node.push(e, out, at)
        except Fails:
            self.take_back(kept)
            return
        for leaf, e in out:
            self.deliver(leaf, e)

    def event(self, text):
        self.slots += 1
        self.attempt([Event({k: v for k, v in text.items()}, number=self.slots)], self.tree, 0)
        self.settle()

    def settle(self):
        """What is due behind the event, clock by clock, in the order of steps."""
        steps = [x for x in self.tree.stateful() if getattr(x[2], 'waits', False)]
        clocks = []
        for _, _, step in steps:
            if step.clock not in clocks:
                clocks.append(step.clock)
        for clock in sorted(clocks, key=lambda c: isinstance(c, Delayed)):
            for node, at, step in steps:
                while step.clock is clock:
                    e = step.take(clock.now())
                    if e is None:
                        break
                    self.attempt([e.but(number=self.slots)], node, at + 1)

    def finish(self):
        for _, _, step in self.tree.stateful():
            if isinstance(step, EventTime):
                step.clock.w = step.clock.now()
        for _, _, step in self.tree.stateful():
            if isinstance(step, Keyed):
                step.left()
                step.ended = True
        for node, at, step in list(self.tree.stateful()):
            for rows in step.ends():
                self.attempt([r.but(number=-1) for r in rows], node, at + 1)


def chain(rnd, depth, timed, keyed, names, used):
    """Random steps and their text; what comes out of them is (timed, keyed)."""
    steps = []
    for _ in range(rnd.randint(1, depth)):
        kinds = ['dedup', 'top', 'sample', 'key_by', 'filter', 'write', 'double', 'bad', 'running'] + (['throttle', 'suppress', 'dedup'] if timed else [])
        if Dedup.only_last and timed:
            kinds += ['dedup'] * 8
        kind = rnd.choice(kinds)
        if kind in ('double', 'top') and used.get(kind, 0) >= 1:
            continue
        used[kind] = used.get(kind, 0) + 1
        name = 's%d' % len(names)
        if kind == 'dedup':
            step = Dedup(rnd, name, keyed, timed)
            if step.waits:
                timed = Delayed(timed, step.within)
        elif kind == 'top':
            step = Top(rnd, name, keyed, timed)
        elif kind == 'running':
            step = Running(rnd, name, timed, keyed or [])
        elif kind == 'sample':
            step = Sample(rnd)
        elif kind == 'throttle':
            step = Throttle(rnd, name, keyed, timed)
        elif kind == 'suppress':
            step = Suppress(rnd, name, keyed, timed, keyed or [])
        elif kind == 'key_by':
            step = KeyBy(rnd)
            keyed = step.fields
        else:
            step = {'filter': Filter, 'write': Write, 'double': Double, 'bad': Bad}[kind]()
        names.append(name)
        steps.append(step)
    return steps, keyed, timed


def number_free(steps):
    """The order of rows given at the end has no number that this reference knows."""
    ends = False
    for s in steps:
        if ends and isinstance(s, Sample) and (s.every or not s.on):
            return False
        ends = ends or isinstance(s, (Suppress, Top, Running)) or s.waits
    return True


def build(rnd):
    timed = rnd.random() < .75
    names, used = [], {}
    first = [EventTime()] if timed else []
    while True:
        names, used = [], {}
        steps, keyed, clock = chain(rnd, 3, timed and first[0].clock, None, names, used)
        shape = rnd.choice(['one', 'one', 'branch', 'link'])
        arms = [chain(rnd, 2, timed and shape != 'link' and clock, keyed if shape == 'branch' else None, names, used)[0] for _ in range(2)]
        if shape == 'link':
            tail = arms[1]
            if number_free(steps) and number_free(tail):
                break
        elif number_free(steps + arms[0]) and number_free(steps + arms[1]):
            break
    lua = ["local tm = require 'tidemill'", "local s = tm.pipeline 'p'"]
    lua += ['  ' + s.lua() for s in first + steps]
    a, b = "tm.sink.stdout()", "tm.sink.file(tm.setting 'dir' .. '/got-b')"
    if shape == 'one':
        lua += ['return s:to(%s)' % a]
        return '\n'.join(lua), Node(first + steps, sink='a'), None
    if shape == 'link':
        lua += ["return { s:to(%s), tm.pipeline 'q':from(s)" % a] + ['  ' + s.lua() for s in arms[1]] + ['  :to(%s) }' % b]
        return '\n'.join(lua), Node(first + steps, sink='a'), Node(arms[1], sink='b')
    lua += ['return {'] + ['  s' + ''.join(s.lua() for s in arm) + ':to(%s),' % sink for arm, sink in zip(arms, (a, b))] + ['}']
    return '\n'.join(lua), Node(first + steps, arms=[Node(arms[0], sink='a'), Node(arms[1], sink='b')]), None


def spelled(key):
    """As the program writes it itself."""
    v = json.loads(key)
    return v is None or isinstance(v, list) or shown(part(v)) == key or isinstance(v, bool)


def events(rnd, count, plain):
    """plain: keys are spelled in one way alone, as rows of running show them as they came."""
    keys = rnd.choice([['"a"', '"b"', '"c"'], ['1', '1.0', '"1"', 'true', '"true"', 'null'],
                       ['9007199254740993', '"9007199254740993"', '-0.5', '"é"', '""', '"\\u0031"', '[1]'],
                       ['"key%d"' % i for i in range(12)], ['-3', '65536', '1e3', '1000']])
    keys = [k for k in keys if not plain or spelled(k)]
    values = rnd.choice([['1', '2', '3', '3.0', '-1.5'], ['"a"', '"b"', '"B"', '"é"', '"ab"'], ['1', '"1"', 'true', 'null', '{"x":1}'],
                         [str(i) for i in range(30)]])
    time, step = 1000, rnd.choice([1, 5, 30])
    lines = []
    for n in range(count or rnd.choice([5, 30, 80])):
        time += rnd.randint(0, step)
        e = {}
        if rnd.random() < .95:
            e['k'] = rnd.choice(keys)
        if rnd.random() < .97:
            e['id'] = rnd.choice(['1', '2', '3', '"x"', '"y"'])
        if rnd.random() < .95:
            e['v'] = rnd.choice(values)
        e['n'] = str(n)
        if rnd.random() < .97:
            t = time - (rnd.randint(0, 60) if rnd.random() < .2 else 0)
            e['t'] = rnd.choice([str(t), str(t), str(t), '"%d"' % t, str(t) + '.75'] if rnd.random() < .9 else ['"soon"', 'null', 'true'])
        if rnd.random() < .1:
            e['bad'] = 'true'
        items = list(e.items())
        rnd.shuffle(items)
        lines.append(dict(items))
    return lines


def case(rnd, folder, count):
    lua, tree, second = build(rnd)
    lines = events(rnd, count, ':running' in lua)
    got = {'a': [], 'b': []}
    q = Pipeline(second, lambda leaf, e: got[leaf.sink].append(e.text())) if second else None

    def deliver(leaf, e):
        got[leaf.sink].append(e.text())
        if q:
            q.event(e.ordered())
    p = Pipeline(tree, deliver)
    for line in lines:
        p.event(line)
    p.finish()
    if q:
        q.finish()
    os.makedirs(folder, exist_ok=True)
    with open(folder + '/in.ndjson', 'w') as f:
        f.writelines(Event(line).text() + '\n' for line in lines)
    with open(folder + '/chain.lua', 'w') as f:
        f.write(lua + '\n')
    for sink, rows in got.items():
        with open(folder + '/want-' + sink, 'w') as f:
            f.writelines(r + '\n' for r in rows)


if __name__ == '__main__':
    assert xxh64(b'', 0) == 0xEF46DB3751D8E999 and xxh64(b'abc', 0) == 0x44BC2CF5AD770999   # published values
    Dedup.only_last = 'last' in sys.argv[5:]
    for i in range(int(sys.argv[2])):
        case(random.Random(int(sys.argv[1]) * 100003 + i), '%s/%d' % (sys.argv[3], i),
             int(sys.argv[4]) if len(sys.argv) > 4 and sys.argv[4] else None)
