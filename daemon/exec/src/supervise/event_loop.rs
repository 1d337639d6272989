//! The loop: everything that can wake the supervisor, in the order in which it is looked at. Each ready pipe gives at most one
//! buffer per round, and orders come a few at a time, so nobody starves.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use sloth_core::AttemptKey;

use super::Options;
use super::attempt::Attempt;
use super::detach::Ready;
use super::door::{self, Connection, Place, PlaceState};
use super::reports::Outgoing;
use crate::account::Accounts;
use crate::cgroup::{Group, Hierarchy, Supervisor as SupervisorGroup};
use crate::clock::Tick;
use crate::limits::{Capabilities, from_controllers};

/// Bytes read from a pipe or the socket at a time.
pub const BUFFER_BYTES: usize = 64 << 10;
/// Events taken per round.
const EVENTS_MAX: usize = 256;
/// Orders carried out per round.
const ORDERS_MAX: usize = 16;
/// Descriptors that the supervisor needs beside those of its attempts.
const OWN_DESCRIPTORS: u64 = 64;
/// Descriptors that one attempt can have.
const ATTEMPT_DESCRIPTORS: u64 = 6;
/// Most live attempts, whatever the descriptors allow.
const ATTEMPTS_MAX: u64 = 16_384;

const LISTENER: u64 = 0;
const CONNECTION: u64 = 1;
const SIGNALS: u64 = 2;
const TIMER: u64 = 3;

/// Which descriptor of an attempt is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipe {
    /// What the child tells.
    Status = 0,
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// The attempt runs too long.
    Timeout,
    /// The time between TERM and KILL is over.
    Grace,
    /// Look again whether its tree is gone.
    Look,
    /// The pipes had their time.
    Drained,
    /// Of the supervisor: nobody needs it.
    Idle,
    /// Of the supervisor: escaped processes and busy cgroups.
    Tidy,
}

/// The supervisor.
pub struct Supervisor {
    pub(super) options: Options,
    pub(super) data: OwnedFd,
    pub(super) attempts: HashMap<u64, Attempt>,
    pub(super) by_key: HashMap<AttemptKey, u64>,
    pub(super) by_pid: HashMap<i32, u64>,
    pub(super) accounts: Accounts,
    pub(super) cgroups: Option<SupervisorGroup>,
    pub(super) capabilities: Capabilities,
    pub(super) busy_groups: Vec<Group>,
    pub(super) live_count: u64,
    pub(super) live_max: u64,
    pub(super) nofile: (u64, u64),
    pub(super) buffer: Vec<u8>,
    pub(super) outgoing: Outgoing,
    pub(super) last_serial: u64,
    connection: Option<Connection>,
    listener: UnixListener,
    place: Place,
    epoll: Epoll,
    signals: SignalFd,
    timer: TimerFd,
    armed: Option<Tick>,
    alarms: BinaryHeap<Reverse<(Tick, u64, Alarm)>>,
    is_done: bool,
}

impl Supervisor {
    /// Opens everything; the socket listens when this returns.
    pub fn open(options: Options, lock: File) -> io::Result<Supervisor> {
        let data = open(&options.data, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| io::Error::other(format!("data directory {}: {errno}", options.data.display())))?;
        let nofile = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, nofile.1, nofile.1)?;
        let cgroups =
            if options.cgroup { Hierarchy::find().and_then(|h| h.enter(std::process::id()).ok()) } else { None };
        let capabilities = from_controllers(cgroups.is_some(), |name| cgroups.as_ref().is_some_and(|c| c.has(name)));
        let mask = SigSet::from_iter([Signal::SIGCHLD]);
        mask.thread_block()?;
        let (listener, place) = Place::take(&options.socket, lock)
            .map_err(|error| io::Error::new(error.kind(), format!("socket {}: {error}", options.socket.display())))?;
        let supervisor = Supervisor {
            data,
            attempts: HashMap::new(),
            by_key: HashMap::new(),
            by_pid: HashMap::new(),
            accounts: Accounts::default(),
            cgroups,
            capabilities,
            busy_groups: Vec::new(),
            live_count: 0,
            live_max: (nofile.1.saturating_sub(OWN_DESCRIPTORS) / ATTEMPT_DESCRIPTORS).clamp(1, ATTEMPTS_MAX),
            nofile,
            buffer: vec![0; BUFFER_BYTES],
            outgoing: Outgoing::default(),
            last_serial: 0,
            connection: None,
            listener,
            place,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            signals: SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
            timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?,
            armed: None,
            alarms: BinaryHeap::new(),
            is_done: false,
            options,
        };
        supervisor.epoll.add(&supervisor.listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        supervisor.epoll.add(&supervisor.signals, EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS))?;
        supervisor.epoll.add(&supervisor.timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        Ok(supervisor)
    }

