//! How a run starts: as whom, where, with what; and what is refused or fails by name.

use crate::Machine;

#[test]
fn a_run_has_its_user_group_directory_mask_and_environment() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh("groupadd crew; install -d -o ann -m 0755 /srv/ann");
    let script = "id -un; id -gn; pwd; umask; echo \"$COLOR|$HOME|$SLOTH_SCHEDULE|$SLOTH_ATTEMPT\"; \
                  env | grep -c -E '^(INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID)=' || true; cat; echo oops >&2; exit 3";
    let run = machine.once(
        "who",
        &[
            "--user",
            "ann",
            "--group",
            "crew",
            "--cwd",
            "/srv/ann",
            "--umask",
            "027",
            "--env",
            "COLOR=re$d %n",
            "--stdin",
            "from stdin\n",
            "--shell",
            script,
        ],
    );
    assert_eq!((run["status"].as_str(), run["exit_code"].as_i64()), (Some("failed"), Some(3)), "{run}");
    let output = machine.output(&run);
    for line in ["ann\ncrew\n/srv/ann\n0027\n", "re$d %n|/home/ann|who|1\n0\nfrom stdin\n"] {
        assert!(output.contains(line), "{line:?} is not in {output:?}");
    }
    assert_eq!(run["stderr_tail"], "oops\n");
    // Nobody else can read what the job was given.
    machine.add("slow", &["--user", "ann", "--env", "TOKEN=s3cret", "--shell", "sleep 600"]);
    let slow = machine.start("slow");
    let unit = format!("sloth-run-{slow}-1.service");
    machine.wait_for("the unit", || machine.property(&unit, "ActiveState") == "active");
    assert!(!machine.ok(&["systemctl", "show", &unit]).contains("s3cret"));
    assert_eq!(machine.property(&unit, "User"), "ann");
    assert_eq!(machine.property(&unit, "Slice"), "sloth.slice");
    // Not even its own user can reach the output file through the process that writes it.
    let pid = machine.property(&unit, "MainPID");
    let peek = machine.run(&["setpriv", "--reuid", "ann", "--clear-groups", "ls", &format!("/proc/{pid}/fd/")]);
    assert!(!peek.status.success(), "the main process can be looked into");
}

#[test]
fn what_cannot_start_says_why() {
    let Some(machine) = Machine::boot() else { return };
    let gone = machine.once("gone", &["--cwd", "/nowhere", "--", "/bin/true"]);
    let message = gone["message"].as_str().unwrap_or_default();
    assert!(message.contains("/nowhere") && message.contains("ENOENT"), "{gone}");
    let program = machine.once("program", &["--", "/bin/no-such-program"]);
    assert!(program["message"].as_str().unwrap_or_default().contains("/bin/no-such-program"), "{program}");
    machine.sh("useradd -m bob");
    machine.add("bob", &["--user", "bob", "--", "/bin/true"]);
    machine.sh("userdel -r bob 2>/dev/null");
    let run = machine.start("bob");
    let bob = machine.ended(&run);
    assert_eq!((bob["status"].as_str(), bob["reason"].as_str()), (Some("failed"), Some("denied")), "{bob}");
    assert!(bob["message"].as_str().unwrap_or_default().contains("user bob does not exist"), "{bob}");
    // A failed start leaves no unit behind.
    machine.wait_for("no units", || {
        machine.ok(&["systemctl", "list-units", "--all", "--no-legend", "sloth-run-*"]).trim().is_empty()
    });
}

#[test]
fn a_directory_that_only_root_may_enter_is_refused_to_others() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh("install -d -m 0700 /srv/root");
    let run = machine.once("locked", &["--user", "ann", "--cwd", "/srv/root", "--", "/bin/true"]);
    assert_eq!(run["status"], "failed", "{run}");
    assert!(run["message"].as_str().unwrap_or_default().contains("EACCES"), "{run}");
}

#[test]
fn a_unit_of_that_name_is_left_alone() {
    let Some(machine) = Machine::boot() else { return };
    // Whoever takes the name of an attempt beforehand: the first run of a fresh schedule waits, so that its name is known.
    machine.add("slow", &["--overlap", "queue", "--shell", "sleep 3"]);
    let first = machine.start("slow");
    let second = machine.start("slow");
    let unit = format!("sloth-run-{second}-1.service");
    machine.ok(&["systemd-run", "--unit", &unit, "sleep", "600"]);
    machine.ended(&first);
    let run = machine.ended(&second);
    assert_eq!(run["status"], "failed", "{run}");
    assert!(run["message"].as_str().unwrap_or_default().contains("is not of this slothd"), "{run}");
    assert_eq!(machine.property(&unit, "ActiveState"), "active", "the stranger's unit goes on");
}

