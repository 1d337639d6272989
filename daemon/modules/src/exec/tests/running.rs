//! Commands that run: words, codes, output, environment, limits of time.

use std::time::{Duration, Instant};

use sloth_lua::{CancelKind, LogLevel, Mode, Stream};

use super::super::{CommandSpec, ExecResult, Stdin, run};
use crate::testing::Caller;

async fn sh(caller: &Caller, text: &str) -> ExecResult {
    run(CommandSpec::shell(text), caller.ctx.clone()).await
}

fn out(result: &ExecResult) -> String {
    String::from_utf8_lossy(&result.stdout).into_owned()
}

/// "A string runs `bash -c` (else `sh -c`); a list runs without shell"
#[tokio::test]
async fn a_text_has_a_shell_and_a_list_has_none() {
    let caller = Caller::new();
    assert_eq!(out(&sh(&caller, "echo a; [[ x == x ]] && echo b").await), "a\nb\n");
    let argv = run(CommandSpec::argv(["echo", "$HOME", "a b"]), caller.ctx.clone()).await;
    assert_eq!(out(&argv), "$HOME a b\n");
    assert_eq!(argv.command, "echo '$HOME' 'a b'");
}

/// "integer; 124 on timeout, 127 not found, 128+n on signal"
#[tokio::test]
async fn codes_are_those_of_shells() {
    let caller = Caller::new();
    let code = |text| async move { sh(&Caller::new(), text).await.exit_code };
    assert_eq!(code("exit 3").await, 3);
    assert_eq!(code("surely_no_such_program").await, 127);
    let killed = sh(&caller, "kill -9 $$").await;
    assert_eq!((killed.exit_code, killed.signal), (137, Some(9)));
    let missing = run(CommandSpec::argv(["surely_no_such_program"]), caller.ctx.clone()).await;
    assert_eq!((missing.exit_code, missing.pid), (127, None));
    assert_eq!(missing.failure_kind(), Some("error"));
    std::fs::write(caller.work().join("data"), "no program").unwrap();
    let denied = run(CommandSpec::argv(["./data"]), caller.ctx.clone()).await;
    assert_eq!(denied.exit_code, 126);
}

/// "`err` is nil on success, else stderr, or `exit status N` when stderr is empty"
#[tokio::test]
async fn errors_say_what_the_command_said() {
    let caller = Caller::new();
    assert_eq!(sh(&caller, "echo warned >&2").await.error, None);
    assert_eq!(sh(&caller, "echo bad >&2; exit 1").await.error.as_deref(), Some("bad"));
    assert_eq!(sh(&caller, "exit 4").await.error.as_deref(), Some("exit status 4"));
}

/// "kills the process group"; also what left the group, by its mark
#[tokio::test]
async fn a_timeout_ends_the_whole_tree() {
    let caller = Caller::new();
    let file = caller.work().join("pids");
    let mut spec =
        CommandSpec::shell("(setsid sh -c 'echo $$ >> pids; exec sleep 300' &) ; sleep 300 & echo $! >> pids; wait");
    spec.timeout = Some(Duration::from_millis(400));
    let began = Instant::now();
    let result = run(spec, caller.ctx.clone()).await;
    assert!(result.timed_out && !result.success && result.exit_code == 124);
    assert_eq!(result.failure_kind(), Some("timeout"));
    assert!(began.elapsed() < Duration::from_secs(5), "TERM was enough");
    for pid in std::fs::read_to_string(file).unwrap().lines() {
        assert!(!sloth_exec::command::is_running(pid.parse().unwrap()), "{pid} lives");
    }
}

/// "Kill sequence: SIGTERM …, `kill_grace`, SIGKILL"
#[tokio::test]
async fn who_ignores_term_is_killed_after_the_grace() {
    let caller = Caller::new();
    let mut spec = CommandSpec::shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    spec.timeout = Some(Duration::from_millis(300));
    spec.kill_grace = Some(Duration::from_millis(300));
    let result = run(spec, caller.ctx.clone()).await;
    assert_eq!((result.exit_code, result.signal), (124, Some(9)));
    assert_eq!(out(&result), "ready\n", "what it wrote before is kept");
}

#[tokio::test]
async fn a_cancelled_task_ends_its_command() {
    let caller = Caller::new();
    let running = run(CommandSpec::argv(["sleep", "300"]), caller.ctx.clone());
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        caller.ctx.cancel.cancel(CancelKind::Cancelled("by admin".into()));
    };
    let (result, ()) = tokio::join!(running, cancelling);
    assert_eq!(result.failure_kind(), Some("cancelled"));
    assert_eq!(result.error.as_deref(), Some("cancelled: by admin"));
}

/// "Environment of commands: …"
#[tokio::test]
async fn commands_know_whose_they_are() {
    let caller = Caller::with(Mode::Normal, |ctx| {
        ctx.env.lock().unwrap().insert("COLOUR".into(), Some("red".into()));
        ctx.env.lock().unwrap().insert("LANG".into(), None);
    });
    let text = "echo $SLOTH_RUN_ID $SLOTH_STACK $SLOTH_WORKFLOW $SLOTH_TASK $SLOTH_ATTEMPT $COLOUR ${LANG-none} $EXTRA; \
                [ \"$PWD\" = \"$SLOTH_WORKSPACE\" ] && [ -d \"$TMPDIR\" ] && [ -n \"$HOME$USER$LOGNAME$SHELL$PATH\" ] && echo ok";
    let mut spec = CommandSpec::shell(text);
    spec.env.push(("EXTRA".into(), Some("more".into())));
    assert_eq!(out(&run(spec, caller.ctx.clone()).await), "run-1 edge release ship 2 red none more\nok\n");
}

