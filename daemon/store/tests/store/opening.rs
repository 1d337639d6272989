//! What is refused when opening, and how the refusal helps.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sloth_core::record::Record;
use sloth_store::{BackupWish, Check, OpenError, OpenOptions, Store, VERSION};

use crate::things::*;

/// A closed database with some rows.
fn closed() -> (tempfile::TempDir, PathBuf) {
    let (dir, store, s) = store_with_schedule();
    let records = (1..200).flat_map(|n| {
        [Record::RunCreated(Arc::new(run(n, &s))), Record::Event(Box::new(event(u64::from(n), "run.queued")))]
    });
    store.write(records.collect()).expect("written");
    drop(store);
    let path = dir.path().join("stacks.db");
    (dir, path)
}

fn refused(path: &Path) -> OpenError {
    match Store::open(path, OpenOptions::default()) {
        Err(error) => error,
        Ok(_) => panic!("{} was opened", path.display()),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("exists").permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn a_new_database_is_ours_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("var/lib/slothd/stacks.db");
    let (store, opened) = open(&path);
    assert!(opened.created && !opened.unclean && matches!(opened.check, Check::NotNeeded));
    store.write(vec![Record::Meta("x", Some("1".into()))]).expect("written");
    assert_eq!(mode(path.parent().expect("dir")), 0o700);
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let file = PathBuf::from(format!("{}{suffix}", path.display()));
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    let status = store.status().expect("status");
    assert_eq!((status.version, status.rows["meta"]), (VERSION, 2));
    assert_eq!(store.integrity_check().expect("check"), [] as [String; 0]);
}

#[test]
fn a_clean_stop_is_known_as_one() {
    let (_dir, path) = closed();
    let (store, opened) = open(&path);
    assert!(!opened.created && !opened.unclean);
    assert_eq!(store.last_event_seq(), 199);
}

#[test]
fn two_at_once() {
    let (dir, _store) = store();
    let error = refused(&dir.path().join("stacks.db"));
    assert!(
        matches!(error, OpenError::AlreadyRunning { pid: Some(pid), .. } if pid == std::process::id()),
        "{error:?}"
    );
    assert_eq!((error.code(), error.is_config()), ("already_running", false));
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())));
}

/// slothd killed between fork and exec: its child holds the lock for a moment, and the process that took it is gone.
#[test]
fn the_lock_of_a_dead_one_is_waited_for() {
    let (_dir, path) = closed();
    let lock = path.with_file_name("stacks.db.lock");
    // Above the highest process number of Linux (proc_sys_kernel(5)), so nobody has it.
    std::fs::write(&lock, "4194305\n").expect("writable");
    let held = std::fs::File::open(&lock).expect("readable");
    held.try_lock().expect("free");
    let released = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(150));
        drop(held);
    });
    let (_store, opened) = open(&path);
    assert!(!opened.created);
    released.join().expect("no panic");
}

#[test]
fn a_file_that_others_can_read() {
    let (_dir, path) = closed();
    set_mode(&path, 0o640);
    let error = refused(&path);
    assert!(error.to_string().ends_with(&format!("fix it with: chmod 0600 {}", path.display())), "{error}");
    assert!(error.is_config());
    set_mode(&path, 0o600);
    open(&path);
}

#[test]
fn a_directory_in_which_others_can_write() {
    let (dir, path) = closed();
    set_mode(dir.path(), 0o770);
    let error = refused(&path);
    assert!(error.to_string().contains("chmod 0700"), "{error}");
    set_mode(dir.path(), 0o755);
    open(&path);
}

#[test]
fn another_owner() {
    if !is_root() {
        return eprintln!("SKIPPED another_owner: needs root");
    }
    let (_dir, path) = closed();
    std::os::unix::fs::chown(&path, Some(12345), None).expect("chown");
    let error = refused(&path);
    assert!(error.to_string().contains("belongs to uid 12345, not to uid 0; fix it with: chown 0"), "{error}");
}