#[test]
fn the_journal_gets_a_copy_that_names_run_and_schedule() {
    let Some(machine) = Machine::boot() else { return };
    let run = machine
        .once("talk", &["--user", "ann", "--journal", "--shell", "echo to the journal; echo no end of line >&2"]);
    assert_eq!(run["status"], "completed", "{run}");
    let id = format!("SLOTH_RUN={}", run["id"].as_str().unwrap_or_default());
    machine.sh("journalctl --sync");
    let text = machine.ok(&["journalctl", "-o", "cat", "--no-pager", &id, "SLOTH_SCHEDULE=talk", "SLOTH_ATTEMPT=1"]);
    assert!(text.contains("to the journal") && text.contains("no end of line"), "{text}");
    assert!(machine.output(&run).contains("to the journal"), "the output file has it as well");
}

#[test]
fn without_the_right_to_start_units_processes_are_started_and_that_is_said() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh(
        "useradd -r -d /var/lib/slothd slothd; systemctl stop slothd; chown -R slothd /var/lib/slothd /run/slothd; \
                mkdir -p /etc/systemd/system/slothd.service.d; \
                printf '[Service]\\nUser=slothd\\n' > /etc/systemd/system/slothd.service.d/user.conf; \
                systemctl daemon-reload; systemctl start slothd",
    );
    let status = machine.json(&["status"]);
    let executor = status["executor"].as_str().unwrap_or_default();
    assert!(executor.starts_with("process (systemd does not let this daemon start units"), "{status}");
    let run = machine.once("still", &["--user", "slothd", "--cwd", "/", "--", "/bin/true"]);
    assert_eq!(run["status"], "completed", "{run}");
    // Who insists is told what to do.
    machine.sh("printf '[Service]\\nUser=slothd\\nExecStart=\\nExecStart=/usr/bin/slothd --system --executor systemd\\nRestart=no\\n' \
                > /etc/systemd/system/slothd.service.d/user.conf; systemctl daemon-reload; systemctl restart slothd || true");
    assert_eq!(machine.property("slothd.service", "ExecMainStatus"), "78");
    let journal = machine.ok(&["journalctl", "-u", "slothd", "-o", "cat", "--no-pager"]);
    assert!(journal.contains("allow org.freedesktop.systemd1.manage-units"), "{journal}");
}

#[test]
fn a_user_has_a_slothd_and_units_of_their_own() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh("systemctl stop slothd; loginctl enable-linger ann");
    let uid = machine.sh("id -u ann").trim().to_owned();
    machine.wait_for("the user's systemd", || {
        machine.run(&["systemctl", "is-active", &format!("user@{uid}.service")]).status.success()
    });
    let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
    let bus = format!("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus");
    let as_ann = |words: &[&str]| {
        let base =
            ["setpriv", "--reuid", "ann", "--regid", "ann", "--init-groups", "env", "HOME=/home/ann", &runtime, &bus];
        machine.run(&[&base[..], words].concat())
    };
    let ok = |words: &[&str]| {
        let output = as_ann(words);
        let (out, err) = sloth_tests::instance::texts(&output);
        assert!(output.status.success(), "{words:?}: {out}{err}");
        out
    };
    ok(&["systemd-run", "--user", "--unit", "slothd", "/usr/bin/slothd", "--user"]);
    machine.wait_for("the user's slothd", || as_ann(&["slothctl", "status"]).status.success());
    assert!(ok(&["slothctl", "status"]).contains("systemd"));
    ok(&["slothctl", "scheduler", "add", "mine", "--manual", "--shell", "cat /proc/self/cgroup; id -un"]);
    ok(&["slothctl", "scheduler", "run", "mine"]);
    machine.wait_for("the run", || ok(&["slothctl", "runs", "list"]).contains("completed"));
    let run = ok(&["slothctl", "runs", "list", "-o", "name"]);
    let output = ok(&["slothctl", "runs", "logs", run.trim()]);
    assert!(output.contains(&format!("user@{uid}.service")) && output.contains("sloth-run-"), "{output}");
    // What a user's systemd cannot do is said when the schedule is added.
    let refused =
        as_ann(&["slothctl", "scheduler", "add", "boxed", "--manual", "--sandbox", "strict", "--", "/bin/true"]);
    assert!(!refused.status.success() && sloth_tests::instance::texts(&refused).1.contains("sandbox"));
}
