//! What a job writes: complete while it is little, bounded on disk however much it is, readable whatever happened.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sloth_core::Moment;
use sloth_core::launch::Order;
use sloth_core::run::Outcome;
use sloth_exec::output::{Entry, Frame, FrameKind, OutputReader, OutputWriter, Stream, stderr_tail};

use crate::harness::{World, is_root, shell};

fn entries(path: &Path) -> Vec<Entry> {
    OutputReader::open(path).unwrap().map(Result::unwrap).collect()
}

fn frames(path: &Path) -> Vec<Frame> {
    let frames = entries(path).into_iter().filter_map(|entry| match entry {
        Entry::Frame(frame) => Some(frame),
        Entry::Missing { .. } => None,
    });
    frames.collect()
}

fn is_output(frame: &Frame) -> bool {
    matches!(frame.kind, FrameKind::Stdout | FrameKind::Stderr)
}

fn writer(path: &Path, attempt: u32, limit: u64) -> OutputWriter {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    OutputWriter::new(file, attempt, limit).unwrap()
}

const AT: Moment = Moment::from_secs(1_900_000_000);

#[tokio::test]
async fn binary_output_and_both_streams_are_kept_as_they_are() {
    let mut world = World::new().await;
    let job =
        shell("head -c 200000 /dev/urandom | tee copy.bin; printf 'e\\0\\377' >&2; md5sum copy.bin | cut -c1-32 >&2");
    let mut job = job;
    job.cwd = Some(world.data());
    let end = world.run(&job).await;
    let path = world.data().join(&job.output);
    let bytes: Vec<u8> =
        frames(&path).iter().filter(|f| f.kind == FrameKind::Stdout).flat_map(|f| f.bytes.clone()).collect();
    assert_eq!(bytes, std::fs::read(world.data().join("copy.bin")).unwrap());
    assert_eq!((end.output_bytes, end.dropped_bytes), (200_000 + 3 + 33, 0));
    assert!(end.stderr_tail.starts_with("e\0\u{FFFD}"));
    assert_eq!(stderr_tail(&path, Some(1), 4096).unwrap(), end.stderr_tail);
    let kinds: Vec<FrameKind> = frames(&path).iter().map(|frame| frame.kind).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), (FrameKind::Start, FrameKind::End));
}

#[tokio::test]
async fn endless_output_is_bounded() {
    let bytes: u64 = std::env::var("SLOTH_EXEC_OUTPUT_BYTES").ok().and_then(|n| n.parse().ok()).unwrap_or(300 << 20);
    let mut world = World::new().await;
    let limit = 1 << 20;
    let mut job = shell(&format!("echo begin; yes 'some line or other' | head -c {bytes}; echo; echo the end"));
    job.output_limit = limit;
    let begin = Instant::now();
    let end = world.run(&job).await;
    println!("{} MiB in {:?}", bytes >> 20, begin.elapsed());
    let path = world.data().join(&job.output);
    let total = bytes + 6 + 1 + 8;
    assert_eq!(end.output_bytes, total);
    let output: Vec<Frame> = frames(&path).into_iter().filter(is_output).collect();
    let kept: u64 = output.iter().map(|frame| frame.bytes.len() as u64).sum();
    assert_eq!(end.dropped_bytes, total - kept);
    assert!(kept <= limit && kept >= limit * 9 / 10, "{kept}");
    let head: Vec<u8> = output.iter().take(3).flat_map(|frame| frame.bytes.clone()).collect();
    assert!(head.starts_with(b"begin\nsome line"));
    // The shell writes the last line apart: it may come with what was before it, or in a frame of its own.
    let from = output.len().saturating_sub(3);
    let tail: Vec<u8> = output[from..].iter().flat_map(|frame| frame.bytes.clone()).collect();
    assert!(tail.ends_with(b"\nthe end\n"));
    let missing: Vec<u64> = entries(&path)
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Missing { bytes } => Some(bytes),
            Entry::Frame(_) => None,
        })
        .collect();
    assert_eq!(missing, [end.dropped_bytes]);
    let facts = std::fs::metadata(&path).unwrap();
    assert!(facts.blocks() * 512 < 2 * limit, "{} bytes on disk", facts.blocks() * 512);
}

#[test]
fn short_lines_do_not_make_large_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("output");
    let mut output = writer(&path, 1, 100_000);
    output.start(AT).unwrap();
    for number in 0..200_000_u32 {
        output.append(if number % 3 == 0 { Stream::Stderr } else { Stream::Stdout }, AT, b"x");
    }
    let (total, dropped) = output.counts();
    output.finish(AT, b"{}").unwrap();
    assert_eq!(total, 200_000);
    let kept = frames(&path).iter().filter(|f| is_output(f)).count() as u64;
    assert_eq!(kept + dropped, total);
    assert!(std::fs::metadata(&path).unwrap().blocks() * 512 < 700_000);
}

