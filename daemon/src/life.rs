//! The life of the daemon: settings → store → recovery → engine → door → ready, and back.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use sloth_core::record::Value;
use sloth_doors::{Door, dbus, http};
use sloth_engine::{Engine, Fatal, Handle, Settings as EngineSettings};
use sloth_service::{Service, Workers};
use sloth_store::{Check, OpenError, OpenOptions, Opened, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::arguments::Arguments;
use crate::clock::WallAlarm;
use crate::executor::{Chosen, Unusable};
use crate::housekeeping::{Clockwork, CronClockwork, Jobs, Work};
use crate::listen::Listening;
use crate::logging::Level;
use crate::machine::{Fittings, Live, Machine, Wish};
use crate::places::Places;
use crate::ports::RealPorts;
use crate::settings::{Merged, Settings};
use crate::workers::Equipment;
use crate::{boot, clock, journal, listen, logging, machine, notify, reload, restore, setup, workers};

/// Something failed.
pub const EXIT_FAILED: u8 = 1;
/// Memory and disk contradict each other (`EX_SOFTWARE`); a restart recovers from the disk.
pub const EXIT_CONTRADICTION: u8 = 70;
/// Another slothd runs (`EX_TEMPFAIL`).
pub const EXIT_RUNNING: u8 = 75;
/// Somebody has to repair something first (`EX_CONFIG`).
pub const EXIT_CONFIG: u8 = 78;

/// How long what is being answered may take at the stop.
const DOOR_STOP: Duration = Duration::from_secs(5);
/// How long the engine may take to write what is pending.
const ENGINE_STOP: Duration = Duration::from_secs(15);

/// How the daemon ended.
enum End {
    Stopped,
    Restore(String),
    Contradiction,
    Config(String),
    Failed(String),
}

/// Runs the daemon until it is told to stop.
pub fn run(arguments: &Arguments) -> ExitCode {
    match start(arguments) {
        Ok(code) => code,
        Err((code, problem)) => {
            logging::fatal(&problem);
            notify::status(&problem);
            ExitCode::from(code)
        }
    }
}

type Failure = (u8, String);

fn start(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = |problem: String| (EXIT_CONFIG, problem);
    let failed = |problem: String| (EXIT_FAILED, problem);
    // Whatever is made from here on is ours alone, unless it says otherwise.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    listen::adopt().map_err(failed)?;
    let places = Places::of(arguments).map_err(config)?;
    setup::private_dir(&places.data, 0o700)
        .map_err(|error| failed(format!("{}: cannot be made: {error}", places.data.display())))?;
    let merged = Merged::read(&places);
    let settings = merged.validate().map_err(|problems| config(problems.join("\n")))?;
    let level = logging::start(&settings);
    let (store, opened) = notify::patiently_blocking(|| open_store(&places, &settings))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .thread_keep_alive(Duration::from_secs(15))
        .enable_all()
        .build()
        .map_err(|error| failed(format!("cannot start: {error}")))?;
    let end =
        runtime.block_on(live(arguments, places.clone(), Live { settings, merged }, store.clone(), opened, level));
    runtime.shutdown_timeout(Duration::from_secs(2));
    notify::patiently_blocking(|| {
        store.close();
        drop(store);
    });
    match end {
        End::Stopped => Ok(ExitCode::SUCCESS),
        End::Contradiction => Ok(ExitCode::from(EXIT_CONTRADICTION)),
        End::Config(problem) => Err((EXIT_CONFIG, problem)),
        End::Failed(problem) => Err((EXIT_FAILED, problem)),
        End::Restore(source) => Err(restore_and_restart(&places, &source)),
    }
}

/// Comes back only when it fails: on success this process becomes the new daemon.
fn restore_and_restart(places: &Places, source: &str) -> Failure {
    match notify::patiently_blocking(|| restore::restore(places, source)) {
        Ok(message) => tracing::warn!("{message}"),
        Err(problem) => tracing::error!("{source} could not be restored, the old database stays: {problem}"),
    }
    let Ok(exe) = std::env::current_exe() else {
        return (EXIT_FAILED, "cannot find the program to start again".to_owned());
    };
    listen::keep_for_exec();
    let error = Command::new(exe).args(std::env::args_os().skip(1)).exec();
    (EXIT_FAILED, format!("cannot start again: {error}"))
}

fn open_store(places: &Places, settings: &Settings) -> Result<(Store, Opened), Failure> {
    let options = OpenOptions {
        backups: settings.backup_dir.clone(),
        zones: Arc::new(machine::zone),
        clock: Arc::new(clock::now),
        host: Some(setup::hostname().to_string()),
        ..OpenOptions::default()
    };
    Store::open(&places.database(), options).map_err(|error| {
        let code = match &error {
            OpenError::AlreadyRunning { .. } => EXIT_RUNNING,
            error if error.is_config() => EXIT_CONFIG,
            _ => EXIT_FAILED,
        };
        (code, format!("{}: {error}", error.code()))
    })
}

/// Everything that happens inside the runtime.
async fn live(arguments: &Arguments, places: Places, live: Live, store: Store, opened: Opened, level: Level) -> End {
    let boot_id = boot::identity();
    let recovered = match setup::recovered(&store, &boot_id) {
        Ok(recovered) => recovered,
        Err(error) => return End::Failed(format!("cannot read the state: {error}")),
    };
    let going = recovered.open_runs.len();
    let chosen = match Chosen::new(arguments, &places).await {
        Ok(chosen) => chosen,
        Err(Unusable::Config(problem)) => return End::Config(problem),
        Err(Unusable::Failed(problem)) => return End::Failed(problem),
    };
    if chosen.instead.is_some() {
        tracing::warn!("executor: {}", chosen.describe());
    }
    let (executor, reports) = chosen.start(&places);
    let workers = match workers::workers(&store) {
        Ok(workers) => workers,
        Err(error) => return End::Failed(format!("cannot read the state of workers: {error}")),
    };
    let equipment = Equipment::new(&places, &live.settings, workers.clone());
    let (ports, carry) = RealPorts::new(store.clone(), executor, equipment);
    let mut seed = [0; 16];
    if let Err(error) = getrandom::fill(&mut seed) {
        return End::Failed(format!("no random numbers: {error}"));
    }
    let seed = u128::from_be_bytes(seed);
    let config = sloth_core::machine::Config {
        max_running: live.settings.max_running,
        horizon: live.settings.horizon,
        catch_up_spread: live.settings.catch_up_spread,
        refill_max: 20_000,
        late_grace: Duration::from_secs(2),
        host: setup::hostname().to_string(),
        boot_id,
        booted_at: boot::at(),
        seed: seed as u64,
        workers: live.settings.engine.workers,
    };
    let maintenance = recovered.quiesced.clone();
    let (engine, handle) = Engine::new(ports, EngineSettings { config, recovered }, reports);
    *handle.published.quiesced.lock().unwrap_or_else(|e| e.into_inner()) = maintenance;
    let alarm = match WallAlarm::new() {
        Ok(alarm) => alarm,
        Err(error) => return End::Failed(format!("no timer: {error}")),
    };
    let mut tasks: JoinSet<Result<(), Fatal>> = JoinSet::new();
    let carrier = tasks.spawn(async move {
        carry.await;
        Ok(())
    });
    tasks.spawn(engine.run(alarm));
    let end = Box::pin(serve_until_stopped(
        places,
        live,
        store,
        opened,
        level,
        handle.clone(),
        chosen,
        workers,
        seed,
        going,
        &mut tasks,
        carrier.id(),
    ))
    .await;
    if notify::patiently(tokio::time::timeout(ENGINE_STOP, handle.stop())).await.is_err() {
        tracing::error!("what was pending could not be written in time; it is recovered at the next start");
    }
    tasks.shutdown().await;
    end
}

#[allow(clippy::too_many_arguments)]
async fn serve_until_stopped(
    places: Places,
    live: Live,
    store: Store,
    opened: Opened,
    level: Level,
    engine: Handle,
    executor: Chosen,
    workers: Workers,
    seed: u128,
    going: usize,
    tasks: &mut JoinSet<Result<(), Fatal>>,
    carrier: tokio::task::Id,
) -> End {
    let (wishes, mut wished) = mpsc::channel(16);
    let jobs = Arc::new(Jobs::default());
    let Listening { listeners, path: socket, own } = match listen::listen(&places, &live.settings) {
        Ok(listening) => listening,
        Err(problem) => return End::Failed(problem),
    };
    workers::make_work_dir(&workers::work_dir(&places, &live.settings));
    let worker_listener = match workers::listen(&places, &live.settings) {
        Ok(listener) => listener,
        Err(problem) => return End::Failed(problem),
    };
    let bus = live.settings.bus(&places);
    let seed = seed.rotate_left(64);
    let fittings = Fittings { jobs, wishes, executor, level: level.clone() };
    let machine = Arc::new(Machine::new(places.clone(), live, store.clone(), fittings, seed));
    let service = Service::new(store.clone(), engine.clone(), machine.clone(), &setup::hostname(), workers);
    match notify::patiently(reload::apply_schedules(&service, &places)).await {
        Ok(report) => machine.set_trouble(&report.problems),
        Err(error) => tracing::error!(%error, "the schedule files could not be loaded"),
    }
    let (news, events) = watch::channel(store.last_event_seq());
    store.event_watch(move |seq| {
        news.send_replace(seq);
    });
    let mut followers = JoinSet::new();
    followers.spawn(journal::follow(store.clone(), events.clone()));
    let (close, closing) = watch::channel(false);
    let door = Door { service: service.clone(), events, closing: closing.clone() };
    let mut doors: JoinSet<std::io::Result<()>> = JoinSet::new();
    if let Some(bus) = bus {
        doors.spawn(dbus::serve(bus, door.clone()));
    }
    let mut stop = closing.clone();
    doors.spawn(sloth_doors::worker::serve(worker_listener, door.clone(), async move {
        let _ = stop.wait_for(|closing| *closing).await;
    }));
    for listener in listeners {
        let mut stop = closing.clone();
        doors.spawn(http::serve(listener, door.clone(), async move {
            let _ = stop.wait_for(|closing| *closing).await;
        }));
    }
    let work = Arc::new(Work::new(service.clone(), engine, store, machine.clone()));
    let clockwork = match CronClockwork::start(work).await {
        Ok(clockwork) => Some(clockwork),
        Err(error) => {
            tracing::error!(error, "housekeeping could not be started; schedules fire all the same");
            None
        }
    };
    service.note_restore().await;
    note_start(&service, &opened, going).await;
    let sentence = machine.sentence(&service.status(None).map(|status| status.summary).unwrap_or_default());
    notify::status(&sentence);
    notify::tell(&[NotifyState::Ready]);
    tracing::info!(socket = %socket.display(), data = %places.data.display(), runs = going, "ready: {sentence}");

    let end = until_stopped(&service, &machine, &level, &mut wished, tasks, &mut doors, carrier, opened).await;
    match &end {
        // The same process comes back: a service that said that it stops would be killed when its time is over.
        End::Restore(source) => {
            notify::reloading();
            notify::status(&format!("restoring the backup {source}; runs go on"));
        }
        _ => {
            notify::tell(&[NotifyState::Stopping]);
            notify::status("stopping: what is being answered and what is pending is finished; runs go on");
        }
    }
    service.note_life("system.shutdown", "slothd stops".to_owned(), Vec::new()).await;
    let _ = close.send(true);
    let drained = async { while doors.join_next().await.is_some() {} };
    if notify::patiently(tokio::time::timeout(DOOR_STOP, drained)).await.is_err() {
        tracing::warn!("connections were still open at the stop");
    }
    doors.shutdown().await;
    followers.shutdown().await;
    if let Some(clockwork) = clockwork {
        clockwork.stop().await;
    }
    if own {
        let _ = std::fs::remove_file(&socket);
    }
    end
}

async fn note_start(service: &Service, opened: &Opened, going: usize) {
    let data = vec![
        ("version", Value::Text(env!("CARGO_PKG_VERSION").to_owned())),
        ("runs", Value::Int(i64::try_from(going).unwrap_or(i64::MAX))),
        ("unclean", Value::Bool(opened.unclean)),
    ];
    let message = match (opened.created, opened.unclean) {
        (true, _) => "slothd started with a new database".to_owned(),
        (_, true) => format!("slothd started after it had not been stopped cleanly; {going} runs were open"),
        _ => format!("slothd started; {going} runs were open"),
    };
    service.note_life("system.startup", message, data).await;
}

#[allow(clippy::too_many_arguments)]
async fn until_stopped(
    service: &Service,
    machine: &Arc<Machine>,
    level: &Level,
    wished: &mut mpsc::Receiver<Wish>,
    tasks: &mut JoinSet<Result<(), Fatal>>,
    doors: &mut JoinSet<std::io::Result<()>>,
    carrier: tokio::task::Id,
    opened: Opened,
) -> End {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(mut term), Ok(mut int), Ok(mut hup)) = signals else {
        return End::Failed("signals cannot be handled".to_owned());
    };
    let mut check = background_check(opened);
    loop {
        tokio::select! {
            _ = term.recv() => return End::Stopped,
            _ = int.recv() => return End::Stopped,
            _ = hup.recv() => {
                if let Err(error) = reload::reload(service, machine, level).await {
                    tracing::error!(%error, "the configuration could not be read again");
                }
            }
            Some(wish) = wished.recv() => match wish {
                Wish::Reload(reply) => {
                    let _ = reply.send(reload::reload(service, machine, level).await);
                }
                Wish::Restore(source) => return End::Restore(source),
            },
            Some(ended) = tasks.join_next_with_id() => match ended {
                Ok((_, Err(fatal))) => {
                    tracing::error!(%fatal, "slothd ends, a restart recovers from the disk");
                    return End::Contradiction;
                }
                Ok((id, Ok(()))) if id == carrier => return End::Failed("the executor has ended".to_owned()),
                Ok(_) => return End::Failed("the engine has ended".to_owned()),
                Err(error) => {
                    tracing::error!(%error, "a task of slothd failed, a restart recovers from the disk");
                    return End::Contradiction;
                }
            },
            Some(ended) = doors.join_next() => {
                return End::Failed(format!("the door has closed: {ended:?}"));
            }
            Some(problems) = check.recv() => {
                if let Some(first) = problems.first() {
                    tracing::error!(problem = first, "the database is damaged: slothd stops; see slothd restore");
                    return End::Failed(format!("the database is damaged: {first}"));
                }
            }
        }
    }
}

/// The check of a large database after an unclean stop goes on beside its use.
fn background_check(opened: Opened) -> mpsc::Receiver<Vec<String>> {
    let (sender, receiver) = mpsc::channel(1);
    if let Check::Background(reports) = opened.check {
        tokio::task::spawn_blocking(move || {
            if let Ok(report) = reports.recv() {
                let _ = sender.blocking_send(report.problems);
            }
        });
    }
    receiver
}
