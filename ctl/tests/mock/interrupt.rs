//! Ctrl-C, and a terminal as the output.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::canned::{chunk, run};
use crate::support::Mock;
use crate::{RUN, code};

#[test]
fn an_interrupted_wait_leaves_the_run_alone() {
    let mock = Mock::start();
    mock.on("POST /schedules/nightly/trigger", 200, json!({"run_id": RUN, "status": "starting"}));
    mock.on_stream(&format!("GET /runs/{RUN}/logs/stream"), ": nothing yet\n\n");
    let mut command = mock.command(&["scheduler", "run", "nightly", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("slothctl starts");
    while mock.asked().len() < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    let ended = child.wait().expect("it ends");
    assert_eq!(ended.code(), Some(130), "{said}");
    assert!(said.ends_with(&format!("interrupted; the run goes on; see it with slothctl logs -f {RUN}\n")), "{said}");
    assert!(!mock.asked().iter().any(|asked| asked.line.contains("cancel")));
}

/// A terminal by script(1), where it is installed.
#[test]
fn a_terminal_gets_no_control_characters_of_a_job() {
    let mock = Mock::start();
    let page =
        |chunks: serde_json::Value| json!({"chunks": chunks, "next_offset": 9, "dropped_bytes": 0, "complete": true});
    let mut half = chunk(8, "");
    half["bytes"] = "w/8=".into(); // C3, the first half of a letter, then FF
    let hostile = json!([chunk(5, "a\x1b[2Jb\n"), half, chunk(9, "\x07end\n")]);
    mock.on(&format!("GET /runs/{RUN}/logs?offset=0"), 200, page(hostile));
    mock.on(&format!("GET /runs/{RUN}/logs?offset=9"), 200, page(json!([])));
    mock.on(&format!("GET /runs/{RUN}"), 200, run(RUN, "completed", None, Some(0)));
    let shown = |line: &str| {
        let line = format!("{} {line}", env!("CARGO_BIN_EXE_slothctl"));
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env("SLOTHD_SOCKET", mock.socket()).env("TERM", "xterm");
        script.env_remove("NO_COLOR").stdin(Stdio::null());
        script.output().ok().map(|output| (code(&output), String::from_utf8_lossy(&output.stdout).replace('\r', "")))
    };
    let Some((exit, safe)) = shown(&format!("logs {RUN}")) else {
        eprintln!("skipped: script(1) is not installed");
        return;
    };
    assert_eq!((exit, safe.as_str()), (0, "a\\x1b[2Jb\n\\xc3\\xff\\x07end\n"));
    assert!(shown(&format!("logs --raw {RUN}")).expect("a terminal").1.starts_with("a\x1b[2Jb\n"));
    assert!(shown(&format!("runs show {RUN}")).expect("a terminal").1.contains("\x1b[32mcompleted\x1b[0m"));
    assert!(!shown(&format!("runs show {RUN} --no-color")).expect("a terminal").1.contains('\x1b'));
}
