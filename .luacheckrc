-- Lua is LuaJIT's; specs run in busted. A line may be as long as the reading eye likes, up to 140.
std = 'luajit'
max_line_length = 140
exclude_files = { 'build/**' }
files['tests/spec/**'] = { std = '+busted' }
files['**/*_spec.lua'] = { std = '+busted' }
-- a script's functions name all that they are given, also what they do not use
files['scripts/**'] = { unused_args = false }
-- what files of a rule pack see
files['scripts/packs/**'] = { unused_args = false, read_globals = { 'tm' } }
