--[[
schema/activity.lua - the fields of an event and their types; another type fails the event. Each kind of event has the fields it knows:

  payment     of a card, approved or not: card, bin, amount, merchant, terminal, mcc, country, channel, result; at a till or a cash machine
              also lat and lon, in a web shop device, ip and address (where goods are sent)
  refund      from a merchant back to a card: card, amount, merchant
  chargeback  what was found to be fraud, at the time at which that became known: card, merchant, terminal, amount
  login       into an account, approved or not: account, device, ip, result
  reset       of a password; profile: of a phone number or an address; new_device; new_payee: account, device, ip
  transfer    from an account to a payee: account, payee, amount, device, ip
  credit      what an account was sent: account, amount; deposit: cash brought to it
]]

return {
  id = 'string', ts = 'time_ms', kind = 'string',
  card = 'string', bin = 'string', account = 'string', payee = 'string', amount = 'decimal(2)',
  merchant = 'string', terminal = 'string', mcc = 'string', country = 'string', lat = 'number', lon = 'number',
  utc_offset = 'number',        -- hours by which the clock at the place is ahead of UTC
  channel = 'string',           -- chip, contactless, atm, ecom
  result = 'string',            -- approved, declined, bad_cvv
  device = 'string', ip = 'string', address = 'string',
}
