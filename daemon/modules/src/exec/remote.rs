//! Commands that run elsewhere: on another host through the `ssh` program, or as a unit of systemd that outlives the run.

use sloth_lua::{Call, Data, Failure, Reply};
use std::path::Path;
use std::sync::Arc;

use super::calls;
use super::environment;
use super::spec::{CommandSpec, Program};
use super::words::quote;

/// `ssh` with its host key check. The remote command is one text, as the protocol knows no lists.
pub fn spec(call: &Call) -> Result<CommandSpec, Failure> {
    let args = &call.args;
    let host = args.text("host")?;
    if host.is_empty() || host.starts_with('-') {
        return Err(Failure::argument("host", format_args!("{host:?} is not a host")));
    }
    let cmd = args.get("cmd").ok_or_else(|| Failure::argument("cmd", "string or list expected, got nil"))?;
    let remote = match calls::program(cmd)? {
        Program::Shell(text) => text,
        Program::Argv(words) => words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "),
    };
    let check = match args.opt_text("host_key_check").as_deref() {
        None | Some("accept_new") => "accept-new",
        Some("strict") => "yes",
        Some("off") => {
            return Err(Failure { kind: Some("denied"), ..denied("host_key_check=\"off\"", "ssh_insecure") });
        }
        Some(other) => {
            let message = format!("\"strict\", \"accept_new\" or \"off\" expected, got {other:?}");
            return Err(Failure::argument("host_key_check", message));
        }
    };
    let mut words = vec!["ssh".to_owned(), "-T".to_owned()];
    let mut option = |text: String| words.extend(["-o".to_owned(), text]);
    option("BatchMode=yes".to_owned());
    option(format!("StrictHostKeyChecking={check}"));
    option(format!(
        "ConnectTimeout={}",
        args.num("connect_timeout").map_or(30, |ms| calls::millis(ms).as_secs().max(1))
    ));
    if let Some(file) = args.opt_text("known_hosts") {
        option(format!("UserKnownHostsFile={}", call.ctx.resolve(&file).display()));
    }
    for (name, flag) in [("port", "-p"), ("remote_user", "-l"), ("jump", "-J")] {
        if let Some(value) = args.opt_text(name) {
            words.extend([flag.to_owned(), value]);
        }
    }
    if let Some(key) = args.opt_text("private_key") {
        words.extend(["-i".to_owned(), call.ctx.resolve(&key).to_string_lossy().into_owned()]);
    }
    words.extend(["--".to_owned(), host, remote]);
    calls::with_options(Program::Argv(words), args)
}

fn denied(what: &str, grant: &str) -> Failure {
    Failure::new(format!("E402 sandbox denies {what}: it needs the grant {grant}"))
}

/// A transient unit that is no longer the run's.
pub async fn detach(spec: CommandSpec, call: &Call) -> Reply {
    if !Path::new("/run/systemd/system").exists() {
        return Err(Failure::new("detach needs systemd, which is not running on this host"));
    }
    let mut words = vec!["systemd-run".to_owned(), "--collect".to_owned(), "--quiet".to_owned()];
    let unit = format!("sloth-detached-{}-{}.service", std::process::id(), call.ctx.run.id.replace('-', ""));
    words.push(format!("--unit={unit}"));
    match (&spec.user, sloth_exec::command::User::is_root()) {
        (Some(user), true) => words.push(format!("--uid={user}")),
        (Some(user), false) => return Err(Failure::new(format!("detach as {user} needs root"))),
        (None, true) => {}
        (None, false) => words.push("--user".to_owned()),
    }
    words.push(format!("--working-directory={}", super::start::directory(&spec, &call.ctx).display()));
    for (name, value) in environment::of(&spec, &call.ctx, environment::own(), "") {
        words.push(format!("--setenv={name}={value}"));
    }
    words.push("--".to_owned());
    match spec.program.clone() {
        Program::Argv(argv) => words.extend(argv),
        Program::Shell(text) => {
            words.extend([super::find::shell().to_string_lossy().into_owned(), "-c".to_owned(), text]);
        }
    }
    let starting = CommandSpec { program: Program::Argv(words), user: None, stream: false, ..spec };
    let result = super::run(starting, Arc::clone(&call.ctx)).await;
    match result.error {
        Some(error) => Err(Failure::new(format!("detach: {error}"))),
        None => Ok(vec![Data::map([("unit", Data::from(unit)), ("detached", true.into())])]),
    }
}
