"""CSV through the program, judged by Python's csv and json, and by a slow reading of the rules of host/codec/csv.h.

  csv_reference.py PROGRAM SEED ROUNDS

A round is a folder of 40 random files read in one run: tables that Python's csv module wrote, in all its ways of quoting; rows
written by the program and read by that module; and hostile bytes, where the reference below says which rows there are, which
lines are bad and why. Prints how many comparisons there were; exit code 1 at the first difference."""
import csv, io, json, os, random, subprocess, sys, tempfile

program, seed, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(seed)
compared = 0
DELIMITERS = ',;\t|: ^'


def same(a, b, what):
    global compared
    compared += 1
    if a != b:
        if isinstance(a, list) and isinstance(b, list):
            n = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            what, a, b = '%s, item %d of %d and %d' % (what, n, len(a), len(b)), a[n:n + 1], b[n:n + 1]
        print('DIFFERENT: %s\n  %r\n  %r' % (what, a, b))
        sys.exit(1)


def run(args, text=None):
    p = subprocess.run([program, 'run', '--quiet'] + args, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return p.returncode, p.stdout, p.stderr


def value(delimiter):
    kind = random.random()
    if kind < 0.1:
        return ''
    if kind < 0.6:
        return ''.join(random.choice('abcdefgh 0123456789.-') for _ in range(random.choice((1, 2, 5, 12, 40))))
    alphabet = 'ab"\n\r,;\\/\t \'' + delimiter + 'éß€😀\x01\x7f'
    return ''.join(random.choice(alphabet) for _ in range(random.choice((1, 2, 3, 7, 20, 33, 70))))


def table(delimiter):
    width = random.choice((1, 2, 3, 5, 13, 40))
    names = []
    while len(names) < width:
        name = random.choice(('id', 'name', 'amount', 'é', 'a b', 'x"y', 'x,y', 'n\nn', 'k')) + random.choice(('', str(len(names))))
        if name not in names:
            names.append(name)
    return names, [[value(delimiter) for _ in names] for _ in range(random.choice((0, 1, 3, 30, 300)))]


def written(names, rows, delimiter):
    out = io.StringIO()
    for i, row in enumerate([names] + rows):
        quoting = random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC))
        if '\r' in ''.join(row):
            quoting = csv.QUOTE_ALL  # that module leaves a CR at the end of a row without quotes
        w = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=random.choice(('\n', '\r\n')))
        w.writerow(row)
        while random.random() < 0.02 and i > 0:
            out.write(random.choice(('\n', '\r\n')))
    text = out.getvalue()
    if random.random() < 0.3:
        text = text[:-1] if text.endswith('\n') and not text.endswith('\r\n') else text
    return (b'\xef\xbb\xbf' if random.random() < 0.2 else b'') + text.encode()


COPY = "stream:map(function(e) local m = tm.meta(e) return { source = m.source, position = m.position, row = tm.copy(e) } end)"


def reading(folder):
    """Files of Python's csv, read with a header each."""
    delimiter = random.choice(DELIMITERS)
    wanted = {}
    for i in range(40):
        names, rows = table(delimiter)
        path = os.path.join(folder, 'f%02d' % i)
        with open(path, 'wb') as f:
            f.write(written(names, rows, delimiter))
        wanted[path] = [dict(zip(names, row)) for row in rows]
    code, out, err = run(['-e', COPY, '--from', folder, '--format', 'csv', '--delimiter', delimiter])
    got = {path: [] for path in wanted}
    for line in out.decode().split('\n')[:-1]:
        row = json.loads(line)
        got[row['source']].append(row['row'])
    same((code, b''), (0, err), 'exit code')
    for path in wanted:
        same(wanted[path], got[path], path)


def writing(folder):
    """Rows of JSON, CSV and msgpack to CSV, read by Python's csv; and back."""
    delimiter, eol = random.choice(DELIMITERS), random.choice(('\n', '\r\n'))
    names, rows = table(delimiter)
    text = ''.join(json.dumps(dict(zip(names, row)), ensure_ascii=random.random() < 0.5) + '\n' for row in rows).encode()
    script = os.path.join(folder, 'w.lua')
    with open(script, 'w') as f:
        f.write("local tm = require 'tidemill'\nreturn tm.pipeline 'w':to(tm.sink.stdout { format = 'csv', delimiter = %s, crlf = %s })"
                % (json.dumps(delimiter), 'true' if eol == '\r\n' else 'false'))
    code, out, err = run([script], text)
    same((code, b''), (0, err), 'exit code')
    back = list(csv.reader(io.StringIO(out.decode(), newline=''), delimiter=delimiter))
    same([names] + rows if rows else [], back, 'JSON to CSV')
    packed = run(['-e', 'stream', '--out-format', 'msgpack'], text)[1]
    same(out, run([script, '--format', 'msgpack'], packed)[1], 'msgpack to CSV')
    more = ['--format', 'csv', '--delimiter', delimiter]
    same(out.replace(b'\r\n', b'\n') if '\r' not in ''.join(sum(rows, names)) else None,
         run(['-e', 'stream', '--out-format', 'csv', '--out-delimiter', delimiter] + more, out)[1]
         if '\r' not in ''.join(sum(rows, names)) else None, 'CSV to CSV')
    rest = run(['-e', 'stream', '--out-format', 'csv', '--out-delimiter', '|'] + more, out)[1].decode()
    same(back, list(csv.reader(io.StringIO(rest, newline=''), delimiter='|')), 'CSV to CSV with another delimiter')
    same([dict(zip(names, row)) for row in rows], [json.loads(l) for l in run(['-e', 'stream'] + more, out)[1].decode().split('\n')[:-1]],
         'CSV to JSON')
    again = run(['-e', 'stream', '--out-format', 'msgpack'] + more, out)[1]
    same(packed, again, 'CSV to msgpack')
    shuffled = random.sample(names, len(names))
    chosen = run(['-e', 'stream:select { %s }' % ', '.join(json.dumps(n, ensure_ascii=False).replace('\\n', '\\n') for n in shuffled),
                  '--out-format', 'csv'] + more, out)[1].decode()
    same([shuffled] + [[row[names.index(n)] for n in shuffled] for row in rows] if rows else [],
         list(csv.reader(io.StringIO(chosen, newline=''))), 'select to CSV')


