//! What each command does: one request or a few, and the answer on the screen. The number is the exit code.

use std::ffi::OsString;

use serde_json::Value;

use crate::args::admin::{AuditCommand, ConfigCommand, DaemonCommand, DbCommand, EventsCommand, SysadminCommand};
use crate::args::globals::Globals;
use crate::args::runs::RunsCommand;
use crate::args::scheduler::SchedulerCommand;
use crate::args::workflow::WorkflowCommand;
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
mod logs;
pub(crate) mod look;
mod run;
mod run_parts;
mod runs;
mod saved;
pub(crate) mod sources;
mod systemd;
mod workflow;

/// Result of a command: its exit code, or why it failed.
pub(crate) type Done = Result<u8, Failure>;

pub(crate) async fn dispatch(command: Command, globals: Globals, env: &dyn Fn(&str) -> Option<OsString>) -> Done {
    let command = match command {
        Command::Help { words } => return help::help(&words),
        Command::Man(args) => return help::man(&args.out),
        Command::Completion { shell } => return help::completion(shell),
        Command::Run(args) | Command::Workflow(WorkflowCommand::Run(args)) => {
            return Box::pin(run::run(globals, *args, env)).await;
        }
        command => command,
    };
    let session = Session::new(globals, env)?;
    let session = &session;
    match command {
        Command::Scheduler(command) => scheduler(session, command, env).await,
        Command::Runs(command) => on_runs(session, command, env).await,
        Command::Workflow(command) => match command {
            WorkflowCommand::List(args) => workflow::list(session, args).await,
            WorkflowCommand::Show(args) | WorkflowCommand::Graph(args) => workflow::show(session, args, env).await,
            WorkflowCommand::Validate(args) => workflow::validate(session, args, env),
            WorkflowCommand::Add(args) => saved::add(session, args, env).await,
            WorkflowCommand::Remove(args) => saved::remove(session, &args.names).await,
            WorkflowCommand::Run(_) => Ok(0),
        },
        Command::Saved(command) => saved::run(session, command, env).await,
        Command::Validate(args) => workflow::validate(session, args, env),
        Command::List => workflow::tasks_here(session, env),
        Command::Attach(args) => run::follow::attach(session, &args.run, run::Look::new(session, &args.look)).await,
        Command::Ps(args) => runs::list(session, args).await,
        Command::Logs(args) => logs::logs(session, args).await,
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
        Command::Help { .. } | Command::Man(_) | Command::Completion { .. } | Command::Run(_) => Ok(0),
    }
}

async fn on_runs(session: &Session, command: RunsCommand, env: &dyn Fn(&str) -> Option<OsString>) -> Done {
    match command {
        RunsCommand::List(args) => runs::list(session, args).await,
        RunsCommand::Show(args) => runs::show(session, args).await,
        RunsCommand::Logs(args) => logs::logs(session, args).await,
        RunsCommand::Wait(args) => runs::wait(session, args).await,
        RunsCommand::Attach(args) => run::follow::attach(session, &args.run, run::Look::new(session, &args.look)).await,
        RunsCommand::Cancel(args) => runs::cancel(session, args).await,
        RunsCommand::Pause(args) => run_parts::poke_each(session, &args.runs, "pause").await,
        RunsCommand::Unpause(args) => run_parts::poke_each(session, &args.runs, "unpause").await,
        RunsCommand::Resume(args) => run_parts::resume(session, args).await,
        RunsCommand::Rerun(args) => run_parts::rerun(session, args).await,
        RunsCommand::Compensate(args) => run_parts::compensate(session, &args.run).await,
        RunsCommand::Graph(args) => run_parts::graph(session, args, env).await,
        RunsCommand::Events(args) => run_parts::events(session, &args.run).await,
        RunsCommand::Outputs(args) => run_parts::outputs(session, &args.run).await,
        RunsCommand::Checkpoints(args) => run_parts::checkpoints(session, &args.run).await,
        RunsCommand::Artifacts(args) => run_parts::artifacts(session, &args.run).await,
        RunsCommand::Diff(args) => run_parts::diff(session, args).await,
        RunsCommand::Prune(args) => run_parts::prune(session, args).await,
        RunsCommand::Delete(args) => runs::delete(session, &args.runs).await,
    }
}

async fn scheduler(session: &Session, command: SchedulerCommand, env: &dyn Fn(&str) -> Option<OsString>) -> Done {
    match command {
        SchedulerCommand::Add(args) => change::add(session, &args, env).await,
        SchedulerCommand::Edit(args) => change::edit(session, &args, env).await,
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
