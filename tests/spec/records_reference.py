"""records_reference.py - what records of several lines are, the slow way: all lines in a list, joined one after the other.

  log SEED LINES CRLF           writes a random log: dated lines, stack traces, blank lines, no line end at its end now and then
  read MAX_LINES MAX_EVENT      reads such a log from standard input and writes its events as NDJSON; to standard error how many
                                records begin with no start and are no first ones, and how many lines are no events

A line that begins with a date begins a record. Python's own splitting is not used: it knows more line ends than LF.
"""
import json
import random
import re
import sys

START = re.compile(rb'[0-9]{4}-[0-9]{2}-[0-9]{2} ')


def log(seed, count, crlf):
    rng = random.Random(seed)
    lines = []
    if rng.random() < .5:
        lines += [b'a line in front of all', b'']
    while len(lines) < count:
        lines.append(b'2026-%02d-%02d ' % (rng.randrange(1, 13), rng.randrange(1, 29)) + rng.choice([b'INFO', b'ERROR \xc3\xa9', b'WARN "x"']) +
                     b' event %d ' % len(lines) + b'p' * rng.choice([0, 5, 40, 300]))
        for _ in range(rng.choice([0, 0, 0, 1, 3, 12, 60])):
            lines.append(rng.choice([b'', b'  at com.example.Foo(Foo.java:%d)' % rng.randrange(999), b'Caused by: 2026-01-01 no start',
                                     b'\ttab "quoted"', b' \xe2\x82\xac', b'x' * rng.choice([1, 80, 700])]))
        if rng.random() < .01:
            lines.append(b'  not UTF-8: \xff')
    end = [b'\r\n' if crlf == 'crlf' or (crlf == 'mixed' and rng.random() < .5) else b'\n' for _ in lines]
    if rng.random() < .5:
        end[-1] = b''
    sys.stdout.buffer.write(b''.join(a + b for a, b in zip(lines, end)))


def read(max_lines, max_event):
    text = sys.stdin.buffer.read()
    raw = text.split(b'\n')
    if raw[-1] == b'':
        raw.pop()
    parts = bad = at = 0
    while at < len(raw):
        first = at
        if len(raw[at]) > max_event:
            bad += 1
            at += 1
            continue
        size = len(raw[at])
        at += 1
        while at < len(raw) and at - first < max_lines and not START.match(raw[at]) and size + 1 + len(raw[at]) <= max_event:
            size += 1 + len(raw[at])
            at += 1
        parts += first > 0 and not START.match(raw[first])
        lines = [line[:-1] if line.endswith(b'\r') else line for line in raw[first:at]]
        try:
            print(json.dumps({'line': b'\n'.join(lines).decode()}, ensure_ascii=False))
        except UnicodeDecodeError:
            bad += 1
    print(parts, bad, file=sys.stderr)


sys.stdout.reconfigure(encoding='utf-8')
if sys.argv[1] == 'log':
    log(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
else:
    read(int(sys.argv[2]), int(sys.argv[3]))
