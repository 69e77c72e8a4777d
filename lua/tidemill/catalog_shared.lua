--[[
catalog_shared.lua - options that entries of several catalogs have.
]]

return {
  MIGRATE = { 'migrate', 'string', "a run that is kept (--data) goes on though what the step keeps has changed: what does not fit is lost",
    one_of = { 'drop' } },
}
