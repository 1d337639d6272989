//! Databases that must not be used: damaged, too new, not ours, in the wrong hands. Nothing is ever started empty in their place.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::instance::texts;
use sloth_tests::paths::project;
use sloth_tests::random::{self, Random};

/// An instance with a schedule, a run, a backup and then another schedule; stopped.
fn stopped() -> (Instance, String) {
    let mut instance = Instance::start();
    instance.add_shell("kept", "true");
    instance.run("kept");
    let backup = instance.ok("POST", "/backup/create", json!({}));
    instance.add_shell("later", "true");
    assert_eq!(instance.term(), Some(0));
    (instance, backup["id"].as_str().expect("an id").to_owned())
}

fn database(instance: &Instance) -> PathBuf {
    instance.root().join("stacks.db")
}

/// Writes a file that only we may read.
fn private(path: &PathBuf, bytes: &[u8]) {
    fs::write(path, bytes).expect("writable");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("ours");
}

/// It refuses with exit code 78, names the file, and touches nothing.
#[track_caller]
fn refuses(instance: &Instance, words: &[&str]) -> String {
    let before = fs::read(database(instance)).ok();
    let (code, err) = instance.refused();
    assert_eq!(code, Some(78), "{err}");
    for word in words {
        assert!(err.contains(word), "{word:?} is not in: {err}");
    }
    assert_eq!(fs::read(database(instance)).ok(), before, "the database was changed");
    err
}

#[track_caller]
fn restores(mut instance: Instance, backup: &str) {
    let output = instance.slothd(&["restore", backup]).output().expect("slothd runs");
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    instance.up();
    instance.ok("GET", "/schedules/kept", Value::Null);
    assert_eq!(instance.http("GET", "/schedules/later", Value::Null).0, 404);
    assert_eq!(instance.ok("POST", "/db/check", json!({}))["ok"], true);
    assert_eq!(instance.run("kept")["status"], "completed");
    let replaced = fs::read_dir(instance.root()).expect("readable").flatten();
    let replaced = replaced.filter(|file| file.file_name().to_string_lossy().contains("replaced")).count();
    assert!(replaced > 0 || out.contains("replaced"), "the replaced database is gone: {out}");
}

#[test]
fn garbage_is_refused_and_a_backup_helps() {
    let (instance, backup) = stopped();
    fs::write(database(&instance), b"this is no database".repeat(1000)).expect("writable");
    refuses(&instance, &["stacks.db", &backup, &format!("slothd restore {backup}")]);
    restores(instance, &backup);
}

#[test]
fn a_truncated_database_is_refused_and_a_backup_helps() {
    let (instance, backup) = stopped();
    let length = fs::metadata(database(&instance)).expect("there").len();
    let file = OpenOptions::new().write(true).open(database(&instance)).expect("writable");
    file.set_len(length / 2).expect("shorter");
    drop(file);
    refuses(&instance, &["stacks.db", &backup, &format!("slothd restore {backup}")]);
    restores(instance, &backup);
}

#[test]
fn an_empty_or_missing_database_beside_its_log_is_not_started_empty() {
    let (mut instance, backup) = stopped();
    fs::write(database(&instance), b"").expect("writable");
    refuses(&instance, &["stacks.db", &backup]);
    let output = instance.slothd(&["restore", &backup]).output().expect("slothd runs");
    assert!(output.status.success(), "{:?}", texts(&output));
    instance.up();
    instance.add_shell("more", "true");
    instance.kill9();
    assert!(fs::metadata(instance.root().join("stacks.db-wal")).expect("a log").len() > 0);
    fs::remove_file(database(&instance)).expect("there");
    refuses(&instance, &["stacks.db", &backup]);
}