#[test]
fn symbolic_links() {
    let (dir, path) = closed();
    let link = dir.path().join("link.db");
    symlink(&path, &link).expect("link");
    let error = refused(&link);
    assert!(error.to_string().contains("is a symbolic link"), "{error}");
    assert_eq!(error.code(), "insecure_permissions");
    fs::remove_file(dir.path().join("stacks.db.lock")).expect("removed");
    symlink("/tmp/elsewhere", dir.path().join("stacks.db.lock")).expect("link");
    assert!(refused(&path).to_string().contains("stacks.db.lock: is a symbolic link"));
}

#[test]
fn a_link_to_the_directory_is_fine() {
    let (dir, _path) = closed();
    let other = tempfile::tempdir().expect("a directory");
    symlink(dir.path(), other.path().join("data")).expect("link");
    open(&other.path().join("data/stacks.db"));
}

#[test]
fn garbage_and_nothing() {
    for (content, problem) in [
        (vec![], "it is empty"),
        (b"not a database, but long enough to be mistaken for one".repeat(400), "it is not an SQLite database"),
        (b"SQLite format 3\0".to_vec(), "its header is cut off"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("stacks.db");
        fs::write(&path, &content).expect("written");
        set_mode(&path, 0o600);
        let error = refused(&path);
        assert!(error.to_string().contains(problem), "{error}");
        assert!(error.to_string().contains("no good backup was found"), "{error}");
        assert_eq!((error.code(), error.is_config()), ("corrupt", true));
        assert_eq!(fs::read(&path).expect("still there"), content, "never replaced");
    }
}

#[test]
fn a_log_without_its_database() {
    let (dir, path) = closed();
    fs::rename(&path, dir.path().join("gone")).expect("moved");
    fs::write(dir.path().join("stacks.db-wal"), b"x").expect("written");
    set_mode(&dir.path().join("stacks.db-wal"), 0o600);
    assert!(refused(&path).to_string().contains("the file is gone but its write-ahead log is there"));
    assert!(!path.exists(), "never starts empty");
}

#[test]
fn cut_off_anywhere() {
    let (_dir, path) = closed();
    let whole = fs::read(&path).expect("read");
    for tenth in 0..10 {
        fs::write(&path, &whole[..whole.len() * tenth / 10]).expect("written");
        assert_eq!(refused(&path).code(), "corrupt", "{tenth}/10");
    }
}

#[test]
fn corruption_names_the_newest_good_backup() {
    let (_dir, path) = closed();
    let store = open(&path).0;
    let good = store.backup_create(&BackupWish::default()).expect("backup");
    let bad = store.backup_create(&BackupWish::default()).expect("backup");
    drop(store);
    let length = fs::metadata(&bad.path).expect("exists").len();
    File::options().write(true).open(&bad.path).expect("open").set_len(length - 40).expect("cut");
    fs::write(&path, b"garbage").expect("written");
    let error = refused(&path);
    assert!(error.to_string().ends_with(&format!("restore it with: slothd restore {}", good.id)), "{error}");
}

#[test]
fn another_programs_database() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("stacks.db");
    let conn = rusqlite::Connection::open(&path).expect("open");
    conn.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE mail (x); PRAGMA application_id = 0x1234;")
        .expect("made");
    drop(conn);
    set_mode(&path, 0o600);
    let before = fs::read(&path).expect("read");
    let error = refused(&path);
    assert!(matches!(error, OpenError::Foreign { found: 0x1234, .. }), "{error:?}");
    assert_eq!(fs::read(&path).expect("read"), before, "untouched");
}

#[test]
fn a_newer_version() {
    let (_dir, path) = closed();
    let conn = rusqlite::Connection::open(&path).expect("open");
    conn.pragma_update(None, "user_version", 99).expect("set");
    drop(conn);
    let error = refused(&path);
    assert_eq!((error.code(), error.is_config()), ("incompatible_version", true));
    assert!(error.to_string().contains(&format!("version 99, this program knows versions up to {VERSION}")), "{error}");
}

