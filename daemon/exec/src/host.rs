//! Facts of this host that need system calls: accounts by name and number, space of file systems, clock ticks.

use std::io;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::unistd::{Gid, Group, SysconfVar, Uid, User, sysconf};

/// Space of a file system, bytes and inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Space {
    pub total: u64,
    /// Not used by anybody.
    pub free: u64,
    /// What this process may still use.
    pub available: u64,
    pub inodes: u64,
    pub inodes_free: u64,
}

/// Of the file system that holds this path.
pub fn space(path: &Path) -> io::Result<Space> {
    let found = statvfs(path)?;
    let unit = found.fragment_size();
    Ok(Space {
        total: found.blocks() * unit,
        free: found.blocks_free() * unit,
        available: found.blocks_available() * unit,
        inodes: found.files(),
        inodes_free: found.files_available(),
    })
}

/// Number of a user: of a name, or digits as they are.
pub fn user_id(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw()).or_else(|| name.parse().ok())
}

/// Number of a group: of a name, or digits as they are.
pub fn group_id(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw()).or_else(|| name.parse().ok())
}

/// Name of a user.
pub fn user_name(id: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(id)).ok().flatten().map(|user| user.name)
}

/// Name of a group.
pub fn group_name(id: u32) -> Option<String> {
    Group::from_gid(Gid::from_raw(id)).ok().flatten().map(|group| group.name)
}

/// Addresses of network interfaces: name of the interface, address.
pub fn addresses() -> Vec<(String, String)> {
    let found = nix::ifaddrs::getifaddrs().into_iter().flatten();
    found
        .filter_map(|entry| {
            let address = entry.address?;
            let v4 = address.as_sockaddr_in().map(|v4| v4.ip().to_string());
            let text = v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().to_string()))?;
            Some((entry.interface_name, text))
        })
        .collect()
}

/// Ticks per second of the times in `/proc`.
pub fn ticks_per_second() -> u64 {
    sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or(100)
}

/// Bytes of a page.
pub fn page_bytes() -> u64 {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name_and_a_number() {
        assert_eq!(user_id("root"), Some(0));
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(group_id("4711"), Some(4711));
        assert_eq!(user_id("surely-nobody-is-called-this"), None);
        let space = space(Path::new("/")).expect("it is mounted");
        assert!(space.total >= space.free && space.free >= space.available);
    }
}
