"""features_reference.py - features the slow and obvious way: sqlite3 selects the events of each window, and counts, sums and orders them.

  python3 features_reference.py SPEC.json EVENTS.ndjson ROWS.ndjson    judges the rows; says what is wrong

SPEC: out_of_order (ms), key (list of fields), ttl (ms), max (events of a key), fails (a field: true where what stands behind the step
raises), features: list of { name, kind, field, over, step, where ('big': v > 0, 'some': i % 3 > 0), current, min_history, max, share,
half_life, within, parts }. Values of the field v are whole numbers or quarters, so that SQLite's doubles hold every sum; `wild` says that
they are not, and sums are Python's fractions. The watermark before an event is the largest time so far - out_of_order - 1.
"""
import json
import math
import sqlite3
import sys
from fractions import Fraction

INF = float('inf')
WHERE = {'big': 'v > 0', 'some': 'i % 3 > 0'}
SQL = {'count': 'count(*)', 'sum': 'sum(v)', 'avg': 'avg(v)', 'min': 'min(v)', 'max': 'max(v)', 'distinct': 'count(DISTINCT x)'}


class Judge:
    def __init__(self, spec):
        self.spec = spec
        self.db = sqlite3.connect(':memory:')
        self.db.execute('CREATE TABLE ev (i INTEGER, k TEXT, life INTEGER, ts INTEGER, v REAL, x, y, lat REAL, lon REAL, gone INTEGER)')
        self.db.execute('CREATE INDEX by_key ON ev (k, life, ts)')
        self.lives = {}   # key -> [number of the life, newest time]

    def select(self, what, k, life, low, high, f, e, more=''):
        """what of the key's events in (low, high] that arrived before e, e too where it counts."""
        test = 'k = ? AND life = ? AND gone = 0 AND ((ts > ? AND ts <= ? AND i < ?) OR i = ?)'
        own = e['i'] if f.get('current', True) and f['kind'] != 'has' else -1
        if f.get('where'):
            test += ' AND ' + WHERE[f['where']]
        field = {'count': None, 'distinct': 'x', 'last': f.get('field'), 'has': 'x', 'first_seen': None}.get(f['kind'], 'v')
        if field:
            test += ' AND %s IS NOT NULL' % field
        return self.db.execute('SELECT %s FROM ev WHERE %s %s' % (what, test, more), (k, life, low, high, e['i'], own)).fetchall()

    def history(self, f, *at):
        return self.select('count(*)', *at)[0][0] >= f['min_history'] if f.get('min_history') else True

    def windowed(self, f, k, life, e, w, newest):
        low, high = max(e['ts'], w) - f['over'], e['ts']
        if f.get('step'):
            last = max(newest, w)
            low, high = (last - f['over']) // f['step'] * f['step'], INF
            if e['ts'] <= low:
                f = dict(f, current=False)
        at = (k, life, low, high, f, e)
        kind = f['kind']
        if not self.history(f, *at):
            return None
        if kind in ('sum', 'avg', 'stddev', 'quantile'):
            values = [Fraction(r[0]) for r in self.select('v', *at)]
            return of_numbers(f, values, lambda: self.select(SQL[kind], *at)[0][0], self.spec.get('wild'))
        if kind in SQL:
            n = self.select(SQL[kind], *at)[0][0]
            return min(n, f['max']) if kind == 'distinct' and f.get('max') else n
        if kind == 'has':
            if e.get('x') is None:
                return None
            rows = self.select('x, typeof(x)', *at)
            return key_of(e['x']) in [r[0] for r in rows]
        if kind == 'last':
            rows = self.select(f['field'], *at, 'ORDER BY ts DESC, i DESC LIMIT 1')
            return rows[0][0] if rows else None
        return self.select('min(ts)', *at)[0][0]

    def unending(self, f, k, life, e):
        """What looks at all events of the key that arrived before, whatever their time."""
        at = (k, life, -INF, INF, f, e)
        if f['kind'] == 'first_seen':
            return self.select('min(ts)', *at)[0][0]
        if f['kind'] == 'time_since':
            last = self.select('max(ts)', k, life, -INF, INF, dict(f, current=False, kind='count'), e)[0][0]
            since = None if last is None else max(0, e['ts'] - last)
            return None if since is None or since >= f.get('over', INF) else since
        if f['kind'] == 'ewma':
            rows = self.select('ts, v', *at)
            weights = [0.5 ** ((max(r[0] for r in rows) - ts) / f['half_life']) for ts, _ in rows]
            total = math.fsum(weights)
            return math.fsum(w * v for w, (_, v) in zip(weights, rows)) / total if rows else None
        return None

    def travel(self, f, k, life, e):
        f = dict(f, current=False, kind='first_seen')
        rows = self.select('ts, lat, lon', k, life, -INF, INF, f, e,
                           'AND lat IS NOT NULL AND lon IS NOT NULL ORDER BY ts DESC, i DESC LIMIT 1')
        if f.get('where') == 'big' and not (e.get('v') or 0) > 0 or f.get('where') == 'some' and e['i'] % 3 == 0:
            return {}
        if not rows or e.get('lat') is None or e.get('lon') is None or abs(e['ts'] - rows[0][0]) >= f['within']:
            return {}
        ms, (a, b, c, d) = abs(e['ts'] - rows[0][0]), map(math.radians, (rows[0][1], rows[0][2], e['lat'], e['lon']))
        # the angle between the two directions, another formula than the program's
        cross = math.hypot(math.cos(c) * math.sin(d - b), math.cos(a) * math.sin(c) - math.sin(a) * math.cos(c) * math.cos(d - b))
        km = 6371.0088 * math.atan2(cross, math.sin(a) * math.sin(c) + math.cos(a) * math.cos(c) * math.cos(d - b))
        return {'_km': km, '_kmh': km / max(ms, 1) * 3600000, '_ms': ms}

    def features(self, e, w):
        key = [e.get(name) for name in self.spec['key']]
        out = {}
        if None in key:
            return None if e.get(self.spec['fails']) else {name + end: None for name, end in self.names()}
        k = json.dumps(key)
        life = self.lives.setdefault(k, [0, e['ts']])
        before = list(life)
        if w - life[1] >= self.spec['ttl']:
            life[0], life[1] = life[0] + 1, e['ts']
        life[1] = max(life[1], e['ts'])
        here = self.db.execute('SELECT count(*) FROM ev WHERE k = ? AND life = ? AND gone = 0', (k, life[0])).fetchone()[0]
        oldest = None
        if here >= self.spec['max']:
            oldest = self.db.execute('SELECT i FROM ev WHERE k = ? AND life = ? AND gone = 0 ORDER BY ts, i LIMIT 1', (k, life[0])).fetchone()[0]
            self.db.execute('UPDATE ev SET gone = 1 WHERE i = ?', (oldest,))
        self.db.execute('INSERT INTO ev VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)', (e['i'], k, life[0], e['ts'], e.get('v'), key_of(e.get('x')),
                        e.get('y'), e.get('lat'), e.get('lon')))
        for f in self.spec['features']:
            if f['kind'] == 'travel':
                found = self.travel(f, k, life[0], e)
                out.update({f['name'] + end: found.get(end) for end in ('_km', '_kmh', '_ms')})
            elif f['kind'] == 'ratio':
                x, y = (self.feature(p, k, life, e, w) for p in f['parts'])
                out[f['name']] = None if x is None or not y else x / y
            else:
                out[f['name']] = self.feature(f, k, life, e, w)
        if e.get(self.spec['fails']):
            life[:] = before
            self.db.execute('DELETE FROM ev WHERE i = ?', (e['i'],))
            if oldest is not None:
                self.db.execute('UPDATE ev SET gone = 0 WHERE i = ?', (oldest,))
            return None
        return out

    def feature(self, f, k, life, e, w):
        if f.get('over') and f['kind'] != 'time_since':
            return self.windowed(f, k, life[0], e, w, life[1])
        return self.unending(f, k, life[0], e)

    def names(self):
        for f in self.spec['features']:
            for end in ('_km', '_kmh', '_ms') if f['kind'] == 'travel' else ('',):
                yield f['name'], end


