"""pause.py BUILD [KEYS] - how long a window that closes with KEYS rows (1,000,000) holds up others, and what its state takes.

One run of tidemill: pipeline a counts and sums a window of KEYS keys, from a pipe; pipeline b sends on an event a millisecond, from another
pipe, each with the time at which it was written. Told is how late b's events come out, while nothing happens, while a's events are
taken in and while its rows are written; and the worker's memory with and without a window's keys. Best of several runs on
a quiet machine: the writer, the reader and the worker share the processors.
"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

BUILD, KEYS = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
SCRIPT = """local tm = require 'tidemill'
return {
  tm.pipeline 'a':from(tm.source.file 'a.in'):event_time { field = 'ts' }:key_by 'k'
    :window('w', tm.window.tumbling '1m'):aggregate { n = tm.agg.count(), total = tm.agg.sum 'x' }:to(tm.sink.file 'a.out'),
  tm.pipeline 'b':from(tm.source.file 'b.in'):to(tm.sink.file 'b.out') }
"""
late, stop = [], False    # (written at, ms until it was read)


def read():
    with open('b.out', 'rb') as f:
        for line in f:
            at = json.loads(line)['at']
            late.append((at, (time.perf_counter() - at) * 1000))


def write():
    with open('b.in', 'wb', buffering=0) as f:
        due = time.perf_counter()
        while not stop:
            due += 0.001
            while time.perf_counter() < due:
                time.sleep(0.0002)
            f.write(b'{"at":%.7f}\n' % time.perf_counter())


def resident(pid):
    with open(f'/proc/{pid}/statm') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGESIZE') / 2**20


def tell(what, begin, end):
    ms = sorted(m for at, m in late if begin <= at < end)
    print(f'{what:<24}{len(ms):>7} events, late by ms: p50 {ms[len(ms) // 2]:.2f}  p99 {ms[len(ms) * 99 // 100]:.2f}  most {ms[-1]:.2f}')


program = os.path.abspath(BUILD) + '/tidemill'
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for name in ('a.in', 'b.in', 'b.out'):
        os.mkfifo(name)
    with open('s.lua', 'w') as f:
        f.write(SCRIPT)
    run = subprocess.Popen([program, 'run', '--quiet', 's.lua'])
    threads = [threading.Thread(target=read), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    a = open('a.in', 'wb')
    a.write(b'{"ts":1,"k":"first","x":1}\n')
    a.flush()
    time.sleep(1.5)
    with open(f'/proc/{run.pid}/task/{run.pid}/children') as f:
        worker = f.read().split()[0]
    empty, begin = resident(worker), time.perf_counter()
    for i in range(KEYS - 1):
        a.write(b'{"ts":%d,"k":"k%07d","x":%d}\n' % (1000 + i % 50000, i, i))
    a.flush()
    loaded = time.perf_counter()
    time.sleep(1)
    full, fired = resident(worker), time.perf_counter()
    a.write(b'{"ts":120000,"k":"last","x":1}\n')
    a.flush()
    size = -1
    while size < 0 or size != os.path.getsize('a.out') or size < KEYS * 30:
        size = os.path.getsize('a.out')
        time.sleep(0.05)
    done = time.perf_counter() - 0.05
    time.sleep(1.5)
    after = resident(worker)
    stop = True
    threads[1].join()
    a.close()
    threads[0].join()
    run.wait()
    tell('nothing happens', begin - 1, begin)
    tell('keys come', begin, loaded)
    tell('nothing happens', loaded + 0.2, fired)
    tell(f'{KEYS} rows', fired, done)
    print(f'worker: {empty:.1f} MiB before, {full:.1f} with {KEYS} keys ({(full - empty) * 2**20 / KEYS:.0f} bytes a key), {after:.1f} behind the window')
