//! Downloads to files: published whole, with a checksum, resumable. A part that may be resumed lies beside its target
//! with a note of what it is part of, so that pieces of different files are never put together.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hyper::StatusCode;
use hyper::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};
use sloth_lua::{Call, Data, Failure, Reply};

use super::exchange::Answer;
use super::follow::{follow, persist, retry_after, within};
use super::order::{Order, body_max};
use super::response::head;
use super::sink::{Checksum, Part, digest_of, disk, publish};
use super::trouble::Trouble;
use crate::keep;

/// What a download is to do.
struct Plan {
    order: Order,
    target: PathBuf,
    checksum: Option<Checksum>,
    resume: bool,
}

/// `http.download`: true and info, or a failure.
pub(crate) async fn download(call: Call, mut order: Order) -> Reply {
    let args = &call.args;
    order.body_max = body_max(args);
    let checksum = match args.opt_text("checksum") {
        None => None,
        Some(text) => Some(
            Checksum::parse(&text)
                .ok_or_else(|| Failure::argument("checksum", format_args!("algorithm:hex expected, got {text:?}")))?,
        ),
    };
    let target = call.ctx.resolve(&args.text("dest")?);
    let plan = Plan { order, target, checksum, resume: args.flag("resume") };
    let simulated = call.ctx.is_simulated() || args.flag("check");
    if let Some(verdict) = plan.standing(simulated).await? {
        return Ok(vec![keep::outcome(&plan.target, verdict, simulated, "download")]);
    }
    let (changed, bytes) = plan.perform(&call).await.map_err(|trouble| trouble.of("GET", &plan.order.shown()))?;
    let mut info = keep::outcome(&plan.target, changed, false, "download");
    if let Data::Map(entries) = &mut info {
        entries.push(("bytes".into(), Data::from(bytes)));
    }
    Ok(vec![info])
}

/// Blocking work of a download.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

impl Plan {
    /// Whether something would change, where that is known without a request: the file has the checksum already, or
    /// nothing may be done.
    async fn standing(&self, simulated: bool) -> Result<Option<bool>, Failure> {
        let (target, checksum) = (self.target.clone(), self.checksum.clone());
        let held = apart(move || match checksum {
            _ if !target.exists() => Ok(None),
            None => Ok(Some(false)),
            Some(checksum) => Ok(Some(digest_of(&target, checksum.digest)? == checksum.hex)),
        });
        match held.await.map_err(|error| Failure::new(format!("{}: {error}", self.target.display())))? {
            Some(true) => Ok(Some(false)),
            _ if simulated => Ok(Some(true)),
            _ => Ok(None),
        }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let name = self.target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.target.with_file_name(format!(".{name}.sloth-{ending}"))
    }

    async fn perform(&self, call: &Call) -> Result<(bool, u64), Trouble> {
        let part =
            if self.resume { self.beside("part") } else { self.beside(&format!("{}.part", crate::crypto::uuid_v4())) };
        let result = self.fill(call, &part).await;
        if !self.resume && result.is_err() {
            // It has failed for another reason already.
            let _ = std::fs::remove_file(&part);
        }
        let bytes = result?;
        if self.resume {
            let _ = std::fs::remove_file(self.beside("tag"));
        }
        let (from, to) = (part, self.target.clone());
        let changed = apart(move || publish(&from, &to)).await.map_err(|error| disk(&self.target, &error))?;
        Ok((changed, bytes))
    }

    async fn fill(&self, call: &Call, path: &Path) -> Result<u64, Trouble> {
        let attempt = || self.attempt(path);
        let (_, bytes) = persist(&call.ctx, &self.order, attempt, |(status, _)| (*status, None)).await?;
        if let Some(wanted) = self.checksum.clone() {
            let from = path.to_owned();
            let found = apart(move || digest_of(&from, wanted.digest)).await.map_err(|error| disk(path, &error))?;
            let wanted = self.checksum.as_ref().map(|checksum| checksum.hex.as_str()).unwrap_or_default();
            if found != wanted {
                // A wrong part must not be resumed.
                let _ = std::fs::remove_file(path);
                return Err(Trouble::Request(format!("checksum is {found}, {wanted} expected; nothing was replaced")));
            }
        }
        Ok(bytes)
    }

