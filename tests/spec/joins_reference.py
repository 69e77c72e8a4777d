"""joins_reference.py - joins the slow and obvious way: every event is kept for ever and compared with all of the other side.

  python3 joins_reference.py SPEC.json < events.ndjson > rows.ndjson     late events and dead letters go to SPEC's "late" and "dead"

SPEC: left, right (fields of the key), before, after (ms; absent: unbounded), kind, as, out_of_order, max, where, fail, behind; or, for
windows: size, slide, offset, or gap: ms, or "v": 1 + 50 ms for each v of the event. Events with l are of the left side, with r of the right, with both of both: left first.
Where it is given, where fails for a sum of v of 20 and is false for sums that 3 divides; fail: what comes behind fails for some rows.
"""
import json
import sys

INF = float('inf')


class Failed(Exception):
    pass


def key_of(e, fields):
    key = []
    for f in fields:
        v = e.get(f)
        if v is None:
            raise Failed
        key.append((type(v) is bool, isinstance(v, str), v))
    return tuple(key)


class Join:
    def __init__(self, spec):
        self.spec, self.kept, self.n, self.counts, self.rows = spec, {'l': [], 'r': []}, 0, {}, []
        self.outer = {'left': 'l', 'right': 'r', 'full': 'lr'}.get(spec['kind'], '')

    def partners(self, left, right):
        """Do they fit? Raises where the function of the script does."""
        s = self.spec
        if left['key'] != right['key']:
            return False
        if 'after' in s and not left['ts'] - s['before'] <= right['ts'] <= left['ts'] + s['after']:
            return False
        if s.get('where'):
            total = left['e']['v'] + right['e']['v']
            if total == 20:
                raise Failed
            return total % 3 != 0
        return True

    def send(self, left, right, more=None):
        s = self.spec
        key = (left or right)['key']
        if left:
            row = dict(left['e'])
            if right:
                row[s['as']] = right['e']
        else:
            row = {f: v for f, (_, _, v) in zip(s['left'], key)}
            row[s['as']] = right['e']
        row.update(more or {})
        if not left:
            row = dict(sorted(row.items()))   # rows without an event of their own: in byte order
        if s.get('fail') and ((left['e']['i'] if left else 0) + (right['e']['i'] if right else 0)) % 13 == 0:
            raise Failed
        if s.get('behind'):
            self.counts[key] = self.counts.get(key, 0) + 1
            row = {f: v for f, (_, _, v) in zip(s['left'], key)}
            row['n'] = self.counts[key]
            row = dict(sorted(row.items()))
        self.rows.append(json.dumps(row, separators=(',', ':'), ensure_ascii=False))

    def take(self, e, side, late):
        """The event comes in through one side."""
        s = self.spec
        x = {'e': e, 'ts': e['ts'], 'matched': False, 'n': self.n, 'side': side}
        x['key'] = key_of(e, s['left'] if side == 'l' else s['right'])
        for other in list(self.kept['r' if side == 'l' else 'l']):
            left, right = (x, other) if side == 'l' else (other, x)
            if self.partners(left, right):
                self.send(left, right)
                x['matched'] = other['matched'] = True
        x['over'] = x['ts'] + (s['after'] if side == 'l' else s['before']) if 'after' in s else INF
        self.kept[side].append(x)
        if s.get('max'):
            same = [o for o in self.kept[side] if o['key'] == x['key']]
            if len(same) > s['max']:
                self.kept[side].remove(same[0])

    def alone(self, to):
        """Events whose time without a partner is over, in order of that, then of arrival."""
        due = [x for side in self.outer for x in self.kept[side] if x['over'] <= to and not x['matched']]
        for x in sorted(due, key=lambda x: (x['over'], x['n'], x['side'])):
            x['matched'] = True
            self.unit(lambda: self.send(x if x['side'] == 'l' else None, x if x['side'] == 'r' else None))

    def unit(self, f):
        counts, rows = dict(self.counts), len(self.rows)
        try:
            f()
        except Failed:
            self.counts = counts
            del self.rows[rows:]

    def save(self):
        return {k: [dict(x) for x in v] for k, v in self.kept.items()}, dict(self.counts), len(self.rows)

    def restore(self, saved):
        self.kept, self.counts, rows = saved
        del self.rows[rows:]

    def past(self, w):
        s = self.spec
        if 'after' in s:
            self.kept['l'] = [x for x in self.kept['l'] if x['ts'] + s['after'] > w or not x['matched'] and 'l' in self.outer]
            self.kept['r'] = [x for x in self.kept['r'] if x['ts'] + s['before'] > w or not x['matched'] and 'r' in self.outer]


