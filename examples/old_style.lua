-- An old file, written for Lua 5.1 before workflows had builders: globals, positional and table calls of modules, io and os, tasks without
-- a workflow. It runs as it is.
--
--   slothctl run old_style.lua --set dir=/tmp/old

local exec = require("exec")
local fs = require "fs"

local dir = values.get("dir", "/var/tmp/sloth-old")

define_task({
  name = "prepare",
  description = "Make a directory, the old way",
  command = function()
    local code = os.execute("mkdir -p '" .. dir .. "'")
    if code ~= 0 then
      return false, "mkdir: " .. tostring(code)
    end
    local handle, err = io.open(dir .. "/names", "w")
    if not handle then
      return false, err
    end
    for i, name in ipairs({ "ann", "bob", "cid" }) do
      handle:write(string.format("%d %s\n", i, name))
    end
    handle:close()
    return true, "prepared"
  end,
})

task({
  name = "count",
  depends_on = { "prepare" },
  command = function(params)
    local n = 0
    for line in io.lines(dir .. "/names") do
      local number, name = string.match(line, "^(%d+) (%a+)$")
      if tonumber(number) == n + 1 and name then n = n + 1 end
    end
    local pipe = io.popen("wc -l < '" .. dir .. "/names'")
    local text = pipe:read("*a")
    pipe:close()
    if tonumber(text) ~= n then
      return false, "wc says " .. text
    end
    return true, n .. " names", { names = n }
  end,
})

task "upper" {
  depends_on = { "count" },
  command = function()
    local out, err, failed = exec.run("tr a-z A-Z < '" .. dir .. "/names'")
    if failed then
      return false, "tr: " .. err
    end
    local kept = out:gsub("%d+ ", "")
    fs.write(dir .. "/upper", kept)          -- positional
    fs.append({ path = dir .. "/upper", content = "END\n" }) -- one table
    local total = select("#", unpack({ 1, 2, 3 }))
    assert(table.getn == nil or table.getn({ 1 }) == 1)
    return total == 3
  end,
}
