//! Bodies that go to a file: whole, or not at all.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::exchange::Answer;
use super::follow::within;
use super::order::Order;
use super::trouble::Trouble;
use crate::crypto::{Digest, Hasher};
use crate::keep;

/// A digest that a body must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checksum {
    pub digest: Digest,
    pub hex: String,
}

impl Checksum {
    /// `sha256:<hex>`, or the hex digits alone, whose number tells the algorithm.
    pub(crate) fn parse(text: &str) -> Option<Checksum> {
        let text = text.trim().to_lowercase();
        let (digest, hex) = match text.split_once([':', '=']) {
            Some((name, hex)) => (Digest::named(name)?, hex.trim().to_owned()),
            None => (Digest::of_length(text.len())?, text),
        };
        let right = Digest::of_length(hex.len()) == Some(digest) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        right.then_some(Checksum { digest, hex })
    }
}

pub(crate) fn disk(path: &Path, error: &io::Error) -> Trouble {
    Trouble::Request(format!("{}: {error}", path.display()))
}

/// Where a body is collected before it is published.
pub(crate) struct Part {
    pub path: PathBuf,
    file: File,
    pub length: u64,
}

impl Part {
    /// Opens a file to write at its end, or afresh.
    pub(crate) async fn open(path: &Path, keep: bool) -> io::Result<Part> {
        let mut file =
            File::options().create(true).write(true).read(true).truncate(!keep).mode(0o600).open(path).await?;
        let length = file.seek(SeekFrom::End(0)).await?;
        Ok(Part { path: path.to_owned(), file, length })
    }

    /// Takes a body, with a limit for its whole length and for the time without progress.
    pub(crate) async fn take(&mut self, answer: &mut Answer, order: &Order) -> Result<(), Trouble> {
        while let Some(chunk) = within(order.timeout, answer.chunk()).await? {
            self.length += chunk.len() as u64;
            if let Some(max) = order.body_max.filter(|max| self.length > *max) {
                return Err(Trouble::TooLarge(max));
            }
            self.file.write_all(&chunk).await.map_err(|error| disk(&self.path, &error))?;
        }
        self.file.flush().await.map_err(|error| disk(&self.path, &error))
    }
}

/// The digest of a file. Blocks.
pub(crate) fn digest_of(path: &Path, digest: Digest) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Hasher::new(digest);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.hex()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Moves a finished part to its place, unless the same is there already; whether something changed. Blocks.
pub(crate) fn publish(part: &Path, target: &Path) -> io::Result<bool> {
    let target = keep::real_target(target);
    let same = std::fs::metadata(&target)
        .is_ok_and(|old| old.is_file() && std::fs::metadata(part).is_ok_and(|new| new.len() == old.len()));
    if same && digest_of(part, Digest::Sha256)? == digest_of(&target, Digest::Sha256)? {
        std::fs::remove_file(part)?;
        return Ok(false);
    }
    keep::publish_path(part, &target)?;
    Ok(true)
}
