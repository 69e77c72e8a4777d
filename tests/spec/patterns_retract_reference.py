#!/usr/bin/env python3
"""What late events change of matches that were sent: after each event that arrives the slow matcher (patterns_reference.py) is run anew
over all events known so far whose time the watermark has passed, in order of time; the difference of its matches before and after is
what goes out. Reads jobs, a JSON object a line { pattern, timeouts, events, out_of_order, lateness }, events of several keys in order of
arrival, and writes a line for each: { late: numbers of events, steps: [ { key, minus: [match], plus: [match] } ] }, a match being
{ events, stages, time, timed_out } with events by their place of arrival from 1.
"""
import json
import sys

from patterns_reference import INF, Matcher


def answers(job, known, until):
    """The matches of a key's events, by what they are; and whether time alone can bring more."""
    ordered = sorted(known, key=lambda e: (e['t'], e['n']))
    m = Matcher(dict(pattern=job['pattern'], timeouts=job['timeouts'], events=[dict(e, i=i) for i, e in enumerate(ordered)]))
    found = {}
    for x in m.run(until):
        name = json.dumps(dict(events=[e['n'] for _, e in x['taken']], stages=[s.name for s, _ in x['taken']], time=x['time'],
                               timed_out=x['timed_out']))
        found[name] = found.get(name, 0) + 1
    return found, bool(m.alive)


def difference(a, b):
    """What of a is not in b."""
    return [json.loads(name) for name, n in a.items() for _ in range(n - b.get(name, 0))]


class Key:
    def __init__(self):
        self.events, self.was, self.seen, self.moves = [], {}, 0, False

    def step(self, job, key, until, steps):
        known = [e for e in self.events if e['t'] <= until]
        if len(known) == self.seen and not self.moves and until < INF:
            return
        now, self.moves = answers(job, known, until)
        minus, plus = difference(self.was, now), difference(now, self.was)
        if minus or plus:
            steps.append(dict(key=key, minus=minus, plus=plus))
        self.was, self.seen = now, len(known)


def corrected(job):
    keys, highest, until, late, steps = {}, -INF, -INF, [], []
    for e in job['events']:
        key = keys.setdefault(e['key'], Key())
        if e['t'] <= until - job['lateness']:
            late.append(e['n'])
            continue
        key.events.append(e)
        highest = max(highest, e['t'])
        until = max(until, highest - job['out_of_order'] - 1)
        for name in sorted(keys):
            keys[name].step(job, name, until, steps)
    for name in sorted(keys):
        keys[name].step(job, name, INF, steps)
    return dict(late=late, steps=steps)


def main():
    for line in sys.stdin:
        print(json.dumps(corrected(json.loads(line))))


if __name__ == '__main__':
    main()
