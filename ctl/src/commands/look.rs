//! Commands that look at schedules.

use serde_json::Value;
use sloth_api::client::{Call, Method, Target};
use sloth_api::{
    AuditReport, ExitCode, Explanation, NextInstant, OccurrenceView, ScheduleView, SystemJob, ValidateReply,
    ValidateRequest,
};

use super::Done;
use super::change::schedule;
use crate::args::scheduler::{AuditArgs, ExplainArgs, ExportArgs, HistoryArgs, ListArgs, NextArgs, ValidateArgs};
use crate::failure::Failure;
use crate::output::print;
use crate::output::text::clean_lines;
use crate::session::{Session, typed, typed_rows};
use crate::views;

/// Rows of `history` when nothing else is said.
const HISTORY_ROWS: u64 = 20;

pub(crate) async fn list(session: &Session, args: ListArgs) -> Done {
    let target = Target::new("/schedules")
        .with_flag("all_users", args.all_users)
        .with_some("tag", args.tag)
        .with_flag("failed", args.failed);
    let rows = session.all_rows(&target, None).await?;
    let mut views: Vec<ScheduleView> = typed_rows(&rows)?;
    if args.all_users {
        views.iter_mut().for_each(|view| view.name = format!("{}/{}", view.owner, view.name));
    }
    session.screen.list(views::schedules::list(&views, &session.screen.clock), rows)?;
    Ok(0)
}

pub(crate) async fn system(session: &Session) -> Done {
    let rows = array(session.get(&Target::new("/schedules/-/system")).await?)?;
    let jobs: Vec<SystemJob> = typed_rows(&rows)?;
    session.screen.list(views::schedules::system(&jobs, &session.screen.clock), rows)?;
    Ok(0)
}

pub(crate) async fn show(session: &Session, name: &str) -> Done {
    let answer = session.get(&schedule(name)).await?;
    let view: ScheduleView = typed(&answer)?;
    session.screen.document(&answer, |out| views::schedules::show(&view, &session.screen.clock, out))?;
    Ok(0)
}

pub(crate) async fn next(session: &Session, args: NextArgs) -> Done {
    let rows = array(session.get(&next_of(&args)?).await?)?;
    let next: Vec<NextInstant> = typed_rows(&rows)?;
    session.screen.list(views::schedules::next_list(&next, &session.screen.clock), rows)?;
    Ok(0)
}

/// A name holds neither a space nor an at sign nor a star, an expression always one of them.
pub(crate) fn next_of(args: &NextArgs) -> Result<Target, Failure> {
    let target = if args.what.contains([' ', '@', '*']) {
        Target::new("/schedules/-/next").with("expr", &args.what).with_some("tz", args.tz.as_ref())
    } else if args.tz.is_some() {
        return Err(Failure::usage("--tz is for expressions; a schedule has its own time zone"));
    } else {
        schedule(&args.what).then("/next")
    };
    Ok(target.with("n", args.count).with_some("from", args.from.as_ref()))
}

pub(crate) async fn validate(session: &Session, args: ValidateArgs) -> Done {
    let body = ValidateRequest { expr: args.expr, timezone: args.tz };
    let answer = session.post(&Target::new("/schedules/-/validate"), &body).await?;
    let reply: ValidateReply = typed(&answer)?;
    session.screen.document(&answer, |out| views::schedules::validated(&reply, &session.screen.clock, out))?;
    Ok(0)
}

pub(crate) async fn history(session: &Session, args: HistoryArgs) -> Done {
    // What is planned has no history yet; a later `--until` shows it.
    let until = args.until.unwrap_or_else(|| "now".to_owned());
    let target = schedule(&args.name).then("/occurrences").with_some("from", args.since).with("to", until);
    let unlimited = session.globals.limit.is_some();
    let count = args.count.or((!unlimited).then_some(HISTORY_ROWS));
    let rows = session.all_rows(&target, count).await?;
    let views: Vec<OccurrenceView> = typed_rows(&rows)?;
    session.screen.list(views::schedules::history(&views, &session.screen.clock), rows)?;
    Ok(0)
}

pub(crate) async fn explain(session: &Session, args: ExplainArgs) -> Done {
    let answer = session.get(&schedule(&args.name).then("/explain").with_some("at", args.at)).await?;
    let explanation: Explanation = typed(&answer)?;
    session.screen.document(&answer, |out| views::schedules::explained(&explanation, out))?;
    Ok(0)
}

pub(crate) async fn audit(session: &Session, args: AuditArgs) -> Done {
    let target = match &args.name {
        Some(name) => schedule(name).then("/audit"),
        None => Target::new("/schedules/-/audit"),
    };
    let call = Call::new(Method::GET, target.with_some("since", args.since).as_str());
    let answer = session.slow(call).await?;
    let report: AuditReport = typed(&answer)?;
    session.screen.document(&answer, |out| views::schedules::audited(&report, &session.screen.clock, out))?;
    Ok(if report.clean { 0 } else { ExitCode::Failed as u8 })
}

pub(crate) async fn export(session: &Session, args: ExportArgs) -> Done {
    let target = Target::new("/schedules/-/export").with("format", args.format).with_flag("all_users", args.all_users);
    let answer = session.send(Call::new(Method::GET, target.as_str())).await?;
    let text = String::from_utf8_lossy(&answer.body);
    if session.screen.terminal {
        print(&clean_lines(&text))?
    } else {
        print(&text)?
    }
    Ok(0)
}

/// The rows of an answer that is a plain array.
pub(crate) fn array(answer: Value) -> Result<Vec<Value>, Failure> {
    match answer {
        Value::Array(rows) => Ok(rows),
        _ => Err(Failure::incompatible("the daemon's answer is no list")),
    }
}
