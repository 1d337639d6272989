//! Follows a run to its end. A restart of the daemon in between is survived; Ctrl-C asks once to cancel and the second time leaves.

use std::time::Duration;

use serde_json::{Value, json};
use sloth_api::client::{Call, Method, PATIENCE, Target};
use sloth_api::{ExitCode, RunView};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::Instant;

use super::Look;
use super::feed::{Events, Log, News};
use super::screen::RunScreen;
use crate::commands::Done;
use crate::commands::follow::exit_code_of;
use crate::failure::Failure;
use crate::session::{Session, typed};

/// After the end on one stream: how long the other may take to say the same.
const OTHER_STREAM: Duration = Duration::from_secs(3);

/// News that wait for the screen.
const NEWS_MAX: usize = 256;

/// How long a cancel request may take.
const CANCEL: Duration = Duration::from_secs(10);

/// What an interruption does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Ctrl-C: the first asks to cancel, the second leaves.
    Asks,
    /// Ctrl-C leaves at once; the run is somebody else's.
    Leaves,
    /// As `Asks`, and so do TERM and HUP: the run ends with this process.
    WithMe,
}

/// Follows and prints; the exit code is that of the run.
pub(crate) async fn follow(session: &Session, run: &str, title: &str, look: Look, ending: Ending) -> Done {
    let mut screen = RunScreen::new(session, run, look);
    screen.head(title)?;
    let result = listen(session, run, &mut screen, ending).await;
    screen.clear();
    result?;
    let summary = summary(session, run).await?;
    screen.end(&summary)?;
    Ok(exit_code_of(summary["status"].as_str().unwrap_or_default(), summary["reason"].as_str()))
}

/// The streams are read side by side and never dropped half-way: a request that is given up is asked again.
async fn listen(session: &Session, run: &str, screen: &mut RunScreen<'_>, ending: Ending) -> Result<(), Failure> {
    let wishes = Wishes::new(session, run, ending)?;
    let mut events = Events::open(session, run).await?;
    let mut log = Log::open(session, run);
    let (to_screen, news) = mpsc::channel(NEWS_MAX);
    let of_events = async {
        loop {
            let news = events.next().await?;
            let last = matches!(&news, News::Event(event) if event.ends_the_run());
            if to_screen.send(news).await.is_err() || last {
                return Ok::<(), Failure>(());
            }
        }
    };
    let of_log = async {
        loop {
            let news = log.next().await?;
            let last = matches!(news, News::LogEnd);
            if to_screen.send(news).await.is_err() || last {
                return Ok::<(), Failure>(());
            }
        }
    };
    let streams = async {
        let both: Result<_, Failure> = tokio::try_join!(of_events, of_log);
        match both {
            Ok(_) => std::future::pending().await, // the screen knows that it was the last
            Err(failure) => failure,
        }
    };
    tokio::select! {
        done = show(screen, news, wishes) => done,
        failure = streams => Err(failure),
    }
}

async fn show(screen: &mut RunScreen<'_>, mut news: Receiver<News>, mut wishes: Wishes<'_>) -> Result<(), Failure> {
    let (mut events_over, mut log_over) = (false, false);
    let mut give_up: Option<Instant> = None;
    while !(events_over && log_over) {
        let tick = screen.next_tick();
        let one = tokio::select! {
            one = news.recv() => one.unwrap_or(News::Nothing),
            () = until(tick) => News::Nothing,
            () = until(give_up) => return Ok(()),
            wish = wishes.next() => {
                screen.clear();
                wishes.fulfil(wish).await?;
                News::Nothing
            }
        };
        match one {
            News::Event(event) => {
                events_over = event.ends_the_run();
                screen.event(&event)?;
            }
            News::Log(lines) => {
                give_up = give_up.map(|_| Instant::now() + OTHER_STREAM); // it is still coming
                lines.iter().try_for_each(|line| screen.log(line))?;
            }
            News::LogEnd => log_over = true,
            News::Nothing => {}
        }
        if (events_over || log_over) && give_up.is_none() {
            give_up = Some(Instant::now() + OTHER_STREAM);
        }
        screen.tick()?;
    }
    Ok(())
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// The summary; of a daemon that is being restarted when it is ready again.
async fn summary(session: &Session, run: &str) -> Result<Value, Failure> {
    let target = Target::new("/runs").name(run).then("/summary");
    Ok(session.client.get_patient(Call::new(Method::GET, target.as_str()), PATIENCE).await?)
}

/// What the person at the keyboard, or the system, wants.
struct Wishes<'s> {
    session: &'s Session,
    run: &'s str,
    ending: Ending,
    interrupts: u32,
    interrupt: Signal,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

#[derive(Clone, Copy, Debug)]
enum Wish {
    Interrupt,
    End,
}

impl<'s> Wishes<'s> {
    fn new(session: &'s Session, run: &'s str, ending: Ending) -> Result<Wishes<'s>, Failure> {
        let with_me = |kind| (ending == Ending::WithMe).then(|| signal(kind)).transpose();
        Ok(Wishes {
            session,
            run,
            ending,
            interrupts: 0,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: with_me(SignalKind::terminate())?,
            hangup: with_me(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        async fn heard(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            _ = self.interrupt.recv() => Wish::Interrupt,
            () = heard(&mut self.terminate) => Wish::End,
            () = heard(&mut self.hangup) => Wish::End,
        }
    }

    async fn fulfil(&mut self, wish: Wish) -> Result<(), Failure> {
        self.interrupts += 1;
        let leaves = self.interrupts > 1 || (matches!(wish, Wish::Interrupt) && self.ending == Ending::Leaves);
        if leaves {
            self.session.say(format!("interrupted; the run goes on; see it with slothctl attach {}", self.run));
            return Err(Failure::exit(ExitCode::Interrupted as u8));
        }
        let body = json!({ "reason": "interrupted at the terminal" });
        let target = Target::new("/runs").name(self.run).then("/cancel");
        let call = Call::new(Method::POST, target.as_str()).json(&body)?.within(CANCEL);
        match self.session.client.send(call).await {
            Ok(_) => self.session.say("cancelling; Ctrl-C again leaves it alone"),
            Err(error) => self.session.say(format!("cannot cancel: {error}; Ctrl-C again leaves it alone")),
        }
        Ok(())
    }
}

/// `runs attach`: a workflow as `run` shows it, a command as `logs -f` does.
pub(crate) async fn attach(session: &Session, run: &str, look: Look) -> Done {
    let answer = session.get(&Target::new("/runs").name(run)).await?;
    let view: RunView = typed(&answer)?;
    if view.kind != "workflow" {
        return crate::commands::runs::attach_command(session, &view.id).await;
    }
    let named = |key: &str| answer[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let stack = named("stack").map(|stack| format!(" for stack {stack}")).unwrap_or_default();
    let title = format!("{}{stack}", named("workflow").unwrap_or_else(|| "workflow".to_owned()));
    follow(session, &view.id, &title, look, Ending::Leaves).await
}