/// Whatever bytes are flipped: slothd never crashes, and either refuses with 78 or starts with what was there.
#[test]
fn flipped_bits_never_crash_it_and_never_pass_silently_in_the_structure() {
    let seed = random::seed("bits");
    let mut random = Random::new(seed);
    let (mut instance, backup) = stopped();
    // As after a power cut: everything in the main file, but not stopped in order.
    instance.up();
    instance.kill9();
    let whole: Vec<(PathBuf, Vec<u8>)> = ["stacks.db", "stacks.db-wal"]
        .iter()
        .map(|name| instance.root().join(name))
        .filter_map(|path| fs::read(&path).ok().map(|bytes| (path, bytes)))
        .collect();
    let (mut refused, mut started) = (0, 0);
    for round in 0..12 {
        for (path, bytes) in &whole {
            private(path, bytes);
        }
        let _ = fs::remove_file(instance.root().join("stacks.db-shm"));
        let main = OpenOptions::new().write(true).open(database(&instance)).expect("writable");
        for _ in 0..60 {
            let at = random.between(100, whole[0].1.len() as u64);
            let flipped = whole[0].1[at as usize] ^ (1 << random.between(0, 8));
            main.write_all_at(&[flipped], at).expect("writable");
        }
        drop(main);
        instance.spawn();
        if instance.is_ready_within(std::time::Duration::from_secs(30)) {
            started += 1;
            let (status, _) = instance.http("GET", "/schedules", Value::Null);
            assert!(matches!(status, 200 | 500 | 503), "round {round}: {status}");
            instance.kill9();
        } else {
            let code = instance.wait();
            assert!(
                matches!(code, Some(78 | 1)),
                "round {round} (seed {seed}): exit code {code:?}\n{}",
                instance.log()
            );
            refused += 1;
        }
    }
    println!("12 rounds of 60 flipped bits: {refused} refused, {started} started");
    assert!(refused >= 6, "only {refused} of 12 damaged databases were noticed");
    for (path, bytes) in &whole {
        private(path, bytes);
    }
    private(&database(&instance), &whole[0].1[..8192]);
    refuses(&instance, &["stacks.db", &backup]);
    restores(instance, &backup);
}

#[test]
fn a_newer_database_is_refused_with_both_versions() {
    let (instance, _) = stopped();
    // user_version is the big-endian number at offset 60 of the header.
    let file = OpenOptions::new().write(true).open(database(&instance)).expect("writable");
    file.write_all_at(&4711_u32.to_be_bytes(), 60).expect("writable");
    drop(file);
    refuses(&instance, &["stacks.db", "4711", "version"]);
}

#[test]
fn another_programs_database_is_refused() {
    let (instance, _) = stopped();
    // application_id is at offset 68.
    let file = OpenOptions::new().write(true).open(database(&instance)).expect("writable");
    file.write_all_at(&0x0102_0304_u32.to_be_bytes(), 68).expect("writable");
    drop(file);
    refuses(&instance, &["stacks.db", "another program"]);
}

#[test]
fn links_and_open_modes_are_refused_with_the_command_that_fixes_them() {
    let (instance, _) = stopped();
    let real = instance.root().join("real.db");
    fs::rename(database(&instance), &real).expect("moved");
    symlink(&real, database(&instance)).expect("linked");
    refuses(&instance, &["stacks.db", "symbolic link"]);
    fs::remove_file(database(&instance)).expect("there");
    fs::rename(&real, database(&instance)).expect("moved");

    let mode = |path: &PathBuf, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    mode(&database(&instance), 0o660);
    refuses(&instance, &["stacks.db", "chmod 0600"]);
    mode(&database(&instance), 0o600);
    let root = instance.root().to_owned();
    mode(&root, 0o770);
    refuses(&instance, &["chmod 0700"]);
    mode(&root, 0o700);

    let lock = instance.root().join("stacks.db.lock");
    fs::remove_file(&lock).expect("there");
    symlink("/etc/hostname", &lock).expect("linked");
    refuses(&instance, &["stacks.db.lock", "symbolic link"]);
    fs::remove_file(&lock).expect("there");
    let mut instance = instance;
    instance.up();
}

#[test]
fn a_file_in_the_place_of_the_socket_is_not_removed() {
    let (mut instance, _) = stopped();
    fs::write(instance.socket(), "precious").expect("writable");
    let (code, err) = instance.refused();
    assert!(matches!(code, Some(1 | 78)), "{code:?} {err}");
    assert!(err.contains("slothd.sock"), "{err}");
    assert_eq!(fs::read_to_string(instance.socket()).expect("there"), "precious");
    fs::remove_file(instance.socket()).expect("there");
    instance.up();
}

#[test]
fn a_database_of_the_first_version_is_opened() {
    let mut instance = Instance::prepare();
    instance.make_root();
    fs::copy(project().join("daemon/store/tests/fixtures/v1.db"), database(&instance)).expect("the fixture");
    fs::set_permissions(database(&instance), Permissions::from_mode(0o600)).expect("ours");
    instance.up();
    let page = instance.ok("GET", "/schedules?all_users=true", Value::Null);
    assert!(page["items"].as_array().is_some_and(|items| !items.is_empty()), "{page}");
    let runs = instance.ok("GET", "/runs?owner=*", Value::Null);
    assert!(runs["items"].as_array().is_some_and(|items| !items.is_empty()), "{runs}");
    assert_eq!(instance.ok("POST", "/db/check", json!({}))["ok"], true);
    instance.add_shell("new", "true");
    assert_eq!(instance.run("new")["status"], "completed");
}
