//! Every file of `examples/` does what it says.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::paths::project;
use sloth_tests::skips::skip;

use crate::support::{Ran, ctl, ended, holds, task, text};

/// Examples with a test below; a new file without one fails [`every_example_is_tried`].
const TRIED: &[&str] = &[
    "backup.sloth",
    "certificates.sloth",
    "checksums.sloth",
    "cleanup.sloth",
    "config_rollout.sloth",
    "disk_report.sloth",
    "fetch_guarded.sloth",
    "git_mirror.sloth",
    "health_fanout.sloth",
    "import_batches.sloth",
    "library.sloth",
    "logrotate.sloth",
    "old_style.lua",
    "release.sloth",
    "staged_deploy.sloth",
    "word_pipeline.sloth",
];

fn example(name: &str) -> String {
    project().join("examples").join(name).display().to_string()
}

/// Runs an example with values; the summary.
#[track_caller]
fn run(instance: &Instance, name: &str, values: &[(&str, &str)], words: &[&str]) -> (Ran, Value) {
    let file = example(name);
    let set: Vec<String> = values.iter().map(|(key, value)| format!("--set={key}={value}")).collect();
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let ran = ctl(instance, &[&["run", &file, "-o", "json"], &set[..], words].concat());
    let summary = ran.summary();
    (ran, summary)
}

