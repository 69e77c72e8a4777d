// node_peer.js - the same tasks in Node.js: chunks of the file split at LF, JSON.parse a line.
//   node node_peer.js t0|t1 FILE        (t1 writes its rows to stdout, t0 the count to stderr)
'use strict';
const fs = require('fs');
const [task, path] = process.argv.slice(2);
const chunk = Buffer.allocUnsafe(256 * 1024);
const input = fs.openSync(path, 'r');
let rest = '', rows = [], count = 0;

function run(line) {
  const e = JSON.parse(line);
  if (!(e.amount > 100)) return;
  count++;
  if (task === 't1') {
    rows.push(JSON.stringify({ ts: e.ts, id: e.id, card: e.card, merchant: e.merchant, amount: e.amount }));
  }
}

function flush() {
  if (rows.length === 0) return;
  let text = Buffer.from(rows.join('\n') + '\n');
  while (text.length > 0) text = text.subarray(fs.writeSync(1, text));
  rows = [];
}

// the cards are ASCII: 'latin1' spares the decoder and cannot cut a character
for (let n; (n = fs.readSync(input, chunk, 0, chunk.length, null)) > 0;) {
  const text = rest + chunk.toString('latin1', 0, n);
  let from = 0;
  for (let lf; (lf = text.indexOf('\n', from)) >= 0; from = lf + 1) run(text.slice(from, lf));
  rest = text.slice(from);
  flush();
}
if (rest !== '') run(rest);
flush();
process.stderr.write(count + '\n');