# ---- the rules, read slowly ----

class Bad(Exception):
    pass


def record(data, at, delimiter):
    """Fields and end of the row at `at`; quoted[0] tells whether the first one is."""
    fields, quoted = [], []
    while True:
        field = b''
        if data[at:at + 1] == b'"':
            quoted.append(True)
            at += 1
            while True:
                if at == len(data):
                    raise Bad('syntax')
                if data[at:at + 2] == b'""':
                    field += b'"'
                    at += 2
                elif data[at:at + 1] == b'"':
                    at += 1
                    break
                else:
                    field += data[at:at + 1]
                    at += 1
            fields.append(field)
            if data[at:at + 1] == delimiter:
                at += 1
                continue
            for end in (b'\n', b'\r\n'):
                if data[at:at + len(end)] == end:
                    return fields, quoted, at + len(end)
            if at == len(data) or data[at:] == b'\r':
                return fields, quoted, len(data)
            raise Bad('syntax')
        quoted.append(False)
        while at < len(data) and data[at:at + 1] not in (delimiter, b'\n'):
            field += data[at:at + 1]
            at += 1
        if data[at:at + 1] == delimiter:
            fields.append(field)
            at += 1
            continue
        if field.endswith(b'\r'):
            field = field[:-1]
        fields.append(field)
        return fields, quoted, min(at + 1, len(data))


def rows_of(data, delimiter, names, max_event):
    at, line = 0, 1
    while at < len(data):
        first = data.find(b'\n', at)
        first = len(data) if first < 0 else first
        bad = None
        try:
            fields, quoted, end = record(data, at, delimiter)
            lf = data[end - 1:end] == b'\n'
            if end - lf - at > max_event:
                raise Bad('long')
        except Bad as why:
            if first - at > max_event:
                yield line, 'too-long'
            else:
                yield line, 'syntax'
            at, line = first + 1, line + 1
            continue
        blank = len(fields) == 1 and not quoted[0] and (fields[0] == b'' or len(names) > 1 and
                                                        fields[0].strip(b' \t') == b'' and delimiter not in fields[0])
        if not blank:
            text = data[at:end]
            try:
                text.decode()
                yield line, (dict(zip(names, [f.decode() for f in fields])) if len(fields) == len(names) else 'fields')
            except UnicodeDecodeError:
                yield line, 'syntax'
        line += data[at:end].count(b'\n')
        at = end


def hostile(folder):
    delimiter = random.choice(DELIMITERS)
    max_event = random.choice((16, 60, 200, 1 << 20))
    names = ['a', 'b', 'c'][:random.choice((1, 2, 3))]
    bad_path = os.path.join(folder, 'bad')
    os.mkdir(os.path.join(folder, 'in'))
    wanted = []
    weights = random.choice(((20, 6, 3, 3, 1, 1), (5, 6, 6, 8, 2, 2), (30, 8, 4, 1, 1, 0)))
    for i in range(40):
        tokens = random.choices((b'x', delimiter.encode(), b'\n', b'"', b'\r', b'\xff'), weights, k=random.choice((0, 3, 30, 300, 3000)))
        tokens = [random.choice((b'ab', b'c', '€'.encode(), b'1', b'\x00', b' ', b'')) if t == b'x' else t for t in tokens]
        data = b''.join(tokens)
        path = os.path.join(folder, 'in', 'f%02d' % i)
        with open(path, 'wb') as f:
            f.write(data)
        data = data[3:] if data.startswith(b'\xef\xbb\xbf') else data
        wanted += [(path, line, what) for line, what in rows_of(data, delimiter.encode(), names, max_event)]
    code, out, err = run(['-e', 'local s = %s return s:on_error(tm.sink.file %s)' % (COPY, json.dumps(bad_path)), '--from',
                          os.path.join(folder, 'in'), '--format', 'csv', '--delimiter', delimiter, '--columns', ','.join(names),
                          '--max-event', str(max_event)])
    got = []
    for line in out.decode().split('\n')[:-1]:
        row = json.loads(line)
        got.append((row['source'], row['position'], row['row']))
    if os.path.exists(bad_path):
        with open(bad_path, encoding='utf-8') as f:
            for line in f.read().split('\n')[:-1]:
                letter = json.loads(line)
                path, place = letter['position'].rsplit(':', 1)
                got.append((path, int(place), letter['code']))
        os.remove(bad_path)
    same(0, code, 'exit code %r' % err)
    same(sorted(wanted, key=lambda r: r[:2]), sorted(got, key=lambda r: r[:2]), 'hostile %s %r %d' % (folder, delimiter, max_event))


for n in range(rounds):
    for way in (reading, writing, hostile):
        with tempfile.TemporaryDirectory() as folder:
            way(folder)
print('%d comparisons' % compared)