/// As [`run`], when it must complete.
#[track_caller]
fn completes(instance: &Instance, name: &str, values: &[(&str, &str)]) -> Value {
    let (ran, summary) = run(instance, name, values, &[]);
    assert_eq!((ran.code, summary["status"].as_str()), (0, Some("completed")), "{}{}", ran.out, ran.err);
    summary
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn place(instance: &Instance, name: &str) -> PathBuf {
    let path = instance.dir().join(name);
    fs::create_dir_all(&path).expect("writable");
    path
}

#[test]
fn every_example_is_tried() {
    let found: Vec<String> = names(&project().join("examples"))
        .into_iter()
        .filter(|name| name.ends_with(".sloth") || name.ends_with(".lua"))
        .collect();
    assert_eq!(found, TRIED);
    for name in found {
        let text = text(example(&name));
        assert!(
            text.starts_with("-- ") && text.contains("slothctl run "),
            "{name} does not say what it does and how to run it"
        );
    }
}

#[test]
fn all_of_them_are_valid() {
    let instance = Instance::prepare();
    for name in TRIED {
        let ran = ctl(&instance, &["validate", &example(name), "-o", "json"]);
        assert_eq!(ran.code, 0, "{name}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn backup_keeps_the_newest_archives() {
    let instance = Instance::start();
    let (source, dest) = (place(&instance, "source/deep"), instance.dir().join("backups"));
    fs::write(source.join("file"), "content").expect("writable");
    let source = instance.dir().join("source");
    let values = [("source", shown(&source)), ("dest", shown(&dest)), ("keep", "2")];
    for _ in 0..3 {
        let summary = completes(&instance, "backup.sloth", &values);
        assert_eq!(summary["outputs"]["sha256"].as_str().map(str::len), Some(64));
    }
    let left = names(&dest);
    assert_eq!(left.len(), 4, "two archives and their sums: {left:?}");
    let archive = dest.join(&left[2]);
    let list = Command::new("tar").arg("-tzf").arg(&archive).output().expect("tar runs");
    assert!(String::from_utf8_lossy(&list.stdout).contains("./deep/file"));
    let sum = Command::new("sha256sum").args(["-c", &left[3]]).current_dir(&dest).output().expect("sha256sum runs");
    assert!(sum.status.success(), "{sum:?}");
}

#[test]
fn certificates_that_expire_are_named() {
    let instance = Instance::start();
    let dir = place(&instance, "certificates");
    let openssl = |name: &str, days: &str| {
        Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-keyout",
                "/dev/null",
            ])
            .args(["-subj", "/CN=test", "-days", days, "-out"])
            .arg(dir.join(name))
            .output()
    };
    if !openssl("good.pem", "400").is_ok_and(|made| made.status.success()) {
        return skip("certificates_that_expire_are_named", "no openssl(1)");
    }
    let report = instance.dir().join("report.json");
    let values = [("dir", shown(&dir)), ("days", "30"), ("report", shown(&report))];
    completes(&instance, "certificates.sloth", &values);
    assert!(openssl("soon.pem", "3").is_ok_and(|made| made.status.success()));
    fs::write(dir.join("broken.pem"), "no certificate").expect("writable");
    let (ran, summary) = run(&instance, "certificates.sloth", &values, &[]);
    assert_eq!((ran.code, summary["reason"].as_str()), (1, Some("task_failed")), "{}", ran.out);
    let message = task(&summary, "check")["message"].as_str().expect("text");
    assert!(message.contains("soon.pem expiring") && message.contains("broken.pem unreadable"), "{message}");
    let report: Value = serde_json::from_str(&text(&report)).expect("JSON");
    assert_eq!((&report["good"], &report["bad"]), (&json!(1), &json!(2)));
}

#[test]
fn logs_are_rotated_when_they_are_large() {
    let instance = Instance::start();
    let dir = place(&instance, "logs");
    let values = [("dir", shown(&dir)), ("max_bytes", "100"), ("keep", "2")];
    fs::write(dir.join("small.log"), "x").expect("writable");
    for n in 1..=3 {
        fs::write(dir.join("app.log"), format!("{n}").repeat(200)).expect("writable");
        let summary = completes(&instance, "logrotate.sloth", &values);
        assert_eq!(task(&summary, "rotate")["output"]["rotated"], json!(["app.log"]));
    }
    assert_eq!(names(&dir), ["app.log", "app.log.1.gz", "app.log.2.gz", "small.log"]);
    assert_eq!(text(dir.join("app.log")), "");
    let newest = Command::new("gzip").arg("-dc").arg(dir.join("app.log.1.gz")).output().expect("gzip runs");
    assert_eq!(String::from_utf8_lossy(&newest.stdout), "3".repeat(200));
    let summary = completes(&instance, "logrotate.sloth", &values);
    assert_eq!(task(&summary, "rotate")["changed"], false);
}

#[test]
fn a_release_that_fails_is_taken_back() {
    let instance = Instance::start();
    let (source, site) = (place(&instance, "public"), instance.dir().join("site"));
    fs::write(source.join("index.html"), "one").expect("writable");
    let base = [("source", shown(&source)), ("site", shown(&site))];
    completes(&instance, "release.sloth", &[&base[..], &[("version", "1.0.0")]].concat());
    assert_eq!(text(site.join("current/index.html")), "one");
    fs::write(source.join("index.html"), "two").expect("writable");
    let values = [&base[..], &[("version", "2.0.0"), ("fail_at", "announce")]].concat();
    let (ran, summary) = run(&instance, "release.sloth", &values, &[]);
    assert_eq!((ran.code, summary["compensation"].as_str()), (1, Some("compensated")), "{}", ran.out);
    assert_eq!(text(site.join("current/index.html")), "one", "the link is as it was");
    assert_eq!(names(&site.join("releases")), ["1.0.0"]);
    assert_eq!(text(site.join("feed.txt")), "1.0.0\n");
    assert_eq!(text(site.join("failures.txt")), "2.0.0\n");
    assert!(!site.join("2.0.0.tar").exists());
    completes(&instance, "release.sloth", &[&base[..], &[("version", "2.0.0")]].concat());
    assert_eq!(text(site.join("current/index.html")), "two");
}

#[test]
fn an_import_goes_on_behind_its_last_checkpoint() {
    let instance = Instance::start();
    let (source, dest) = (instance.dir().join("orders.jsonl"), instance.dir().join("orders"));
    let rows: String = (1..=95).map(|n| format!("{{\"id\":{n},\"amount\":{n}}}\n")).collect();
    fs::write(&source, rows).expect("writable");
    let file = example("import_batches.sloth");
    let set = [("source", shown(&source)), ("dest", shown(&dest)), ("size", "10"), ("pause_ms", "100")];
    let set: Vec<String> = set.iter().map(|(key, value)| format!("--set={key}={value}")).collect();
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let ran = ctl(&instance, &[&["run", &file, "--detach"], &set[..]].concat());
    let id = ran.out.trim();
    holds(&dest.join("batch-0004.jsonl"), "amount");
    assert_eq!(ctl(&instance, &["cancel", id]).code, 0);
    assert_eq!(ended(&instance, id)["status"], "cancelled");
    let before = names(&dest).len();
    assert!((4..10).contains(&before), "{before}");
    fs::remove_file(dest.join("batch-0001.jsonl")).expect("written");
    let resumed = ctl(&instance, &["run", "--resume", id, "-o", "json"]);
    assert_eq!(resumed.code, 0, "{}{}", resumed.out, resumed.err);
    assert_eq!(resumed.summary()["outputs"], json!({"rows": 95, "sum": 4560, "batches": 10}));
    assert!(!dest.join("batch-0001.jsonl").exists(), "finished batches are not done again");
    assert_eq!(text(dest.join("batch-0010.jsonl")).lines().count(), 5);
}

#[test]
fn health_is_asked_of_many_at_once() {
    let instance = Instance::start();
    let up = TcpListener::bind("127.0.0.1:0").expect("a port");
    let up = (up.local_addr().expect("bound").to_string(), up);
    let down = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let http = web_server(|_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned());
    let report = instance.dir().join("health.csv");
    let good = [("targets[0]", up.0.as_str()), ("targets[1]", http.as_str()), ("report", shown(&report))];
    completes(&instance, "health_fanout.sloth", &good);
    assert_eq!(text(&report).lines().count(), 3);
    let bad = [&good[..], &[("targets[2]", down.as_str())]].concat();
    let (ran, summary) = run(&instance, "health_fanout.sloth", &bad, &[]);
    assert_eq!(ran.code, 1);
    assert_eq!(task(&summary, "probe")["attempts"], 2);
    assert_eq!(task(&summary, "report")["status"], "completed", "the report is written also then");
    assert!(text(&report).contains(&format!("{down},")) && text(&report).contains("no"), "{}", text(&report));
    completes(&instance, "health_fanout.sloth", &[&bad[..], &[("tolerate", "1")]].concat());
}

#[test]
fn a_configuration_is_rolled_out_once() {
    let instance = Instance::start();
    let dest = instance.dir().join("etc");
    let values = [("dest", shown(&dest)), ("port", "8443"), ("tls", "true")];
    let (ran, summary) = run(&instance, "config_rollout.sloth", &values, &["--check"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(!dest.exists(), "check mode has written something");
    assert_eq!(summary["status"], "completed");
    let summary = completes(&instance, "config_rollout.sloth", &values);
    assert_eq!(task(&summary, "reload")["status"], "completed", "{summary:#}");
    let config = text(dest.join("app.conf"));
    assert!(config.contains("port = 8443\nworkers = 2\ntls = on\n"), "{config}");
    assert!(config.contains("green = 10.0.0.2:80"), "{config}");
    assert!(text(dest.join("hosts")).contains("10.0.0.1:80 blue"));
    let again = completes(&instance, "config_rollout.sloth", &values);
    assert_eq!(task(&again, "reload")["status"], "skipped");
    assert_eq!(task(&again, "render")["changed"], false);
    assert_eq!(text(dest.join("reloads")).lines().count(), 1);
    let other = completes(&instance, "config_rollout.sloth", &[values[0], ("port", "9000")]);
    assert_eq!(task(&other, "reload")["status"], "completed");
    assert_eq!(text(dest.join("reloads")).lines().count(), 2);
    let (ran, summary) = run(&instance, "config_rollout.sloth", &[values[0], ("port", "many")], &[]);
    assert_eq!(ran.code, 1, "what its check refuses is not installed");
    assert_eq!(task(&summary, "render")["status"], "failed");
    assert!(text(dest.join("app.conf")).contains("port = 9000"));
}

#[test]
fn a_report_of_disk_usage() {
    let instance = Instance::start();
    let (dir, out) = (place(&instance, "data/sub"), instance.dir().join("disk.md"));
    fs::write(dir.join("large"), vec![b'x'; 5000]).expect("writable");
    fs::write(dir.join("small"), "x").expect("writable");
    let dir = instance.dir().join("data");
    let values = [("dir", shown(&dir)), ("out", shown(&out)), ("top", "1"), ("warn", "101")];
    let summary = completes(&instance, "disk_report.sloth", &values);
    assert_eq!(task(&summary, "warn")["status"], "skipped");
    let page = text(&out);
    assert!(page.contains("| 5000 | ") && !page.contains("/small"), "{page}");
    let (ran, _) = run(&instance, "disk_report.sloth", &[&values[..3], &[("warn", "0")]].concat(), &[]);
    assert_eq!(ran.code, 1);
}

#[test]
fn a_mirror_of_a_repository() {
    let instance = Instance::start();
    let source = place(&instance, "repository");
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(words).current_dir(&source);
        git.output().is_ok_and(|output| output.status.success())
    };
    if !git(&["init", "-q", "-b", "main"]) {
        return skip("a_mirror_of_a_repository", "no git(1)");
    }
    assert!(git(&["commit", "-q", "--allow-empty", "-m", "one"]));
    let dest = instance.dir().join("mirror.git");
    let values = [("source", shown(&source)), ("dest", shown(&dest))];
    let summary = completes(&instance, "git_mirror.sloth", &values);
    assert_eq!(summary["outputs"]["refs"], 1);
    assert!(git(&["tag", "v1"]));
    assert_eq!(completes(&instance, "git_mirror.sloth", &values)["outputs"]["refs"], 2);
    let same = completes(&instance, "git_mirror.sloth", &values);
    assert_eq!(task(&same, "mirror")["changed"], false);
}

#[test]
fn what_cannot_be_fetched_comes_from_the_last_copy() {
    let instance = Instance::start();
    let cache = instance.dir().join("rates.json");
    let url = web_server(|nth| {
        // The second request fails, the third succeeds: a retry is seen.
        let (status, body) = if nth == 1 { ("503 Busy", "{}") } else { ("200 OK", "{\"eur\":1,\"usd\":2}") };
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    });
    let values = [("url", url.as_str()), ("cache", shown(&cache)), ("failures", "2")];
    for _ in 0..2 {
        let summary = completes(&instance, "fetch_guarded.sloth", &values);
        assert_eq!(summary["outputs"]["from"], "network");
        assert_eq!(task(&summary, "use")["output"]["count"], 2);
    }
    let dead = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let dead = format!("http://{dead}/");
    let values = [("url", dead.as_str()), values[1], values[2]];
    let mut why = String::new();
    for _ in 0..3 {
        let summary = completes(&instance, "fetch_guarded.sloth", &values);
        assert_eq!(summary["outputs"]["from"], "cache");
        why = task(&summary, "fetch")["output"]["why"].as_str().unwrap_or_default().to_owned();
    }
    assert!(why.contains("circuit breaker open"), "after two failed runs the third does not ask: {why}");
}

#[test]
fn a_deployment_is_promoted_or_put_back() {
    let instance = Instance::start();
    let root = instance.dir().join("app");
    let base = ("root", shown(&root));
    let good = completes(&instance, "staged_deploy.sloth", &[base, ("version", "1.0.0")]);
    assert_eq!(task(&good, "promote")["status"], "completed");
    assert_eq!(task(&good, "restore_canary")["status"], "skipped");
    let bad =
        completes(&instance, "staged_deploy.sloth", &[base, ("version", "2.0.0"), ("smoke", "grep -q 1.0.0 version")]);
    assert_eq!(
        (task(&bad, "smoke")["status"].as_str(), &task(&bad, "smoke")["ignored"]),
        (Some("failed"), &json!(true))
    );
    assert_eq!(task(&bad, "promote")["status"], "skipped");
    assert_eq!(
        (text(root.join("canary/version")), text(root.join("live/version"))),
        ("1.0.0\n".to_owned(), "1.0.0\n".to_owned())
    );
}

#[test]
fn words_flow_through_a_pipeline() {
    let instance = Instance::start();
    let dir = place(&instance, "texts");
    for n in 0..20 {
        fs::write(dir.join(format!("{n}.md")), format!("sloth sloth daemon word{} a", "x".repeat(n + 1)))
            .expect("writable");
    }
    let out = instance.dir().join("words.csv");
    let pattern = format!("{}/*.md", dir.display());
    let summary =
        completes(&instance, "word_pipeline.sloth", &[("pattern", &pattern), ("out", shown(&out)), ("top", "2")]);
    assert_eq!(text(&out), "word,count\nsloth,40\ndaemon,20\n");
    assert_eq!(task(&summary, "count")["output"]["files"], 20);
}

#[test]
fn an_inventory_knows_what_has_changed() {
    let instance = Instance::start();
    let (dir, inventory) = (place(&instance, "data"), instance.dir().join("inventory.json"));
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).expect("writable");
    write("a", "1");
    write("b", "1");
    let values = [("dir", shown(&dir)), ("inventory", shown(&inventory))];
    assert_eq!(
        completes(&instance, "checksums.sloth", &values)["outputs"],
        json!({"added": 2, "modified": 0, "removed": 0})
    );
    let same = completes(&instance, "checksums.sloth", &values);
    assert_eq!(task(&same, "compare")["changed"], false);
    write("b", "2");
    write("c", "1");
    fs::remove_file(dir.join("a")).expect("written");
    let (ran, summary) = run(&instance, "checksums.sloth", &values, &["--set", "strict=true"]);
    assert_eq!(ran.code, 1);
    assert_eq!(task(&summary, "compare")["message"], "1 added, 1 changed, 1 removed");
    assert_eq!(
        completes(&instance, "checksums.sloth", &values)["outputs"],
        json!({"added": 1, "modified": 1, "removed": 1})
    );
}

#[test]
fn a_file_in_the_old_style_works() {
    let instance = Instance::start();
    let dir = instance.dir().join("old");
    let summary = completes(&instance, "old_style.lua", &[("dir", shown(&dir))]);
    assert_eq!(summary["workflow"], "old_style");
    assert_eq!(text(dir.join("upper")), "ANN\nBOB\nCID\nEND\n");
    assert_eq!(task(&summary, "count")["output"]["names"], 3);
}

#[test]
fn libraries_come_with_the_run() {
    let instance = Instance::start();
    let out = instance.dir().join("greetings");
    let values = [("names[0]", "ann"), ("names[1]", "bob"), ("out", shown(&out))];
    let summary = completes(&instance, "library.sloth", &values);
    assert_eq!(text(&out), "Hello, Ann!\nHello, Bob!\n");
    assert_eq!(task(&summary, "write")["output"]["count"], 2);
}

#[test]
fn old_files_go_and_check_mode_only_says_which() {
    let instance = Instance::start();
    let dir = place(&instance, "files/empty");
    let dir = dir.parent().expect("a parent").to_owned();
    for name in ["old", "new"] {
        fs::write(dir.join(name), name).expect("writable");
    }
    let touched = Command::new("touch").args(["-d", "40 days ago"]).arg(dir.join("old")).status().expect("touch runs");
    assert!(touched.success());
    let values = [("dir", shown(&dir)), ("days", "30")];
    let (ran, summary) = run(&instance, "cleanup.sloth", &values, &["--check"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(dir.join("old").exists());
    assert_eq!(task(&summary, "remove")["changed"], true, "it says what it would do");
    let (ran, summary) = run(&instance, "cleanup.sloth", &values, &["--workflow", "inventory"]);
    assert_eq!((ran.code, task(&summary, "look")["message"].as_str()), (0, Some("1 files are older than 30 days")));
    completes(&instance, "cleanup.sloth", &values);
    assert_eq!(names(&dir), ["new"]);
}

/// A web server that answers the n-th request (from 0) so; its address. It lives as long as the test.
fn web_server(answer: impl Fn(usize) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for (nth, stream) in listener.incoming().flatten().enumerate() {
            let mut stream = stream;
            stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
            let mut request = Vec::new();
            let mut byte = [0; 1];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                request.push(byte[0]);
            }
            let _ = stream.write_all(answer(nth).as_bytes()); // a client that is gone needs none
        }
    });
    format!("http://{address}/")
}
