//! Watches the command: its pipes, its end, signals from systemd and slothd, and deadlines.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::read;
use sloth_core::Moment;
use sloth_core::launch::Launch;
use sloth_core::run::{AttemptEnd, Outcome, ProcessId, StartFailure, StartFailureKind};

use super::journal::Journal;
use super::own_group::OwnGroup;
use super::tree::Tree;
use super::{SIGNAL_FORCE, SIGNAL_ORDERED};
use crate::clock::{Tick, wall_now};
use crate::output::{OutputWriter, Stream};
use crate::spawn::{Held, Status, StatusKind};
use crate::sys::{self, Reaped};
use crate::tree::Family;
use crate::{fail, proc};

/// Bytes read from a pipe at a time.
const BUFFER_BYTES: usize = 64 << 10;
/// Bytes of standard error kept for the report.
const STDERR_TAIL_BYTES: usize = 4 << 10;
/// First and longest wait between two looks at what is left of the tree.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));
/// How long pipes are drained that somebody outside the tree holds open.
const DRAIN: Duration = Duration::from_millis(500);
/// How long KILL is tried on processes that may not be signalled (set-user-ID programs): then systemd does it, which may.
const KILL_FOR: Duration = Duration::from_secs(2);

/// What wakes the loop beside the pipes.
pub(super) struct Going {
    signals: SignalFd,
    timer: TimerFd,
    manager: i32,
    timeout: Option<Duration>,
    kill_grace: Duration,
}

impl Going {
    /// Takes the signals over, before there is a child.
    pub(super) fn new(launch: &Launch) -> io::Result<Going> {
        // Jobs must find no signal ignored.
        sys::reset_signals();
        sys::ignore_pipe();
        let mask = SigSet::from_iter([
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
        ]);
        mask.thread_block()?;
        Ok(Going {
            signals: SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
            timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?,
            manager: nix::unistd::getppid().as_raw(),
            timeout: launch.timeout,
            kill_grace: launch.kill_grace,
        })
    }
}

/// Deadlines; each is looked at when the loop wakes.
#[derive(Debug, Default)]
struct Deadlines {
    timeout: Option<Tick>,
    grace: Option<Tick>,
    look: Option<Tick>,
    drained: Option<Tick>,
    give_up: Option<Tick>,
}

/// A command and what is known of it.
pub(super) struct Job {
    going: Going,
    main: ProcessId,
    program: String,
    directory: String,
    go: Option<OwnedFd>,
    status: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    tree: Tree,
    family: Family,
    pub(super) group: Option<OwnGroup>,
    journal: Option<Journal>,
    deadlines: Deadlines,
    look_again: Duration,
    is_killing: bool,
    swept: bool,
    ordered: bool,
    pub(super) stopped_as: Option<Stop>,
    failure: Option<StartFailure>,
    pub(super) main_end: Option<(Reaped, Moment)>,
    pub(super) used: super::end::Used,
    pub(super) stderr_tail: Vec<u8>,
    /// Processes that are left to systemd.
    pub(super) left_over: usize,
}

/// Why we end the tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stop {
    /// As this, whatever the end of the command.
    As(Outcome),
    /// By somebody outside: systemctl, or a shutdown of the host.
    Outside,
}

impl Job {
    /// Of a held process; `None` when that is gone already.
    pub(super) fn new(launch: &Launch, held: Held, going: Going) -> Option<Job> {
        let main = proc::identify(held.pid)?;
        let family = Family::new(main.clone(), &launch.env);
        let directory = launch.cwd.as_ref().map_or_else(|| "of its user".to_owned(), |cwd| cwd.display().to_string());
        Some(Job {
            going,
            main,
            program: launch.argv.first().cloned().unwrap_or_default(),
            directory,
            go: Some(held.go),
            status: Some(held.status),
            stdout: Some(held.stdout),
            stderr: Some(held.stderr),
            tree: Tree::new(None, family.clone()),
            family,
            group: None,
            journal: None,
            deadlines: Deadlines::default(),
            look_again: LOOK.0,
            is_killing: false,
            swept: false,
            ordered: false,
            stopped_as: None,
            failure: None,
            main_end: None,
            used: super::end::Used::default(),
            stderr_tail: Vec::new(),
            left_over: 0,
        })
    }

