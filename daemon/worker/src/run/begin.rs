//! From an assignment to a run: program, settings, VM, definition.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sloth_api::worker::{Assignment, Bundle, EngineLimits, Errand};
use sloth_core::workflow::{Defined, Diagnostic};
use sloth_lua::{Given, Loader, Mode, Program, RunInfo, Vm, VmSettings};

use super::{History, Journal, Run, environment, restored};
use crate::io::Io;
use crate::link::Link;
use crate::log::Log;
use crate::script::{Desk, Script};
use crate::spawner::IoSpawner;

/// The marker of bytes that are not UTF-8.
const BASE64: &str = "base64:";

/// The program of a bundle. What it imports and is not in it is read from the disk as the run's user.
pub fn program_of(bundle: &Bundle, import_paths: &[String]) -> Result<Program, String> {
    let main = PathBuf::from(&bundle.main);
    let dir = main.parent().filter(|dir| dir.is_absolute()).map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
    let key = |path: &str| {
        let path = Path::new(path);
        path.strip_prefix(&dir).unwrap_or(path).to_string_lossy().into_owned()
    };
    let mut files = BTreeMap::new();
    for (path, text) in &bundle.files {
        let bytes = match text.strip_prefix(BASE64) {
            Some(encoded) => {
                use base64::Engine as _;
                let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim());
                decoded.map_err(|error| format!("{path}: not base64: {error}"))?
            }
            None => text.clone().into_bytes(),
        };
        files.insert(key(path), bytes);
    }
    let main = key(&bundle.main);
    let import_paths = import_paths.iter().map(PathBuf::from).collect();
    Ok(Program { main, files, dir, loader: Some(Rc::new(Disk)), import_paths })
}

/// Files of this machine.
pub struct Disk;

impl Loader for Disk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Limits of the VM; 0 is the default.
pub fn settings_of(limits: &EngineLimits) -> VmSettings {
    let usual = VmSettings { modules: sloth_modules::MODULES, ..VmSettings::default() };
    let millis = |told: u64, usual: Duration| if told == 0 { usual } else { Duration::from_millis(told) };
    let size = |told: u64, usual: usize| usize::try_from(told).ok().filter(|told| *told > 0).unwrap_or(usual);
    VmSettings {
        memory_max: size(limits.vm_memory, usual.memory_max),
        definition_timeout: millis(limits.definition_timeout_ms, usual.definition_timeout),
        max_coroutines: size(u64::from(limits.max_coroutines), usual.max_coroutines),
        join_timeout: millis(limits.join_timeout_ms, usual.join_timeout),
        kill_grace: millis(limits.kill_grace_ms, usual.kill_grace),
        ..usual
    }
}

/// Makes a directory of this run, or finds it; that of somebody else is refused.
fn own_directory(path: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("directory of the run {}: {error}", path.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let found = fs::symlink_metadata(path).map_err(failed)?;
    if !found.is_dir() || found.uid() != sloth_exec::command::User::own().uid {
        return Err(format!("directory of the run {}: it belongs to somebody else", path.display()));
    }
    Ok(())
}

fn mode_of(word: &str) -> Result<Mode, String> {
    match word {
        "normal" | "" => Ok(Mode::Normal),
        "check" => Ok(Mode::Check),
        "plan" => Ok(Mode::Plan),
        "validate" => Ok(Mode::Validate),
        other => Err(format!("not a mode: {other}")),
    }
}

/// Name of this host, as tasks see it.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

impl Run {
    /// Prepares directories and the VM.
    pub fn begin(
        errand: &Errand,
        mut job: Assignment,
        link: Link,
        io: Io,
        log: Arc<Log>,
    ) -> Result<(Rc<Run>, Program), String> {
        let program = program_of(&std::mem::take(&mut job.bundle), &job.limits.import_paths)?;
        let history = History::of(std::mem::take(&mut job.journal), job.compensate_only);
        own_directory(Path::new(&job.run_dir))?;
        let temp_dir = PathBuf::from(&job.temp_dir);
        own_directory(&temp_dir)?;
        let info = Arc::new(RunInfo {
            id: errand.run.clone(),
            stack: job.stack.clone(),
            user: job.user.clone(),
            mode: mode_of(&job.mode)?,
            started_at: job.started_at.clone(),
            invocation_dir: PathBuf::from(&job.invocation_dir),
            file_dir: program.dir.clone(),
            temp_dir,
            values: job.values.clone(),
        });
        let host = host_name();
        let usual = sloth_modules::exec::Settings::default();
        let grace = job.limits.kill_grace_ms;
        sloth_modules::exec::configure(sloth_modules::exec::Settings {
            kill_grace: if grace == 0 { usual.kill_grace } else { Duration::from_millis(grace) },
            agent: host.clone(),
        });
        let run = Rc::new(Run {
            journal: Journal::new(link.clone()),
            desk: Desk::new(restored(&history), history.artifacts.clone()),
            link,
            io,
            log,
            job,
            info,
            worker: errand.worker,
            host,
            environment: environment(),
            history,
            vm: Default::default(),
            defined: Default::default(),
            names_temp_dir: Default::default(),
            flows: Default::default(),
            lingering: Default::default(),
            cancelled: Default::default(),
        });
        run.make_vm()?;
        Ok((run, program))
    }

    fn make_vm(self: &Rc<Self>) -> Result<(), String> {
        let spawner = Arc::new(IoSpawner(self.io.0.clone()));
        let script = Rc::new(Script::of(self));
        let vm = Vm::new(settings_of(&self.job.limits), spawner, script).map_err(|finding| finding.message)?;
        drop(tokio::task::spawn_local(vm.pump()));
        // There was none before.
        let _ = self.vm.set(vm);
        Ok(())
    }

    /// The definition phase.
    pub async fn define(self: &Rc<Self>, program: Program) -> Result<Rc<Defined>, Vec<Diagnostic>> {
        let given = Given {
            values: self.job.values.clone(),
            params: self.job.params.clone(),
            stack: self.job.stack.clone(),
            strict: self.job.options.strict,
            recorded: self.history.calls.clone(),
        };
        let ctx = Arc::new(self.context(self.workdir()));
        let defined = Rc::new(self.vm().define(program, given, ctx).await?);
        // It is defined once.
        let _ = self.defined.set(Rc::clone(&defined));
        self.desk.subscribe(self.vm().subscriptions());
        Ok(defined)
    }
}
