//! Where things are: for the system, for one user, or below one directory.

use std::env;
use std::path::{Path, PathBuf};

use sloth_doors::dbus::BusKind;

use crate::arguments::Arguments;

/// Paths of an instance.
#[derive(Clone, Debug)]
pub struct Places {
    /// Main configuration file.
    pub config: PathBuf,
    /// Whether it was named on the command line and so must exist.
    pub config_required: bool,
    /// Directory of drop-ins, read in order of their names.
    pub drop_ins: Option<PathBuf>,
    /// Directory of declarative schedules.
    pub schedules: PathBuf,
    /// Directory of database, output and backups.
    pub data: PathBuf,
    /// Socket of the door.
    pub socket: PathBuf,
    /// Socket of the supervisor.
    pub exec_socket: PathBuf,
    /// Socket of workers.
    pub worker_socket: PathBuf,
    /// Where workers make the directories of their runs.
    pub work: PathBuf,
    /// Whether the group of the system may use the socket.
    pub system: bool,
    /// The message bus that such an instance is on.
    pub bus: Option<BusKind>,
}

impl Places {
    /// By the arguments and the environment.
    pub fn of(arguments: &Arguments) -> Result<Places, String> {
        let mut places = match &arguments.root {
            Some(root) => Places::below(&absolute(root)?),
            None if arguments.user || (!arguments.system && !nix::unistd::geteuid().is_root()) => Places::of_user()?,
            None => Places::of_system(),
        };
        if let Some(config) = &arguments.config {
            places.config = absolute(config)?;
            places.config_required = true;
        }
        Ok(places)
    }

    fn below(root: &Path) -> Places {
        Places {
            config: root.join("slothd.toml"),
            config_required: false,
            drop_ins: None,
            schedules: root.join("schedules.d"),
            data: root.to_owned(),
            socket: root.join("slothd.sock"),
            exec_socket: root.join("exec.sock"),
            worker_socket: root.join("worker.sock"),
            work: root.join("work"),
            system: false,
            bus: None,
        }
    }

    fn of_system() -> Places {
        Places {
            config: "/etc/slothd/slothd.toml".into(),
            config_required: false,
            drop_ins: Some("/etc/slothd/conf.d".into()),
            schedules: "/etc/slothd/schedules.d".into(),
            data: "/var/lib/slothd".into(),
            socket: "/run/slothd/slothd.sock".into(),
            exec_socket: "/run/slothd/exec.sock".into(),
            worker_socket: "/run/slothd/worker.sock".into(),
            work: "/var/spool/slothd".into(),
            system: true,
            bus: Some(BusKind::System),
        }
    }

    fn of_user() -> Result<Places, String> {
        let home = env::var_os("HOME").map(PathBuf::from).ok_or("HOME is not set")?;
        let base = |name: &str, default: &str| env::var_os(name).map_or_else(|| home.join(default), PathBuf::from);
        let config = base("XDG_CONFIG_HOME", ".config").join("slothd");
        let runtime = env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .ok_or("XDG_RUNTIME_DIR is not set: log in properly, or use --root DIR")?
            .join("slothd");
        let data = base("XDG_STATE_HOME", ".local/state").join("slothd");
        Ok(Places {
            config: config.join("slothd.toml"),
            config_required: false,
            drop_ins: Some(config.join("conf.d")),
            schedules: config.join("schedules.d"),
            worker_socket: runtime.join("worker.sock"),
            work: data.join("work"),
            data,
            socket: runtime.join("slothd.sock"),
            exec_socket: runtime.join("exec.sock"),
            system: false,
            bus: Some(BusKind::Session),
        })
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.data.join("stacks.db")
    }
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}
