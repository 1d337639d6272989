//! Space is given back where there is none: on a full disk `db vacuum` helps, or says how much room it takes to help.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sloth_core::record::Record;
use sloth_store::{EventLimits, Store, StoreError};

use crate::disk::{child_dir, in_mount};
use crate::things::*;

/// Takes all space that is left, to the last byte.
fn fill(dir: &Path) -> (PathBuf, File) {
    let path = dir.join("filler");
    let mut file = File::create(&path).expect("made");
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    (path, file)
}

/// Gives so much of it back.
fn leave(file: &File, bytes: u64) {
    file.set_len(file.metadata().expect("exists").len() - bytes).expect("shorter");
}

fn bytes(dir: &Path, suffix: &str) -> u64 {
    fs::metadata(dir.join(format!("stacks.db{suffix}"))).map_or(0, |meta| meta.len())
}

fn tell(store: &Store, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let mut one = event(n, "test.event");
        one.message = "x".repeat(2000);
        store.write(vec![Record::Event(Box::new(one))]).expect("written");
    }
}

fn events(store: &Store) -> usize {
    store.events(0, &Default::default(), 10_000).expect("read").items.len()
}

#[track_caller]
fn on_small_disk(test: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let child = format!("vacuum::child_{test}");
    match in_mount(dir.path(), &["-t", "tmpfs", "-o", "size=24m,mode=700"], &child) {
        Some(text) => assert!(text.contains("CHILD done"), "{text}"),
        None => eprintln!("SKIPPED {test}: needs root and unshare"),
    }
}

#[test]
fn without_a_free_byte_the_log_is_given_back() {
    on_small_disk("log");
}

#[test]
#[ignore = "run by without_a_free_byte_the_log_is_given_back"]
fn child_log() {
    let Some(dir) = child_dir() else { return };
    let store = open(&dir.join("stacks.db")).0;
    // The same page again and again: the log grows, the database does not.
    for n in 0..300 {
        store.write(vec![Record::Meta("x", Some(n.to_string()))]).expect("written");
    }
    let _filler = fill(&dir);
    assert!(bytes(&dir, "-wal") > 300 * 4096);
    store.vacuum().expect("the log can be given back");
    assert_eq!(bytes(&dir, "-wal"), 0);
    store.write(vec![Record::Meta("x", Some("room".into()))]).expect("there is room");
    println!("CHILD done");
}

#[test]
fn where_nothing_can_be_given_back_the_room_it_takes_is_named_and_is_enough() {
    on_small_disk("named");
}

#[test]
#[ignore = "run by where_nothing_can_be_given_back_the_room_it_takes_is_named_and_is_enough"]
fn child_named() {
    let Some(dir) = child_dir() else { return };
    let store = open(&dir.join("stacks.db")).0;
    store.checkpoint(true).expect("checkpoint");
    // New pages, in the log alone: before it can be cut the database has to grow.
    tell(&store, 0..100);
    let (_, filler) = fill(&dir);
    let log = bytes(&dir, "-wal");
    let error = store.vacuum().expect_err("there is no room at all");
    let StoreError::StorageFull(text) = &error else { panic!("{error:?}") };
    let number = text.split("that takes ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    let kib = number.unwrap_or_else(|| panic!("no number in {text}"));
    assert!(kib * 1024 < log, "more is asked for than is given back: {text}");
    // It may have tried to the end of its last block.
    assert!(bytes(&dir, "-wal").div_ceil(4096) == log.div_ceil(4096) && events(&store) == 100, "nothing was changed");
    leave(&filler, kib * 1024);
    store.vacuum().expect("with the room that was named");
    assert_eq!((bytes(&dir, "-wal"), events(&store)), (0, 100));
    println!("CHILD done: {text}");
}

#[test]
fn with_little_room_free_pages_are_given_back_in_steps() {
    on_small_disk("steps");
}

#[test]
#[ignore = "run by with_little_room_free_pages_are_given_back_in_steps"]
fn child_steps() {
    let Some(dir) = child_dir() else { return };
    let store = open(&dir.join("stacks.db")).0;
    // The first half is free: what is moved into the gap goes through the log.
    tell(&store, 0..400);
    store.checkpoint(true).expect("checkpoint");
    tell(&store, 400..800);
    let limits = EventLimits { rows: 400, age: Duration::from_secs(1 << 30) };
    assert_eq!(store.prune_events(limits, at(0)).expect("pruned"), 400);
    store.checkpoint(true).expect("checkpoint");
    let (_, filler) = fill(&dir);
    leave(&filler, 200 << 10);
    let before = bytes(&dir, "");
    assert!(store.status().expect("status").free_pages > 150);
    store.vacuum().expect("there is a little room");
    let after = bytes(&dir, "");
    assert!(after < before * 6 / 10, "{before} bytes became {after}");
    assert_eq!((bytes(&dir, "-wal"), events(&store)), (0, 400));
    assert_eq!(store.integrity_check().expect("check"), [] as [String; 0]);
    println!("CHILD done");
}
