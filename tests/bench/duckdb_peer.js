// duckdb_peer.js - the same tasks in DuckDB, one thread, columns given, so that only what is read is extracted.
//   node duckdb_peer.js t0|t1 FILE OUT        (t1 writes its rows to OUT, t0 the count to stderr; `version` tells it)
// Node.js only hands the statements over; its start (about 50 ms of cpu) is part of the figure.
'use strict';
const { DuckDBInstance } = require('@duckdb/node-api');
const [task, path, out] = process.argv.slice(2);
const quote = (s) => "'" + s.replace(/'/g, "''") + "'";
const types = { ts: 'BIGINT', id: 'BIGINT', card: 'VARCHAR', merchant: 'VARCHAR', amount: 'DOUBLE' };

function source(names) {
  const columns = names.map((name) => name + ': ' + quote(types[name])).join(', ');
  return `read_json(${quote(path)}, format = 'newline_delimited', columns = {${columns}})`;
}

async function main() {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const db = await instance.connect();
  const value = async (sql) => (await db.runAndReadAll(sql)).getRows()[0][0];
  if (task === 'version') {
    console.log(await value('SELECT version()'));
  } else if (task === 't0') {
    process.stderr.write(await value(`SELECT count(*) FROM ${source(['amount'])} WHERE amount > 100`) + '\n');
  } else {
    const names = Object.keys(types);
    await db.run(`COPY (SELECT ${names.join(', ')} FROM ${source(names)} WHERE amount > 100) TO ${quote(out)} (FORMAT JSON)`);
  }
}

main().catch((error) => {
  process.stderr.write(String(error) + '\n');
  process.exit(1);
});
