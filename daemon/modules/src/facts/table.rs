//! The functions and the description of `facts`.

use sloth_lua::{Call, Data, Failure, Function, Module, Param, Reply, Tier, Type};

use super::{gather, hardware, query, section};
use crate::describe::{also, blocking, give, may, need, options};

/// Facts about hosts.
pub static MODULE: Module = Module {
    name: "facts",
    aliases: &[],
    tier: Tier::Here,
    about: "What is known about this host",
    functions: FUNCTIONS,
    prelude: "",
};

const AGENT: Param = may("agent", Type::Str, "\"local\"");
const REFRESH: &[Param] = &[may("refresh", Type::Bool, "false")];
const REFRESH_OF: &[Param] = &[may("refresh", Type::Bool, "false"), AGENT];

/// Refuses what needs an agent.
fn local(call: &Call) -> Result<bool, Failure> {
    match call.args.opt_text("agent").as_deref() {
        None | Some("" | "local" | "localhost") => Ok(call.args.flag("refresh")),
        Some(agent) => Err(Failure::new(format!("facts of agent {agent}: agents are not available in this build"))),
    }
}

macro_rules! whole {
    ($name:literal, $section:literal, $aliases:expr, $returns:literal, $about:literal) => {
        options(
            also(
                blocking($name, &[AGENT], $returns, $about, |call| {
                    let refresh = local(&call)?;
                    give(section($section, refresh)?)
                }),
                $aliases,
            ),
            REFRESH,
        )
    };
}

/// One of a list by its name, or the whole list without one.
fn one_of(call: &Call, name: &str, param: &str) -> Reply {
    let list = section(name, local(call)?)?;
    let Some(wanted) = call.args.opt_text(param) else { return give(list) };
    let items = match list.get("packages").unwrap_or(&list) {
        Data::List(items) => items.clone(),
        _ => Vec::new(),
    };
    let found = items.into_iter().find(|item| query::is_named(item, &wanted));
    found
        .map(|item| vec![item])
        .ok_or_else(|| Failure::new(format!("{} {wanted} does not exist", name.trim_end_matches('s'))))
}

fn package(call: Call) -> Reply {
    let name = call.args.text("name")?;
    match one_of(&call, "packages", "name") {
        Err(failure) if failure.message.ends_with("does not exist") => {
            give(Data::map([("name", Data::from(name)), ("installed", false.into())]))
        }
        other => other,
    }
}

fn get_all(call: Call) -> Reply {
    let refresh = local(&call)?;
    give(gather(true, refresh))
}

fn ask(call: Call) -> Reply {
    let refresh = local(&call)?;
    give(query::query(&call.args.text("path")?, |name| section(name, refresh))?)
}

fn custom(_: Call) -> Reply {
    Err(Failure::new("custom facts are kept in the state store, which is not available in this build"))
}

const FUNCTIONS: &[Function] = &[
    options(also(blocking("get_all", &[AGENT], "Facts", "Everything by section", get_all), &["gather"]), REFRESH),
    whole!("get_hostname", "hostname", &[], "string", "Name of the host"),
    whole!("get_platform", "platform", &["get_os", "os"], "Platform", "System, distribution, kernel"),
    whole!("get_memory", "memory", &["memory"], "Memory", "Memory in bytes"),
    whole!("get_cpu", "cpu", &["cpu"], "Cpu", "Processors"),
    blocking("cpu_count", &[AGENT], "number", "Processors that may be used", |call| {
        local(&call)?;
        give(hardware::threads())
    }),
    options(
        also(
            blocking("get_disk", &[may("mountpoint", Type::Str, "")], "any", "A file system, or all", |call| {
                one_of(&call, "disk", "mountpoint")
            }),
            &["disk"],
        ),
        REFRESH_OF,
    ),
    options(
        also(
            blocking("get_network", &[may("interface", Type::Str, "")], "any", "An interface, or all", |call| {
                one_of(&call, "network", "interface")
            }),
            &["network"],
        ),
        REFRESH_OF,
    ),
    whole!("get_packages", "packages", &[], "Packages", "Installed packages and updates"),
    options(blocking("get_package", &[need("name", Type::Str)], "Package", "One package", package), REFRESH_OF),
    whole!("get_services", "services", &[], "{Service}", "Services"),
    options(
        blocking("get_service", &[need("name", Type::Str)], "Service", "One service", |call| {
            one_of(&call, "services", "name")
        }),
        REFRESH_OF,
    ),
    whole!("get_users", "users", &[], "{User}", "Accounts"),
    options(
        blocking("get_user", &[need("username", Type::Str)], "User", "One account", |call| {
            one_of(&call, "users", "username")
        }),
        REFRESH_OF,
    ),
    whole!("get_processes", "processes", &[], "{[string]: number}", "How many processes there are"),
    whole!("get_mounts", "mounts", &[], "{Mount}", "Mounted file systems"),
    whole!("get_uptime", "uptime", &[], "Uptime", "Since when the host runs"),
    whole!("get_load", "load", &[], "{number}", "Load of the last 1, 5 and 15 minutes"),
    whole!("get_kernel", "kernel", &[], "{name: string, version: string}", "The kernel"),
    whole!("get_hardware", "hardware", &[], "{[string]: string}", "What the firmware says"),
    options(blocking("query", &[need("path", Type::Str)], "any", "The value at a path", ask), REFRESH_OF),
    blocking("set_custom", &[need("key", Type::Str), need("value", Type::Any)], "boolean", "Keeps a fact", custom),
    blocking("get_custom", &[need("key", Type::Str)], "any", "A kept fact", custom),
];