    /// Finds its processes by this group.
    pub(super) fn use_group(&mut self, group: OwnGroup) {
        self.tree = Tree::new(Some(group.clone()), self.family.clone());
        self.group = Some(group);
    }

    /// Copies its output.
    pub(super) fn copy_to(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Waits until the child has set itself up.
    pub(super) fn await_held(&mut self) -> Result<(), StartFailure> {
        use StartFailureKind::Other;
        loop {
            let Some(fd) = &self.status else {
                return Err(fail(Other, "the held process vanished".to_owned()));
            };
            wait_for(fd.as_fd());
            if self.read_status() == Some(StatusKind::Held) {
                return Ok(());
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
        }
    }

    /// Ends the held process without letting it go.
    pub(super) fn discard(&mut self) {
        self.go = None;
    }

    /// Lets it go.
    pub(super) fn release(&mut self) {
        if let Some(go) = self.go.take() {
            // A failure means that the process is dead, which we shall see.
            let _ = nix::unistd::write(&go, b"g");
        }
        self.deadlines.timeout = self.going.timeout.map(|timeout| Tick::now().after(timeout));
    }

    /// Runs until it has ended with all that belongs to it.
    pub(super) fn run(mut self, writer: &mut OutputWriter) -> AttemptEnd {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            self.wait();
            self.read_signals();
            self.reap();
            while self.status.is_some() && self.read_status().is_some() {}
            self.read_output(Stream::Stdout, writer, &mut buffer);
            self.read_output(Stream::Stderr, writer, &mut buffer);
            self.ring();
            if self.is_over() {
                if let Some(failure) = self.failure.take() {
                    return super::end::not_started(failure, &self);
                }
                self.tell_journal(writer);
                return super::end::of(&self, writer);
            }
        }
    }

    fn tell_journal(&mut self, writer: &mut OutputWriter) {
        let lost = self.journal.as_mut().map_or(0, Journal::finish);
        if lost > 0 {
            writer.note(wall_now(), &format!("{lost} lines could not be copied to the journal"));
        }
        if self.left_over > 0 {
            let text = format!("{} processes of another user were left to systemd to end", self.left_over);
            writer.note(wall_now(), &text);
        }
    }

    fn wait(&mut self) {
        let at = [self.deadlines.timeout, self.deadlines.grace, self.deadlines.look, self.deadlines.drained]
            .into_iter()
            .flatten()
            .min();
        if let Some(at) = at {
            let at = TimeSpec::from_duration(at.0.max(Duration::from_nanos(1)));
            // Fails only for a time that is no time.
            let _ = self.going.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME);
        }
        let own = [self.going.signals.as_fd(), self.going.timer.as_fd()];
        let pipes = [&self.status, &self.stdout, &self.stderr];
        let mut all: Vec<PollFd<'_>> = own
            .into_iter()
            .chain(pipes.into_iter().flatten().map(AsFd::as_fd))
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // EINTR: all is looked at anyway.
        let _ = poll(&mut all, PollTimeout::NONE);
        let mut ticks = [0; 8];
        // Nothing to read unless it has fired.
        let _ = read(self.going.timer.as_fd(), &mut ticks);
    }

    fn read_signals(&mut self) {
        let (mut stop, mut force, mut from_manager) = (false, false, false);
        while let Ok(Some(signal)) = self.going.signals.read_signal() {
            match signal.ssi_signo as i32 {
                SIGNAL_ORDERED => self.ordered = true,
                SIGNAL_FORCE => (self.ordered, force) = (true, true),
                nix::libc::SIGCHLD => {}
                _ => {
                    stop = true;
                    from_manager |= signal.ssi_pid as i32 == self.going.manager;
                }
            }
        }
        if (stop || force) && self.main_end.is_none() && self.stopped_as.is_none() {
            self.stopped_as = Some(if self.ordered { Stop::As(Outcome::Killed) } else { Stop::Outside });
        }
        if force {
            self.kill_tree();
        } else if stop {
            // systemd signals the whole group by itself; a second TERM would be "at once" to some programs.
            self.sweep(self.going.kill_grace, !from_manager);
        }
    }

