#!/usr/bin/env python3
"""Compares the NDJSON reader with Python's json on generated, mutated and random lines.

usage: json_differential.py TEST_JSON_ROWS [LINES [SEED]]

TEST_JSON_ROWS is the built tests/unit/test_json_rows.c, run as a filter with each scanner. Python's json is told
to be as strict as the reader: UTF-8 is decoded strictly, NaN and Infinity are refused, lone surrogates too, and
nesting is counted. Exit status 1 and the line if the two disagree.
"""
import json
import os
import random
import re
import subprocess
import sys

FIELDS = ["a", "amount", "geo", "geo.lat", "geo.in.x", "k\u00e9y"]
NULL, FALSE, TRUE, NUMBER, BIGINT, HUGE, STRING, ESCAPED, OBJECT, ARRAY = range(1, 11)
KEYS = ["a", "amount", "geo", "lat", "in", "x", "k\u00e9y", "id", "", "a key of more than thirty-two bytes in all"]


class Refused(ValueError):
    pass


def no_constant(name):
    raise Refused(name)


class Text(str):
    """A number's text, kept until it is looked at."""


def parse(line):
    """The value of a line of bytes, or None if it is no event."""
    text = line.decode("utf-8", "strict")
    # json counts no nesting and stops at Python's recursion limit: count brackets outside strings first.
    depth = deepest = 0
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text, re.S):
        depth += (token in "[{") - (token in "]}") if len(token) == 1 else 0
        deepest = max(deepest, depth)
    if deepest > 512:
        raise Refused("depth")
    value = json.loads(text.strip(" \t\r"), parse_constant=no_constant, parse_int=Text, parse_float=Text)
    surrogates(value)
    return value


def surrogates(value):
    if isinstance(value, dict):
        for k, v in value.items():
            k.encode("utf-8")
            surrogates(v)
    elif isinstance(value, list):
        for v in value:
            surrogates(v)
    elif isinstance(value, str):
        value.encode("utf-8")


