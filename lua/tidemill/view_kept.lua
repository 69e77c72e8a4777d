--[[
view_kept.lua - the event as it stands as bytes to keep: what it would be written as, JSON or msgpack, without a sink.
Loaded anew for each place that keeps some (see view.lua).
]]

local lib, V, format = ...
local C, ffi = lib.C, lib.ffi
local INT_MAX = 2147483647
local json = format == C.TM_FORMAT_JSON
local anchor = ffi.new 'struct tm_out'
local out = ffi.cast('struct tm_out *', anchor)
local st = V.st
out.buf.cap_max = 64 * 1024 * 1024
out.soft, out.max_rows, out.max_bytes, out.format = INT_MAX, INT_MAX, INT_MAX, format
C.tm_ffi_buf_put(out.buf, '', 0)
V.kept_anchors = V.kept_anchors or {}
V.kept_anchors[#V.kept_anchors + 1] = anchor

--- Pointer and length, valid until this is called again.
return function()
  -- it is the row of no event, so none is begun
  out.buf.len, out.mark, out.event_rows, out.event = 0, 0, 0, st.home
  V.emit(out)
  return out.buf.data, json and out.buf.len - 1 or out.buf.len
end
