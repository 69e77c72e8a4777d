"""sliding_reference.py - sliding values the slow and obvious way: for each event all events of its key are looked through.

  python3 sliding_reference.py SPEC.json EVENTS.ndjson ROWS.ndjson LATE.ndjson    judges rows and late events; says what is wrong

SPEC: mode 'over' or 'sliding', out_of_order (ms), key (a field or null), fails (a field: true where what stands behind the step raises),
aggregates: a list of { name, kind, field, over (ms), where: 'big' (v > 0), 'some' (of three events two) or nothing, share, error },
max: events of a key (over; where none is late).
Sums, means and deviations are those of Python's fractions, rounded once; integers of up to 128 bits are not. The watermark is the largest time - out_of_order - 1.
"""
import json
import math
import sys
from decimal import Decimal, getcontext
from fractions import Fraction

getcontext().prec = 60
INF = float('inf')


class Fails(Exception):
    pass


def kind_of(v):
    return 'number' if isinstance(v, (int, float)) and not isinstance(v, bool) else 'text' if isinstance(v, str) else type(v).__name__


def value(a, e):
    """What an event gives an aggregate; None: it does not count there."""
    if a.get('where') == 'big':
        if kind_of(e['v']) != 'number':
            raise Fails()
        if not e['v'] > 0:
            return None
    if a.get('where') == 'some' and e['i'] % 3 == 0:
        return None
    if a['kind'] == 'count':
        return True
    v = e.get(a['field'])
    if v is None:
        return None
    takes = {'min': ('number', 'text'), 'max': ('number', 'text'), 'distinct': ('number', 'text', 'bool')}
    if a['kind'] not in ('first', 'last') and kind_of(v) not in takes.get(a['kind'], ('number',)):
        raise Fails()
    return v


def result(a, events):
    values = [v for v in (value(a, e) for e in events) if v is not None]
    kind, n = a['kind'], len(values)
    if kind == 'count':
        return n
    if kind == 'sum':
        exact = sum(map(Fraction, values))
        return int(exact) if exact.denominator == 1 and 2 ** 53 <= abs(exact) < 2 ** 127 else float(exact)
    if kind == 'distinct':
        return len({(kind_of(v), v) for v in values})
    if kind in ('min', 'max'):
        if len(set(map(kind_of, values))) > 1:
            raise Fails()
        by = (lambda v: v.encode()) if values and kind_of(values[0]) == 'text' else None
        return (min if kind == 'min' else max)(values, key=by) if values else None
    if kind in ('var', 'stddev'):
        if n < 2:
            return None
        f = list(map(Fraction, values))
        mean = sum(f) / n
        var = sum((x - mean) ** 2 for x in f) / (n - 1)
        return float(var) if kind == 'var' else float((Decimal(var.numerator) / Decimal(var.denominator)).sqrt())
    if n == 0:
        return None
    if kind == 'avg':
        return float(sum(map(Fraction, values)) / n)
    if kind == 'quantile':
        return sorted(values)[math.floor(a['share'] * (n - 1))]
    return values[0] if kind == 'first' else values[-1]


def same(a, want, got):
    if want is None or got is None:
        return want is got
    if a['kind'] == 'quantile':
        return abs(got - want) <= abs(want) * a.get('error', 0.01)
    if kind_of(want) != kind_of(got):
        return False
    if isinstance(want, float):  # whole ones are written without a point, in as many digits as tell them apart
        return want == float(got)
    return want == got


def window(events, at, size, low):
    """Events of the key in (low, t], `at` itself included: by time, then arrival."""
    return [e for e in events if (low - e['ts'] < size and (e['ts'], e['i']) <= (at['ts'], at['i'])) or e is at]


def values(spec, events, at, low):
    return {a['name']: result(a, window(events, at, a['over'], low)) for a in spec['aggregates']}


def over(spec, lines):
    """Pairs of the event and what it is to carry; None: it failed."""
    keys, largest, longest = {}, -INF, max(a['over'] for a in spec['aggregates'])
    for e in lines:
        w = largest - spec['out_of_order'] - 1
        events = keys.setdefault(e.get(spec['key']), [])
        before = list(events)
        if len(events) == spec.get('max'):
            events.pop(0)
        events.append(e)
        events.sort(key=lambda x: (x['ts'], x['i']))
        try:
            got = values(spec, events, e, max(e['ts'], w))
            if e.get(spec['fails']):
                raise Fails()
            yield e, got
            events[:] = [x for x in events if w - x['ts'] < longest] if 'max' in spec else events
        except Fails:
            events[:] = before
        largest = max(largest, e['ts'])


def sliding(spec, lines, late):
    keys, largest, waiting = {}, -INF, []

    def turns(w):
        while waiting and waiting[0]['ts'] <= w:
            e = waiting.pop(0)
            events = keys[e.get(spec['key'])]
            try:
                got = values(spec, [x for x in events if (x['ts'], x['i']) <= (e['ts'], e['i'])], e, e['ts'])
                if got[spec['aggregates'][0]['name']] != spec['fails']:
                    yield e, got
            except Fails:
                pass

    for e in lines:
        if e['ts'] <= largest - spec['out_of_order'] - 1:
            late.append(e)
        else:
            try:
                for a in spec['aggregates']:
                    value(a, e)
                keys.setdefault(e.get(spec['key']), []).append(e)
                keys[e.get(spec['key'])].sort(key=lambda x: (x['ts'], x['i']))
                waiting.append(e)
                waiting.sort(key=lambda x: (x['ts'], x['i']))
            except Fails:
                pass
        largest = max(largest, e['ts'])
        yield from turns(largest - spec['out_of_order'] - 1)
    yield from turns(INF)


def main():
    spec = json.load(open(sys.argv[1]))
    lines = [json.loads(line) for line in open(sys.argv[2])]
    rows = [json.loads(line) for line in open(sys.argv[3])]
    late = []
    pairs = list(over(spec, lines) if spec['mode'] == 'over' else sliding(spec, lines, late))
    if spec['mode'] == 'sliding':
        # of equal times of different keys the order is not promised
        def order(key, t, n):
            return (t, str(key), n)
        pairs = sorted(enumerate(pairs), key=lambda p: order(p[1][0].get(spec['key']), p[1][0]['ts'], p[0]))
        pairs = [p for _, p in pairs]
        times = [r['window_end'] for r in rows]
        if times != sorted(times):
            sys.exit('rows are not in order of time')
        rows = [r for _, r in sorted(enumerate(rows), key=lambda p: order(p[1].get(spec['key']), p[1]['window_end'], p[0]))]
        if late != [json.loads(line) for line in open(sys.argv[4])]:
            sys.exit('other events are late')
    for n, ((e, want), row) in enumerate(zip(pairs, rows)):
        expected = dict(e) if spec['mode'] == 'over' else {}
        if spec['mode'] == 'sliding':
            size = spec['aggregates'][0]['over']
            expected.update({'window_start': e['ts'] - size + 1, 'window_end': e['ts'] + 1})
            if spec['key'] is not None:
                expected[spec['key']] = e[spec['key']]
        wrong = [k for k, v in expected.items() if row.get(k) != v] + [a['name'] for a in spec['aggregates']
                                                                      if not same(a, want[a['name']], row.get(a['name']))]
        if wrong or set(row) != set(expected) | set(want):
            sys.exit('row %d, %s: wrong %s\nevent %s\nwanted %s\nfound %s' % (n, spec['mode'], wrong, e, want, row))
    if len(pairs) != len(rows):
        sys.exit('%d rows, wanted %d' % (len(rows), len(pairs)))
    print(len(rows))


main()