def has_lost_surrogate(line):
    """A lone surrogate in a value that a later duplicate replaces: Python forgets it, the reader refuses it."""
    units = re.sub(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..", b"", re.sub(rb"\\\\", b"", line))
    return re.search(rb"\\u[dD][89a-fA-F]..", units) is not None


def lookup(value, path):
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return None, False
        value = value[name]
    return value, True


def expected(value):
    """Kind, number or None, decoded text or None."""
    if value is None:
        return NULL, None
    if value is True:
        return TRUE, None
    if value is False:
        return FALSE, None
    if isinstance(value, Text):
        number = float(value)
        if re.fullmatch(r"-?\d+", value):
            return (BIGINT, None) if abs(int(value)) > 2**53 else (NUMBER, number)
        return (HUGE, None) if number in (float("inf"), float("-inf")) else (NUMBER, number)
    if isinstance(value, str):
        return STRING, value
    return (OBJECT if isinstance(value, dict) else ARRAY), value


def check_cell(value, there, cell, line):
    kind, number, text = cell.split(" ")
    kind, text = int(kind), bytes.fromhex(text).decode("utf-8")
    if not there:
        return kind == 0
    want, content = expected(value)
    if want == STRING:
        return kind == (ESCAPED if "\\" in text else STRING) and json.loads('"' + text + '"') == content
    if kind != want:
        return False
    if want == NUMBER:
        return repr(float(number)) == repr(content) and float(text) == content
    if want in (OBJECT, ARRAY):
        return json.loads(text, parse_int=Text, parse_float=Text) == content
    return number == ""


def random_text(rng):
    pool = ["a", "Z", " ", "\u00e9", "\u20ac", "\U0001f600", '"', "\\", "\n", "\x01", "/", "\x7f", "\ufffd"]
    return "".join(rng.choice(pool if rng.random() < 0.3 else "abcdef") for _ in range(rng.choice([0, 1, 3, 8, 31, 32, 33, 70])))


def random_number(rng):
    form = rng.randrange(6)
    if form == 0:
        return str(rng.randrange(-10**rng.randrange(1, 25), 10**rng.randrange(1, 25)))
    if form == 1:
        return repr(rng.uniform(-1000, 1000))
    if form == 2:
        return "%.2f" % rng.lognormvariate(3, 1)
    if form == 3:
        return "%de%d" % (rng.randrange(-1000, 1000), rng.randrange(-340, 340))
    if form == 4:
        return "%.*E" % (rng.randrange(0, 40), rng.uniform(-1, 1) * 10.0 ** rng.randrange(-300, 300))
    return rng.choice(["0", "-0", "-0.0", "9007199254740992", "9007199254740993", "1e400", "1e-400"])


def random_value(rng, depth):
    form = rng.randrange(9 if depth < 4 else 6)
    if form < 2:
        return random_number(rng)
    if form < 4:
        return json.dumps(random_text(rng), ensure_ascii=rng.random() < 0.5)
    if form < 6:
        return rng.choice(["true", "false", "null"])
    if form == 6:
        return "[" + ",".join(random_value(rng, depth + 1) for _ in range(rng.randrange(4))) + "]"
    return random_object(rng, depth + 1)


def random_object(rng, depth):
    comma, colon = rng.choice([(",", ":"), (", ", ": "), (" ,\t", " : ")])
    members = []
    for _ in range(rng.randrange(7)):
        key = json.dumps(rng.choice(KEYS), ensure_ascii=rng.random() < 0.5)
        if rng.random() < 0.05:
            key = '"' + "".join("\\u%04x" % ord(c) for c in json.loads(key)) + '"'
        members.append(key + colon + random_value(rng, depth))
    return "{" + comma.join(members) + "}"


def random_line(rng):
    if rng.random() < 0.05:
        line = random_value(rng, 0).encode()
    else:
        line = random_object(rng, 0).encode()
    if rng.random() < 0.5:
        line = bytearray(line)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(line)) if line else 0
            what = rng.randrange(3)
            if what == 0 and line:
                line[at] = rng.choice(b'"\\{}[]:,019-+.eE \t\r\x00\x1f\x7f\x80\xc3\xa9\xed\xf4ud8')
            elif what == 1 and line:
                del line[at]
            else:
                line.insert(at, rng.choice(b'"\\{}[]:,019-+.eE \t\r\x00\x1f\x7f\x80\xc3\xa9\xed\xf4ud8'))
        line = bytes(line)
    if rng.random() < 0.01:
        line = b'{"a":' * (n := rng.choice([511, 512, 513])) + b"1" + b"}" * n
    return line.replace(b"\n", b"")


def compare(lines, answers, scanner):
    by_line = {}
    for answer in answers.splitlines():
        head, *cells = answer.split("\t")
        number, status = head.split(" ")
        by_line[int(number)] = (int(status), cells)
    good = 0
    for number, line in enumerate(lines):
        if line.strip(b" \t\r") == b"":
            assert number not in by_line, (scanner, line)
            continue
        status, cells = by_line[number]
        try:
            value = parse(line)
            want = 0 if isinstance(value, dict) else 2
        except (ValueError, RecursionError):
            want = None
        if want is not None and has_lost_surrogate(line):
            want = None
        ok = status == want if want is not None else status in (1, 3)
        if ok and status == 0:
            good += 1
            ok = all(check_cell(*lookup(value, path), cell, line) for path, cell in zip(FIELDS, cells))
        if not ok:
            print(f"{scanner}: status {status}, json says {want}; cells {cells}\n{line!r}", file=sys.stderr)
            return -1
    return good


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    sys.setrecursionlimit(10000)
    lines = [random_line(rng) for _ in range(count)]
    for scanner in ("portable", "avx2"):
        run = subprocess.run([program, "--lines", *FIELDS], input=b"\n".join(lines), stdout=subprocess.PIPE,
                             check=True, env={**os.environ, "TIDEMILL_SIMD": scanner})
        good = compare(lines, run.stdout.decode(), scanner)
        if good < 0:
            return 1
        print(f"{scanner}: {count} lines, {good} of them events, as Python's json reads them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