#[test]
fn flipped_bits_are_found_or_harmless() {
    let (dir, path) = closed();
    let whole = fs::read(&path).expect("read");
    let mut dice = Dice(4);
    let (mut refused, mut found, mut harmless) = (0, 0, 0);
    for _ in 0..150 {
        let mut bytes = whole.clone();
        let at = dice.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(dir.path().join(format!("stacks.db{suffix}")));
        }
        fs::write(&path, &bytes).expect("written");
        let Ok((store, _)) = Store::open(&path, OpenOptions::default()) else {
            refused += 1;
            continue;
        };
        let reads = [
            store.integrity_check().map(|problems| assert!(problems.len() <= 200)).err(),
            store.schedules(&Default::default(), 100).err(),
            store.unfinished_runs().err(),
            store.events(0, &Default::default(), 1000).err(),
        ];
        let problems = store.integrity_check().map_or(1, |problems| problems.len());
        if problems > 0 || reads.iter().any(Option::is_some) {
            found += 1
        } else {
            harmless += 1
        }
        let _ = store.write(vec![Record::Meta("x", Some("1".into()))]);
    }
    eprintln!("150 flips: {refused} refused at opening, {found} found when read, {harmless} harmless");
    assert_eq!(refused + found + harmless, 150);
}

#[test]
fn an_unclean_stop_is_checked() {
    let (_dir, path) = closed();
    let conn = rusqlite::Connection::open(&path).expect("open");
    conn.execute("UPDATE meta SET value = '0' WHERE key = 'clean_stop'", []).expect("set");
    drop(conn);
    let (store, opened) = open(&path);
    assert!(opened.unclean && matches!(opened.check, Check::Passed));
    drop(store);
    let conn = rusqlite::Connection::open(&path).expect("open");
    conn.execute("UPDATE meta SET value = '0' WHERE key = 'clean_stop'", []).expect("set");
    let root: u32 =
        conn.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'runs'", [], |r| r.get(0)).expect("page");
    drop(conn);
    let mut file = File::options().read(true).write(true).open(&path).expect("open");
    file.seek(SeekFrom::Start(u64::from(root - 1) * 4096)).expect("seek");
    let mut page = [0; 64];
    file.read_exact(&mut page).expect("read");
    file.seek(SeekFrom::Start(u64::from(root - 1) * 4096 + 8)).expect("seek");
    file.write_all(&[0xff; 40]).expect("written");
    drop(file);
    let error = refused(&path);
    assert_eq!(error.code(), "corrupt", "{error}");
    assert_ne!(page, [0; 64]);
}

#[test]
fn a_large_database_is_checked_beside_its_use() {
    let (_dir, path) = closed();
    let conn = rusqlite::Connection::open(&path).expect("open");
    conn.execute("UPDATE meta SET value = '0' WHERE key = 'clean_stop'", []).expect("set");
    drop(conn);
    let options = OpenOptions { check_first_bytes: 0, ..OpenOptions::default() };
    let (store, opened) = Store::open(&path, options).expect("opens");
    store.write(vec![Record::Meta("x", Some("1".into()))]).expect("it is in use");
    let Check::Background(report) = opened.check else { panic!("{:?}", opened.check) };
    assert_eq!(report.recv().expect("a report").problems, [] as [String; 0]);
}

#[test]
fn a_read_only_directory_says_so() {
    let (dir, path) = closed();
    let mount = dir.path().join("ro");
    fs::create_dir(&mount).expect("made");
    fs::copy(&path, mount.join("stacks.db")).expect("copied");
    let Some(error) = crate::disk::in_mount(&mount, &["-o", "bind"], "opening::child_reads_only_mount") else {
        return eprintln!("SKIPPED a_read_only_directory_says_so: needs root and unshare");
    };
    assert!(error.contains("CHILD storage_unavailable"), "{error}");
}

#[test]
#[ignore = "run by a_read_only_directory_says_so"]
fn child_reads_only_mount() {
    let Some(dir) = crate::disk::child_dir() else { return };
    let remount =
        std::process::Command::new("mount").args(["-o", "remount,ro,bind"]).arg(&dir).status().expect("mount");
    assert!(remount.success());
    let error = refused(&dir.join("stacks.db"));
    println!("CHILD {} {error}", error.code());
}
