#!/usr/bin/env python3
"""Branch coverage of what must survive a death: journal, snapshots, recovery, the tokens of sinks.

    tests/coverage.py BUILD

BUILD was compiled with --coverage and its tests have run. A line a file: branches, those taken, percent, the least that is asked for, and
the lines whose branches were not all taken. Lines of assertions do not count: their other branch ends the program. Of a line with a comment that
begins with "not reached:" what was not taken does not count either: the comment says why no test can come there, and how many such branches
there are is printed. Exit code 1 when a file is below what is asked for.
"""
import glob
import json
import os
import subprocess
import sys

# The least percent of branches of a file, or of each file of a folder that is not named itself: what was reached, rounded down. Whoever reaches
# more raises it.
LEAST = {
    'host/durable': 98.0,
    'host/base/crc32c.c': 97.0,
    'host/engine/epochs_load.c': 81.0,
    'host/eventlog/durable.c': 62.0,
    'host/eventlog/first.c': 56.0,
    'host/eventlog/mark.c': 79.0,
    'host/eventlog/truncate.c': 66.0,
    'host/io/files_fresh.c': 60.0,
    'host/io/sqlite_db.c': 79.0,
    'host/io/tail.c': 66.0,
}


def least(path):
    return LEAST.get(path, LEAST.get(os.path.dirname(path), 0.0))


def assertion_lines(path):
    """Numbers of the lines of TM_ASSERT statements, which may go over several."""
    lines, inside = set(), False
    with open(path, encoding='utf-8') as f:
        for number, line in enumerate(f, 1):
            if 'TM_ASSERT(' in line:
                inside = True
            if inside:
                lines.add(number)
                inside = ';' not in line
    return lines


def marked_lines(path):
    """Numbers of the lines that say of a branch of theirs why no test can take it."""
    with open(path, encoding='utf-8') as f:
        return {number for number, line in enumerate(f, 1) if '/* not reached: ' in line}


def measure(build, path):
    """Branches, those taken, the lines with others, and how many were left out by a mark."""
    object_dir = os.path.join(build, 'obj', os.path.dirname(path))
    out = subprocess.run(['gcov', '--branch-probabilities', '--json-format', '--stdout', '--object-directory', object_dir, path],
                         check=False, capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(f'coverage: {path}: {out.stderr.strip()}')
    skip, marked = assertion_lines(path), marked_lines(path)
    branches = taken = left_out = 0
    missed = []
    for text in out.stdout.splitlines():
        for file in json.loads(text)['files']:
            if file['file'] != path:
                continue
            for line in file['lines']:
                counts = [b['count'] for b in line['branches']]
                if line['line_number'] in skip:
                    continue
                if line['line_number'] in marked:
                    left_out += counts.count(0)
                    counts = [c for c in counts if c > 0]
                branches += len(counts)
                taken += sum(c > 0 for c in counts)
                if 0 in counts or (not counts and line['count'] == 0):
                    missed.append(line['line_number'])
    return branches, taken, sorted(set(missed)), left_out


def ranges(numbers):
    """3, 5-7: neighbours together."""
    parts = []
    for n in numbers:
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ', '.join(str(a) if a == b else f'{a}-{b}' for a, b in parts)


def main():
    build = sys.argv[1]
    paths = []
    for name in LEAST:
        if os.path.isdir(name):
            paths += sorted(glob.glob(name + '/*.c'))
        elif os.path.dirname(name) not in LEAST:
            paths.append(name)
    total = total_taken = total_left_out = 0
    bad = []
    print(f'{"FILE":<36} {"BRANCHES":>8} {"TAKEN":>6} {"PERCENT":>8} {"LEAST":>6} {"MARKED":>6}  NOT ALL TAKEN IN LINES')
    for path in paths:
        branches, taken, missed, left_out = measure(build, path)
        percent = 100.0 * taken / branches if branches > 0 else 100.0
        total += branches
        total_taken += taken
        total_left_out += left_out
        if percent < least(path):
            bad.append(path)
        print(f'{path:<36} {branches:>8} {taken:>6} {percent:>8.2f} {least(path):>6.1f} {left_out:>6}  {ranges(missed)}')
    print(f'{"all":<36} {total:>8} {total_taken:>6} {100.0 * total_taken / total:>8.2f} {"":>6} {total_left_out:>6}')
    if bad:
        print('coverage: below what is asked for: ' + ', '.join(bad))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
