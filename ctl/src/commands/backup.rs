//! Backups.

use std::time::Duration;

use serde_json::Value;
use sloth_api::client::{Call, ClientError, Method, Target};
use sloth_api::{BackupId, BackupRequest, BackupVerifyReply, BackupView, ExitCode};

use super::Done;
use crate::args::admin::BackupArgs;
use crate::failure::Failure;
use crate::session::{SLOW, Session, typed, typed_rows};
use crate::views;

/// How long the daemon may take to come back after a restore.
const RESTART: Duration = Duration::from_secs(120);

pub(crate) async fn create(session: &Session, args: BackupArgs) -> Done {
    let body = BackupRequest { description: args.description, no_logs: args.no_logs };
    let answer = session.slow(Call::new(Method::POST, "/backup/create").json(&body)?).await?;
    let backup: BackupView = typed(&answer)?;
    session.screen.document(&answer, |out| views::daemon::backup(&backup, &session.screen.clock, out))?;
    Ok(0)
}

pub(crate) async fn list(session: &Session) -> Done {
    let rows = session.all_rows(&Target::new("/backup"), None).await?;
    let backups: Vec<BackupView> = typed_rows(&rows)?;
    session.screen.list(views::daemon::backups(&backups, &session.screen.clock), rows)?;
    Ok(0)
}

pub(crate) async fn show(session: &Session, id: &str) -> Done {
    let rows = session.rows(&Target::new("/backup"), Some(u64::MAX)).await?.items;
    let is_it = |row: &&Value| row["id"].as_str().is_some_and(|other| other.starts_with(id)) || row["path"] == id;
    let mut found = rows.iter().filter(is_it);
    let answer = match (found.next(), found.next()) {
        (Some(answer), None) => answer,
        (Some(_), Some(_)) => return Err(Failure::usage(format!("more than one backup begins with \"{id}\""))),
        _ => {
            return Err(
                Failure::not_found(format!("there is no backup \"{id}\"")).hint("slothctl sysadmin backup list")
            );
        }
    };
    let backup: BackupView = typed(answer)?;
    session.screen.document(answer, |out| views::daemon::backup(&backup, &session.screen.clock, out))?;
    Ok(0)
}

pub(crate) async fn verify(session: &Session, id: String) -> Done {
    let answer = session.slow(Call::new(Method::POST, "/backup/verify").json(&BackupId { id })?).await?;
    let reply: BackupVerifyReply = typed(&answer)?;
    session.screen.document(&answer, |out| {
        reply.findings.iter().for_each(|finding| out.line(finding));
        out.line(if reply.ok { "ok" } else { "DAMAGED" });
    })?;
    Ok(if reply.ok { 0 } else { ExitCode::Failed as u8 })
}

/// Restores and waits until the daemon is there again.
pub(crate) async fn restore(session: &Session, id: String) -> Done {
    session.confirm(&format!("replace the present data of the daemon by backup {id}"))?;
    let before: Value = session.get(&Target::new("/status")).await?;
    let call = Call::new(Method::POST, "/backup/restore").json(&BackupId { id })?.within(SLOW);
    let answer: Value = match session.client.send(call).await {
        Ok(answer) => answer.json()?,
        Err(ClientError::Lost(_)) => Value::Null, // it restarted before it could answer
        Err(error) => return Err(error.into()),
    };
    session.say("restored; waiting for the daemon to come back");
    let give_up = tokio::time::Instant::now() + RESTART;
    loop {
        let call = Call::new(Method::GET, "/status");
        let now: Value = session.client.get_patient(call, RESTART).await?;
        let is_new = now["started_at"] != before["started_at"] || now["pid"] != before["pid"];
        if is_new && now["state"] == "ready" {
            let whole = if answer.is_null() { now } else { answer };
            session.screen.document(&whole, |out| views::daemon::anything(&whole, out))?;
            return Ok(0);
        }
        if tokio::time::Instant::now() >= give_up {
            return Err(Failure::timed_out("the daemon has not come back yet").hint("slothctl status"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub(crate) async fn delete(session: &Session, id: &str) -> Done {
    let answer = session.delete(&Target::new("/backup").name(id)).await?;
    session.screen.document(&answer, |out| out.line(format!("deleted backup {id}")))?;
    Ok(0)
}
