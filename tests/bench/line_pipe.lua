-- line_pipe.lua - the plainest LuaJIT line pipe: one line in, the same line out at once. Stands beside the latency figures.
local input, output = io.stdin, io.stdout
for line in input:lines() do
  output:write(line, '\n')
  output:flush()
end