    /// TERM (where nobody has sent it), KILL after the grace.
    fn sweep(&mut self, grace: Duration, with_term: bool) {
        if grace.is_zero() {
            return self.kill_tree();
        }
        if !self.swept && with_term {
            self.tree.terminate();
        }
        self.swept = true;
        self.deadlines.grace.get_or_insert(Tick::now().after(grace));
        self.plan_look();
    }

    fn kill_tree(&mut self) {
        if !self.is_killing {
            self.is_killing = true;
            self.look_again = LOOK.0;
            self.deadlines.give_up = Some(Tick::now().after(KILL_FOR));
        }
        self.tree.kill();
        self.plan_look();
    }

    fn plan_look(&mut self) {
        self.deadlines.look = Some(Tick::now().after(self.look_again));
        self.look_again = (self.look_again * 2).min(LOOK.1);
    }

    fn reap(&mut self) {
        while let Some(reaped) = sys::reap() {
            self.used.add(&reaped);
            if reaped.pid == self.main.pid as i32 {
                self.main_end = Some((reaped, wall_now()));
                self.deadlines.timeout = None;
                self.look_again = LOOK.0;
                self.deadlines.look = Some(Tick::now());
            }
        }
    }

    /// One record of the child; `None` when there is none now.
    fn read_status(&mut self) -> Option<StatusKind> {
        let fd = self.status.as_ref()?;
        let mut record = [0; Status::BYTES];
        match read(fd, &mut record) {
            Ok(Status::BYTES) => {
                let status = Status::decode(&record)?;
                if status.kind != StatusKind::Held {
                    self.failure = Some(status.failure(&self.program, &self.directory));
                }
                Some(status.kind)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Ok(_) | Err(_) => {
                self.status = None;
                None
            }
        }
    }

    fn read_output(&mut self, stream: Stream, writer: &mut OutputWriter, buffer: &mut [u8]) -> bool {
        let end = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(fd) = end else { return false };
        match read(&*fd, buffer) {
            Ok(count @ 1..) => {
                let bytes = &buffer[..count];
                writer.append(stream, wall_now(), bytes);
                if stream == Stream::Stderr {
                    keep_tail(&mut self.stderr_tail, bytes);
                }
                if let Some(journal) = &mut self.journal {
                    journal.take(stream, bytes);
                }
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            Ok(_) | Err(_) => {
                *end = None;
                false
            }
        }
    }

    fn ring(&mut self) {
        let now = Tick::now();
        let due = |deadline: &mut Option<Tick>| deadline.take_if(|at| *at <= now).is_some();
        let (timeout, grace, look) =
            (due(&mut self.deadlines.timeout), due(&mut self.deadlines.grace), due(&mut self.deadlines.look));
        if timeout && self.main_end.is_none() {
            self.stopped_as.get_or_insert(Stop::As(Outcome::TimedOut));
            self.sweep(self.going.kill_grace, true);
        }
        if grace {
            self.kill_tree();
        }
        if look {
            self.look(now);
        }
    }

    /// Looks whether the tree is gone, once the main process is.
    fn look(&mut self, now: Tick) {
        if self.deadlines.drained.is_some() {
            return;
        }
        let left = if self.main_end.is_some() { self.tree.members().len() } else { usize::MAX };
        let gives_up = self.is_killing && self.deadlines.give_up.is_some_and(|at| at <= now);
        if left == 0 || gives_up && self.main_end.is_some() {
            self.left_over = left;
            self.deadlines.grace = None;
            self.deadlines.drained = Some(now.after(DRAIN));
        } else if self.is_killing {
            self.kill_tree();
        } else if self.main_end.is_some() && !self.swept {
            // What the command leaves behind ends with it.
            self.sweep(self.going.kill_grace, true);
        } else if self.swept || self.main_end.is_some() {
            self.plan_look();
        }
    }

    fn is_over(&self) -> bool {
        let Some(until) = self.deadlines.drained else { return false };
        self.stdout.is_none() && self.stderr.is_none() || until <= Tick::now()
    }
}

fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[bytes.len().saturating_sub(STDERR_TAIL_BYTES)..];
    let excess = (tail.len() + bytes.len()).saturating_sub(STDERR_TAIL_BYTES);
    tail.drain(..excess);
    tail.extend_from_slice(bytes);
}

fn wait_for(fd: BorrowedFd<'_>) {
    let _ = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::NONE);
}
