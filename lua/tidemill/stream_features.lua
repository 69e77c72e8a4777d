--[[
stream_features.lua - the builder's `features`: what a rule pack knows of an entity, as fields of the events of any pipeline.
]]

return function(methods, step, stream)
  local fault, place = stream.fault, stream.place

  --- Adds features to the event and passes it on at once.
  function methods:features(name, group)
    local where = place()
    stream.need_name(where, 'features', name)
    local features, plan = require 'tidemill.features', require 'tidemill.features_plan'
    if not features.is_group(group) then
      fault(where, "features takes what tm.features returns: :features('card', tm.features { key = 'card', … }); got " ..
        stream.describe(group))
    end
    local checked, adds = features.group(name, group), {}
    for _, feature in ipairs(checked.features) do
      if feature.kind == 'decisions' then
        fault(feature.place, ("'%s': tm.f.decisions counts what a rule pack decided; a pipeline decides nothing"):format(feature.name))
      end
      for _, output in ipairs(feature.outputs) do adds[#adds + 1] = output end
    end
    stream.need_time(where, 'features', self, '')
    local memory = plan.memory(plan.plan(checked, function() end, plan.asked()))
    return step(self, 'features', { name = name, group = checked, adds = adds, memory = memory,
      options = { max_keys = checked.max_keys, on_full = checked.on_full } })
  end
end
