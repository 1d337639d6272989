//! A file written for Lua 5.1 in the old style works.

use serde_json::json;
use sloth_core::workflow::Command;

use crate::define::testing::*;

const FILE: &str = r##"#!/usr/bin/env slothctl run --file
-- Nightly backup of the shop, written when the language was plain Lua 5.1.
local exec = require("exec")
local string, table = string, table
require "string"

-- helpers -------------------------------------------------------------------
local function map(list, f)
  local out = {}
  for i, v in ipairs(list) do out[i] = f(v) end
  return out
end

function quote(s)
  return "'" .. string.gsub(s, "'", "'\\''") .. "'"
end

local Backup = {}
Backup.__index = Backup
function Backup.new(name, paths)
  return setmetatable({ name = name, paths = paths }, Backup)
end
function Backup:command()
  return "tar czf " .. quote(self.name .. ".tgz") .. " " .. table.concat(map(self.paths, quote), " ")
end

local jobs = {
  Backup.new("etc", { "/etc", "/usr/local/etc" }),
  Backup.new("www", { "/srv/www" }),
}

-- positional and table calls of modules ------------------------------------
local out, err, failed = exec.run("uname -n")
assert(not failed, err)
local host = string.match(tostring(out), "%S+")
local second = exec.run{ cmd = "fail on purpose" }
local third = exec.run({ cmd = "date" })
assert(second.success == false and third.success)

local unpack = unpack or table.unpack
local first_job, last_job = unpack(jobs)

-- tasks without a workflow ---------------------------------------------------
local previous
for i = 1, #jobs do
  local job = jobs[i]
  local t = task("backup_" .. job.name)
  t:description("Backup of " .. job.name .. " on " .. host)
  t:command(function(params, deps)
    local out, err, failed = exec.run(job:command())
    if failed then
      return false, "backup failed: " .. err
    end
    return true, "saved", { file = job.name .. ".tgz", bytes = string.len(out) }
  end)
  t:timeout("10m")
  t:retries(2, "exponential")
  if previous then t:depends_on({ previous }) end
  t:on_success(function(this, params, output) print(output.file) end)
  t:build()
  previous = "backup_" .. job.name
end

task("report")
  :command(function()
    local lines = {}
    for name, result in pairs({ etc = 1, www = 2 }) do
      table.insert(lines, name .. "=" .. result)
    end
    table.sort(lines)
    local n = table.getn and table.getn(lines) or #lines
    return true, string.format("%d lines", n), { lines = lines }
  end)
  :depends_on("backup_www")
  :build()

local w = workflow("x")
w:description("old style")
w:tasks({ "backup_etc", "backup_www", "report" })
w:config({ timeout = "1h" })

-- varargs, closures, pcall with several results, numeric for with a step ------
local function count(...)
  return select("#", ...)
end
assert(count(nil, nil) == 2)
local ok, message = pcall(error, "expected")
assert(not ok and message == "expected")
local sum = 0
for i = 10, 1, -3 do sum = sum + i end
assert(sum == 10 + 7 + 4 + 1)
assert(math.floor(7 / 2) == 3 and 7 % 3 == 1 and 2 ^ 3 == 8)
assert(tostring(3.0) == "3")
"##;

#[test]
fn a_long_file_in_the_old_style_defines_and_runs() {
    let world = world();
    let defined = world.good(FILE);
    let flow = &defined.workflows[0];
    assert_eq!((flow.name.as_str(), names(flow)), ("x", vec!["backup_etc", "backup_www", "report"]));
    assert_eq!(edges(flow), ["backup_www <- backup_etc", "report <- backup_www"]);
    assert_eq!(flow.tasks[0].description, "Backup of etc on uname");
    let end = crate::task_result(world.call(&flow.tasks[0], |_| {}));
    assert!(end.success, "{}", end.message);
    assert_eq!((end.message.as_str(), end.output["file"].clone()), ("saved", json!("etc.tgz")));
    let report = crate::task_result(world.call(&flow.tasks[2], |_| {}));
    assert_eq!((report.message.as_str(), report.output), ("2 lines", json!({"lines": ["etc=1", "www=2"]})));
}

#[test]
fn tasks_without_a_workflow_run_in_order() {
    let flow = workflow("local t = task('one')\nt:command('x')\nt:build()\ntask('two'):run(function() end)");
    assert_eq!(names(&flow), ["one", "two"]);
    assert_eq!(flow.tasks[0].command, Some(Command::Shell("x".into())));
}
