--[[
catalog_packs.lua - the catalog's entry of rule packs.
]]

local M = {}

M.functions = {}

M.operators = {
  { name = 'pack', signature = ":pack('folder' [, { site =, emit =, fields =, name = }])", cost_ns = 3000, state = true,
    about = 'Decisions of a rule pack about each event: what its rules say of the event and of the features of its keys.',
    more = { 'A pack is a folder: pack.lua, schema/, features/, lists/, rules/, scorecards/, tests/; `tidemill new pack DIR` writes one.',
      'A row has decision, score, reasons (of rules that count, the highest score first), rules (all that matched, with their mode),',
      'features, pack, version, event, at (source:line of it) and id (what `tidemill why` takes); errors, suppressed and guarded where',
      'there is something to say. Below all thresholds the decision is approve. Rules are enforce, alert (a reason, no score), shadow',
      '(recorded) or off; a rule that raises is an error for that event, one whose `needs` are nil or warming is unknown, and the others',
      'decide. Taking an event in stands, whatever becomes of',
      "its decision: what fails behind the pack takes back its own rows, not the features. The schema is the pack's, event time too where",
      'the stream has none. The folder may also stand for a script: tidemill run DIR --from FILE.' },
    options = {
      { 'site', 'string', 'a file outside of the pack: rules that are off, modes, params, exceptions, lists', default = 'none' },
      { 'emit', 'string',
        "of which events rows come: 'all', 'matched' (a rule matched), 'alerts' (there is a reason, and it is not suppressed)",
        one_of = { 'all', 'matched', 'alerts' }, default = 'all' },
      { 'fields', 'table', "the fields that rows have, such as { 'decision', 'score', 'event' }", default = 'all of them' },
      { 'name', 'string', 'what its state is called', default = "the pack's name" } },
    -- of the pack that `tidemill new pack limits` writes
    example = "stream:pack('limits', { fields = { 'decision', 'score' } })",
    input = { '{"id":"1","ts":0,"card":"a","amount":20,"country":"DE"}', '{"id":"2","ts":1000,"card":"b","amount":2500,"country":"DE"}' },
    output = { '{"decision":"approve","score":0}', '{"decision":"review","score":50}' } },
}

return M
