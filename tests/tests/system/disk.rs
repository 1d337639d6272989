//! Full, read-only and failing disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::process::{holds_within, wait_for};
use sloth_tests::skips::{root_or_skip, skip};

/// A small file system of its own, gone with this value.
struct Small(PathBuf);

impl Small {
    fn make(place: &Path, size: &str) -> Option<Small> {
        fs::create_dir_all(place).expect("writable");
        let options = format!("size={size},mode=0700");
        mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).ok()?;
        Some(Small(place.to_owned()))
    }

    fn remount(&self, flags: MsFlags) -> nix::Result<()> {
        mount(None::<&str>, &self.0, None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// An instance on a small file system. The file system is dropped after it.
fn on_small_disk(name: &str, size: &str) -> Option<(Instance, Small)> {
    if !root_or_skip(name) {
        return None;
    }
    let directory = tempfile::Builder::new().prefix("sloth-").tempdir().expect("a directory");
    let root = directory.path().join("root");
    let Some(small) = Small::make(&root, size) else {
        skip(name, "no file system can be mounted here");
        return None;
    };
    Some((Instance::at(directory, root), small))
}

/// Fills what is left, up to the last byte.
fn fill(root: &Path) -> PathBuf {
    let path = root.join("filler");
    let mut file = fs::File::create(&path).expect("a file");
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![0; size];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }
    path
}

#[test]
fn a_full_disk_refuses_by_name_and_heals_without_a_restart() {
    let Some((mut instance, _small)) = on_small_disk("a_full_disk", "8m") else { return };
    instance.up();
    instance.add("each-second", json!({ "trigger": "* * * * * *", "shell": "echo x", "catch_up": "none" }));
    instance.add_shell("long", "sleep 60");
    let long = instance.trigger("long");
    instance.reaches(&long, "running");
    std::thread::sleep(Duration::from_secs(2));
    let filler = fill(instance.root());

    let mut acknowledged = Vec::new();
    let mut refusals = Vec::new();
    for n in 0..60 {
        let (status, reply) = instance.http(
            "POST",
            "/schedules",
            json!({ "name": format!("n{n}"), "trigger": "manual", "shell": "true" }),
        );
        match status {
            201 => acknowledged.push(n),
            503 => refusals.push(reply["error"]["code"].as_str().unwrap_or_default().to_owned()),
            other => panic!("{other}: {reply}"),
        }
        if refusals.len() > 5 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{} acknowledged before the refusals {refusals:?}", acknowledged.len());
    assert!(!refusals.is_empty(), "a full disk took everything");
    assert!(refusals.iter().any(|code| code == "storage_full"), "{refusals:?}");
    assert!(refusals.iter().all(|code| code == "storage_full" || code == "storage_unavailable"), "{refusals:?}");

    // Reading works, and everybody can see what is wrong.
    instance.ok("GET", "/schedules", Value::Null);
    instance.ok("GET", "/runs", Value::Null);
    wait_for("the status names it", || instance.ok("GET", "/status", Value::Null)["state"] == "storage_blocked");
    let health = instance.ok("GET", "/health", Value::Null);
    assert_ne!(health["status"], "ok", "{health}");

    // Nothing fires that cannot be recorded.
    let count = |instance: &Instance| {
        instance.ok("GET", "/runs?schedule=each-second&limit=1000", Value::Null)["items"].as_array().map_or(0, Vec::len)
    };
    let before = count(&instance);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(count(&instance), before, "runs are made on a full disk");

    // A run can be ended and room can be made.
    let (status, reply) = instance.http("POST", &format!("/runs/{long}/cancel"), json!({ "force": true }));
    assert!((200..300).contains(&status), "cancel on a full disk: {status} {reply}");
    // Without a single free byte it helps, or says how much room it takes to help; with a little room it must help.
    let (status, reply) = instance.http("POST", "/db/vacuum", json!({}));
    let names_room = || reply["error"]["message"].as_str().is_some_and(|text| text.contains("KiB of free space first"));
    let is_named = status == 503 && reply["error"]["code"] == "storage_full" && names_room();
    assert!(status == 200 || is_named, "vacuum on a full disk: {status} {reply}");
    let file = fs::File::options().write(true).open(&filler).expect("there");
    file.set_len(file.metadata().expect("there").len() - (1 << 20)).expect("shorter");
    let (status, reply) = instance.http("POST", "/db/vacuum", json!({}));
    assert_eq!(status, 200, "vacuum on a nearly full disk: {reply}");

    fs::remove_file(filler).expect("there");
    let healed = holds_within(Duration::from_secs(30), || {
        instance.http("POST", "/schedules/long/trigger", json!({})).0 == 202
            || instance.http("GET", "/status", Value::Null).1["state"] == "ready"
    });
    assert!(healed, "it does not go on when there is room again: {}", instance.ok("GET", "/status", Value::Null));
    wait_for("each-second fires again", || count(&instance) > before);
    wait_for("the cancelled run has ended", || {
        !instance.ok("GET", &format!("/runs/{long}"), Value::Null)["ended_at"].is_null()
    });
    for n in &acknowledged {
        instance.ok("GET", &format!("/schedules/n{n}"), Value::Null);
    }
    instance.ok("POST", "/schedules/-/pause-all", json!({}));
    std::thread::sleep(Duration::from_secs(5));
    let audit = instance.ok("GET", "/schedules/-/audit", Value::Null);
    assert_eq!(audit["clean"], true, "{audit}");
    assert_eq!(instance.ok("POST", "/db/check", json!({}))["ok"], true);
    for n in &acknowledged {
        instance.ok("GET", &format!("/schedules/n{n}"), Value::Null);
    }
    instance.end();
}

#[test]
fn a_full_disk_survives_kills() {
    let Some((mut instance, _small)) = on_small_disk("a_full_disk_survives_kills", "6m") else { return };
    instance.up();
    instance.add("each-second", json!({ "trigger": "* * * * * *", "shell": "echo x" }));
    std::thread::sleep(Duration::from_secs(2));
    let filler = fill(instance.root());
    for _ in 0..4 {
        instance.kill9();
        instance.spawn();
        // With no room at all it may say that it cannot start; it may not lose anything.
        if !instance.is_ready_within(Duration::from_secs(3)) && instance.ended().is_some() {
            assert_eq!(instance.wait(), Some(1), "{}", instance.log());
            assert!(
                instance.log().contains("storage_full") || instance.log().contains("no space"),
                "{}",
                instance.log()
            );
        }
    }
    fs::remove_file(filler).expect("there");
    instance.restart();
    instance.ok("GET", "/schedules/each-second", Value::Null);
    instance.ok("POST", "/schedules/-/pause-all", json!({}));
    std::thread::sleep(Duration::from_secs(5));
    let audit = instance.ok("GET", "/schedules/-/audit", Value::Null);
    assert_eq!(audit["clean"], true, "{audit}");
    assert_eq!(instance.ok("POST", "/db/check", json!({}))["ok"], true);
    instance.end();
}

#[test]
fn a_read_only_file_system_is_said_at_the_start() {
    let Some((mut instance, small)) = on_small_disk("a_read_only_file_system", "8m") else { return };
    instance.up();
    instance.add_shell("kept", "true");
    instance.run("kept");
    assert_eq!(instance.term(), Some(0));
    wait_for("the supervisor has gone or is told to", || {
        instance.end();
        instance.supervisor().is_none()
    });
    if small.remount(MsFlags::MS_RDONLY).is_err() {
        skip("a_read_only_file_system", "the file system cannot be made read-only");
        return;
    }
    let (code, err) = instance.refused();
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("storage_unavailable") && err.to_lowercase().contains("read-only"), "{err}");
    small.remount(MsFlags::empty()).expect("writable again");
    instance.up();
    instance.ok("GET", "/schedules/kept", Value::Null);
    instance.end();
}

#[test]
fn a_failed_sync_is_never_acknowledged() {
    let name = "a_failed_sync_is_never_acknowledged";
    let mut instance = Instance::start();
    instance.add_shell("before", "true");
    let mut strace = match Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            "inject=fdatasync,fsync:error=EIO:when=1..6",
            "-o",
            "/dev/null",
        ])
        .args(["-p", &instance.pid().to_string()])
        .stderr(Stdio::piped())
        .spawn()
    {
        Ok(strace) => strace,
        Err(error) => return skip(name, &format!("no strace: {error}")),
    };
    let traced = || {
        let status = fs::read_to_string(format!("/proc/{}/status", instance.pid())).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    };
    if !holds_within(Duration::from_secs(5), traced) {
        let _ = strace.kill();
        return skip(name, "slothd cannot be traced here");
    }
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    for n in 0..40 {
        let (status, reply) = instance.http(
            "POST",
            "/schedules",
            json!({ "name": format!("n{n}"), "trigger": "manual", "shell": "true" }),
        );
        match status {
            201 => acknowledged.push(n),
            503 => refused.push((n, reply["error"]["code"].as_str().unwrap_or_default().to_owned())),
            other => panic!("{other}: {reply}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(strace.id() as i32), nix::sys::signal::Signal::SIGTERM)
        .expect("ours");
    let _ = strace.wait();
    // Syncing works again; it finds that out by itself.
    wait_for("it takes something again", || {
        let (status, _) =
            instance.http("POST", "/schedules", json!({ "name": "after", "trigger": "manual", "shell": "true" }));
        matches!(status, 201 | 409)
    });
    println!("{} acknowledged, {} refused: {refused:?}", acknowledged.len(), refused.len());
    assert!(!refused.is_empty(), "six failed syncs and nobody heard of them");
    assert!(refused.iter().all(|(_, code)| code == "storage_unavailable"), "{refused:?}");
    instance.restart();
    instance.ok("GET", "/schedules/before", Value::Null);
    instance.ok("GET", "/schedules/after", Value::Null);
    for n in &acknowledged {
        instance.ok("GET", &format!("/schedules/n{n}"), Value::Null);
    }
    for (n, _) in &refused {
        assert_eq!(
            instance.http("GET", &format!("/schedules/n{n}"), Value::Null).0,
            404,
            "n{n} was refused and is there"
        );
    }
    assert_eq!(instance.ok("POST", "/db/check", json!({}))["ok"], true);
}