#[tokio::test]
async fn lines_reach_the_log_and_long_ones_are_split() {
    let caller = Caller::new();
    sh(&caller, "echo one; echo bad >&2; printf last; head -c 70000 /dev/zero | tr '\\0' x >&2").await;
    let lines = caller.log.0.lock().unwrap();
    let of = |stream| lines.iter().filter(|l| l.stream == stream).map(|l| l.message.len()).collect::<Vec<_>>();
    assert_eq!(of(Stream::Stdout), [3, 4]);
    assert_eq!(of(Stream::Stderr), [3, 65536, 4464]);
    assert!(lines.iter().all(|l| l.level == if l.stream == Stream::Stderr { LogLevel::Warn } else { LogLevel::Info }));
}

#[tokio::test]
async fn standard_input_is_what_was_given() {
    let caller = Caller::new();
    let mut spec = CommandSpec::argv(["cat"]);
    spec.stdin = Stdin::Bytes(vec![b'x'; 200_000]);
    assert_eq!(run(spec.clone(), caller.ctx.clone()).await.stdout.len(), 200_000);
    std::fs::write(caller.work().join("in"), "text").unwrap();
    spec.stdin = Stdin::File("in".into());
    assert_eq!(out(&run(spec.clone(), caller.ctx.clone()).await), "text");
    spec.stdin = Stdin::Empty;
    assert_eq!(out(&run(spec.clone(), caller.ctx.clone()).await), "");
    spec.program = super::super::Program::Argv(vec!["true".into()]);
    spec.stdin = Stdin::Bytes(vec![b'x'; 200_000]);
    assert!(run(spec, caller.ctx.clone()).await.success, "it need not be read");
}

/// "`retries`, `delay`, `expect_codes={0}`"
#[tokio::test]
async fn failures_are_tried_again_and_codes_may_be_expected() {
    let caller = Caller::new();
    let mut spec = CommandSpec::shell("echo x >> n; [ $(wc -l < n) -ge 3 ]");
    spec.retries = 5;
    spec.delay = Duration::from_millis(10);
    let result = run(spec, caller.ctx.clone()).await;
    assert_eq!((result.success, result.attempts), (true, 3));
    let mut spec = CommandSpec::shell("exit 24");
    spec.expect_codes = vec![0, 24];
    assert!(run(spec, caller.ctx.clone()).await.success);
}

/// "skip with `changed=false` when present/absent"
#[tokio::test]
async fn creates_and_removes_skip() {
    let caller = Caller::new();
    std::fs::write(caller.work().join("there"), "").unwrap();
    let mut spec = CommandSpec::shell("echo ran");
    spec.creates = Some("there".into());
    let skipped = run(spec.clone(), caller.ctx.clone()).await;
    assert_eq!((skipped.success, skipped.changed, out(&skipped).as_str()), (true, Some(false), ""));
    spec.creates = Some("absent".into());
    assert_eq!(out(&run(spec.clone(), caller.ctx.clone()).await), "ran\n");
    spec.creates = None;
    spec.removes = Some("absent".into());
    assert_eq!(run(spec, caller.ctx.clone()).await.changed, Some(false));
}

/// "string commands and `exec` only if `check_safe`, else simulated success with empty output and `simulated=true`"
#[tokio::test]
async fn check_mode_runs_only_what_is_safe() {
    let caller = Caller::checking();
    let simulated = sh(&caller, "echo ran > ran").await;
    assert!(simulated.success && simulated.simulated && simulated.stdout.is_empty());
    assert!(!caller.work().join("ran").exists());
    let mut spec = CommandSpec::shell("echo ran");
    spec.check_safe = true;
    assert_eq!(out(&run(spec, caller.ctx.clone()).await), "ran\n");
}

#[tokio::test]
async fn output_beyond_the_limit_is_cut_and_masked_words_appear_nowhere() {
    let caller = Caller::new();
    let mut spec = CommandSpec::shell("echo s3cret; seq 1000");
    spec.max_output = 100;
    spec.mask = vec!["s3cret".into()];
    let result = run(spec, caller.ctx.clone()).await;
    assert!(result.truncated && result.success);
    assert!(out(&result).starts_with("***\n1\n"));
    assert_eq!(result.command, "echo ***; seq 1000");
    let messages = caller.log.messages();
    assert_eq!(messages.len(), 1001, "the full text is in the log");
    assert!(!messages.iter().any(|m| m.contains("s3cret")));
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let caller = Caller::new();
    let mut spec = CommandSpec::argv(["true"]);
    spec.workdir = Some("nowhere".into());
    let result = run(spec, caller.ctx.clone()).await;
    assert!(!result.success && result.error.unwrap().contains("nowhere is not a directory"));
}

/// A process that a command leaves behind and that holds its output must not hold the task.
#[tokio::test]
async fn a_command_that_leaves_a_process_behind_ends() {
    let caller = Caller::new();
    let began = Instant::now();
    let result = sh(&caller, "sleep 300 & echo $!; echo done").await;
    assert!(result.success && out(&result).ends_with("done\n"));
    assert!(began.elapsed() < Duration::from_secs(3));
    let pid = out(&result).lines().next().unwrap().parse().unwrap();
    sloth_exec::command::signal(pid, 9).unwrap();
}

#[tokio::test]
async fn a_dropped_command_is_killed() {
    let caller = Caller::new();
    let running = run(CommandSpec::shell("echo $$ > pid; sleep 300"), caller.ctx.clone());
    let _ = tokio::time::timeout(Duration::from_millis(300), running).await;
    let pid = std::fs::read_to_string(caller.work().join("pid")).unwrap().trim().parse().unwrap();
    for _ in 0..100 {
        if !sloth_exec::command::is_running(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{pid} lives");
}
