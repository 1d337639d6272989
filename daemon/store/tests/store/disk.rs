//! A full disk and a disk whose `fsync` fails: nothing acknowledged is lost, nothing is half done, and it goes on
//! afterwards without a restart.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sloth_core::record::Record;
use sloth_store::{Store, StoreError};

use crate::things::*;

const DIR: &str = "SLOTH_STORE_TEST_DIR";

/// Runs an ignored test of this program in a mount namespace of its own, with something mounted on a directory. What it
/// wrote; `None` when that is not possible here.
pub fn in_mount(dir: &Path, mount: &[&str], test: &str) -> Option<String> {
    if !is_root() {
        return None;
    }
    let source = if mount.contains(&"bind") { dir.to_str()? } else { "none" };
    let script = format!(
        "mount {} {source} {} && exec {} --exact {test} --ignored --nocapture",
        mount.join(" "),
        dir.display(),
        std::env::current_exe().ok()?.display()
    );
    let out = Command::new("unshare").args(["-m", "sh", "-c", &script]).env(DIR, dir).output().ok()?;
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if text.contains("unshare failed") || text.contains("permission denied") {
        return None;
    }
    assert!(out.status.success(), "{text}");
    Some(text)
}

/// Where a child of [`in_mount`] works.
pub fn child_dir() -> Option<PathBuf> {
    std::env::var_os(DIR).map(PathBuf::from)
}

#[test]
fn a_full_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(text) = in_mount(dir.path(), &["-t", "tmpfs", "-o", "size=3m,mode=700"], "disk::child_full_disk") else {
        return eprintln!("SKIPPED a_full_disk: needs root and unshare");
    };
    assert!(text.contains("CHILD done"), "{text}");
    eprintln!("{text}");
}

#[test]
#[ignore = "run by a_full_disk"]
fn child_full_disk() {
    let Some(dir) = child_dir() else { return };
    let store = open(&dir.join("stacks.db")).0;
    let balloon = dir.join("balloon");
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for round in 0..4 {
        // Something else takes nearly all the space that is left.
        let mut filler = std::fs::File::create(&balloon).expect("made");
        let block = vec![0; 4096];
        while std::io::Write::write_all(&mut filler, &block).is_ok() {}
        let size = filler.metadata().expect("exists").len();
        filler.set_len(size.saturating_sub(300_000)).expect("cut");
        drop(filler);
        let error = loop {
            let n = acknowledged.len() as u64 + refused + 1_000_000 * round;
            let mut one = event(n, "test.event");
            one.message = "x".repeat(2000);
            match store.write(vec![Record::Event(Box::new(one))]) {
                Ok(_) => acknowledged.push(event_id(n)),
                Err(error) => break error,
            }
        };
        refused += 1;
        assert!(matches!(error, StoreError::StorageFull(_)), "{error:?}");
        assert_eq!(error.code(), "storage_full");
        check(&store, &acknowledged);
        std::fs::remove_file(&balloon).expect("removed");
        let n = 500_000 + 1_000_000 * round;
        store.write(vec![Record::Event(Box::new(event(n, "test.event")))]).expect("there is space again");
        acknowledged.push(event_id(n));
        check(&store, &acknowledged);
        store.checkpoint(true).expect("checkpoint");
    }
    drop(store);
    let (store, opened) = open(&dir.join("stacks.db"));
    assert!(!opened.unclean);
    check(&store, &acknowledged);
    println!("CHILD done: {} acknowledged, {refused} refused", acknowledged.len());
}

/// Exactly what was acknowledged is there.
fn check(store: &Store, acknowledged: &[sloth_core::EventId]) {
    let found: Vec<_> =
        store.events(0, &Default::default(), 10_000).expect("reads go on").items.iter().map(|e| e.id).collect();
    assert_eq!(found, acknowledged);
}

#[test]
fn a_failed_sync() {
    let dir = tempfile::tempdir().expect("a directory");
    if Command::new("strace").arg("-V").output().is_err() {
        return eprintln!("SKIPPED a_failed_sync: needs strace");
    }
    drop(open(&dir.path().join("stacks.db")));
    // Counted per thread. The writer of the child syncs once per request; its 6th sync fails, and two when it reopens.
    let out = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            "inject=fdatasync,fsync:error=EIO:when=6..8",
        ])
        .arg(std::env::current_exe().expect("own path"))
        .args(["--exact", "disk::child_failed_sync", "--ignored", "--nocapture"])
        .env(DIR, dir.path())
        .output()
        .expect("strace runs");
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if text.contains("ptrace") && text.contains("not permitted") {
        return eprintln!("SKIPPED a_failed_sync: {text}");
    }
    assert!(out.status.success() && text.contains("CHILD done"), "{text}");
    let store = open(&dir.path().join("stacks.db")).0;
    let found = store.events(0, &Default::default(), 10_000).expect("read").items;
    let acknowledged: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("ACK ")?.parse().ok()).collect();
    assert_eq!(acknowledged.len(), 40);
    for n in acknowledged {
        assert!(found.iter().any(|e| e.id == event_id(n)), "event {n} was acknowledged and is lost");
    }
    eprintln!("{}", text.lines().find(|line| line.contains("CHILD done")).unwrap_or_default());
}

#[test]
#[ignore = "run by a_failed_sync"]
fn child_failed_sync() {
    let Some(dir) = child_dir() else { return };
    let store = open(&dir.join("stacks.db")).0;
    let mut acknowledged = Vec::new();
    let (mut failed, mut gated) = (0, 0);
    let begin = Instant::now();
    let mut n = 0;
    while acknowledged.len() < 40 {
        assert!(begin.elapsed() < Duration::from_secs(30), "it never writes again");
        n += 1;
        match store.write(vec![Record::Event(Box::new(event(n, "test.event")))]) {
            Ok(_) => acknowledged.push(n),
            Err(error) => {
                assert_eq!(error.code(), "storage_unavailable", "{error}");
                if failed > 0 {
                    gated += 1
                } else {
                    failed += 1
                }
                store.events(0, &Default::default(), 10_000).expect("reads go on");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
    assert!(failed == 1 && gated > 3, "a failed sync closes the writer for a while: {failed}, {gated}");
    acknowledged.iter().for_each(|n| println!("ACK {n}"));
    println!("CHILD done: {} acknowledged, {failed} failed, {gated} refused", acknowledged.len());
}
