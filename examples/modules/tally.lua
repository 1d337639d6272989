-- A module of one's own: found by require("tally") in ./modules beside the workflow or below the present directory.

local M = { calls = 0 }

--- Counts its calls. Modules are evaluated once, so all tasks of a run share it.
function M.next()
  M.calls += 1
  return M.calls
end

--- Calls a built-in module by name.
function M.sha256(text)
  return bridge.call("crypto.sha256", { s = text })
end

return M
