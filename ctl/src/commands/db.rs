//! The database, as far as the daemon shows it.

use std::io::Read;

use serde_json::{Map, Value};
use sloth_api::client::{Call, Method, Target};
use sloth_api::{DbCheckReply, DbStatusView, ExitCode, QueryReply, QueryRequest};

use super::Done;
use crate::args::admin::DbCommand;
use crate::failure::Failure;
use crate::output::print;
use crate::output::text::clean_lines;
use crate::session::{Session, typed};
use crate::views;

pub(crate) async fn run(session: &Session, command: DbCommand) -> Done {
    match command {
        DbCommand::Status => {
            let (answer, status) = status(session).await?;
            session.screen.document(&answer, |out| views::daemon::db_status(&status, &session.screen.clock, out))?;
        }
        DbCommand::Path => {
            let (answer, status) = status(session).await?;
            session.screen.document(&answer["path"], |out| out.line(&status.path))?;
        }
        DbCommand::Tables => {
            let (answer, status) = status(session).await?;
            let raw = answer["tables"].as_array().cloned().unwrap_or_default();
            session.screen.list(views::daemon::tables(&status), raw)?;
        }
        DbCommand::Schema { table } => return schema(session, table.as_deref()).await,
        DbCommand::Query { sql } => return query(session, sql).await,
        DbCommand::Check => return check(session).await,
        DbCommand::Vacuum => {
            let answer = session.slow(Call::new(Method::POST, "/db/vacuum")).await?;
            session.screen.document(&answer, |out| views::daemon::anything(&answer, out))?;
        }
        DbCommand::Backup(_) => {} // done by its other name
    }
    Ok(0)
}

async fn status(session: &Session) -> Result<(Value, DbStatusView), Failure> {
    let answer = session.get(&Target::new("/db/status")).await?;
    let status = typed(&answer)?;
    Ok((answer, status))
}

async fn ask(session: &Session, sql: String) -> Result<QueryReply, Failure> {
    typed(&session.post(&Target::new("/db/query"), &QueryRequest { sql }).await?)
}

async fn query(session: &Session, mut sql: String) -> Done {
    if sql == "-" {
        sql.clear();
        std::io::stdin().read_to_string(&mut sql)?;
    }
    let mut reply = ask(session, sql).await?;
    if session.globals.limit.is_some() {
        reply
            .rows
            .truncate(session.screen.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)));
    }
    let raw = objects(&reply);
    session.screen.list(views::daemon::query(&reply), raw)?;
    if reply.truncated {
        session.say("there are more rows than the daemon gives at once");
    }
    Ok(0)
}

/// Rows as objects; a second column of the same name has its number behind it.
fn objects(reply: &QueryReply) -> Vec<Value> {
    let mut names: Vec<String> = Vec::new();
    for column in &reply.columns {
        let mut name = column.clone();
        let mut number = 1;
        while names.contains(&name) {
            number += 1;
            name = format!("{column}_{number}");
        }
        names.push(name);
    }
    let object = |row: &Vec<Value>| names.iter().cloned().zip(row.iter().cloned()).collect::<Map<_, _>>();
    reply.rows.iter().map(|row| Value::Object(object(row))).collect()
}

async fn schema(session: &Session, table: Option<&str>) -> Done {
    let only = table.map_or(String::new(), |name| format!(" AND tbl_name = '{}'", name.replace('\'', "''")));
    let sql = format!(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL{only} ORDER BY tbl_name, type DESC, name"
    );
    let reply = ask(session, sql).await?;
    if let Some(name) = table.filter(|_| reply.rows.is_empty()) {
        return Err(Failure::not_found(format!("there is no table \"{name}\"")).hint("slothctl db tables"));
    }
    if session.screen.is_data() {
        session.screen.document(&Value::Array(objects(&reply)), |_| {})?;
        return Ok(0);
    }
    for row in &reply.rows {
        print(&format!("{};\n", clean_lines(row.get(3).and_then(Value::as_str).unwrap_or_default())))?;
    }
    Ok(0)
}

async fn check(session: &Session) -> Done {
    let answer = session.slow(Call::new(Method::POST, "/db/check")).await?;
    let reply: DbCheckReply = typed(&answer)?;
    session.screen.document(&answer, |out| {
        reply.findings.iter().for_each(|finding| out.line(finding));
        let said = if reply.ok { "ok" } else { "NOT OK" };
        out.line(format!("{said}, {} findings in {:.0}ms", reply.findings.len(), reply.duration_ms));
    })?;
    Ok(if reply.ok { 0 } else { ExitCode::Failed as u8 })
}
