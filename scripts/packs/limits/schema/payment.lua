-- schema/payment.lua - the fields of an event and their types; another type fails the event.

return { id = 'string', ts = 'time_ms', card = 'string', amount = 'decimal(2)', country = 'string' }
