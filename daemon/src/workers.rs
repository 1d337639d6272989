//! What the daemon lends to workers of workflow runs: their program, the socket, a directory, and the secret behind their tokens.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sloth_api::worker::Errand;
use sloth_core::launch::{Launch, Start, WORKER};
use sloth_core::record::Record;
use sloth_core::run::Run;
use sloth_service::{RunDirs, Secret, ServiceError, Workers};
use sloth_store::Store;
use tokio::net::UnixListener;

use crate::places::Places;
use crate::settings::Settings;

/// Name of the secret among the values of the daemon.
const SECRET: &str = "worker_secret";

/// What a launch of a worker needs beside its definition.
pub struct Equipment {
    program: PathBuf,
    socket: PathBuf,
    workers: Workers,
}

impl Equipment {
    /// By settings and places.
    pub fn new(places: &Places, settings: &Settings, workers: Workers) -> Equipment {
        let program = settings.engine.worker.clone().unwrap_or_else(|| program(WORKER));
        Equipment { program, socket: socket_path(places, settings), workers }
    }

    /// Who is connected.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Fills in the program and its errand.
    pub fn equip(&self, start: &Start, launch: &mut Launch) {
        let (run, worker) = (start.run.id, start.attempt);
        let errand = Errand {
            socket: self.socket.to_string_lossy().into_owned(),
            run: run.to_string(),
            worker,
            token: self.workers.token(run, worker),
        };
        if let Some(first) = launch.argv.first_mut() {
            *first = self.program.to_string_lossy().into_owned();
        }
        launch.stdin = serde_json::to_string(&errand).ok();
    }
}

/// A program of ours: beside this one, or where packages put it.
pub fn program(name: &str) -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(name)));
    beside.filter(|path| path.exists()).unwrap_or_else(|| Path::new("/usr/libexec/slothd").join(name))
}

/// The state that all connections share, with the secret of this daemon, which is made at its first start.
pub fn workers(store: &Store) -> Result<Workers, String> {
    let text = |error: sloth_store::StoreError| error.to_string();
    let stored = store.meta(SECRET).map_err(text)?.as_deref().and_then(Secret::parse);
    let secret = match stored {
        Some(secret) => secret,
        None => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
            let secret = Secret::new(bytes);
            store.write(vec![Record::Meta(SECRET, Some(secret.text()))]).map_err(text)?;
            secret
        }
    };
    Ok(Workers::new(secret, store.circuits().map_err(text)?))
}

fn socket_path(places: &Places, settings: &Settings) -> PathBuf {
    settings.engine.socket.clone().unwrap_or_else(|| places.worker_socket.clone())
}

/// Binds the socket of workers. Everybody may connect; who gets through is decided by token and user. Whoever calls holds the lock of
/// the database, so a socket that is there belongs to nobody.
pub fn listen(places: &Places, settings: &Settings) -> Result<UnixListener, String> {
    let path = socket_path(places, settings);
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{}: {what}: {error}", path.display());
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.file_type().is_socket() => {
            fs::remove_file(&path).map_err(|error| failed("cannot remove the old socket", &error))?;
        }
        Ok(_) => return Err(format!("{}: is there and no socket; remove it", path.display())),
        Err(_) => {}
    }
    // A worker that finds no socket for a moment tries again.
    let listener = UnixListener::bind(&path).map_err(|error| failed("cannot bind", &error))?;
    fs::set_permissions(&path, Permissions::from_mode(0o666)).map_err(|error| failed("cannot set its mode", &error))?;
    Ok(listener)
}

/// Where workers make the directories of their runs.
pub fn work_dir(places: &Places, settings: &Settings) -> PathBuf {
    settings.engine.work_dir.clone().unwrap_or_else(|| places.work.clone())
}

/// Makes that directory where it is ours to make: everybody may make entries, nobody may list or take away those of others.
pub fn make_work_dir(dir: &Path) {
    if dir.is_dir() {
        return;
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    let made = made.and_then(|()| fs::set_permissions(dir, Permissions::from_mode(0o1733)));
    if let Err(error) = made {
        tracing::warn!(dir = %dir.display(), %error, "the directory for runs of workflows cannot be made");
    }
}

/// The directories of a run. Without rights over other users slothd cannot make them for others: the worker does.
pub fn run_dirs(work: &Path, run: &Run) -> Result<RunDirs, ServiceError> {
    let dir = work.join(run.id.to_string());
    Ok(RunDirs { temp: dir.join("tmp"), run: dir })
}

/// Deletes what a run left, where it is ours or we may.
pub fn delete_run_dir(work: &Path, run: &str) {
    let dir = work.join(run);
    let ours = fs::symlink_metadata(&dir).is_ok_and(|meta| {
        meta.is_dir() && (nix::unistd::geteuid().is_root() || meta.uid() == nix::unistd::geteuid().as_raw())
    });
    if ours && let Err(error) = fs::remove_dir_all(&dir) {
        tracing::debug!(dir = %dir.display(), %error, "the directory of a run could not be deleted");
    }
}
