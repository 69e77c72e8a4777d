"""backtest_reference.py - what a backtest should report, counted the obvious way from the rows of a live run and from labels.

    backtest_reference.py DECISIONS REPORT LABELS...    prints what differs, nothing when all is as it should be

DECISIONS: every decision of the run as NDJSON, with `event`, `rules`, `reasons`. REPORT: what `backtest --json` printed. LABELS: CSV or NDJSON.
"""
import csv
import itertools
import json
import math
import sys
from fractions import Fraction

rows = [json.loads(line, parse_float=Fraction) for line in open(sys.argv[1])]
report = json.load(open(sys.argv[2]))

by_id, ranges = {}, []
for path in sys.argv[3:]:
    lines = list(csv.DictReader(open(path))) if path.endswith('.csv') else [json.loads(line) for line in open(path)]
    for one in lines:
        label = one.get('label')
        fraud = label in (None, '') or str(label).lower() in ('fraud', 'true', '1', 'yes')
        if one.get('id') not in (None, ''):
            by_id[str(one['id'])] = (fraud, one.get('case') or None)
        else:
            ranges.append((one['key'], one['value'], float(one['from']), float(one['to']), fraud, one.get('case') or None))


def truth_of(event):
    if str(event['id']) in by_id:
        return by_id[str(event['id'])]
    hits = [r for r in ranges if event.get(r[0]) == r[1] and r[2] <= event['ts'] <= r[3]]
    hits.sort(key=lambda r: r[2])
    return hits[-1][4:] if hits else (None, None)


class Count:
    def __init__(self):
        self.events = self.fraud = self.legit = 0
        self.caught = self.false = Fraction(0)

    def add(self, fraud, amount):
        self.events += 1
        if fraud:
            self.fraud += 1
            self.caught += amount
        else:
            self.legit += 1
            self.false += amount


every, alerts, sent = Count(), Count(), 0
decisions, rules, pairs, cases = {}, {}, {}, {}
for row in rows:
    event = row['event']
    amount = event.get('amount', 0)
    fraud, case = truth_of(event)
    fraud = bool(fraud)
    alert = bool(row['reasons']) or row['score'] > 0 and row['decision'] != 'approve'
    every.add(fraud, amount)
    decisions.setdefault(row['decision'], Count()).add(fraud, amount)
    if alert:
        alerts.add(fraud, amount)
        sent += not row.get('suppressed', False)
    matched = [r['id'] for r in row['rules']]
    counting = [r['id'] for r in row['rules'] if r['mode'] in ('enforce', 'alert')]
    for rule in matched:
        of = rules.setdefault(rule, [Count(), 0, set()])
        of[0].add(fraud, amount)
        if fraud and case:
            of[2].add(case)
    if fraud and len(counting) == 1:
        rules[counting[0]][1] += 1
    for a, b in itertools.combinations(matched, 2):
        key = tuple(sorted((a, b)))
        was = pairs.setdefault(key, [0, 0])
        was[0] += 1
        was[1] += fraud
    if fraud and case:
        of = cases.setdefault(case, {'first': event['ts'], 'alert': None, 'before': Fraction(0)})
        of['first'] = min(of['first'], event['ts'])
        if alert and of['alert'] is None:
            of['alert'] = event['ts']
        if not alert and of['alert'] is None:
            of['before'] += amount


def check(what, want, got):
    if isinstance(want, (Fraction, float)) and got is not None:
        same = math.isclose(float(want), got, rel_tol=1e-9, abs_tol=1e-9)
    else:
        same = want == got
    if not same:
        print('%s: expected %s, the report has %s' % (what, float(want) if isinstance(want, Fraction) else want, got))


def ratio(a, b):
    return a / b if b else None


def check_count(what, want, got):
    for name in ('events', 'fraud', 'legit', 'caught', 'false'):
        check('%s.%s' % (what, name), getattr(want, name), got[name])


check('events', len(rows), report['events'])
check_count('alerts', alerts, report['alerts'])
check('precision', ratio(alerts.fraud, alerts.events), report['alerts']['precision'])
check('recall', ratio(alerts.fraud, every.fraud), report['alerts']['recall'])
check('share', ratio(alerts.events, len(rows)), report['alerts']['share'])
check('missed', every.caught - alerts.caught, report['alerts']['missed'])
check('sent', sent, report['alerts']['sent'])
above = fraud_above = 0
for d in report['decisions']:
    of = decisions.get(d['decision'], Count())
    check_count(d['decision'], of, d)
    above += of.events
    fraud_above += of.fraud
    check(d['decision'] + '.precision', ratio(fraud_above, above), d['precision'])
    check(d['decision'] + '.recall', ratio(fraud_above, every.fraud), d['recall'])
for r in report['rules']:
    of = rules.pop(r['id'], [Count(), 0, set()])
    check_count(r['id'], of[0], r)
    check(r['id'] + '.precision', ratio(of[0].fraud, of[0].events), r['precision'])
    check(r['id'] + '.recall', ratio(of[0].fraud, every.fraud), r['recall'])
    check(r['id'] + '.alone', of[1], r['alone'])
    check(r['id'] + '.cases', len(of[2]), r['cases'])
check('rules that are not reported', {}, rules)
check('pairs', {k: v for k, v in pairs.items()}, {tuple(sorted((p['a'], p['b']))): [p['events'], p['fraud']] for p in report['pairs']})
found = sorted(max(0, c['alert'] - c['first']) for c in cases.values() if c['alert'] is not None)
if cases:
    got = report['cases']
    check('cases.seen', len(cases), got['seen'])
    check('cases.found', len(found), got['found'])
    check('cases.before', sum((c['before'] for c in cases.values() if c['alert'] is not None), Fraction(0)), got['before'])
    for name, q in (('p50', 0.5), ('p90', 0.9), ('max', 1)):
        check('cases.' + name, found[max(0, math.ceil(q * len(found)) - 1)] if found else None, got['first_alert_ms'][name])
ids = {str(row['event']['id']) for row in rows}
lost = len([i for i in by_id if i not in ids])
lost += len([r for r in ranges if not any(truth_of(row['event']) == r[4:] and row['event'].get(r[0]) == r[1] for row in rows)])
check('unmatched', lost, report['labels']['unmatched'])