    async fn attempt(&self, path: &Path) -> Result<(StatusCode, u64), Trouble> {
        let tag_path = self.beside("tag");
        let tag = if self.resume { std::fs::read_to_string(&tag_path).ok() } else { None };
        let held = tag.as_ref().and_then(|_| std::fs::metadata(path).ok()).map_or(0, |meta| meta.len());
        let mut order = self.order.clone();
        if let (Some(tag), 1..) = (&tag, held) {
            let header = |text: &str| HeaderValue::from_str(text).map_err(|error| Trouble::Request(error.to_string()));
            order.headers.insert(RANGE, header(&format!("bytes={held}-"))?);
            order.headers.insert(IF_RANGE, header(tag.trim())?);
        }
        let mut answer = within(order.timeout, follow(&order)).await?;
        let status = answer.status;
        let goes_on = status == StatusCode::PARTIAL_CONTENT && begins_at(&answer, held);
        if status == StatusCode::RANGE_NOT_SATISFIABLE && held > 0 {
            // The part is not a beginning of what is there now.
            let _ = std::fs::remove_file(path);
            return Err(Trouble::Broken("the part does not fit any more; it was thrown away".into()));
        }
        if !goes_on && status != StatusCode::OK {
            return Err(Trouble::Request(format!("status {status}")));
        }
        if self.resume && !goes_on {
            match validator(&answer) {
                Some(tag) => std::fs::write(&tag_path, tag).map_err(|error| disk(&tag_path, &error))?,
                None => drop(std::fs::remove_file(&tag_path)),
            }
        }
        let mut part = Part::open(path, goes_on).await.map_err(|error| disk(path, &error))?;
        part.take(&mut answer, &order).await?;
        Ok((status, part.length))
    }
}

fn begins_at(answer: &Answer, at: u64) -> bool {
    let range = answer.headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    range.strip_prefix("bytes ").and_then(|rest| rest.split('-').next()).and_then(|begin| begin.parse().ok())
        == Some(at)
}

/// What `If-Range` takes: a strong entity tag, or a date.
fn validator(answer: &Answer) -> Option<String> {
    let text = |name| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    text(ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(LAST_MODIFIED))
}

/// The option `output`: the body of a success goes to a file. Others are errors of the server, and answered as such.
pub(crate) async fn output(call: &Call, mut order: Order, path: &str) -> Reply {
    let began = Instant::now();
    let target = call.ctx.resolve(path);
    let memory_max = order.body_max.unwrap_or(u64::MAX);
    order.body_max = body_max(&call.args);
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let part = target.with_file_name(format!(".{name}.sloth-{}.part", crate::crypto::uuid_v4()));
    let attempt = || async {
        let mut answer = within(order.timeout, follow(&order)).await?;
        if !answer.status.is_success() {
            let body = within(order.timeout, answer.read(memory_max)).await?;
            return Ok((answer, body, 0));
        }
        let mut part = Part::open(&part, false).await.map_err(|error| disk(&part, &error))?;
        part.take(&mut answer, &order).await?;
        Ok((answer, Vec::new(), part.length))
    };
    let result =
        persist(&call.ctx, &order, attempt, |(answer, _, _)| (answer.status, retry_after(&answer.headers))).await;
    let (answer, body, bytes) = result.map_err(|trouble| {
        let _ = std::fs::remove_file(&part);
        trouble.of(order.method.as_str(), &order.shown())
    })?;
    let mut entries = head(answer.status, &answer.headers, &answer.url, began);
    if answer.status.is_success() {
        let to = target.clone();
        let changed = apart(move || publish(&part, &to))
            .await
            .map_err(|error| Failure::new(format!("{}: {error}", target.display())))?;
        entries.push(("changed".into(), Data::Bool(changed)));
        entries.push(("path".into(), Data::text(target.display().to_string())));
        entries.push(("bytes".into(), Data::from(bytes)));
    }
    entries.push(("body".into(), Data::Str(body)));
    Ok(vec![Data::Map(entries)])
}
