"""sessions_reference.py - sessions and count windows the slow and obvious way: all events of a window are kept, every row is computed
anew from them, and all sessions of all keys are looked at each time.

  python3 sessions_reference.py SPEC.json < events.ndjson > rows.ndjson     late events go to SPEC's "late" path

SPEC: as of windows_reference.py; kind: session (gap in ms, or "g": that field of each event) or count (n, slide). A session is due at its
end and, after its row, at the end of its lateness; sessions due at the same time come in the order in which they became due there.
"""
import json
import sys

from windows_reference import INF, put, shown


def fails(spec, e):
    """Does an aggregate of the script raise for it? Then it has moved the watermark, and nothing else."""
    return spec.get('fails') and e['v'] % 7 == 0


class Window:
    def __init__(self, key, start, end, events):
        self.key, self.start, self.end, self.events = key, start, end, events
        self.fired, self.sent, self.more = False, 0, 0
        self.due = self.place = None


class Sessions:
    def __init__(self, spec):
        self.spec, self.keys, self.places = spec, {}, 0   # key -> its open sessions, oldest first; in order of the keys' arrival
        self.watermark, self.tick, self.late = -INF, INF, open(spec['late'], 'w')

    def all(self):
        return [s for own in self.keys.values() for s in own]

    def arm(self, s, due):
        self.places += 1
        s.due, s.place = due, self.places

    def send(self, s, **more):
        put(shown(self.spec, s, s.key, s.events, **more))
        if not self.spec['accumulate']:
            s.events = []

    def remove(self, s):
        self.keys[s.key].remove(s)
        if not self.keys[s.key]:
            del self.keys[s.key]

    def take(self, e, line, now):
        spec, mode = self.spec, self.spec['mode']
        key = e[spec['key']] if spec['key'] is not None else None
        gap = e['g'] if spec['gap'] == 'g' else spec['gap']
        start, end, lateness = e['ts'], e['ts'] + gap, spec['lateness']
        hit = [s for s in self.keys.get(key, []) if s.start <= end and s.end >= start]
        if not hit and end - 1 + lateness <= self.watermark:
            self.late.write(line)
            return
        if fails(spec, e):
            return
        if mode == 'retract':
            for s in hit:
                if s.sent:
                    put(shown(spec, s, key, s.events, op='-'))
                    s.sent = 0
        if hit:
            s, was = hit[0], max(o.end for o in hit)
            changed = len(hit) > 1 or end > was or s.fired
            for o in hit[1:]:
                s.events = s.events + o.events
                s.sent, s.more = max(s.sent, o.sent), s.more + o.more
                self.keys[key].remove(o)
            s.start, s.end = min(start, s.start), max(end, was)
        else:
            s, changed = Window(key, start, end, []), True
            self.keys.setdefault(key, []).append(s)
            self.keys[key].sort(key=lambda o: o.start)
        s.events = s.events + [e]
        if changed:
            s.fired = False
            self.arm(s, s.end - 1 + (lateness if mode in ('closed', 'updates') else 0))
        if spec.get('every') and self.tick == INF:
            low = self.watermark if self.watermark > -INF else now
            self.tick = (low // spec['every'] + 1) * spec['every']
        s.more += 1
        if mode == 'updates':
            self.send(s)
        elif spec.get('count') and s.more >= spec['count']:
            s.more = 0
            if s.end - 1 > self.watermark:   # behind the end it gives a further row as a late event, and no early one
                self.send(s)

    def fire(self, s):
        spec, mode = self.spec, self.spec['mode']
        if mode == 'updates' or s.fired:
            return self.remove(s)
        s.fired, revision = True, s.sent
        s.sent += 1
        if mode == 'retract':
            self.send(s, op='+')
        else:
            self.send(s, revision=revision or None)
        if mode == 'closed' or spec['lateness'] == 0:
            self.remove(s)
        else:
            self.arm(s, s.end - 1 + spec['lateness'])

    def advance(self, to):
        while True:
            due = min((s for s in self.all() if s.due <= to), key=lambda s: (s.due, s.place), default=None)
            if self.tick <= to and to < INF and (due is None or self.tick <= due.due):
                for s in self.all():
                    if not s.fired:
                        self.send(s)
                self.tick += self.spec['every']
            elif due is None:
                break
            else:
                self.fire(due)
            if not self.keys:
                self.tick = INF
        self.watermark = to


class Counts:
    def __init__(self, spec):
        self.spec, self.seen, self.windows = spec, {}, {}   # windows: key -> those that are open
        self.watermark, self.tick, self.late = -INF, INF, open(spec['late'], 'w')

    def send(self, w):
        put(shown(self.spec, w, w.key, w.events))
        if not self.spec['accumulate']:
            w.events = []

    def take(self, e, line, now):
        spec = self.spec
        key = e[spec['key']] if spec['key'] is not None else None
        seen, own = self.seen.get(key, 0), self.windows.get(key, [])
        if fails(spec, e) and (own or seen % spec['slide'] == 0):   # in a gap nobody looks at it
            return
        self.seen[key], self.windows[key] = seen, own
        if seen % spec['slide'] == 0:
            own.append(Window(key, None, None, []))
            own[-1].n = 0
        self.seen[key] = seen + 1
        if spec.get('every') and self.tick == INF:
            low = self.watermark if self.watermark > -INF else now
            self.tick = (low // spec['every'] + 1) * spec['every']
        for w in list(own):
            w.events, w.n, w.more = w.events + [e], w.n + 1, w.more + 1
            if spec['mode'] == 'updates':
                self.send(w)
            elif spec.get('count') and w.more >= spec['count']:
                w.more = 0
                self.send(w)
            if w.n == spec['n']:
                if spec['mode'] != 'updates':
                    self.send(w)
                own.remove(w)
        # with slide >= n a key without an open window, and not in a gap, begins anew
        if spec['slide'] >= spec['n'] and not own and self.seen[key] % spec['slide'] == 0:
            del self.seen[key], self.windows[key]

    def advance(self, to):
        while self.tick <= to < INF:
            for own in self.windows.values():
                for w in own:
                    self.send(w)
            self.tick += self.spec['every']
        if to == INF and self.spec['mode'] != 'updates':
            for own in self.windows.values():
                for w in own:
                    self.send(w)
        if not any(self.windows.values()):
            self.tick = INF
        self.watermark = to


def main():
    spec = json.load(open(sys.argv[1]))
    windows, largest = (Sessions if spec['kind'] == 'session' else Counts)(spec), -INF
    for line in sys.stdin:
        e = json.loads(line)
        largest = max(largest, e['ts'])
        now = largest - spec['out_of_order'] - 1
        windows.take(e, line, now)
        windows.advance(now)
    windows.advance(INF)
    windows.late.close()


main()
