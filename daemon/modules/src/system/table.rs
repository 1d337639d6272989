//! The description of `system`.

use std::time::Duration;

use sloth_lua::{Body, Call, Data, Family, Function, Module, Param, Reply, Tier, Type};

use super::{processes as p, state as s};
use crate::describe::{blocking, family, give, luau, may, need, options, value};
use crate::{exec, facts, fs};

/// The host.
pub static MODULE: Module = Module {
    name: "system",
    aliases: &[],
    tier: Tier::Here,
    about: "Processes, environment and state of the host",
    functions: FUNCTIONS,
    prelude: include_str!("system.luau"),
};

const PATH: Param = need("path", Type::Str);
const MAYBE_PATH: Param = may("path", Type::Str, "\".\"");
const SRC: Param = need("src", Type::Str);
const DST: Param = Param { aliases: &["dest"], ..need("dst", Type::Str) };
const PID: Param = need("pid", Type::Int);
const NAME: Param = Param { aliases: &["key"], ..need("name", Type::Str) };
const SIGNAL: Param = Param { aliases: &["sig"], ..may("signal", Type::Str, "\"TERM\"") };

const fn change(
    name: &'static str,
    params: &'static [Param],
    about: &'static str,
    body: fn(Call) -> Reply,
) -> Function {
    Function { mutates: true, ..blocking(name, params, "boolean", about, body) }
}

const fn bool(function: Function) -> Function {
    family(function, Family::Raw)
}

/// Member of a table.
fn member(data: &Data, key: &str) -> Reply {
    give(data.get(key).cloned().unwrap_or_default())
}

const FUNCTIONS: &[Function] = &[
    Function {
        mutates: true,
        ..options(
            family(
                value(
                    "exec",
                    &[Param { aliases: &["command"], ..need("cmd", Type::StrOrList) }],
                    "ExecResult",
                    "Runs a command, as exec.run",
                    Body::Async(exec::run_call),
                ),
                Family::R,
            ),
            exec::OPTIONS,
        )
    },
    luau("exec_async", &[need("cmd", Type::StrOrList)], "ExecHandle", "Starts a command, as exec.background"),
    value(
        "cd",
        &[PATH],
        "boolean",
        "The directory of a task does not change: a failure that says so",
        Body::Now(s::cd),
    ),
    value("pwd", &[], "string", "Directory of the task", Body::Now(fs::cwd)),
    change("chmod", &[PATH, need("mode", Type::Any)], "Sets the mode", fs::chmod),
    options(change("mkdir", &[PATH], "Makes a directory and its parents", fs::mkdir), fs::ATTRIBUTES),
    bool(blocking("exists", &[PATH], "boolean", "Whether something is there", fs::exists)),
    change("copy", &[SRC, DST], "Copies a file or a tree", fs::copy),
    change("move", &[SRC, DST], "Moves a file or a tree", fs::rename),
    blocking("stat", &[PATH], "FileStat", "What is known about a path", fs::stat),
    blocking("which", &[need("name", Type::Str)], "string", "Path of a program", exec::which),
    Function {
        mutates: true,
        ..family(blocking("kill", &[PID, SIGNAL], "boolean, string", "Sends a signal", exec::kill), Family::P)
    },
    Function {
        mutates: true,
        ..family(blocking("kill_process", &[PID, SIGNAL], "boolean, string", "Sends a signal", exec::kill), Family::P)
    },
    value("env", &[NAME], "string?", "A variable of the task's environment", Body::Now(s::env)),
    value("setenv", &[NAME, need("value", Type::Str)], "boolean", "Sets one for later commands", Body::Now(s::setenv)),
    value("unsetenv", &[NAME], "boolean", "Removes one for later commands", Body::Now(s::unsetenv)),
    blocking("hostname", &[], "string", "Name of the host", |_| member(&facts::all(), "hostname")),
    value("platform", &[], "string", "The operating system", Body::Pure(|_| give("linux"))),
    value("arch", &[], "string", "The architecture", Body::Pure(|_| give(std::env::consts::ARCH))),
    value("cpu_count", &[], "number", "Processors", Body::Pure(|_| give(facts::threads()))),
    blocking("uptime", &[], "number", "Seconds since boot", |_| member(&facts::uptime(), "seconds")),
    blocking("processes", &[may("filter", Type::Str, "")], "{Process}", "Processes", p::processes),
    blocking("process_info", &[PID], "Process", "One process", p::process_info),
    value("temp_dir", &[], "string", "Temporary directory of the task", Body::Now(s::temp_dir)),
    value("home_dir", &[], "string", "Home directory", Body::Now(fs::home)),
    blocking("memory", &[], "Memory", "Memory in bytes", |_| give(facts::memory())),
    blocking("memory_info", &[], "Memory", "Memory in bytes", |_| give(facts::memory())),
    blocking("swap_info", &[], "{total: number, used: number, free: number}", "Swap in bytes", |_| swap()),
    blocking("cpu_info", &[], "Cpu", "Processors", |_| give(facts::cpu())),
    blocking("cpu_usage", &[], "number", "Busy time of the processors, percent", |_| {
        give(facts::usage(Duration::from_millis(200)))
    }),
    blocking("load_average", &[], "{number}", "Load of the last 1, 5 and 15 minutes", |_| give(facts::load())),
    blocking("disk_usage", &[MAYBE_PATH], "DiskUsage", "Space of a file system", fs::disk_usage),
    blocking("disk_io", &[], "{any}", "Bytes read and written, by device", p::disk_io),
    blocking("disk_partitions", &[], "{Disk}", "Mounted file systems", |_| give(facts::disks())),
    blocking("network_interfaces", &[], "{Interface}", "Network interfaces", |_| give(facts::interfaces())),
    blocking("network_stats", &[], "{any}", "Bytes and packets, by interface", p::network_stats),
    blocking("network_connections", &[], "{any}", "Sockets of TCP and UDP", p::network_connections),
    blocking("host_info", &[], "Facts", "What is known about the host", |_| give(facts::all())),
    blocking("performance_snapshot", &[], "any", "Processors, memory, load, disks", p::snapshot),
    blocking("system_health", &[], "any", "Whether something is nearly full", p::health),
    blocking("reboot_required", &[], "boolean, string", "Whether the host waits for a reboot", s::reboot_required),
];

fn swap() -> Reply {
    let memory = facts::memory();
    let number = |key: &str| match memory.get(key) {
        Some(Data::Num(number)) => *number,
        _ => 0.0,
    };
    let (total, used) = (number("swap_total"), number("swap_used"));
    give(Data::map([("total", Data::from(total)), ("used", used.into()), ("free", (total - used).into())]))
}
