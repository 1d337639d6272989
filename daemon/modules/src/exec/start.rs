//! From a description to a child: who, where, with which program and environment. Without options that need a hook before exec,
//! the child is made by posix_spawn(3), which is what makes many short commands fast.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use sloth_exec::command::{self, Setup, User};
use sloth_lua::Ctx;
use tokio::process::{Child, Command};

use super::environment::{self, Variables};
use super::spec::{CommandSpec, Program, Stdin};
use super::{children, find, limits, words};

/// Why no child was made, with the code that a shell would give.
pub struct NotStarted {
    /// 127: not found; 126: it is there but cannot be executed; 125: anything else.
    pub code: i32,
    /// One sentence.
    pub message: String,
}

impl NotStarted {
    fn new(message: impl Into<String>) -> NotStarted {
        NotStarted { code: 125, message: message.into() }
    }
}

/// A child with what recognises it.
pub struct Started {
    /// The child.
    pub child: Child,
    /// Its number.
    pub pid: u32,
    /// `NAME=value` that only it and its descendants have.
    pub mark: String,
}

/// Streams given by the caller instead of pipes.
#[derive(Default)]
pub struct Given {
    /// Standard input.
    pub stdin: Option<Stdio>,
    /// Standard output.
    pub stdout: Option<Stdio>,
}

/// Starts it.
pub fn start(spec: &CommandSpec, ctx: &Ctx, given: Given) -> Result<Started, NotStarted> {
    let directory = directory(spec, ctx);
    let account = account(spec, ctx)?;
    let mark = mark();
    let env = environment::of(spec, ctx, &account, &mark);
    let path = env.get("PATH").map_or(environment::PATH, String::as_str);
    let mut argv = argv(spec, path, &directory, &env);
    let elevated = elevate(&mut argv, spec, &account);
    let program = argv.first().cloned().unwrap_or_default();
    let file = find::program(&program, path, &directory).ok_or_else(|| not_found(&program))?;

    let mut command = Command::new(&file);
    command.process_group(0);
    command.args(&argv[1..]).env_clear().envs(&env).current_dir(&directory);
    command.stdin(stdin(spec, ctx, given.stdin)?);
    command.stdout(given.stdout.unwrap_or_else(Stdio::piped)).stderr(Stdio::piped());
    set_up(&mut command, spec, ctx, (!elevated).then_some(account))?;
    let child = children::spawn(&mut command).map_err(|error| explain(&error, &program, &directory))?;
    let pid = child.id().unwrap_or_default();
    Ok(Started { child, pid, mark })
}

/// Where it runs.
pub fn directory(spec: &CommandSpec, ctx: &Ctx) -> PathBuf {
    spec.workdir.as_deref().map_or_else(|| ctx.workdir.clone(), |workdir| ctx.resolve(workdir))
}

fn account(spec: &CommandSpec, ctx: &Ctx) -> Result<User, NotStarted> {
    match spec.user.as_ref().or(ctx.user.as_ref()) {
        Some(name) if *name != environment::own().name => match User::find(name) {
            Ok(account) => Ok(account),
            // sudo may know better than we do; whether the account exists is then its business.
            Err(_) if !User::is_root() => Ok(environment::own().clone().named(name)),
            Err(message) => Err(NotStarted::new(message)),
        },
        _ => Ok(environment::own().clone()),
    }
}

/// Puts `sudo` before the words where the process cannot change its user itself. True when it did.
fn elevate(argv: &mut Vec<String>, spec: &CommandSpec, account: &User) -> bool {
    if User::is_root() {
        return false;
    }
    let foreign = account.name != environment::own().name;
    let mut prefix = vec!["sudo".to_owned(), "-n".to_owned()];
    if foreign {
        prefix.extend(["-u".to_owned(), account.name.clone()]);
    } else if !spec.sudo {
        return false;
    }
    prefix.push("--".to_owned());
    argv.splice(0..0, prefix);
    true
}

fn argv(spec: &CommandSpec, path: &str, directory: &Path, env: &Variables) -> Vec<String> {
    let text = match &spec.program {
        Program::Argv(words) => return words.clone(),
        Program::Shell(text) => text,
    };
    // Variables from which a shell would take functions or commands before it executes ours.
    let hooked = |name: &String| name == "BASH_ENV" || name == "ENV" || name.starts_with("BASH_FUNC_");
    if spec.shell.is_none() && !env.keys().any(hooked) {
        let known =
            |words: &Vec<String>| find::program(&words[0], path, directory).is_some_and(|f| find::is_executable(&f));
        if let Some(words) = words::simple(text).filter(known) {
            return words;
        }
    }
    let shell = spec.shell.clone().unwrap_or_else(|| find::shell().to_string_lossy().into_owned());
    vec![shell, "-c".to_owned(), text.clone()]
}

fn stdin(spec: &CommandSpec, ctx: &Ctx, given: Option<Stdio>) -> Result<Stdio, NotStarted> {
    if let Some(given) = given {
        return Ok(given);
    }
    match &spec.stdin {
        Stdin::Empty => Ok(Stdio::null()),
        Stdin::Bytes(_) | Stdin::Pipe => Ok(Stdio::piped()),
        Stdin::File(name) => {
            let path = ctx.resolve(name);
            let file = File::open(&path)
                .map_err(|error| NotStarted::new(format!("standard input {}: {error}", path.display())))?;
            Ok(file.into())
        }
    }
}

fn set_up(command: &mut Command, spec: &CommandSpec, ctx: &Ctx, account: Option<User>) -> Result<(), NotStarted> {
    let user = account.filter(|account| account.name != environment::own().name);
    let wanted = limits::wanted(spec, ctx);
    if user.is_none() && spec.umask.is_none() && spec.nice.is_none() && wanted.is_empty() {
        return Ok(());
    }
    let setup = Setup { user, umask: spec.umask, nice: spec.nice, limits: limits::enforce(&wanted, ctx), group: None };
    command::prepare(command.as_std_mut(), setup).map_err(|error| NotStarted::new(error.to_string()))
}

/// A `NAME=value` that no other command has.
fn mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("SLOTH_COMMAND_ID={}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn not_found(program: &str) -> NotStarted {
    NotStarted { code: 127, message: format!("{program}: program not found") }
}

fn explain(error: &io::Error, program: &str, directory: &Path) -> NotStarted {
    if !directory.is_dir() {
        return NotStarted::new(format!("workdir {} is not a directory", directory.display()));
    }
    let code = match error.kind() {
        io::ErrorKind::NotFound => 127,
        io::ErrorKind::PermissionDenied => 126,
        _ => 125,
    };
    NotStarted { code, message: format!("{program}: {error}") }
}
