//! Functions of the module, as scripts call them.

use sloth_lua::{Args, Data, Failure, Reply};

use super::super::end_background;
use super::super::functions as f;
use crate::testing::Caller;

fn first(reply: Reply) -> Data {
    reply.unwrap().into_iter().next().unwrap()
}

fn text(data: &Data, key: &str) -> String {
    data.get(key).and_then(Data::to_text).unwrap_or_else(|| panic!("{key} of {data:?}"))
}

/// "`stdout`, `stderr`, `output` (= stdout), `lines` (list)", "`exit_code`, `code`, `status`", …
#[tokio::test]
async fn the_result_has_every_member() {
    let caller = Caller::new();
    let r = first(f::run(caller.call(Args::default().with("cmd", "printf 'a\\n\\nb\\n'; echo e >&2; exit 3"))).await);
    for (key, expected) in [("stdout", "a\n\nb\n"), ("output", "a\n\nb\n"), ("stderr", "e\n"), ("error", "e")] {
        assert_eq!(text(&r, key), expected);
    }
    assert_eq!(r.get("lines"), Some(&Data::texts(["a", "", "b"])));
    for key in ["exit_code", "code", "status"] {
        assert_eq!(text(&r, key), "3");
    }
    for (key, expected) in
        [("success", false), ("failed", true), ("timed_out", false), ("truncated", false), ("simulated", false)]
    {
        assert_eq!(r.get(key), Some(&Data::Bool(expected)), "{key}");
    }
    assert!(text(&r, "pid").parse::<u32>().unwrap() > 1);
    assert!(text(&r, "duration_ms").parse::<u32>().is_ok());
    assert!(text(&r, "command").starts_with("printf"));
}

/// "`check` → `raise`": "raise on failure"
#[tokio::test]
async fn a_failure_is_raised_when_wanted() {
    let caller = Caller::new();
    let failure = f::run(caller.call(Args::default().with("cmd", "echo no >&2; exit 2").with("raise", true))).await;
    let failure = failure.unwrap_err();
    assert!(failure.raise && failure.kind == Some("exit") && failure.message.ends_with(": no"), "{failure:?}");
}

/// "`success, output` (stdout, trailing newline removed; stderr when failed and stdout is empty)"
#[tokio::test]
async fn sh_gives_success_and_text() {
    let caller = Caller::new();
    let sh = async |text: &str| f::sh(caller.call(Args::default().with("cmd", text))).await.unwrap();
    assert_eq!(sh("echo hi").await, [true.into(), "hi".into()]);
    assert_eq!(sh("echo bad >&2; false").await, [false.into(), "bad".into()]);
    assert_eq!(sh("echo out; false").await, [false.into(), "out".into()]);
}

/// "the text is a temporary file; `#!` respected"
#[tokio::test]
async fn scripts_are_files() {
    let caller = Caller::new();
    let run = async |args: Args| text(&first(f::script(caller.call(args)).await), "stdout");
    let args = Data::texts(["a b", "c"]);
    assert_eq!(run(Args::default().with("text", "echo \"$1-$2\"").with("args", args)).await, "a b-c\n");
    assert_eq!(run(Args::default().with("text", "#!/bin/cat\nline\n")).await, "#!/bin/cat\nline\n");
    let args = Args::default().with("text", "{ print $1 }").with("interpreter", "awk -f").with("stdin", "x y\n");
    assert_eq!(run(args).await, "x\n");
    assert_eq!(std::fs::read_dir(&caller.ctx.temp_dir).unwrap().count(), 0, "the file is removed");
}

/// "R of the last; `codes` list"
#[tokio::test]
async fn a_pipeline_gives_the_last_result_and_all_codes() {
    let caller = Caller::new();
    let commands =
        Data::List(vec![Data::texts(["printf", "b\\na\\n"]), "sort; exit 4".into(), Data::texts(["head", "-n", "1"])]);
    let r = first(f::pipeline(caller.call(Args::default().with("commands", commands))).await);
    assert_eq!(text(&r, "stdout"), "a\n");
    assert_eq!(r.get("codes"), Some(&Data::List(vec![0.0.into(), 4.0.into(), 0.0.into()])));
    let commands = Data::List(vec![Data::texts(["sleep", "300"]), Data::texts(["surely_no_such_program"])]);
    let r = first(f::pipeline(caller.call(Args::default().with("commands", commands))).await);
    assert_eq!(text(&r, "exit_code"), "127");
}

