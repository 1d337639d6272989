//! Owner, group and mode of files.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use sloth_exec::host;
use sloth_lua::{Args, Failure};

use super::failed;
use crate::modes::{mode, mode_text};

/// What a file should be besides its content; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permissions.
    pub mode: Option<u32>,
    /// Number of the owner.
    pub uid: Option<u32>,
    /// Number of the group.
    pub gid: Option<u32>,
}

impl Attributes {
    /// From the options `mode`, `owner`, `group`.
    pub fn from(args: &Args) -> Result<Attributes, Failure> {
        Ok(Attributes {
            mode: args.get("mode").map(|value| mode("mode", value)).transpose()?,
            uid: args.opt_text("owner").map(|name| user(&name)).transpose()?,
            gid: args.opt_text("group").map(|name| group(&name)).transpose()?,
        })
    }

    /// Whether a file is that already; what differs, in words.
    pub fn differences(&self, path: &Path, meta: &Metadata) -> Vec<String> {
        let mut found = Vec::new();
        let name = path.display();
        if let Some(mode) = self.mode.filter(|mode| *mode != meta.mode() & 0o7777) {
            found.push(format!("{name}: mode {} -> {}", mode_text(meta.mode()), mode_text(mode)));
        }
        if let Some(uid) = self.uid.filter(|uid| *uid != meta.uid()) {
            found.push(format!("{name}: owner {} -> {uid}", meta.uid()));
        }
        if let Some(gid) = self.gid.filter(|gid| *gid != meta.gid()) {
            found.push(format!("{name}: group {} -> {gid}", meta.gid()));
        }
        found
    }

    /// Makes it so. The owner first: changing it clears special bits of the mode.
    pub fn apply(&self, path: &Path) -> io::Result<()> {
        if self.uid.is_some() || self.gid.is_some() {
            lchown(path, self.uid, self.gid)?;
        }
        match self.mode {
            Some(mode) => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
            None => Ok(()),
        }
    }

    /// Compares, and makes it so unless this is simulated. Says what differed.
    pub fn ensure(&self, path: &Path, simulated: bool) -> Result<Vec<String>, Failure> {
        let Ok(meta) = fs::symlink_metadata(path) else { return Ok(Vec::new()) };
        let differences = self.differences(path, &meta);
        if !differences.is_empty() && !simulated {
            self.apply(path).map_err(|error| failed(path, error))?;
        }
        Ok(differences)
    }
}

/// Number of a user by name or number.
pub fn user(name: &str) -> Result<u32, Failure> {
    host::user_id(name).ok_or_else(|| Failure::new(format!("user {name} does not exist")))
}

/// Number of a group by name or number.
pub fn group(name: &str) -> Result<u32, Failure> {
    host::group_id(name).ok_or_else(|| Failure::new(format!("group {name} does not exist")))
}
