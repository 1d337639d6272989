//! Turns the names of a launch into numbers: user, group, supplementary groups, home and shell (nsswitch.conf(5)).

use std::ffi::CString;
use std::path::PathBuf;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgrouplist};
use sloth_core::run::{StartFailure, StartFailureKind};

use crate::clock::Tick;
use crate::fail;

/// How long an answer is used again: a burst of starts asks once, a changed account counts at once for people.
const CACHE_FOR: std::time::Duration = std::time::Duration::from_secs(1);
/// Most answers kept.
const CACHED_MAX: usize = 64;

/// Who a process runs as.
#[derive(Clone, Debug)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User.
    pub uid: Uid,
    /// Primary group.
    pub gid: Gid,
    /// All groups; `None`: keep our own, as it is our own user and group.
    pub groups: Option<Vec<Gid>>,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

impl Account {
    /// Whether the process must change its user or groups.
    pub fn is_foreign(&self) -> bool {
        self.groups.is_some()
    }
}

/// Recent answers.
#[derive(Debug, Default)]
pub struct Accounts {
    cached: Vec<(Tick, String, Option<String>, Account)>,
}

impl Accounts {
    /// Looks a user (and group) up, and checks that we may run as them.
    pub fn find(&mut self, user: &str, group: Option<&str>) -> Result<Account, StartFailure> {
        let now = Tick::now();
        self.cached.retain(|(at, ..)| now < at.after(CACHE_FOR));
        if let Some((.., found)) = self.cached.iter().find(|(_, u, g, _)| u == user && g.as_deref() == group) {
            return Ok(found.clone());
        }
        let found = look_up(user, group)?;
        if self.cached.len() < CACHED_MAX {
            self.cached.push((now, user.to_owned(), group.map(str::to_owned), found.clone()));
        }
        Ok(found)
    }
}

fn look_up(user: &str, group: Option<&str>) -> Result<Account, StartFailure> {
    use StartFailureKind::{Resources, User as Kind};
    let found = User::from_name(user)
        .map_err(|errno| fail(Resources, format!("user {user} cannot be looked up: {errno}")))?
        .ok_or_else(|| fail(Kind, format!("user {user} does not exist")))?;
    let gid = match group {
        None => found.gid,
        Some(name) => {
            Group::from_name(name)
                .map_err(|errno| fail(Resources, format!("group {name} cannot be looked up: {errno}")))?
                .ok_or_else(|| fail(Kind, format!("group {name} does not exist")))?
                .gid
        }
    };
    let own = found.uid == geteuid() && gid == getegid();
    if !own && !geteuid().is_root() {
        return Err(fail(Kind, format!("this daemon runs as uid {} and cannot run as {user}", geteuid())));
    }
    let groups = if own {
        None
    } else {
        let name = CString::new(found.name.as_str()).map_err(|_| fail(Kind, format!("user {user:?} is not a name")))?;
        let list = getgrouplist(&name, gid);
        Some(list.map_err(|errno| fail(Resources, format!("groups of {user} cannot be looked up: {errno}")))?)
    };
    Ok(Account { name: found.name, uid: found.uid, gid, groups, home: found.dir, shell: found.shell })
}