def key_of(v):
    """As a value of SQLite that is equal only where the values are."""
    return None if v is None else json.dumps(v) if not isinstance(v, (int, float)) or isinstance(v, bool) else 'n%r' % float(v)


def of_numbers(f, values, sql, wild):
    kind, n = f['kind'], len(values)
    if n == 0 or kind == 'stddev' and n < 2:
        return None
    if kind == 'quantile':
        return float(sorted(values)[math.floor(f['share'] * (n - 1))])
    if kind == 'stddev':
        mean = sum(values) / n
        var = sum((x - mean) ** 2 for x in values) / (n - 1)
        return math.sqrt(var) if var else 0.0
    exact = float(sum(values) / (n if kind == 'avg' else 1))
    if not wild:
        assert sql() == exact, (kind, values, sql(), exact)
    return exact


def same(f, want, got):
    if want is None or got is None or isinstance(want, (bool, str)) or isinstance(got, (bool, str)):
        return want == got and type(want) is type(got)
    if f['kind'] in ('stddev', 'ewma', 'travel', 'ratio'):
        return math.isclose(want, got, rel_tol=1e-9, abs_tol=1e-6 if f['kind'] == 'travel' else 1e-12 if f['kind'] == 'ewma' else 0)
    return want == float(got)


def main():
    spec = json.load(open(sys.argv[1]))
    events = [json.loads(line) for line in open(sys.argv[2])]
    rows = {r['i']: r for r in map(json.loads, open(sys.argv[3]))}
    judge, largest, bad, expected, informed = Judge(spec), -INF, 0, 0, 0
    for e in events:
        want = judge.features(e, largest - spec['out_of_order'] - 1)
        largest = max(largest, e['ts'])
        got = rows.get(e['i'])
        if (want is None) != (got is None):
            bad += 1
            print('event', e, 'expected', want, 'found', got, file=sys.stderr)
            continue
        expected += want is not None
        for name, end in judge.names() if want else ():
            f = next(f for f in spec['features'] if f['name'] == name)
            informed += want[name + end] not in (None, 0, False)
            if not same(f, want[name + end], got[name + end]):
                bad += 1
                if bad < 6:
                    print('event', e, name + end, f, 'expected', want[name + end], 'found', got[name + end], file=sys.stderr)
    if len(rows) != expected:
        print(len(rows), 'rows, expected', expected, file=sys.stderr)
        bad += 1
    print(informed)
    sys.exit(1 if bad else 0)


main()
