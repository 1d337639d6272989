//! Backups: made under load, verified, restored elsewhere, and what damage to them does.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use sloth_core::record::Record;
use sloth_store::{BackupKind, BackupWish, Backups, OpenOptions, RestoreError, Store, VERSION, restore};

use crate::things::*;

fn told(n: u64) -> Vec<Record> {
    vec![Record::Event(Box::new(event(n, "test.event")))]
}

fn ids(store: &Store) -> Vec<sloth_core::EventId> {
    store.events(0, &Default::default(), 10_000).expect("read").items.iter().map(|e| e.id).collect()
}

#[test]
fn under_load_it_is_that_of_one_moment() {
    let (dir, store) = store();
    for n in 1..=500 {
        store.submit(told(n), |result| assert!(result.is_ok()));
    }
    store.write(vec![]).expect("written");
    let stop = AtomicBool::new(false);
    let wish = BackupWish { description: "under load".into(), ..BackupWish::default() };
    let (info, first, last) = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (501..).take_while(|_| !stop.load(Ordering::SeqCst)) {
                store.write(told(n)).expect("written");
            }
        });
        let first = store.last_event_seq();
        let info = store.backup_create(&wish).expect("backup");
        let last = store.last_event_seq();
        stop.store(true, Ordering::SeqCst);
        (info, first, last)
    });
    let verified = store.backups().verify(&info.id, NOON).expect("whole");
    assert_eq!((verified.files, verified.info.verified_us), (1, Some(NOON.micros())));

    let other = tempfile::tempdir().expect("a directory");
    let database = other.path().join("data/stacks.db");
    let restored = restore(&database, &store.backups(), &info.id, NOON).expect("restored");
    assert_eq!((restored.replaced, restored.info.id), (None, info.id));
    let copy = open(&database).0;
    assert_eq!(copy.integrity_check().expect("check"), [] as [String; 0]);
    let (here, there) = (ids(&store), ids(&copy));
    let n = there.len() as i64;
    assert!(first <= n && n <= last, "{first} <= {n} <= {last}");
    assert_eq!(here[..there.len()], there, "all up to a moment, and nothing else");
    copy.write(told(1_000_000)).expect("it can be written");
    drop(dir);
}

#[test]
fn files_of_the_caller_come_along() {
    let (dir, store) = store();
    let files = dir.path().join("files");
    fs::create_dir_all(files.join("2030-03/run")).expect("made");
    fs::write(files.join("2030-03/run/output"), b"hello").expect("written");
    fs::write(files.join("empty"), b"").expect("written");
    std::os::unix::fs::symlink("/etc/passwd", files.join("link")).expect("link");
    let out = dir.path().join("elsewhere.tar.zst");
    let wish = BackupWish {
        files: vec![
            (files.clone(), "runs".into()),
            (dir.path().join("gone"), "gone".into()),
            (files.join("empty"), "config/slothd.toml".into()),
        ],
        out: Some(out.clone()),
        kind: BackupKind::Scheduled,
        description: "with files".into(),
    };
    let info = store.backup_create(&wish).expect("backup");
    assert_eq!((info.path.as_path(), info.size_bytes), (out.as_path(), fs::metadata(&out).expect("exists").len()));
    let source = out.to_str().expect("UTF-8");
    let found = store.backups().find(source).expect("found");
    assert_eq!((found.kind.word(), found.description.as_str(), found.version), ("scheduled", "with files", VERSION));
    let to = dir.path().join("unpacked");
    assert_eq!(store.backups().extract(source, "runs/", &to).expect("extracted"), 2);
    assert_eq!(fs::read(to.join("runs/2030-03/run/output")).expect("read"), b"hello");
    assert!(!to.join("runs/link").exists());
    assert_eq!(store.backups().verify(source, NOON).expect("whole").files, 4);
}

#[test]
fn a_list_and_its_end() {
    let (_dir, store) = store();
    let made: Vec<_> = (0..3).map(|_| store.backup_create(&BackupWish::default()).expect("backup")).collect();
    assert_ne!(made[0].id, made[1].id, "also within one second");
    let list = store.backups().list();
    assert_eq!(list.len(), 3);
    assert!(list.is_sorted_by_key(|info| std::cmp::Reverse(info.created_us)));
    assert_eq!(store.status().expect("status").last_backup.expect("there is one").id, made[2].id);
    store.backups().delete(&made[0].id).expect("deleted");
    assert_eq!(store.backups().list().len(), 2);
    for id in [made[0].id.as_str(), "../stacks", "", "/etc/passwd/x"] {
        assert_eq!(store.backups().delete(id).expect_err(id).code(), "not_found", "{id:?}");
    }
    let left = fs::read_dir(made[1].path.parent().expect("dir")).expect("read").count();
    assert_eq!(left, 2, "nothing temporary is left");
}