#[test]
fn every_limit_keeps_head_and_tail_exactly_counted() {
    let directory = tempfile::tempdir().unwrap();
    for limit in [0_u64, 1, 2, 10, 100, 1000, 4096, 50_000, 300_000] {
        for chunk in [1_usize, 7, 1000, 65_536] {
            let path = directory.path().join(format!("{limit}-{chunk}"));
            let data: Vec<u8> = (0..400_000_u32.min(chunk as u32 * 3000)).map(|n| (n % 251) as u8).collect();
            let mut output = writer(&path, 1, limit);
            output.start(AT).unwrap();
            for piece in data.chunks(chunk) {
                output.append(Stream::Stdout, AT, piece);
            }
            let (total, dropped) = output.counts();
            output.finish(AT, b"{}").unwrap();
            let mut kept = Vec::new();
            let mut gap_at = None;
            for entry in entries(&path) {
                match entry {
                    Entry::Frame(frame) if is_output(&frame) => kept.extend(frame.bytes),
                    Entry::Frame(_) => {}
                    Entry::Missing { bytes } => {
                        assert_eq!(bytes, dropped);
                        gap_at = Some(kept.len());
                    }
                }
            }
            assert_eq!(total, data.len() as u64);
            assert_eq!(kept.len() as u64 + dropped, total, "limit {limit}, chunk {chunk}");
            assert!(kept.len() as u64 <= limit.max(if dropped == 0 { total } else { 0 }));
            let head = gap_at.unwrap_or(kept.len());
            assert_eq!(kept[..head], data[..head]);
            assert_eq!(kept[head..], data[data.len() - (kept.len() - head)..]);
        }
    }
}

#[test]
fn a_file_cut_anywhere_gives_its_whole_frames_and_can_be_continued() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("output");
    let mut output = writer(&path, 1, 1 << 20);
    output.start(AT).unwrap();
    output.append(Stream::Stdout, AT, b"first");
    output.append(Stream::Stderr, AT, &[b'e'; 300]);
    output.finish(AT, br#"{"x":1}"#).unwrap();
    drop(output);
    let whole = std::fs::read(&path).unwrap();
    let all = frames(&path);
    assert_eq!(all.len(), 4);
    for cut in 0..whole.len() {
        let torn = directory.path().join("torn");
        std::fs::write(&torn, &whole[..cut]).unwrap();
        let Ok(reader) = OutputReader::open(&torn) else {
            assert!(cut < 256);
            continue;
        };
        let found: Vec<Entry> = reader.map(Result::unwrap).collect();
        let complete = all.iter().filter(|frame| frame.offset as usize + 24 + frame.bytes.len() <= cut);
        assert_eq!(found, complete.cloned().map(Entry::Frame).collect::<Vec<_>>(), "cut at {cut}");
        let mut next = writer(&torn, 2, 1 << 20);
        assert!(!next.has_started_before());
        next.start(AT).unwrap();
        next.append(Stream::Stdout, AT, b"again");
        let continued = frames(&torn);
        assert_eq!(continued.len(), found.len() + 2, "cut at {cut}");
        assert_eq!(continued.last().unwrap().bytes, b"again");
    }
    // Every byte of the frames is covered by a check: a flipped one ends the file there.
    for at in 256..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        let damaged = directory.path().join("damaged");
        std::fs::write(&damaged, bytes).unwrap();
        let before = all.iter().filter(|frame| frame.offset as usize + 24 + frame.bytes.len() <= at).count();
        assert_eq!(entries(&damaged).len(), before, "byte {at}");
    }
}

#[test]
fn attempts_share_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("output");
    let mut sum = 0;
    for attempt in 1..=4 {
        let mut output = writer(&path, attempt, 100_000);
        assert!(!output.has_started_before());
        output.start(AT).unwrap();
        for _ in 0..50 {
            output.append(Stream::Stdout, AT, &[b'0' + attempt as u8; 1000]);
        }
        sum += output.counts().0;
        output.finish(AT, b"{}").unwrap();
    }
    let kept: Vec<u8> = frames(&path).into_iter().filter(is_output).flat_map(|frame| frame.bytes).collect();
    let gap = OutputReader::open(&path).unwrap().gap().unwrap();
    assert_eq!(kept.len() as u64 + gap.dropped_bytes, sum);
    assert!(kept.len() <= 100_000 && kept.starts_with(&[b'1'; 50_000]) && kept.ends_with(&[b'4'; 40_000]));
    // The start of an attempt is remembered even where its frame is gone.
    for attempt in 1..=4 {
        assert!(writer(&path, attempt, 100_000).has_started_before(), "{attempt}");
    }
    assert!(!writer(&path, 5, 100_000).has_started_before());
}

