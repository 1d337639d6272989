//! What each command does: one request or a few, and the answer on the screen. The number is the exit code.

use std::ffi::OsString;

use serde_json::Value;

use crate::args::admin::{AuditCommand, ConfigCommand, DaemonCommand, DbCommand, EventsCommand, SysadminCommand};
use crate::args::globals::Globals;
use crate::args::runs::RunsCommand;
use crate::args::scheduler::SchedulerCommand;
use crate::args::{Command, admin::BackupCommand};
use crate::failure::Failure;
use crate::output::details::Details;
use crate::output::print;
use crate::output::text::clean_lines;
use crate::session::Session;

mod backup;
pub(crate) mod change;
mod complete;
mod daemon;
mod db;
mod events;
mod follow;
pub(crate) mod help;
mod import;
pub(crate) mod look;
mod runs;
mod sources;
mod systemd;

/// Result of a command: its exit code, or why it failed.
pub(crate) type Done = Result<u8, Failure>;

pub(crate) async fn dispatch(command: Command, globals: Globals, env: &dyn Fn(&str) -> Option<OsString>) -> Done {
    let command = match command {
        Command::Help { words } => return help::help(&words),
        Command::Man(args) => return help::man(&args.out),
        Command::Completion { shell } => return help::completion(shell),
        command => command,
    };
    let session = Session::new(globals, env)?;
    let session = &session;
    match command {
        Command::Scheduler(command) => scheduler(session, command).await,
        Command::Runs(command) => match command {
            RunsCommand::List(args) => runs::list(session, args).await,
            RunsCommand::Show(args) => runs::show(session, &args.run).await,
            RunsCommand::Logs(args) => runs::logs(session, args).await,
            RunsCommand::Wait(args) => runs::wait(session, args).await,
            RunsCommand::Cancel(args) => runs::cancel(session, args).await,
            RunsCommand::Delete(args) => runs::delete(session, &args.runs).await,
        },
        Command::Ps(args) => runs::list(session, args).await,
        Command::Logs(args) => runs::logs(session, args).await,
        Command::Wait(args) => runs::wait(session, args).await,
        Command::Cancel(args) => runs::cancel(session, args).await,
        Command::Events(command) => match command {
            EventsCommand::List(args) => events::list(session, args).await,
            EventsCommand::Tail(args) => events::tail(session, args).await,
            EventsCommand::Watch(mut args) => {
                args.follow = true;
                events::tail(session, args).await
            }
            EventsCommand::Show { id } => events::show(session, &id).await,
            EventsCommand::Types { pattern } => events::types(session, pattern.as_deref()),
        },
        Command::Db(DbCommand::Backup(args)) => backup::create(session, args).await,
        Command::Db(command) => db::run(session, command).await,
        Command::Sysadmin(SysadminCommand::Health(args)) => daemon::health(session, args.strict).await,
        Command::Sysadmin(SysadminCommand::Backup(command)) => match command {
            BackupCommand::Create(args) => backup::create(session, args).await,
            BackupCommand::List => backup::list(session).await,
            BackupCommand::Show(args) => backup::show(session, &args.id).await,
            BackupCommand::Verify(args) => backup::verify(session, args.id).await,
            BackupCommand::Restore(args) => backup::restore(session, args.id).await,
            BackupCommand::Delete(args) => backup::delete(session, &args.id).await,
        },
        Command::Status | Command::Daemon(DaemonCommand::Status) => daemon::status(session).await,
        Command::Daemon(DaemonCommand::Reload) => daemon::reload(session).await,
        Command::Daemon(DaemonCommand::Features) => daemon::features(session).await,
        Command::Daemon(DaemonCommand::Config(args)) | Command::Config(ConfigCommand::Show(args)) => {
            daemon::config(session, args.origin).await
        }
        Command::Config(ConfigCommand::Get { key }) => daemon::setting(session, &key).await,
        Command::Audit(AuditCommand::List(args)) => events::audit(session, args).await,
        Command::Whoami => daemon::whoami(session).await,
        Command::Version => daemon::version(session).await,
        Command::Commands => help::commands(session),
        Command::Complete { what } => complete::candidates(session, &what).await,
        Command::Help { .. } | Command::Man(_) | Command::Completion { .. } => Ok(0),
    }
}

async fn scheduler(session: &Session, command: SchedulerCommand) -> Done {
    match command {
        SchedulerCommand::Add(args) => change::add(session, &args).await,
        SchedulerCommand::Edit(args) => change::edit(session, &args).await,
        SchedulerCommand::Delete(args) => change::delete(session, &args.names).await,
        SchedulerCommand::Enable(args) => change::enable(session, &args).await,
        SchedulerCommand::Disable(args) => change::disable(session, args).await,
        SchedulerCommand::PauseAll(args) => change::pause_all(session, args.reason).await,
        SchedulerCommand::ResumeAll => change::resume_all(session).await,
        SchedulerCommand::Run(args) => runs::trigger(session, args).await,
        SchedulerCommand::List(args) if args.system => look::system(session).await,
        SchedulerCommand::List(args) => look::list(session, args).await,
        SchedulerCommand::Show(args) => look::show(session, &args.name).await,
        SchedulerCommand::Next(args) => look::next(session, args).await,
        SchedulerCommand::Validate(args) => look::validate(session, args).await,
        SchedulerCommand::History(args) => look::history(session, args).await,
        SchedulerCommand::Explain(args) => look::explain(session, args).await,
        SchedulerCommand::Audit(args) => look::audit(session, args).await,
        SchedulerCommand::Export(args) => look::export(session, args).await,
        SchedulerCommand::Import(command) => import::run(session, command).await,
    }
}

/// Does the same for each name. One name: its failure is the command's. Several: each failure is said, the others go on, and the exit
/// code is that of the first failure.
async fn each(
    session: &Session,
    names: &[String],
    act: impl AsyncFn(&str) -> Result<Value, Failure>,
    human: impl Fn(&str, &Value, &mut Details) -> Result<(), Failure>,
) -> Done {
    let mut answers = Vec::new();
    let mut first_failure = None;
    for name in names {
        match act(name).await {
            Ok(answer) if session.screen.is_data() => answers.push(answer),
            Ok(answer) => {
                let mut details = Details::default();
                human(name, &answer, &mut details)?;
                print(&details.render(session.screen.color))?;
            }
            Err(failure) if names.len() == 1 => return Err(failure),
            Err(failure) => {
                if session.screen.is_data() {
                    answers.push(failure.to_json());
                } else {
                    eprintln!("error: {}: {}", clean_lines(name), clean_lines(&failure.message));
                }
                first_failure.get_or_insert(failure.exit);
            }
        }
    }
    if session.screen.is_data() {
        let whole = if names.len() == 1 { answers.pop().unwrap_or_default() } else { Value::Array(answers) };
        session.screen.document(&whole, |_| {})?;
    }
    first_failure.map_or(Ok(0), |exit| Err(Failure::exit(exit)))
}
