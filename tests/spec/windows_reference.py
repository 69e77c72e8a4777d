"""windows_reference.py - windows the slow and obvious way: all events of a window are kept, and every row is computed anew from them.

  python3 windows_reference.py SPEC.json < events.ndjson > rows.ndjson     late events go to SPEC's "late" path

SPEC: size, slide, offset, lateness, out_of_order (ms), key (a field or null), mode, every, count, accumulate, what (aggregate, apply or
reduce: see shown; sessions_reference.py has the same).
After each event the watermark is its largest time - out_of_order - 1; everything due is done in order of time before the next event.
"""
import json
import sys

INF = float('inf')


class Window:
    def __init__(self, start, end):
        self.start, self.end, self.keys, self.fired = start, end, {}, False   # key -> events since the last row, in order of arrival


class Key:
    def __init__(self):
        self.events, self.rows, self.since = [], 0, 0


def starts(spec, t):
    size, slide, offset = spec['size'], spec['slide'], spec['offset']
    last = (t - offset) // slide * slide + offset
    found = []
    while last + size > t:
        found.append(last)
        last -= slide
    return found   # the latest first


def shown(spec, w, key, events, **more):
    """The rows of a window: what the scripts of the specs make of its events. w.start None: rows have no bounds."""
    events = sorted(events, key=lambda e: (e['ts'], e['i']))
    values = [e['v'] for e in events]
    what = spec.get('what', 'aggregate')
    if what == 'aggregate':
        rows = [{'n': len(events), 'total': sum(values), 'least': min(values) if values else None}]
        if spec.get('fails'):
            rows[0]['ok'] = len(events)
        if spec.get('ends'):
            rows[0].update(first=events[0]['i'] if events else None, last=events[-1]['i'] if events else None, all=[e['i'] for e in events],
                           kinds=len(set(values)))
    elif what == 'reduce':
        rows = [{'sum': {'v': sum(values), 'i': max(e['i'] for e in events)} if len(events) > 1 else events[0] if events else None}]
    else:
        rows = [{'n': len(events), 'all': [e['i'] for e in events], 'total': sum(values)}]
        if events:
            rows.append({'span': events[-1]['ts'] - events[0]['ts'], 'window_end': 'own', 'last': events[-1]})
    for r in rows:
        if w.start is not None:
            r.setdefault('window_start', w.start)
            r.setdefault('window_end', w.end)
        if spec['key'] is not None:
            r[spec['key']] = key
        r.update({k: v for k, v in more.items() if v is not None})
    return rows


def put(rows):
    for r in rows:
        sys.stdout.write(json.dumps(r, sort_keys=True, separators=(',', ':')) + '\n')


def main():
    spec = json.load(open(sys.argv[1]))
    late = open(spec['late'], 'w')
    windows, largest, watermark, tick = {}, -INF, -INF, INF
    lateness, mode, every = spec['lateness'], spec['mode'], spec.get('every')

    def send(w, key, k, **more):
        put(shown(spec, w, key, k.events, **more))
        if not spec['accumulate']:
            k.events = []

    def advance(to):
        nonlocal tick
        while True:
            due = []
            for w in windows.values():
                if mode != 'closed' and not w.fired:
                    due.append((w.end - 1, 2, w.start, w))
                else:
                    due.append((w.end - 1 + lateness, 2 if not w.fired else 3, w.start, w))
            if every and to < INF and tick < INF:
                due.append((tick, 1, -INF, None))
            due = [d for d in due if d[0] <= to]
            if not due:
                return
            time, rank, _, w = min(due, key=lambda d: d[:3])
            if rank == 1:
                for o in sorted(windows.values(), key=lambda o: o.start):
                    if not o.fired:
                        for key, k in o.keys.items():
                            send(o, key, k)
                tick += every
            elif rank == 2:
                for key, k in w.keys.items():
                    k.rows = 1
                    if mode != 'updates':
                        send(w, key, k, op='+' if mode == 'retract' else None)
                w.fired = True
                if mode == 'closed' or lateness == 0:
                    del windows[w.start]
            else:
                del windows[w.start]
            if not windows:
                tick = INF

    for line in sys.stdin:
        e = json.loads(line)
        t = e['ts']
        before = watermark
        hit = [s for s in starts(spec, t) if s + spec['size'] - 1 + lateness > before]
        if not hit and starts(spec, t):
            late.write(line)
        key = e[spec['key']] if spec['key'] is not None else None
        largest = max(largest, t)
        watermark = largest - spec['out_of_order'] - 1
        for s in hit:
            if s not in windows:
                windows[s] = Window(s, s + spec['size'])
                if every and tick == INF:
                    low = before if before > -INF else watermark
                    tick = (low // every + 1) * every
            w = windows[s]
            if key not in w.keys:
                w.keys[key] = Key()
            k = w.keys[key]
            if mode == 'retract' and w.fired and k.rows > 0:
                put(shown(spec, w, key, k.events, op='-'))
            k.events.append(e)
            k.since += 1
            if mode == 'updates':
                send(w, key, k)
            elif spec.get('count') and k.since >= spec['count']:
                k.since = 0
                send(w, key, k)
            if w.fired and mode not in ('closed', 'updates'):
                revision, k.rows = k.rows, k.rows + 1
                if mode == 'retract':
                    send(w, key, k, op='+')
                else:
                    send(w, key, k, revision=revision or None)
        advance(watermark)
    advance(INF)
    late.close()


if __name__ == '__main__':
    main()
