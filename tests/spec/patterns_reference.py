#!/usr/bin/env python3
"""Matches of patterns, the slow and obvious way: what a match waits for is worked out from the text of the pattern at every event, nothing
is compiled and nothing is shared. Reads jobs, a JSON object a line { pattern, events } as tests/spec/patterns.lua makes them, and writes a
line for each: { matches: [ { events, stages, time, timed_out } ] }, in the order in which they are sent.

A match that has begun is what it has taken. Behind each event taken there are places where the next one may go, in this order: another
one of the same stage or group, then what stands behind, and what is behind that if it is optional. The next event decides for each place
whether it is taken there, or passes while the match waits for that place from then on; that is a match of its own for each.
"""
import json
import sys

INF = float('inf')


def letters_are(letters, e):
    return letters in ('.', '') or e['k'] in letters


class Stage:
    """A stage of a list, with the group it is in (up) and its place there."""

    def __init__(self, spec, up, at):
        self.name, self.link, self.up, self.at = spec['name'], spec['link'], up, at
        self.least, self.most = spec.get('from', 1), spec.get('to', 1)
        self.most = INF if self.most == -1 else self.most
        self.optional = spec.get('optional', False)
        if self.least == 0:
            self.least, self.optional = 1, True
        self.inner, self.greedy = spec.get('inner', 'relaxed'), spec.get('greedy', False)
        self.letters, self.condition, self.stop = spec.get('letters', '.'), spec.get('condition'), spec.get('stop')
        self.stages = [Stage(s, self, i) for i, s in enumerate(spec['group'])] if spec.get('group') else None

    def is_not(self):
        return self.link in ('not_next', 'not_followed_by')


