//! Descriptors that a service manager passed at start (sd_listen_fds(3)): taking one over needs what the compiler cannot check.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::Mutex;

/// What was taken already: a number has one owner.
static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Takes over a descriptor that was passed to this process, once. It must be called before anything else could have been opened
/// under that number, and for numbers of `LISTEN_FDS` only. Standard streams, closed numbers and a second call are refused.
#[allow(unsafe_code)]
pub fn take_passed(number: RawFd) -> io::Result<OwnedFd> {
    let refused = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {number}: {why}"));
    if number <= 2 {
        return Err(refused("is a standard stream"));
    }
    // SAFETY: F_GETFD takes no argument and only asks whether the number is open.
    if unsafe { nix::libc::fcntl(number, nix::libc::F_GETFD) } < 0 {
        return Err(refused("is not open"));
    }
    if !TAKEN.lock().unwrap_or_else(|e| e.into_inner()).insert(number) {
        return Err(refused("was taken already"));
    }
    // SAFETY: it is open, and nobody in this process owns it: numbers of LISTEN_FDS are opened by the service manager, and the set
    // above gives each out once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn a_number_is_given_out_once_and_only_when_it_is_open() {
        let number = std::fs::File::open("/dev/null").expect("there").into_raw_fd();
        let taken = take_passed(number).expect("open and ours");
        assert_eq!(take_passed(number).expect_err("twice").kind(), io::ErrorKind::InvalidInput);
        drop(taken);
        assert!(take_passed(1).is_err());
        assert!(take_passed(1_000_000).expect_err("closed").to_string().contains("not open"));
    }
}
