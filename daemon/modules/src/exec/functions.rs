//! What the functions of `exec` do.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use sloth_exec::command;
use sloth_lua::{BoxFuture, Call, Data, Failure, Reply, Stream};

use super::calls::{self, millis, spec};
use super::result::ExecResult;
use super::spec::{CommandSpec, Program};
use super::{background, find, pipeline, remote};

/// The reply of a family `R` function; raises when the call wants that.
pub fn reply(result: ExecResult, call: &Call) -> Reply {
    if call.args.flag("raise") && !result.success {
        let why = result.error.clone().unwrap_or_else(|| "failed".to_owned());
        return Err(Failure {
            message: format!("{}: {why}", result.command),
            info: result.to_data(),
            kind: result.failure_kind(),
            raise: true,
        });
    }
    Ok(vec![result.to_data()])
}

/// `exec.run`.
pub fn run(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let result = super::run(spec(&call.args)?, Arc::clone(&call.ctx)).await;
        reply(result, &call)
    })
}

/// `exec.sh`: `success, output`.
pub fn sh(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let result = super::run(spec(&call.args)?, Arc::clone(&call.ctx)).await;
        let text = match (&result.stdout[..], &result.error) {
            (b"", Some(error)) => error.clone().into_bytes(),
            (out, _) => out.strip_suffix(b"\n").unwrap_or(out).to_vec(),
        };
        Ok(vec![result.success.into(), Data::Str(text)])
    })
}

/// `exec.script`: a text in a file of its own.
pub fn script(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let text = call.args.bytes("text")?;
        let mut file = tempfile::Builder::new().prefix("script-").tempfile_in(crate::temp::directory(&call.ctx))?;
        file.write_all(&text)?;
        let mut mode = file.as_file().metadata()?.permissions();
        mode.set_mode(0o700);
        file.as_file().set_permissions(mode)?;
        // A file that is open for writing cannot be executed.
        let path = file.into_temp_path();
        let name = path.to_string_lossy().into_owned();
        let mut words = match call.args.opt_text("interpreter") {
            Some(interpreter) => interpreter.split_whitespace().map(str::to_owned).collect(),
            None if text.starts_with(b"#!") => Vec::new(),
            None => vec![find::shell().to_string_lossy().into_owned()],
        };
        words.push(name);
        words.extend(call.args.texts("args"));
        if let (Some(user), true) = (call.args.opt_text("user"), command::User::is_root()) {
            let account = command::User::find(&user).map_err(Failure::new)?;
            std::os::unix::fs::chown(&path, Some(account.uid), Some(account.gid))?;
        }
        let spec = calls::with_options(Program::Argv(words), &call.args)?;
        let result = super::run(spec, Arc::clone(&call.ctx)).await;
        reply(result, &call)
    })
}

/// `exec.run_timeout`.
pub fn run_timeout(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let mut spec = spec(&call.args)?;
        let limit = call.args.num("seconds");
        spec.timeout = Some(millis(limit.ok_or_else(|| Failure::argument("seconds", "number expected"))?));
        let result = super::run(spec, Arc::clone(&call.ctx)).await;
        reply(result, &call)
    })
}

/// `exec.pipeline`.
pub fn pipeline(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let Some(Data::List(items)) = call.args.get("commands") else {
            return Err(Failure::argument("commands", "list of commands expected"));
        };
        let commands: Result<Vec<CommandSpec>, Failure> =
            items.iter().map(|item| calls::with_options(calls::program(item)?, &call.args)).collect();
        let commands = commands?;
        if commands.is_empty() {
            return Err(Failure::argument("commands", "at least one command expected"));
        }
        let result = pipeline::pipeline(commands, Arc::clone(&call.ctx)).await;
        reply(result, &call)
    })
}

/// `exec.ssh`.
pub fn ssh(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let spec = remote::spec(&call)?;
        let result = super::run(spec, Arc::clone(&call.ctx)).await;
        reply(result, &call)
    })
}

/// `exec.which`.
pub fn which(call: Call) -> Reply {
    let name = call.args.text("name")?;
    let found = search(&call, &name);
    found.map(|path| vec![path.into()]).ok_or_else(|| Failure::new(format!("{name}: program not found")))
}

/// `exec.exists`.
pub fn exists(call: Call) -> Reply {
    let name = call.args.text("name")?;
    Ok(vec![search(&call, &name).is_some().into()])
}

