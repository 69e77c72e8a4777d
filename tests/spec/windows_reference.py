"""windows_reference.py - windows the slow and obvious way: all events of a window are kept, and every row is computed anew from them.

  python3 windows_reference.py SPEC.json < events.ndjson > rows.ndjson     late events go to SPEC's "late" path

SPEC: size, slide, offset, lateness, out_of_order (ms), zone (a name, or none: UTC), key (a field or null), mode, every, count, accumulate, what (aggregate, apply or
reduce: see shown; sessions_reference.py has the same).
After each event the watermark is its largest time - out_of_order - 1; everything due is done in order of time before the next event.
"""
import functools
import json
import sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

INF = float('inf')


class Window:
    def __init__(self, number, start, end):
        self.number, self.start, self.end, self.keys, self.fired = number, start, end, {}, False   # key -> events since the last row, in order of arrival


class Key:
    def __init__(self):
        self.events, self.rows, self.since = [], 0, 0


CHUNK = 400 * 86400000   # ms


@functools.lru_cache(None)
def spans(zone, chunk):
    """A zone's clocks for some years: (from, ms east of UTC), found by looking at every sixth hour and halving."""
    def offset(t):
        return round(datetime.fromtimestamp(t, timezone.utc).astimezone(ZoneInfo(zone)).utcoffset().total_seconds() * 1000)
    step = 6 * 3600
    t = (chunk - 1) * CHUNK // 1000
    found = [(-INF, offset(t))]
    while t < (chunk + 2) * CHUNK // 1000:
        if offset(t + step) != offset(t):
            low, high = t, t + step
            while high - low > 1:
                mid = (low + high) // 2
                low, high = (mid, high) if offset(mid) == offset(low) else (low, mid)
            found.append((high * 1000, offset(high)))
        t += step
    return found


def first(spec, local):
    """The first point in time at which clocks have shown so much."""
    if spec.get('zone') is None:
        return local
    all_spans = spans(spec['zone'], local // CHUNK)
    for i, (since, offset) in enumerate(all_spans):
        until = all_spans[i + 1][0] if i + 1 < len(all_spans) else INF
        if max(since, local - offset) < until:
            return max(since, local - offset)


@functools.lru_cache(None)
def bounds(key, k):
    spec = json.loads(key)
    begin = k * spec['slide'] + spec['offset']
    return first(spec, begin), first(spec, begin + spec['size'])


def windows_of(spec, t):
    """(k, start, end) of the windows that hold a time, the latest first."""
    key = json.dumps({name: spec.get(name) for name in ('size', 'slide', 'offset', 'zone')})
    far = 0 if spec.get('zone') is None else 2 * 86400000   # no clock is further from UTC
    k, found = (t + far - spec['offset']) // spec['slide'], []
    while k * spec['slide'] + spec['offset'] + spec['size'] > t - far:
        start, end = bounds(key, k)
        if start <= t < end:
            found.append((k, start, end))
        k -= 1
    return found


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
                    due.append((w.end - 1, 2, w.number, w))
                else:
                    due.append((w.end - 1 + lateness, 2 if not w.fired else 3, w.number, w))
            if every and to < INF and tick < INF:
                due.append((tick, 1, -INF, None))
            due = [d for d in due if d[0] <= to]
            if not due:
                return
            time, rank, _, w = min(due, key=lambda d: d[:3])
            if rank == 1:
                for o in sorted(windows.values(), key=lambda o: o.number):
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
                    del windows[w.number]
            else:
                del windows[w.number]
            if not windows:
                tick = INF

    for line in sys.stdin:
        e = json.loads(line)
        t = e['ts']
        before = watermark
        holding = windows_of(spec, t)
        hit = [found for found in holding if found[2] - 1 + lateness > before]
        if not hit and holding:
            late.write(line)
        key = e[spec['key']] if spec['key'] is not None else None
        largest = max(largest, t)
        watermark = largest - spec['out_of_order'] - 1
        for number, start, end in hit:
            if number not in windows:
                windows[number] = Window(number, start, end)
                if every and tick == INF:
                    low = before if before > -INF else watermark
                    tick = (low // every + 1) * every
            w = windows[number]
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
                if end - 1 > watermark:   # behind the end it gives a further row as a late event, and no early one
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
