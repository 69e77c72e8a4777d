--[[ Kills workers of a program that runs: each time after what it writes has grown, and a random while more. ]]

local r = require 'spec.running'

local M = {}

--- Kills so often at most; then the program ends by itself, or by `stop`. size() is how much it has written.
--- Returns how often, and its exit code.
function M.often(p, size, most, stop)
  local kills, last = 0, nil
  while kills < most and not p:code() do
    local from = size()
    r.wait_until('progress', function() return p:code() or size() > from end)
    local spin = os.clock() + math.random() * 0.01
    while os.clock() < spin do end
    local worker = p:worker()
    if worker and worker ~= last and r.state(worker) ~= 'Z' and p:signal('KILL', worker) then kills, last = kills + 1, worker end
  end
  if stop then stop() end
  return kills, p:wait(120)
end

return M