    /// Runs until nobody needs it.
    pub fn run(mut self, mut ready: Ready) -> io::Result<()> {
        ready.tell();
        drop(ready);
        self.set_alarm(0, Alarm::Idle, self.options.idle_exit);
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let mut orders_wait = false;
        while !self.is_done {
            self.arm_timer()?;
            let timeout = if orders_wait { EpollTimeout::ZERO } else { EpollTimeout::NONE };
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for event in &events[..count] {
                self.handle_event(*event);
            }
            self.reap_all();
            self.ring_alarms();
            orders_wait = self.carry_out_orders();
            self.send_reports();
        }
        if self.place.state(&self.options.socket) == PlaceState::Ours {
            let _ = fs::remove_file(&self.options.socket);
        }
        Ok(())
    }

    /// Watches a pipe of an attempt.
    pub(super) fn watch(&self, fd: impl AsFd, serial: u64, pipe: Pipe) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, serial << 2 | pipe as u64))?)
    }

    /// Stops watching and closes it. Explicitly, as a child that is being made can hold a copy for a moment.
    pub(super) fn unwatch(&self, fd: Option<OwnedFd>) {
        if let Some(fd) = fd {
            let _ = self.epoll.delete(&fd);
        }
    }

    /// Rings after this time. Alarms are not taken back; whoever hears one looks whether it still matters.
    pub(super) fn set_alarm(&mut self, serial: u64, alarm: Alarm, after: std::time::Duration) {
        self.alarms.push(Reverse((Tick::now().after(after), serial, alarm)));
    }

    /// Says something for the log of slothd, if it listens.
    pub(super) fn note(&mut self, text: String) {
        self.outgoing.note(text);
    }

    fn handle_event(&mut self, event: EpollEvent) {
        match event.data() {
            LISTENER => self.accept(),
            CONNECTION => self.receive(event.events()),
            SIGNALS => while let Ok(Some(_)) = self.signals.read_signal() {},
            TIMER => {
                self.armed = None;
                let _ = self.timer.wait();
            }
            token => {
                let pipe = match token & 3 {
                    0 => Pipe::Status,
                    1 => Pipe::Stdout,
                    _ => Pipe::Stderr,
                };
                self.read_pipe(token >> 2, pipe);
            }
        }
    }

    fn accept(&mut self) {
        match door::accept(&self.listener) {
            Ok(Some(connection)) => {
                self.disconnect(Some("another slothd connected"));
                if self.epoll.add(&connection.stream, EpollEvent::new(EpollFlags::EPOLLIN, CONNECTION)).is_ok() {
                    self.connection = Some(connection);
                }
            }
            Ok(None) => self.note("refused a connection of another user".to_owned()),
            Err(_) => {}
        }
    }

    fn receive(&mut self, events: EpollFlags) {
        let Some(connection) = &mut self.connection else { return };
        if events.contains(EpollFlags::EPOLLOUT) {
            connection.wants_write = false;
            let _ = self.epoll.modify(&connection.stream, &mut EpollEvent::new(EpollFlags::EPOLLIN, CONNECTION));
        }
        if events.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            match connection.receive(&mut self.buffer) {
                Ok(true) => {}
                Ok(false) | Err(_) => self.disconnect(None),
            }
        }
    }

    /// Carries out some orders; true when more wait.
    fn carry_out_orders(&mut self) -> bool {
        for _ in 0..ORDERS_MAX {
            let Some(connection) = &mut self.connection else {
                return false;
            };
            let message = match connection.inbox.next_message() {
                Ok(None) => {
                    connection.inbox.shrink();
                    return false;
                }
                Ok(Some(bytes)) => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let is_greeted = std::mem::replace(&mut connection.is_greeted, true);
            let done = message.and_then(|message| self.carry_out(message, is_greeted));
            if let Err(why) = done {
                self.disconnect(Some(&why));
                return false;
            }
        }
        true
    }

    fn send_reports(&mut self) {
        // Before it has introduced itself nothing is for it.
        let Some(mut connection) = self.connection.take_if(|connection| connection.is_greeted) else {
            return;
        };
        let result = loop {
            let before = connection.has_room();
            if let Err(error) = self.put_reports(&mut connection) {
                break Err(io::Error::other(error));
            }
            match connection.send() {
                Ok(true) if self.outgoing.is_empty() => break Ok(()),
                Ok(true) if before => {}
                Ok(_) => {
                    if !connection.wants_write {
                        connection.wants_write = true;
                        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
                        let _ = self.epoll.modify(&connection.stream, &mut EpollEvent::new(flags, CONNECTION));
                    }
                    break Ok(());
                }
                Err(error) => break Err(error),
            }
        };
        self.connection = Some(connection);
        if result.is_err() {
            self.disconnect(None);
        }
    }

    /// Ends the connection. What was not told is told to the next one.
    fn disconnect(&mut self, why: Option<&str>) {
        if let Some(mut connection) = self.connection.take() {
            if let Some(why) = why {
                let _ = connection.put(&crate::wire::FromSupervisor::Note(format!("connection ended: {why}")));
                let _ = connection.send();
            }
            let _ = self.epoll.delete(&connection.stream);
        }
        self.forget_news();
        self.set_alarm(0, Alarm::Idle, self.options.idle_exit);
    }

    fn ring_alarms(&mut self) {
        let now = Tick::now();
        while let Some(Reverse((at, serial, alarm))) = self.alarms.peek().copied() {
            if at > now {
                break;
            }
            self.alarms.pop();
            match alarm {
                Alarm::Idle => self.end_when_idle(),
                Alarm::Tidy => self.tidy(),
                _ => self.ring(serial, alarm),
            }
        }
    }

    /// Ends when there is nothing to keep, or nobody can ever ask for it.
    fn end_when_idle(&mut self) {
        if self.connection.is_some() {
            return;
        }
        if self.attempts.is_empty() {
            // Somebody may have come in this very moment.
            self.accept();
            self.is_done = self.connection.is_none();
            return;
        }
        match self.place.state(&self.options.socket) {
            PlaceState::Ours => {}
            PlaceState::SocketGone => {
                if let Ok(listener) = self.place.listen_again(&self.options.socket)
                    && self.epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER)).is_ok()
                {
                    let _ = self.epoll.delete(&self.listener);
                    self.listener = listener;
                }
            }
            // What is held can never be released, and ends with us; what runs is still watched to its end.
            PlaceState::Lost => self.is_done = !self.attempts.values().any(Attempt::is_running),
        }
        self.set_alarm(0, Alarm::Idle, self.options.idle_exit);
    }

    fn arm_timer(&mut self) -> io::Result<()> {
        let Some(Reverse((at, ..))) = self.alarms.peek() else {
            return Ok(());
        };
        if self.armed.is_none_or(|armed| *at < armed) {
            self.armed = Some(*at);
            let at = TimeSpec::from_duration(at.0.max(std::time::Duration::from_nanos(1)));
            self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        }
        Ok(())
    }
}