class Matcher:
    def __init__(self, job):
        p = job['pattern']
        self.stages = [Stage(s, None, i) for i, s in enumerate(p['stages'])]
        self.within, self.between = p.get('within') or INF, p.get('between') or INF
        self.after = p.get('after')
        self.timeouts = job.get('timeouts', False)
        self.events = job['events']
        self.done = []       # (number of the first event, order of being complete, match)

    @staticmethod
    def greedy_of(stage):
        return stage if stage.greedy and stage.most != stage.least else None

    def list_of(self, stage):
        return stage.up.stages if stage.up else self.stages

    # ---- conditions: of an event and what has been taken, a list of (stage, event) ----

    def test(self, letters, condition, stage, e, taken):
        if not letters_are(letters, e):
            return False
        if not condition:
            return True
        mine = [x for s, x in taken if s is stage]
        if condition == 'sum':
            return sum(x['p'] for x in mine) + e['p'] < 5
        if condition == 'three':
            return len(mine) == 3
        of = lambda name: [x for s, x in taken if s.name == name or self.inside(s, name)]
        if condition == 'up':
            return not of('s1') or e['p'] >= of('s1')[0]['p']
        if condition == 'four':
            return sum(x['p'] for x in of('s2')) == 4
        if condition == 'two':
            return sum(x['p'] for x in of('s1')) >= 2
        if condition == 'same':
            return bool(of('s1')) and of('s1')[0]['p'] == e['p']
        raise ValueError(condition)

    @staticmethod
    def inside(stage, name):
        while stage.up:
            stage = stage.up
            if stage.name == name:
                return True
        return False

    def fits(self, stage, e, taken):
        return self.test(stage.letters, stage.condition, stage, e, taken)

    def stopped(self, stage, e, taken):
        if not stage.stop:
            return False
        letters, _, condition = stage.stop.partition('#')
        return self.test(letters, condition or None, stage, e, taken)

    def group_stopped(self, stage, e, taken):
        up = stage.up
        while up:
            if self.stopped(up, e, taken):
                return True
            up = up.up
        return False

    # ---- places: where the next event may go ----
    # A place is { stage: a leaf, rounds: of it and of each group around it, how: contiguity, again: another one of the stage, nots, greedy,
    # left: while it has not waited there, what is behind may come instead }

    def enter(self, stage, rounds, how, nots, greedy, left):
        """Places at the beginning of a stage or of a round of it."""
        left = left or stage.optional and how == stage.link
        if stage.stages is None:
            return [dict(stage=stage, rounds=rounds, how=how, again=False, nots=list(nots), greedy=greedy, left=left)]
        head = stage.stages[0]
        inner = rounds + ((head, 1),)
        list_ = self.enter(head, inner, how, nots, greedy, left or head.optional)
        if head.optional:
            list_ += self.behind(head, inner, nots, self.greedy_of(head), left)
        return list_

    def behind(self, stage, rounds, nots, greedy, left=False):
        """Places behind a stage that is over; an END where the pattern is. rounds: of it (last) and the groups around."""
        list_, at = self.list_of(stage), stage.at + 1
        nots = list(nots)
        outer = rounds[:-1]
        nexts = []
        while at < len(list_) and list_[at].is_not():
            nots.append(list_[at])
            nexts += [list_[at]] if list_[at].link == 'not_next' else []
            at += 1
        if at < len(list_):
            s = list_[at]
            places = self.enter(s, outer + ((s, 1),), s.link, nots, greedy, left)
            for p in places:
                p['not_next'] = nexts + p.get('not_next', [])
            if s.optional:
                more = self.behind(s, outer + ((s, 1),), nots, self.greedy_of(s))
                for p in more:
                    p['not_next'] = nexts + p.get('not_next', [])
                places += more
            return places
        if stage.up:
            return self.round_over(stage.up, outer, nots, greedy)
        return [dict(end=True, nots=nots, not_next=nexts, greedy=greedy, trailing=list_[-1].link == 'not_followed_by')]

    def round_over(self, stage, rounds, nots, greedy):
        """Places behind a round of a stage."""
        n = rounds[-1][1]
        places = []
        excluded = self.nots_behind(stage)
        if n < stage.most:
            again = rounds[:-1] + ((stage, n + 1),)
            if stage.stages is None:
                places.append(dict(stage=stage, rounds=again, how=stage.inner, again=True, nots=list(nots) + excluded, greedy=None, left=True))
            else:
                places += self.enter(stage, again, stage.inner, list(nots) + excluded, None, n >= stage.least)
        if n >= stage.least:
            places += self.behind(stage, rounds, nots, self.greedy_of(stage) or greedy)
        return places

    def nots_behind(self, stage):
        """What is excluded right behind a stage, or behind the group that it ends."""
        list_, at, found = self.list_of(stage), stage.at + 1, []
        while at < len(list_) and list_[at].link == 'not_followed_by':
            found.append(list_[at])
            at += 1
        if at == len(list_) and not found and stage.up:
            return self.nots_behind(stage.up)
        return found[:1]

    def first_places(self):
        s = self.stages[0]
        places = self.enter(s, ((s, 1),), 'start', [], None, False)
        if s.optional:
            places += self.behind(s, ((s, 1),), [], self.greedy_of(s))
        return self.distinct(places)

    @staticmethod
    def distinct(places):
        seen, list_ = set(), []
        for p in places:
            key = 'end' if p.get('end') else (p['stage'], p['rounds'])
            if key not in seen:
                seen.add(key)
                list_.append(p)
        return list_

    def places_behind(self, place):
        return self.distinct(self.round_over(place['stage'], place['rounds'], [], None))

    # ---- what an event does at a place ----

    def takes(self, place, e, taken):
        s = place['stage']
        return self.fits(s, e, taken) and not self.stopped(s, e, taken) and not self.group_stopped(s, e, taken)

    def passes(self, place, e, taken):
        s, how = place['stage'], place['how']
        if how in ('strict', 'next'):
            return False
        if self.group_stopped(s, e, taken) or place['again'] and self.stopped(s, e, taken):
            return False
        return how in ('any', 'followed_by_any') or not self.fits(s, e, taken)

    def greedy_blocks(self, place, e, taken):
        g = place['greedy']
        return g is not None and self.fits(g, e, taken) and not self.group_stopped(g, e, taken)

    # ---- runs ----

    def complete(self, taken, time):
        self.done.append((taken[0][1]['i'], len(self.done), dict(taken=taken, time=time, timed_out=False)))

    def after_taking(self, taken, place, path):
        """The run behind an event that was taken, or None; a match that is complete with it is noted."""
        places = self.places_behind(place)
        ends = [p for p in places if p.get('end')]
        wait = dict(taken=taken, places=places, waits=False, path=path + (place['rounds'],))
        for end in ends:
            if not end['trailing'] and not end['not_next']:
                self.complete(taken, taken[-1][1]['t'])
                places = [p for p in places if p is not end]
                wait['places'] = places
        return wait if places else None

    def excluded(self, place, e, taken, first):
        nots = [n for n in place['nots'] if n.link == 'not_followed_by']
        if first:
            nots += place.get('not_next', [])
        return any(self.fits(n, e, taken) for n in nots)

    def advance(self, run, e):
        taken, runs, stop = run['taken'], [], False
        for place in run['places']:
            first = not run['waits']
            blocked = self.greedy_blocks(place, e, taken)
            if not blocked and self.excluded(place, e, taken, first):
                stop = True
                if any(self.fits(n, e, taken) for n in place.get('not_next', [])) and first:
                    continue
            if place.get('end'):
                if not taken:
                    continue
                if place['trailing']:
                    if not blocked and not self.excluded(place, e, taken, first):
                        runs.append(dict(taken=taken, places=[place], waits=True, path=run['path']))
                elif first and not blocked and not any(self.fits(n, e, taken) for n in place['not_next']):
                    self.complete(taken, taken[-1][1]['t'])
                continue
            if blocked:
                g = place['greedy']
                if not (g.stop and place.get('free')) and not (g.stop and first and self.stopped(g, e, taken)):
                    continue
            if self.takes(place, e, taken):
                more = self.after_taking(taken + [(place['stage'], e)], place, run['path'])
                if more:
                    runs.append(more)
            if taken and self.passes(place, e, taken):
                kept = dict(place, nots=place['nots'])
                if place['left']:
                    kept['greedy'] = None
                elif place['greedy'] is not None and place['greedy'].stop and self.stopped(place['greedy'], e, taken) and first:
                    kept['greedy'] = None
                runs.append(dict(taken=taken, places=[kept], waits=True, path=run['path']))
        return [] if stop else runs

    def expire(self, runs, t):
        """Runs whose time is over at t go, the first ones first; so do pending ones, as matches."""
        over = []
        for run in runs:
            limit = min(run['taken'][0][1]['t'] + self.within, run['taken'][-1][1]['t'] + self.between)
            if limit <= t:
                over.append((limit, run))
        def key(run):
            return tuple((s.name, e['i']) for s, e in run['taken']), run['path']

        for limit in sorted({limit for limit, _ in over}):
            group = [run for at, run in over if at == limit]
            pending, others = {}, {}
            for run in group:
                if any(p.get('end') and p['trailing'] for p in run['places']):
                    pending.setdefault(key(run), run)
            for run in group:
                if key(run) not in pending:
                    others.setdefault(key(run), run)
            for run in others.values() if self.timeouts else ():
                self.done.append((run['taken'][0][1]['i'], len(self.done), dict(taken=run['taken'], time=limit, timed_out=True)))
            for run in pending.values():
                self.complete(run['taken'], run['taken'][-1][1]['t'])
        gone = {id(run) for _, run in over}
        return [run for run in runs if id(run) not in gone]

    def run(self, until=INF):
        """The matches that are sent when time has come to `until`, at the end of input without it."""
        runs = []
        start = dict(taken=[], places=self.first_places(), waits=False, path=())
        for e in self.events:
            runs = self.expire(runs, e['t'])
            more = []
            for run in runs + [start]:
                more += self.advance(run, e)
            runs = more
        self.alive = self.expire(runs, until if min(self.within, self.between) < INF else -INF)
        return self.sent([run['taken'][0][1]['i'] for run in self.alive] if until < INF else [])

    def sent(self, alive):
        """Matches that are left when each one skips what it says, in order of their first event, up to the first that is held back as
        one that began before it, at one of the events `alive`, may still come."""
        if not self.after or self.after['kind'] == 'no_skip':
            return [m for _, _, m in self.done]
        kind, out, barriers = self.after['kind'], [], []
        skipped = lambda start: any(start < to or too and start == to for to, too in barriers)
        for start, _, m in sorted(self.done, key=lambda d: d[:2]):
            if skipped(start):
                continue
            if any(other < start and not skipped(other) for other in alive):
                break
            out.append(m)
            ids = [e['i'] for _, e in m['taken']]
            if kind == 'skip_past_last':
                barriers.append((ids[-1], True))
            elif kind == 'skip_to_next':
                barriers.append((start, True))
            else:
                name = self.after['stage']
                mine = [e['i'] for s, e in m['taken'] if s.name == name or self.inside(s, name)]
                if mine:
                    barriers.append((mine[0] if kind == 'skip_to_first' else mine[-1], False))
        return out


def main():
    for line in sys.stdin:
        m = Matcher(json.loads(line))
        rows = [dict(events=[e['i'] for _, e in x['taken']], stages=[s.name for s, _ in x['taken']], time=x['time'],
                     timed_out=x['timed_out']) for x in m.run()]
        print(json.dumps(dict(matches=rows)))


if __name__ == '__main__':
    main()