/// The database inside a backup.
fn content(store: &Store, id: &str) -> Vec<u8> {
    let to = tempfile::tempdir().expect("directory");
    assert_eq!(store.backups().extract(id, "stacks.db", to.path()).expect("extracted"), 1);
    fs::read(to.path().join("stacks.db")).expect("read")
}

#[test]
fn every_damage_is_found() {
    let (_dir, store) = store();
    (1..=50).for_each(|n| store.write(told(n)).map(|_| ()).expect("written"));
    let info = store.backup_create(&BackupWish::default()).expect("backup");
    let whole = fs::read(&info.path).expect("read");
    let file = File::options().write(true).open(&info.path).expect("open");
    let undamaged = content(&store, &info.id);
    let mut dice = Dice(6);
    for _ in 0..100 {
        let at = dice.below(whole.len() as u64);
        let byte = whole[at as usize] ^ (1 << dice.below(8));
        file.write_all_at(&[byte], at).expect("written");
        let verified = store.backups().verify(&info.id, NOON);
        // A bit of the compressed form that means nothing may differ: then every byte of the content is as it was.
        if verified.is_ok() {
            assert_eq!(content(&store, &info.id), undamaged, "byte {at} was changed and nobody noticed");
        }
        file.write_all_at(&whole[at as usize..=at as usize], at).expect("written");
    }
    for tenth in 0..10 {
        file.set_len(whole.len() as u64 * tenth / 10).expect("cut");
        store.backups().verify(&info.id, NOON).expect_err("cut off");
    }
}

#[test]
fn a_restore_keeps_what_it_replaces() {
    let (dir, store) = store();
    let path = dir.path().join("stacks.db");
    store.write(told(1)).expect("written");
    let info = store.backup_create(&BackupWish::default()).expect("backup");
    store.write(told(2)).expect("written");
    let backups = store.backups();
    let error = restore(&path, &backups, &info.id, NOON).expect_err("it is running");
    assert!(matches!(error, RestoreError::Place(ref e) if e.code() == "already_running"), "{error}");
    drop(store);

    let restored = restore(&path, &backups, &info.id, NOON).expect("restored");
    let replaced = restored.replaced.expect("there was one");
    assert!(replaced.to_string_lossy().ends_with("stacks.db.replaced-20300317-174640"), "{}", replaced.display());
    let store = open(&path).0;
    assert_eq!(ids(&store), [event_id(1)]);
    drop(store);

    let undo = restored.undo.expect("there is a way back");
    assert!(std::process::Command::new("sh").args(["-c", &undo]).status().expect("sh").success(), "{undo}");
    assert_eq!(ids(&open(&path).0), [event_id(1), event_id(2)]);
}

#[test]
fn a_damaged_database_is_restored_and_kept() {
    let (dir, store) = store();
    let path = dir.path().join("stacks.db");
    store.write(told(1)).expect("written");
    let info = store.backup_create(&BackupWish::default()).expect("backup");
    drop(store);
    fs::write(&path, b"garbage").expect("written");
    fs::write(dir.path().join("stacks.db-wal"), b"old log").expect("written");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir.path().join("stacks.db-wal"), fs::Permissions::from_mode(0o600)).expect("chmod");
    assert!(Store::open(&path, OpenOptions::default()).is_err());
    let restored = restore(&path, &Backups::at(&dir.path().join("backups")), &info.id, NOON).expect("restored");
    assert_eq!(ids(&open(&path).0), [event_id(1)]);
    let replaced = restored.replaced.expect("there was one");
    assert_eq!(fs::read(&replaced).expect("kept"), b"garbage");
}

#[test]
fn a_bad_backup_changes_nothing() {
    let (dir, store) = store();
    let path = dir.path().join("stacks.db");
    store.write(told(1)).expect("written");
    let info = store.backup_create(&BackupWish::default()).expect("backup");
    let backups = store.backups();
    drop(store);
    let length = fs::metadata(&info.path).expect("exists").len();
    File::options().write(true).open(&info.path).expect("open").set_len(length / 2).expect("cut");
    restore(&path, &backups, &info.id, NOON).expect_err("cut off");
    restore(&path, &backups, "nothing", NOON).expect_err("missing");
    restore(&path, &backups, path.to_str().expect("UTF-8"), NOON).expect_err("not a backup");
    let mut names: Vec<_> = fs::read_dir(dir.path()).expect("read").map(|e| e.expect("entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["backups", "stacks.db", "stacks.db.lock"]);
    assert_eq!(ids(&open(&path).0), [event_id(1)]);
}
