//! Reaches the supervisor, and starts one where there is none.

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::net::UnixStream;

use super::Options;

/// Between two tries to connect to a supervisor that was just started.
const TRY_EVERY: Duration = Duration::from_millis(20);
/// How many of them.
const TRIES: usize = 100;

/// A connection to the supervisor of these options.
pub(super) async fn connect(options: &Options) -> io::Result<UnixStream> {
    match try_connect(options).await {
        Err(error) if is_absent(&error) => {}
        other => return other,
    }
    start(options.clone()).await?;
    let mut last = io::Error::other("not tried");
    for _ in 0..TRIES {
        match try_connect(options).await {
            Err(error) if is_absent(&error) => last = error,
            other => return other,
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
    Err(io::Error::other(format!("{}: {last}, although a supervisor says it lives", options.socket.display())))
}

async fn try_connect(options: &Options) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(&options.socket).await?;
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != geteuid().as_raw() {
        return Err(io::Error::other(format!("{} belongs to uid {peer}", options.socket.display())));
    }
    Ok(stream)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

async fn start(options: Options) -> io::Result<()> {
    let started = tokio::task::spawn_blocking(move || {
        Command::new(&options.program)
            .arg("supervise")
            .arg("--socket")
            .arg(&options.socket)
            .arg("--data")
            .arg(&options.data)
            .args(&options.arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", options.program.display())))
    });
    let output = started.await.map_err(io::Error::other)??;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("the supervisor did not start ({}): {}", output.status, said.trim())))
}
