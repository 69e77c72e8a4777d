"""answers.py - what NEXMark's queries answer, by SQLite: q*.sql over a file of events.

  answers.py sql EVENTS SIDE OUT          for each qN.sql beside this file OUT/qN.ndjson
  answers.py canonical [OPTION] <ROWS     the rows of another program in the same form
      --last FIELD,…    of rows with equal fields the last one only: what a stream of changes comes to
      --sum FIELD,…     rows with equal other fields become one, these fields summed up
      --drop FIELD,…    without these fields

One form for all: an object a line, its names in byte order, a number that is whole as an integer and any other with the fewest
digits that read back; lines in byte order. EVENTS is what scripts/nexmark/generate.lua writes, SIDE what side_input.lua does.
"""

import csv
import json
import os
import sqlite3
import sys

TABLES = {
    "person": ["ts", "id", "name", "email", "credit_card", "city", "state", "extra"],
    "auction": ["ts", "id", "item_name", "description", "initial_bid", "reserve", "expires", "seller", "category", "extra"],
    "bid": ["ts", "auction", "bidder", "price", "channel", "url", "extra"],
}


def plain(value):
    return int(value) if isinstance(value, float) and value.is_integer() else value


def canonical(rows):
    """Rows (dicts) as sorted lines."""
    lines = [json.dumps({k: plain(v) for k, v in row.items()}, sort_keys=True, ensure_ascii=False) for row in rows]
    return "".join(line + "\n" for line in sorted(lines, key=str.encode))


def write(out, query, rows):
    with open(os.path.join(out, query + ".ndjson"), "w", encoding="utf-8") as file:
        file.write(canonical(rows))


def events_of(path):
    """(kind, event) in order of arrival; every field must be there, and no other."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            kind = event.pop("kind")
            assert list(event) == TABLES[kind], line
            yield kind, event


def side_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [(int(row["key"]), row["value"]) for row in csv.DictReader(file)]


def load(events, side):
    """A database in memory; n is the order of arrival."""
    db = sqlite3.connect(":memory:")
    rows = {kind: [] for kind in TABLES}
    for n, (kind, event) in enumerate(events_of(events)):
        rows[kind].append((n, *event.values()))
    for kind, columns in TABLES.items():
        db.execute("CREATE TABLE %s (n INTEGER PRIMARY KEY, %s)" % (kind, ", ".join(columns)))
        db.executemany("INSERT INTO %s VALUES (%s)" % (kind, ",".join("?" * (len(columns) + 1))), rows[kind])
    db.execute("CREATE TABLE side_input (key INTEGER PRIMARY KEY, value)")
    db.executemany("INSERT INTO side_input VALUES (?, ?)", side_of(side))
    db.execute("CREATE INDEX bid_auction ON bid (auction)")
    db.execute("CREATE INDEX auction_id ON auction (id)")
    db.execute("CREATE INDEX auction_seller ON auction (seller)")
    return db


def answer(db, sql):
    cursor = db.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor]


def fold(rows, options):
    if "--drop" in options:
        rows = [{k: v for k, v in row.items() if k not in options["--drop"]} for row in rows]
    if "--last" in options:
        rows = list({tuple(row[k] for k in options["--last"]): row for row in rows}.values())
    if "--sum" in options:
        totals = {}
        for row in rows:
            key = tuple((k, v) for k, v in sorted(row.items()) if k not in options["--sum"])
            total = totals.setdefault(key, dict.fromkeys(options["--sum"], 0))
            for name in total:
                total[name] += row[name]
        rows = [{**dict(key), **total} for key, total in totals.items()]
    return rows


def main(args):
    if args[:1] == ["sql"] and len(args) == 4:
        here = os.path.dirname(os.path.abspath(__file__))
        db = load(args[1], args[2])
        for name in sorted(os.listdir(here)):
            if name.endswith(".sql"):
                with open(os.path.join(here, name), encoding="utf-8") as file:
                    write(args[3], name[:-4], answer(db, file.read()))
    elif args[:1] == ["canonical"] and len(args) % 2 == 1:
        options = {name: fields.split(",") for name, fields in zip(args[1::2], args[2::2])}
        sys.stdout.write(canonical(fold([json.loads(line) for line in sys.stdin], options)))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