fn search(call: &Call, name: &str) -> Option<String> {
    let path = super::environment::search_path(&call.ctx);
    let file = find::program(name, &path, &call.ctx.workdir).filter(|file| find::is_executable(file));
    file.map(|file| file.to_string_lossy().into_owned())
}

/// The start of `exec.background`.
pub fn start(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let spec = spec(&call.args)?;
        if call.args.flag("detach") {
            return remote::detach(spec, &call).await;
        }
        let lines = call.args.flag("_lines");
        let (id, background) = background::launch(spec, &call.ctx, lines);
        if background.pid.is_none() && !lines && !call.ctx.is_simulated() {
            let result = background.wait(None, &call.ctx.cancel).await?;
            if let Some(error) = result.error {
                return Err(Failure::new(error));
            }
        }
        Ok(vec![background::handle(id, &background)])
    })
}

/// `handle:wait([timeout])`.
pub fn wait(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let background = background::find(call.args.int("id"))?;
        match background.wait(call.args.num("timeout").map(millis), &call.ctx.cancel).await {
            Ok(result) => reply(result, &call),
            Err(failure) if failure.kind == Some("timeout") => {
                let result = ExecResult {
                    pid: background.pid,
                    exit_code: 124,
                    timed_out: true,
                    error: Some(failure.message),
                    ..ExecResult::default()
                };
                Ok(vec![result.to_data()])
            }
            Err(failure) => Err(failure),
        }
    })
}

/// `handle:read()`.
pub fn read(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let background = background::find(call.args.int("id"))?;
        let text = background.read(&call.ctx.cancel).await;
        Ok(vec![text.map_or(Data::Nil, Data::Str)])
    })
}

/// The next line of `exec.lines`: `line, stream`, or nothing after the last.
pub fn next_line(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let background = background::find(call.args.int("id"))?;
        let line = tokio::select! {
            line = background.lines.next() => line,
            _ = call.ctx.cancel.cancelled() => None,
        };
        Ok(match line {
            None => vec![Data::Nil],
            Some((line, stream)) => {
                vec![Data::Str(line), if stream == Stream::Stderr { "stderr" } else { "stdout" }.into()]
            }
        })
    })
}

/// `handle:write(s)`.
pub fn write(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let background = background::find(call.args.int("id"))?;
        let bytes = call.args.bytes("text")?;
        tokio::select! {
            done = background.write(&bytes) => done.map(|()| vec![true.into()]),
            _ = call.ctx.cancel.cancelled() => Err(Failure::new("cancelled")),
        }
    })
}

/// `handle:close_stdin()`.
pub fn close_stdin(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        background::find(call.args.int("id"))?.close_stdin().await;
        Ok(vec![true.into()])
    })
}

/// `handle:kill([signal])`, for its whole tree.
pub fn kill_handle(call: Call) -> Reply {
    let background = background::find(call.args.int("id"))?;
    let signal = signal(&call)?;
    let sent = background.signal(signal);
    Ok(vec![sent.into(), if sent { "signal sent" } else { "it is not running" }.into()])
}

/// `exec.kill(pid)`.
pub fn kill(call: Call) -> Reply {
    let pid = process(&call)?;
    let signal = signal(&call)?;
    if pid <= 1 || pid == std::process::id() {
        return Err(Failure::new(format!("process {pid} cannot be killed by a script")));
    }
    if call.ctx.is_simulated() {
        return Ok(vec![true.into(), format!("would send signal {signal} to process {pid}").into()]);
    }
    match command::signal(pid, signal) {
        Ok(()) => Ok(vec![true.into(), format!("signal {signal} sent to process {pid}").into()]),
        Err(error) => Err(Failure::new(format!("process {pid}: {error}"))),
    }
}

/// `handle:is_running()`.
pub fn handle_is_running(call: Call) -> Reply {
    Ok(vec![background::find(call.args.int("id")).is_ok_and(|background| background.is_running()).into()])
}

/// `exec.is_running(pid)`.
pub fn is_running(call: Call) -> Reply {
    Ok(vec![command::is_running(process(&call)?).into()])
}

fn process(call: &Call) -> Result<u32, Failure> {
    let pid = call.args.int("pid").and_then(|pid| u32::try_from(pid).ok());
    pid.filter(|pid| *pid > 0).ok_or_else(|| Failure::argument("pid", "number of a process expected"))
}

fn signal(call: &Call) -> Result<i32, Failure> {
    let name = call.args.opt_text("signal").unwrap_or_else(|| "TERM".to_owned());
    command::signal_number(&name).ok_or_else(|| Failure::argument("signal", format_args!("{name:?} is not a signal")))
}