/// "handle `{id, pid}` with `:wait([timeout])` → R, `:kill([signal])`, `:is_running()`, `:read()`, `:write(s)`,
/// `:close_stdin()`"
#[tokio::test]
async fn a_background_command_is_talked_to() {
    let caller = Caller::new();
    let handle =
        first(f::start(caller.call(Args::default().with("cmd", "while read l; do echo \"got $l\"; done"))).await);
    let id = || Args::default().with("id", handle.get("id").unwrap().clone());
    assert_eq!(first(f::handle_is_running(caller.call(id()))), Data::Bool(true));
    f::write(caller.call(id().with("text", "one\n"))).await.unwrap();
    assert_eq!(first(f::read(caller.call(id())).await), "got one\n".into());
    let waited = first(f::wait(caller.call(id().with("timeout", 50.0))).await);
    assert_eq!(waited.get("timed_out"), Some(&Data::Bool(true)));
    f::close_stdin(caller.call(id())).await.unwrap();
    let r = first(f::wait(caller.call(id())).await);
    assert_eq!((text(&r, "stdout"), text(&r, "exit_code")), ("got one\n".into(), "0".into()));
    assert_eq!(first(f::read(caller.call(id())).await), Data::Nil);
    assert_eq!(first(f::handle_is_running(caller.call(id()))), Data::Bool(false));
    assert_eq!(first(f::kill_handle(caller.call(id()))), Data::Bool(false));
}

/// "ends with the run"
#[tokio::test]
async fn background_commands_end_with_the_run() {
    let caller = Caller::new();
    let handle = first(f::start(caller.call(Args::default().with("cmd", "sleep 300 & sleep 300"))).await);
    let pid: u32 = text(&handle, "pid").parse().unwrap();
    assert!(sloth_exec::command::is_running(pid));
    end_background("the run is over").await;
    assert!(!sloth_exec::command::is_running(pid));
}

#[tokio::test]
async fn a_background_command_that_cannot_start_fails_at_once() {
    let caller = Caller::new();
    let cmd = Data::texts(["surely_no_such_program"]);
    let failure = f::start(caller.call(Args::default().with("cmd", cmd))).await.unwrap_err();
    assert_eq!(failure, Failure::new("surely_no_such_program: program not found"));
}

/// "calls fn(line, stream) while running"
#[tokio::test]
async fn lines_come_one_by_one() {
    let caller = Caller::new();
    let args = Args::default().with("cmd", "echo a; echo b >&2; printf c").with("_lines", true);
    let handle = first(f::start(caller.call(args)).await);
    let id = || Args::default().with("id", handle.get("id").unwrap().clone());
    let mut lines = Vec::new();
    while let [line, stream] = &f::next_line(caller.call(id())).await.unwrap()[..] {
        lines.push(format!("{} {}", stream.to_text().unwrap(), line.to_text().unwrap()));
    }
    lines.sort();
    assert_eq!(lines, ["stderr b", "stdout a", "stdout c"]);
    assert_eq!(text(&first(f::wait(caller.call(id())).await), "exit_code"), "0");
}

#[tokio::test]
async fn programs_are_found() {
    let caller = Caller::new();
    let name = |name: &str| caller.call(Args::default().with("name", name));
    assert!(first(f::which(name("sh"))).to_text().unwrap().ends_with("/sh"));
    assert!(f::which(name("surely_no_such_program")).is_err());
    assert_eq!(first(f::exists(name("sh"))), Data::Bool(true));
    assert_eq!(first(f::exists(name("surely_no_such_program"))), Data::Bool(false));
}

#[tokio::test]
async fn signals_reach_only_processes_that_a_script_may_end() {
    let caller = Caller::new();
    let kill = |pid: i64| f::kill(caller.call(Args::default().with("pid", pid).with("signal", "KILL")));
    assert!(kill(1).is_err());
    assert!(kill(i64::from(std::process::id())).is_err());
    assert!(kill(-1).unwrap_err().raise);
    let mut child = std::process::Command::new("sleep").arg("300").spawn().unwrap();
    assert_eq!(kill(i64::from(child.id())).unwrap()[0], Data::Bool(true));
    child.wait().unwrap();
}

/// "over SSH with host key check"; "`ssh{host_key_check="off"}` …: policy grants … `ssh_insecure`"
#[test]
fn ssh_is_an_argument_vector_with_a_host_key_check() {
    let caller = Caller::new();
    let spec = |args: Args| super::super::remote::spec(&caller.call(args));
    let args = Args::default().with("host", "web01").with("cmd", Data::texts(["ls", "a b"])).with("port", 2222.0);
    let command = spec(args.clone()).unwrap().display();
    assert_eq!(
        command,
        "ssh -T -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=30 -p 2222 -- web01 'ls '\\''a b'\\'''"
    );
    assert!(spec(args.clone().with("host_key_check", "strict")).unwrap().display().contains("HostKeyChecking=yes"));
    assert_eq!(spec(args.clone().with("host_key_check", "off")).unwrap_err().kind, Some("denied"));
    assert!(spec(args.with("host", "-oProxyCommand=evil")).unwrap_err().raise);
}