#[tokio::test]
async fn a_follower_sees_everything_or_is_told_what_it_missed() {
    let mut world = World::new().await;
    let mut job = shell(
        "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; head -c 20000 /dev/zero | tr '\\0' x; echo; done",
    );
    job.output_limit = 500_000;
    world.started(&job).await;
    let path = world.data().join(&job.output);
    let (mut offset, mut seen, mut missed) = (0, 0, 0);
    let ended = loop {
        // Each time with a new reader, as `runs logs -f` resumes.
        let mut reader = OutputReader::open(&path).unwrap();
        reader.seek(offset);
        let mut ended = false;
        while let Some(entry) = reader.next_entry().unwrap() {
            match entry {
                Entry::Frame(frame) if is_output(&frame) => seen += frame.bytes.len() as u64,
                Entry::Frame(frame) => ended |= frame.kind == FrameKind::End,
                Entry::Missing { bytes } => missed += bytes,
            }
        }
        assert!(reader.offset() >= offset);
        offset = reader.offset();
        if ended {
            break true;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    };
    let end = world.ended(job.key).await;
    println!("{} bytes: {seen} seen, {missed} told as missing, {} dropped", end.output_bytes, end.dropped_bytes);
    assert!(ended && seen + missed >= end.output_bytes && seen >= end.output_bytes - end.dropped_bytes);
}

#[tokio::test]
async fn a_full_disk_does_not_kill_the_job() {
    let mut world = World::idle(&["--no-cgroup"]);
    let Some(seen) = own_file_system(&world, "-t tmpfs -o size=1m none") else {
        return;
    };
    world.connect().await;
    let job = shell("head -c 3000000 /dev/zero; echo full >&2; rm -f $FILLER; sleep 0.3; echo after; exit 3");
    let mut job = job;
    let filler = seen.join("filler");
    File::create(&filler).unwrap().set_len(0).unwrap();
    std::fs::write(&filler, vec![1; 600 << 10]).unwrap();
    job.env.insert("FILLER".into(), filler.display().to_string());
    let end = world.run(&job).await;
    assert_eq!(end.outcome, Outcome::Exited(3));
    assert_eq!((end.output_bytes, end.stderr_tail.as_str()), (3_000_000 + 5 + 6, "full\n"));
    let path = seen.join(&job.output);
    let kept: u64 = frames(&path).iter().filter(|f| is_output(f)).map(|f| f.bytes.len() as u64).sum();
    assert_eq!(kept + end.dropped_bytes, end.output_bytes);
    assert!(end.dropped_bytes > 2_000_000);
    let all = frames(&path);
    let note = all.iter().find(|frame| frame.kind == FrameKind::Note).expect("a note");
    assert!(String::from_utf8_lossy(&note.bytes).contains("No space left"), "{note:?}");
    assert_eq!(all[all.len() - 2].bytes, b"after\n");
    assert_eq!(all.last().unwrap().kind, FrameKind::End);

    // Where not even the start can be written, nothing runs.
    assert!(std::fs::write(seen.join("filler"), vec![1; 2 << 20]).is_err());
    let mark = world.data().join("mark");
    let job = shell(&format!("touch {}", mark.display()));
    world.order(Order::Prepare(Box::new(job.clone()))).await;
    world.order(Order::Release(job.key)).await;
    loop {
        match world.report().await {
            sloth_core::launch::Report::Prepared { .. } => {}
            sloth_core::launch::Report::Refused { failure, .. } => {
                assert_eq!(failure.kind, sloth_core::run::StartFailureKind::Output);
                break;
            }
            sloth_core::launch::Report::Ended { end, .. } => {
                assert!(matches!(end.outcome, Outcome::NotStarted(_)));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_file_system_without_holes_gets_a_tail_from_memory() {
    let mut world = World::idle(&["--no-cgroup"]);
    let Some(seen) = own_file_system(&world, "-t ramfs none") else {
        return;
    };
    world.connect().await;
    let mut job = shell("echo begin; yes 'some line' | head -c 5000000; echo; echo the end");
    job.output_limit = 1 << 20;
    let end = world.run(&job).await;
    let path = seen.join(&job.output);
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
    let mut kept = Vec::new();
    let mut missing = Vec::new();
    for entry in entries(&path) {
        match entry {
            Entry::Frame(frame) if is_output(&frame) => kept.extend(frame.bytes),
            Entry::Frame(_) => {}
            Entry::Missing { bytes } => missing.push(bytes),
        }
    }
    assert_eq!(end.output_bytes, 5_000_015);
    assert_eq!((kept.len() as u64 + end.dropped_bytes, missing), (end.output_bytes, vec![end.dropped_bytes]));
    assert!(kept.len() > 700_000 && kept.starts_with(b"begin\n") && kept.ends_with(b"\nthe end\n"));
}

/// Starts a supervisor that alone sees another file system at its data directory; returns how we see it, through its root.
fn own_file_system(world: &World, mount: &str) -> Option<std::path::PathBuf> {
    if !is_root() || !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: an own file system needs root and unshare");
        return None;
    }
    let data = world.data().join("small");
    std::fs::create_dir(&data).unwrap();
    let script = format!(
        "mount {mount} {d} && chmod 700 {d} && exec {} supervise --no-cgroup --socket {} --data {d}",
        crate::harness::PROGRAM,
        world.socket().display(),
        d = data.display()
    );
    assert!(Command::new("unshare").args(["-m", "sh", "-c", &script]).status().unwrap().success());
    Some(format!("/proc/{}/root{}", world.supervisor().unwrap(), data.display()).into())
}
