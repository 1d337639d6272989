//! Debian trees to boot: bootstrapped once, kept in a cache, never written again. A machine writes into a layer of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

const SUITE: &str = "bookworm";
/// Raised when what is in the trees changes.
const EDITION: u32 = 1;
/// What the package depends on, and what the tests ask with.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,libglib2.0-bin,procps";

/// Which system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// What the package depends on.
    Plain,
    /// With polkitd as well.
    Polkit,
}

impl Tree {
    fn name(self) -> String {
        let variant = match self {
            Tree::Plain => "plain",
            Tree::Polkit => "polkit",
        };
        format!("{SUITE}-{EDITION}-{variant}")
    }

    /// The directory of the tree, made first if it is not there. An error says why it cannot be had.
    pub fn directory(self) -> Result<PathBuf, String> {
        let cache =
            std::env::var_os("SLOTH_TEST_CACHE").map_or_else(|| "/var/cache/slothd-tests".into(), PathBuf::from);
        let tree = cache.join(self.name());
        fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
        let lock = File::create(cache.join(format!("{}.lock", self.name()))).map_err(|error| error.to_string())?;
        let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error.to_string())?;
        if tree.is_dir() {
            return Ok(tree);
        }
        let fresh = cache.join(format!("{}.new", self.name()));
        let _ = fs::remove_dir_all(&fresh);
        match self {
            Tree::Plain => bootstrap(&fresh)?,
            Tree::Polkit => with_polkit(&Tree::Plain.directory()?, &fresh)?,
        }
        fs::rename(&fresh, &tree).map_err(|error| format!("{}: {error}", tree.display()))?;
        Ok(tree)
    }
}

fn bootstrap(fresh: &Path) -> Result<(), String> {
    let mirror = std::env::var("SLOTH_TEST_MIRROR").unwrap_or_else(|_| "http://deb.debian.org/debian".to_owned());
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE]).arg(fresh).arg(mirror);
    run(command)?;
    shrink(fresh)
}

fn with_polkit(plain: &Path, fresh: &Path) -> Result<(), String> {
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(plain).arg(fresh);
    run(copy)?;
    let mut install = Command::new("chroot");
    install.arg(fresh).args([
        "sh",
        "-c",
        "apt-get -qq update && apt-get -qq -y --no-install-recommends install polkitd",
    ]);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run(install)?;
    shrink(fresh)
}

/// Archives and lists are of no use any more.
fn shrink(fresh: &Path) -> Result<(), String> {
    let mut clean = Command::new("chroot");
    clean.arg(fresh).args(["sh", "-c", "apt-get clean; rm -rf /var/lib/apt/lists/*"]);
    run(clean)
}

fn run(mut command: Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().last().unwrap_or_default().to_owned();
    Err(format!("{name}: {} {} {}", output.status, text(&output.stdout), text(&output.stderr)))
}
