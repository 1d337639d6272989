//! The socket: who may come in, and what is not understood there.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_core::launch::{KnownState, Launch, Order};
use sloth_core::run::Outcome;

use crate::harness::{PROGRAM, World, is_alive, is_root, shell, wait_until};

/// A connection that speaks the protocol by hand.
pub struct Raw(UnixStream);

impl Raw {
    pub fn connect(socket: &Path) -> Raw {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Raw(stream)
    }

    pub fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.0.write_all(&(body.len() as u32).to_le_bytes()).unwrap();
        self.0.write_all(body.as_bytes()).unwrap();
    }

    pub fn next(&mut self) -> Option<Value> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut body).ok()?;
        Some(serde_json::from_slice(&body).unwrap())
    }

    pub fn greet(&mut self) {
        self.send(&json!({"hello": {"version": 1}}));
        assert_eq!(self.next().unwrap()["hello"]["version"], 1);
        assert_eq!(self.next().unwrap()["known"]["last"], true);
    }

    /// Reads until the other end hangs up.
    fn was_refused(mut self) -> bool {
        let mut rest = Vec::new();
        // A reset is a refusal as well.
        match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

pub fn prepare_message(launch: &Launch) -> Value {
    let duration = |d: Duration| json!({"secs": d.as_secs(), "nanos": d.subsec_nanos()});
    json!({"prepare": {
        "key": launch.key.to_string(), "argv": launch.argv, "user": launch.user, "group": null, "cwd": launch.cwd,
        "env": launch.env, "umask": launch.umask, "stdin": null,
        "limits": {"cpu_millis": null, "memory_bytes": null, "io_weight": null, "nofile": null, "tasks": null, "nice": null},
        "timeout": null, "kill_grace": duration(launch.kill_grace), "output": launch.output,
        "output_limit": launch.output_limit,
    }})
}

#[tokio::test]
async fn garbage_is_refused_and_hurts_nobody() {
    let mut world = World::new().await;
    let job = shell("sleep 100");
    world.started(&job).await;
    let pid = world.supervisor().unwrap();
    world.disconnect();
    let frame = |body: &[u8]| [&(body.len() as u32).to_le_bytes()[..], body].concat();
    let hello = frame(br#"{"hello":{"version":1}}"#);
    let garbage: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xFF; 10_000],
        vec![0; 100],
        frame(b"{}"),
        frame(b"\xFF\xFE"),
        frame(br#"{"hello":{"version":2}}"#),
        frame(br#"{"release":"x-1"}"#),
        [hello.clone(), frame(br#"{"release":"x-1"}"#)].concat(),
        [hello.clone(), frame(br#"{"prepare":{}}"#)].concat(),
        [hello.clone(), hello.clone()].concat(),
        [hello.clone(), (9u32 << 20).to_le_bytes().to_vec(), vec![b'x'; 1000]].concat(),
        [hello.clone(), frame("[".repeat(1 << 20).as_bytes())].concat(),
    ];
    for bytes in garbage {
        let mut raw = Raw::connect(&world.socket());
        let _ = raw.0.write_all(&bytes);
        assert!(raw.was_refused(), "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]));
    }
    // A message that never ends is cut off by the next connection.
    let mut unfinished = Raw::connect(&world.socket());
    unfinished.0.write_all(&[0, 0, 16, 0, b'{']).unwrap();
    let known = world.connect().await;
    assert!(unfinished.was_refused());
    assert!(matches!(known[0].state, KnownState::Running { .. }));
    assert!(is_alive(pid) && world.supervisor() == Some(pid));
    world.order(Order::Kill { key: job.key, grace: Duration::ZERO }).await;
    assert_eq!(world.ended(job.key).await.outcome, Outcome::Killed);
}

#[tokio::test]
async fn other_users_are_refused() {
    if !is_root() {
        println!("SKIPPED: becoming another user needs root");
        return;
    }
    let world = World::new().await;
    let open = |path: &Path, mode| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(5)\ntry:\n  s.connect(sys.argv[1])\nexcept PermissionError: print('denied'); sys.exit()\ntry:\n  s.sendall(b'\\x17\\0\\0\\0{\"hello\":{\"version\":1}}')\n  print(len(s.recv(100)))\nexcept (ConnectionResetError, BrokenPipeError): print(0)";
    let try_it = || {
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", script])
            .arg(world.socket())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(try_it(), "denied", "by the mode of directory and socket");
    open(&world.data(), 0o755);
    assert_eq!(try_it(), "denied", "by the mode of the socket");
    open(&world.socket(), 0o666);
    assert_eq!(try_it(), "0", "by its credentials");
}

#[tokio::test]
async fn there_is_one_supervisor_per_socket() {
    let mut world = World::new().await;
    let pid = world.supervisor().unwrap();
    let begin = Instant::now();
    for _ in 0..3 {
        let second = Command::new(PROGRAM)
            .args(["supervise", "--socket"])
            .arg(world.socket())
            .arg("--data")
            .arg(world.data())
            .status();
        assert!(second.unwrap().success());
    }
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_eq!(world.supervisor(), Some(pid));
    assert_eq!(world.run(&shell("exit 5")).await.outcome, Outcome::Exited(5));
}

#[tokio::test]
async fn it_leaves_when_nobody_needs_it_and_is_found_by_many() {
    let mut world = World::with(&["--idle-exit-ms", "150"]).await;
    let pid = world.supervisor().unwrap();
    let job = shell("sleep 0.4");
    world.started(&job).await;
    world.disconnect();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(is_alive(pid), "an end that was not told keeps it");
    let known = world.connect().await;
    assert!(matches!(known[0].state, KnownState::Ended(_)));
    world.order(Order::Forget(job.key)).await;
    world.no_report_for(Duration::from_millis(300)).await;
    assert!(is_alive(pid), "a connection keeps it");
    world.disconnect();
    wait_until(|| !is_alive(pid)).await;
    assert!(!world.socket().exists());
    assert_eq!(world.connect().await, []);
}

#[tokio::test]
async fn a_broken_start_says_why() {
    let world = World::idle(&[]);
    let output = Command::new(PROGRAM)
        .args(["supervise", "--data", "/no/such/place", "--socket"])
        .arg(world.socket())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/no/such/place") && said.contains("ENOENT"), "{said}");
}

#[tokio::test]
async fn a_removed_socket_is_made_again_and_a_lost_place_is_left() {
    let mut world = World::with(&["--idle-exit-ms", "100"]).await;
    let pid = world.supervisor().unwrap();
    let job = shell("sleep 0.2; exit 8");
    world.started(&job).await;
    world.disconnect();
    tokio::task::yield_now().await;
    std::fs::remove_file(world.socket()).unwrap();
    wait_until(|| world.socket().exists()).await;
    let known = world.connect().await;
    assert_eq!((known.len(), world.supervisor()), (1, Some(pid)));
    let other = shell("sleep 0.2");
    world.started(&other).await;
    let held = world.prepared(&shell("echo never")).await;
    world.disconnect();
    tokio::task::yield_now().await;
    std::fs::remove_file(world.socket()).unwrap();
    let mut lock = world.socket().into_os_string();
    lock.push(".lock");
    std::fs::remove_file(lock).unwrap();
    wait_until(|| !is_alive(pid) && !is_alive(held.pid as i32)).await;
}
