//! `scheduler import`: sends the texts as they are, and shows what the daemon made of each line.

use sloth_api::client::{Call, Method};
use sloth_api::{ExitCode, ImportReport, ImportRequest, ImportSource};

use super::{Done, sources, systemd};
use crate::args::scheduler::{ImportCommand, ImportOptions};
use crate::failure::Failure;
use crate::session::{Session, typed};
use crate::views;

/// Texts of one format that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) format: &'static str,
    pub(crate) texts: Vec<(String, String)>,
}

pub(crate) async fn run(session: &Session, command: ImportCommand) -> Done {
    let (batches, user, options) = match command {
        ImportCommand::Crontab(args) => (sources::crontab(&args)?, args.user, args.options),
        ImportCommand::Systemd(args) => (systemd::batches(&args)?, None, args.options),
        ImportCommand::Yaml(args) => {
            let texts = vec![sources::read(&args.file)?];
            (vec![Batch { format: "yaml", texts }], None, args.options)
        }
    };
    let mut whole = ImportReport { lines: Vec::new(), made: 0, refused: 0, dry_run: options.dry_run };
    for batch in batches {
        let report = import(session, batch, user.clone(), &options).await?;
        whole.lines.extend(report.lines);
        whole.made += report.made;
        whole.refused += report.refused;
    }
    let raw = serde_json::to_value(&whole).map_err(|error| Failure::incompatible(error.to_string()))?;
    session.screen.document(&raw, |out| views::import::report(&whole, out))?;
    Ok(if whole.refused > 0 { ExitCode::Failed as u8 } else { 0 })
}

async fn import(
    session: &Session,
    batch: Batch,
    user: Option<String>,
    options: &ImportOptions,
) -> Result<ImportReport, Failure> {
    let request = ImportRequest {
        format: batch.format.to_owned(),
        sources: batch.texts.into_iter().map(|(name, text)| ImportSource { name, text }).collect(),
        user,
        dry_run: options.dry_run,
        replace: options.replace,
    };
    typed(&session.slow(Call::new(Method::POST, "/schedules/-/import").json(&request)?).await?)
}
