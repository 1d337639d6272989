//! What cannot be started is refused with the right class and a sentence that helps.

use std::os::unix::fs::{PermissionsExt, symlink};

use sloth_core::run::{Outcome, StartFailure, StartFailureKind as Kind};

use crate::harness::{World, is_root, launch, shell};

async fn not_started(world: &mut World, argv: &[&str]) -> StartFailure {
    match world.run(&launch(argv)).await.outcome {
        Outcome::NotStarted(failure) => failure,
        other => panic!("{argv:?}: {other:?}"),
    }
}

fn check(failure: &StartFailure, kind: Kind, words: &[&str]) {
    assert_eq!(failure.kind, kind, "{failure:?}");
    for word in words {
        assert!(failure.message.contains(word), "{word:?} is not in {:?}", failure.message);
    }
}

#[tokio::test]
async fn users_groups_and_directories() {
    let mut world = World::new().await;
    let mut job = shell("true");
    job.user = "no-such-user".into();
    check(&world.refused(&job).await, Kind::User, &["no-such-user"]);
    let mut job = shell("true");
    job.group = Some("no-such-group".into());
    check(&world.refused(&job).await, Kind::User, &["no-such-group"]);
    let mut job = shell("true");
    job.cwd = Some("/no/such/directory".into());
    check(&world.refused(&job).await, Kind::Directory, &["/no/such/directory", "ENOENT"]);
    let mut job = shell("true");
    job.cwd = Some("/etc/passwd".into());
    check(&world.refused(&job).await, Kind::Directory, &["/etc/passwd", "ENOTDIR"]);
    // What was refused is forgotten, and can be tried again.
    assert_eq!(world.connect().await, []);
    job.cwd = None;
    assert_eq!(world.run(&job).await.outcome, Outcome::Exited(0));
}

#[tokio::test]
async fn programs() {
    let mut world = World::new().await;
    check(&not_started(&mut world, &["/no/such/program"]).await, Kind::Program, &["/no/such/program", "ENOENT"]);
    check(&not_started(&mut world, &["no-such-program"]).await, Kind::Program, &["no-such-program", "ENOENT"]);
    check(&not_started(&mut world, &["/etc"]).await, Kind::Program, &["EACCES"]);
    let file = world.data().join("file");
    std::fs::write(&file, "no program at all").unwrap();
    check(&not_started(&mut world, &[file.to_str().unwrap()]).await, Kind::Program, &["EACCES"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    check(&not_started(&mut world, &[file.to_str().unwrap()]).await, Kind::Program, &["ENOEXEC"]);
    let long = "x".repeat(200_000);
    check(&not_started(&mut world, &["/bin/true", &long]).await, Kind::Program, &["E2BIG"]);
    let many: Vec<&str> = std::iter::once("/bin/true").chain(std::iter::repeat_n(&long[..1000], 3000)).collect();
    check(&not_started(&mut world, &many).await, Kind::Program, &["E2BIG"]);
    check(&world.refused(&launch(&[""])).await, Kind::Program, &["name"]);
    check(&world.refused(&launch(&["/bin/echo", "a\0b"])).await, Kind::Other, &["zero byte"]);
}

#[tokio::test]
async fn limits_that_nobody_could_enforce() {
    let capabilities = sloth_exec::capabilities();
    println!("{capabilities:?}");
    let mut world = World::with(&["--no-cgroup"]).await;
    let mut job = shell("true");
    job.limits.cpu_millis = Some(500);
    check(&world.refused(&job).await, Kind::Limit, &["cpu", "cgroup"]);
    let mut job = shell("true");
    job.limits.tasks = Some(10);
    check(&world.refused(&job).await, Kind::Limit, &["tasks", "pids"]);
    let mut job = shell("true");
    job.limits.io_weight = Some(10);
    check(&world.refused(&job).await, Kind::Limit, &["io_weight"]);
    let mut job = shell("true");
    job.limits.nofile = Some(u64::MAX);
    check(&world.refused(&job).await, Kind::Limit, &["nofile"]);
    let mut job = shell("ulimit -n; nice; ulimit -v");
    job.limits.nofile = Some(333);
    job.limits.nice = Some(7);
    job.limits.memory_bytes = Some(512 << 20);
    assert_eq!(world.output_of(&job).await, "333\n7\n524288\n");
}

#[tokio::test]
async fn output_files_stay_where_they_belong() {
    let mut world = World::new().await;
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target");
    std::fs::write(&target, "precious").unwrap();
    let runs = world.data().join("runs");
    std::fs::create_dir(&runs).unwrap();
    symlink(outside.path(), runs.join("link")).unwrap();
    symlink(&target, runs.join("file")).unwrap();
    std::fs::hard_link(&target, runs.join("hard")).unwrap();
    nix::unistd::mkfifo(&runs.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in ["/tmp/x", "../x", "runs/../../x", "runs/link/x", "runs/file", "runs/hard", "runs/fifo", "runs", ""] {
        let mut job = shell("echo overwritten");
        job.output = path.into();
        check(&world.refused(&job).await, Kind::Output, &["output file"]);
    }
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");

    let job = shell("echo");
    world.run(&job).await;
    let file = world.data().join(&job.output);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
}

#[tokio::test]
async fn an_attempt_never_runs_twice_whatever_the_engine_believes() {
    let mut world = World::new().await;
    let job = shell("echo once");
    world.run(&job).await;
    // Forgotten, so the supervisor knows nothing; the file does.
    check(&world.refused(&job).await, Kind::Other, &["has run before"]);
    let mut second = job.clone();
    second.key.attempt = 2;
    assert_eq!(world.run(&second).await.outcome, Outcome::Exited(0));
    assert_eq!(world.output(&job).0, "once\nonce\n");
}

#[tokio::test]
async fn another_user_only_as_root() {
    if !is_root() {
        println!("SKIPPED: changing to another user needs root");
        return;
    }
    // A supervisor of `nobody` may not run anything as root.
    let world = World::idle(&[]);
    nix::unistd::chown(&world.data(), Some(65534.into()), Some(65534.into())).unwrap();
    let program = world.data().join("sloth-exec");
    std::fs::copy(crate::harness::PROGRAM, &program).unwrap();
    let started = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["supervise", "--socket"])
        .arg(world.socket())
        .arg("--data")
        .arg(world.data())
        .status();
    assert!(started.unwrap().success());
    let mut stream = crate::door::Raw::connect(&world.socket());
    stream.greet();
    stream.send(&crate::door::prepare_message(&shell("id")));
    let answer = stream.next().unwrap();
    assert!(answer["refused"]["failure"]["kind"] == "user", "{answer}");
}