class Windows(Join):
    def __init__(self, spec):
        super().__init__(spec)
        self.open = {}

    def take(self, e, side, late):
        s, x = self.spec, {'e': e, 'ts': e['ts'], 'n': self.n}
        last = (e['ts'] - s['offset']) // s['slide'] * s['slide'] + s['offset']
        starts = []
        while last + s['size'] > e['ts']:
            starts.append(last)
            last -= s['slide']
        taken = [at for at in starts if at + s['size'] - 1 > self.w]
        if starts and not taken:
            late.append(e)
            return
        if not starts:
            return
        x['key'] = key_of(e, s['left'] if side == 'l' else s['right'])
        for at in taken:
            keys = self.open.setdefault(at, {})
            keys.setdefault(x['key'], {'l': [], 'r': []})[side].append(x)

    def alone(self, to):
        for at in sorted(self.open):
            if at + self.spec['size'] - 1 > to:
                continue
            bounds = {'window_end': at + self.spec['size'], 'window_start': at}
            for sides in self.open.pop(at).values():
                self.pair(sides, bounds)

    def pair(self, sides, bounds):
        """The rows of one key's window."""
        left, right = (sorted(sides[k], key=lambda x: (x['ts'], x['n'])) for k in 'lr')
        matched = set()

        def one(x):
            found = [y for y in right if self.partners(x, y)]
            for y in found:
                self.send(x, y, bounds)
            if not found and 'l' in self.outer:
                self.send(x, None, bounds)
            matched.update(y['n'] for y in found)

        for x in left:
            self.unit(lambda: one(x))
        for y in right if 'r' in self.outer else []:
            if y['n'] not in matched:
                self.unit(lambda: self.send(None, y, bounds))

    def save(self):
        kept = {at: {k: {s: list(l) for s, l in v.items()} for k, v in keys.items()} for at, keys in self.open.items()}
        return super().save(), kept

    def restore(self, saved):
        super().restore(saved[0])
        self.open = saved[1]


class Sessions(Windows):
    """open: sessions by number, in no order; each event asks all of them. place: since when one ends where it does."""
    places = 0

    def save(self):
        return Join.save(self), dict(self.open)   # a session is never changed, but another made

    def take(self, e, side, late):
        s, x = self.spec, {'e': e, 'ts': e['ts'], 'n': self.n}
        x['key'] = key_of(e, s['left'] if side == 'l' else s['right'])
        start, end = e['ts'], e['ts'] + (1 + 50 * e['v'] if s['gap'] == 'v' else s['gap'])
        touched = [n for n, o in self.open.items() if o['key'] == x['key'] and o['start'] <= end and o['end'] >= start]
        if not touched and end - 1 <= self.w:
            late.append(e)
            return
        touched = [self.open.pop(n) for n in touched]
        one = {'key': x['key'], 'start': min([start] + [o['start'] for o in touched]), 'end': max([end] + [o['end'] for o in touched])}
        for k in 'lr':
            one[k] = [y for o in touched for y in o[k]] + ([x] if k == side else [])
        self.places += 1
        one['place'] = touched[0]['place'] if len(touched) == 1 and touched[0]['end'] == one['end'] else self.places
        self.open[self.places] = one

    def alone(self, to):
        due = [n for n, o in self.open.items() if o['end'] - 1 <= to]
        for n in sorted(due, key=lambda n: (self.open[n]['end'], self.open[n]['place'])):
            o = self.open.pop(n)
            self.pair(o, {'window_end': o['end'], 'window_start': o['start']})


def main():
    spec = json.load(open(sys.argv[1]))
    j = Sessions(spec) if 'gap' in spec else Windows(spec) if 'size' in spec else Join(spec)
    largest, late, dead = -INF, [], []
    for line in sys.stdin:
        e = json.loads(line)
        j.n += 1
        j.w = w = largest - spec['out_of_order'] - 1
        largest = max(largest, e['ts'])
        saved, n_late = j.save(), len(late)
        try:
            for side in 'lr':
                if side not in e:
                    continue
                if 'after' in spec and e['ts'] <= w:
                    late.append(e)
                else:
                    j.take(e, side, late)
        except Failed:
            j.restore(saved)
            del late[n_late:]
            dead.append(e)
        to = largest - spec['out_of_order'] - 1
        j.alone(to)
        j.past(to)
    j.alone(INF)
    sys.stdout.write(''.join(r + '\n' for r in j.rows))
    for name, events in (('late', late), ('dead', dead)):
        with open(spec[name], 'w') as f:
            for e in events:
                f.write(json.dumps(e, separators=(',', ':'), ensure_ascii=False) + '\n')


main()
