//! The daemon: status, versions, health, settings.

use serde_json::{Value, json};
use sloth_api::client::{Call, Method, Target};
use sloth_api::{ExitCode, HealthView, PROTOCOL, ReloadReply, Setting, StatusView, VersionView, WhoamiView};

use super::Done;
use super::look::array;
use crate::failure::Failure;
use crate::output::print;
use crate::session::{Session, typed, typed_rows};
use crate::views;

pub(crate) async fn status(session: &Session) -> Done {
    let answer = session.get(&Target::new("/status")).await?;
    let status: StatusView = typed(&answer)?;
    session.screen.document(&answer, |out| views::daemon::status(&status, &session.screen.clock, out))?;
    Ok(0)
}

/// Versions of both; a daemon that is away is no failure, one of another protocol is.
pub(crate) async fn version(session: &Session) -> Done {
    let client = VersionView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: sloth_api::BUILD_COMMIT.to_owned(),
        build_date: sloth_api::BUILD_DATE.to_owned(),
        protocol: PROTOCOL.to_owned(),
    };
    let answer = session.get(&Target::new("/version")).await;
    let server: Option<VersionView> = answer.as_ref().ok().map(typed).transpose()?;
    let whole = json!({"client": client, "server": answer.as_ref().ok()});
    session.screen.document(&whole, |out| {
        let line = |view: &VersionView| {
            format!("{} (commit {}, built {}, protocol {})", view.version, view.commit, view.build_date, view.protocol)
        };
        out.field("slothctl", line(&client));
        out.field("slothd", server.as_ref().map_or("not reached".to_owned(), line));
    })?;
    if let Err(failure) = answer
        && session.globals.verbose
    {
        session.say(&failure.message);
    }
    let major = |protocol: &str| protocol.split('.').next().map(str::to_owned);
    match server {
        Some(server) if major(&server.protocol) != major(PROTOCOL) => {
            let said = format!("slothd speaks protocol {}, slothctl {PROTOCOL}", server.protocol);
            session.say(format!("error: {said}"));
            Ok(ExitCode::Unreachable as u8)
        }
        _ => Ok(0),
    }
}

pub(crate) async fn health(session: &Session, strict: bool) -> Done {
    let answer = session.slow(Call::new(Method::GET, "/health")).await?;
    let health: HealthView = typed(&answer)?;
    if session.screen.is_data() {
        session.screen.document(&answer, |_| {})?;
    } else {
        session.screen.list(views::daemon::health(&health), Vec::new())?;
    }
    Ok(match health.status.as_str() {
        "critical" => ExitCode::Failed as u8,
        "warn" if strict => ExitCode::Failed as u8,
        _ => 0,
    })
}

pub(crate) async fn reload(session: &Session) -> Done {
    let answer = session.poke(&Target::new("/config/reload")).await?;
    let reply: ReloadReply = typed(&answer)?;
    session.screen.document(&answer, |out| views::daemon::reloaded(&reply, out))?;
    Ok(if reply.problems.is_empty() { 0 } else { ExitCode::Usage as u8 })
}

pub(crate) async fn features(session: &Session) -> Done {
    let answer = session.get(&Target::new("/features")).await?;
    session.screen.document(&answer, |out| views::daemon::anything(&answer, out))?;
    Ok(0)
}

pub(crate) async fn whoami(session: &Session) -> Done {
    let answer = session.get(&Target::new("/whoami")).await?;
    let me: WhoamiView = typed(&answer)?;
    session.screen.document(&answer, |out| out.line(format!("{} (uid {}), role {}", me.user, me.uid, me.role)))?;
    Ok(0)
}

pub(crate) async fn config(session: &Session, origin: bool) -> Done {
    let rows = settings(session).await?;
    let settings: Vec<Setting> = typed_rows(&rows)?;
    session.screen.list(views::daemon::settings(&settings, origin), rows)?;
    Ok(0)
}

pub(crate) async fn setting(session: &Session, key: &str) -> Done {
    let rows = settings(session).await?;
    let Some(found) = rows.iter().find(|row| row["key"] == key) else {
        return Err(Failure::not_found(format!("there is no setting \"{key}\"")).hint("slothctl config show"));
    };
    if session.screen.is_data() {
        session.screen.document(&found["value"], |_| {})?;
    } else {
        print(&format!("{}\n", crate::output::text::clean(&views::schedules::plain(&found["value"]))))?;
    }
    Ok(0)
}

async fn settings(session: &Session) -> Result<Vec<Value>, Failure> {
    let mut answer = session.get(&Target::new("/config")).await?;
    let whole = if answer.is_array() { answer } else { answer["items"].take() };
    array(whole)
}
