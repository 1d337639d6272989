-- Helpers for library.sloth: what import returns is what the file returns.

local M = {}

--- `name` with its first letter in upper case.
function M.title(name)
  return (name:gsub("^%l", string.upper))
end

--- A line of a greeting.
function M.greeting(name)
  return "Hello, " .. M.title(name) .. "!"
end

return M
