//! A private message bus, and a client of it.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde::Serialize;
use tokio::runtime::Runtime;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream};

use crate::process;

/// The name of slothd.
pub const NAME: &str = "org.slothd.Slothd1";
/// The root of its objects.
pub const BASE: &str = "/org/slothd/Slothd1";
/// Its manager.
pub const MANAGER: &str = "org.slothd.Slothd1.Manager";

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub struct Bus {
    directory: PathBuf,
    child: Option<Child>,
}

impl Bus {
    /// A bus below a directory that everybody may enter.
    pub fn start(directory: &Path) -> Bus {
        let directory = directory.join("bus");
        fs::create_dir(&directory).expect("writable");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("ours");
        let mut bus = Bus { directory, child: None };
        let config = format!(
            r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
             "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
            <busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth>
            <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
            <allow send_type="*"/><allow receive_type="*"/></policy></busconfig>"#,
            bus.address()
        );
        fs::write(bus.directory.join("bus.conf"), config).expect("writable");
        bus.up();
        bus
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// Starts it again.
    pub fn up(&mut self) {
        let _ = fs::remove_file(self.socket());
        let child = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", self.directory.join("bus.conf").display()))
            .args(["--nofork", "--nopidfile"])
            .stdin(Stdio::null())
            .stderr(fs::File::create(self.directory.join("log")).expect("writable"))
            .spawn()
            .expect("dbus-daemon can be started");
        self.child = Some(child);
        process::wait_for("the bus listens", || std::os::unix::net::UnixStream::connect(self.socket()).is_ok());
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The section of `slothd.toml` for it.
    pub fn config(&self, kind: &str) -> String {
        format!("[dbus]\nbus = {kind:?}\naddress = {:?}\n", self.address())
    }

    /// A program of the system with the address of the bus, as that user.
    pub fn tool(&self, uid: u32, program: &str, arguments: &[&str]) -> Output {
        let mut command = match uid {
            0 => Command::new(program),
            uid => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}")).args(["--clear-groups", program]);
                command
            }
        };
        command.args(arguments).current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        command.output().expect("the tool can be started")
    }

    /// `busctl`, as that user: what it printed, or what went wrong.
    pub fn busctl(&self, uid: u32, arguments: &[&str]) -> Result<String, String> {
        let address = format!("--address={}", self.address());
        let output = self.tool(uid, "busctl", &[&[address.as_str()], arguments].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An error answer.
#[derive(Debug)]
pub struct Refusal {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

/// A connection to the bus for programs that wait.
pub struct Client {
    runtime: Runtime,
    /// The connection.
    pub connection: Connection,
}

impl Client {
    /// Connects.
    pub fn new(address: &str) -> Client {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let connection = runtime.block_on(Builder::address(address).build()).expect("a connection to the bus");
        Client { runtime, connection }
    }

    /// Does something that takes its time.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await }).expect("an answer in time")
    }

    /// Lets something go on beside the test.
    pub fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Calls a method.
    pub fn call<B>(&self, path: &str, interface: &str, member: &str, body: &B) -> Result<Message, Refusal>
    where
        B: Serialize + DynamicType,
    {
        self.wait(self.connection.call_method(Some(NAME), path, Some(interface), member, body)).map_err(refusal)
    }

    /// Calls a method of the manager.
    pub fn manager<B: Serialize + DynamicType>(&self, member: &str, body: &B) -> Result<Message, Refusal> {
        self.call(&format!("{BASE}/Manager"), MANAGER, member, body)
    }

    /// Waits until slothd has its name.
    pub fn wait_for_slothd(&self) {
        process::wait_for("slothd is on the bus", || self.call(BASE, "org.freedesktop.DBus.Peer", "Ping", &()).is_ok());
    }

    /// Hears all signals of slothd from now on.
    pub fn hear(&self) -> Heard {
        let rule = MatchRule::builder().msg_type(Type::Signal).sender(NAME).build().expect("a good rule");
        let stream = self.wait(MessageStream::for_match_rule(rule, &self.connection, None)).expect("a match");
        Heard { stream }
    }
}

/// Signals.
pub struct Heard {
    stream: MessageStream,
}

impl Heard {
    /// The next signal of this name for which it holds.
    #[track_caller]
    pub fn next(&mut self, client: &Client, name: &str, holds: impl Fn(&Message) -> bool) -> Message {
        let end = Instant::now() + Duration::from_secs(30);
        let mut seen = Vec::new();
        while Instant::now() < end {
            let next = client
                .runtime
                .block_on(async { tokio::time::timeout(Duration::from_millis(200), self.stream.next()).await });
            let Ok(Some(Ok(message))) = next else { continue };
            let member = message.header().member().map(ToString::to_string).unwrap_or_default();
            if member == name && holds(&message) {
                return message;
            }
            seen.push(member);
        }
        panic!("no signal {name}; heard: {seen:?}");
    }
}

/// The refusal behind an error.
pub fn refusal(error: zbus::Error) -> Refusal {
    match error {
        zbus::Error::MethodError(name, text, _) => Refusal { name: name.to_string(), text: text.unwrap_or_default() },
        zbus::Error::FDO(error) => {
            let name = zbus::DBusError::name(&*error).to_string();
            Refusal { name, text: zbus::DBusError::description(&*error).unwrap_or_default().to_owned() }
        }
        other => Refusal { name: "client".to_owned(), text: other.to_string() },
    }
}
