//! Bodies that go to files.

use super::server::{Server, response};
use super::{call, text, url};
use crate::crypto::{Digest, hex_digest};
use crate::testing::Caller;
use sloth_lua::{Args, Data};

const CONTENT: &str = "0123456789";

/// Understands ranges, and breaks off in the middle when a whole file is asked for at `/broken`.
fn ranges() -> Server {
    Server::new(|request, out| {
        let lower = request.to_lowercase();
        let begin = lower
            .lines()
            .find_map(|line| line.strip_prefix("range: bytes=")?.trim_end_matches('-').parse::<usize>().ok());
        let fits = lower.contains("if-range: \"v1\"");
        let answer = match begin.filter(|_| fits) {
            Some(begin) => format!(
                "HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes {begin}-9/10\r\nContent-Length: {}\r\n\r\n{}",
                10 - begin,
                &CONTENT[begin..]
            ),
            None if request.starts_with("GET /broken") => {
                "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n0123".to_owned()
            }
            None if request.starts_with("GET /missing") => response("404 Not Found", "", "no"),
            None => response("200 OK", "ETag: \"v1\"\r\n", CONTENT),
        };
        let _ = out.write_all(answer.as_bytes());
    })
}

fn files(caller: &Caller) -> Vec<String> {
    let names = std::fs::read_dir(caller.work()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn to(server: &Server, path: &str) -> Args {
    url(server, path).with("dest", "f")
}

fn changed(reply: &[Data]) -> bool {
    reply[0].get("changed") == Some(&Data::Bool(true))
}

/// "`changed` is true only if something was modified."
#[tokio::test]
async fn a_download_tells_whether_it_changed_something() {
    let (server, caller) = (ranges(), Caller::new());
    let sum = hex_digest(Digest::Sha256, CONTENT.as_bytes());
    assert!(changed(&call(&caller, "download", to(&server, "/")).await.unwrap()));
    assert_eq!(std::fs::read_to_string(caller.work().join("f")).unwrap(), CONTENT);
    assert!(!changed(&call(&caller, "download", to(&server, "/")).await.unwrap()), "the same again");
    let before = server.requests().len();
    let with_sum = to(&server, "/").with("checksum", format!("sha256:{sum}"));
    assert!(!changed(&call(&caller, "download", with_sum).await.unwrap()));
    assert_eq!(server.requests().len(), before, "the checksum is there: nothing is asked");
    assert_eq!(files(&caller), ["f"]);
}

#[tokio::test]
async fn a_failed_download_leaves_the_old_file() {
    let (server, caller) = (ranges(), Caller::new());
    std::fs::write(caller.work().join("f"), "old").unwrap();
    for (path, sum, part) in [
        ("/", Some("0".repeat(64)), "0000 expected; nothing was replaced"),
        ("/missing", None, "status 404"),
        ("/broken", None, "GET http://"),
    ] {
        let mut args = to(&server, path);
        if let Some(sum) = sum {
            args = args.with("checksum", sum);
        }
        let failure = call(&caller, "download", args).await.unwrap_err();
        assert!(failure.message.contains(part), "{}", failure.message);
        assert_eq!(std::fs::read_to_string(caller.work().join("f")).unwrap(), "old");
        assert_eq!(files(&caller), ["f"], "{path}");
    }
    let wrong = to(&server, "/").with("checksum", "crc:1");
    assert!(call(&caller, "download", wrong).await.unwrap_err().raise);
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_stopped() {
    let (server, caller) = (ranges(), Caller::new());
    let resumed = |path: &str| to(&server, path).with("resume", true);
    call(&caller, "download", resumed("/broken")).await.unwrap_err();
    assert_eq!(files(&caller), [".f.sloth-part", ".f.sloth-tag"]);
    assert!(changed(&call(&caller, "download", resumed("/")).await.unwrap()));
    assert!(server.requests()[1].to_lowercase().contains("range: bytes=4-"));
    assert_eq!(std::fs::read_to_string(caller.work().join("f")).unwrap(), CONTENT);
    assert_eq!(files(&caller), ["f"]);
}

/// A part of another version must not be the beginning of this one.
#[tokio::test]
async fn a_part_of_another_version_is_thrown_away() {
    let (server, caller) = (ranges(), Caller::new());
    std::fs::write(caller.work().join(".f.sloth-part"), "abcd").unwrap();
    std::fs::write(caller.work().join(".f.sloth-tag"), "\"v0\"").unwrap();
    call(&caller, "download", to(&server, "/").with("resume", true)).await.unwrap();
    assert_eq!(std::fs::read_to_string(caller.work().join("f")).unwrap(), CONTENT);
}

#[tokio::test]
async fn check_mode_downloads_nothing() {
    let (server, caller) = (ranges(), Caller::checking());
    let reply = call(&caller, "download", to(&server, "/")).await.unwrap();
    assert!(changed(&reply) && reply[0].get("simulated") == Some(&Data::Bool(true)));
    assert!(files(&caller).is_empty() && server.requests().is_empty());
}

#[tokio::test]
async fn output_takes_bodies_of_successes_only() {
    let (server, caller) = (ranges(), Caller::new());
    let response = call(&caller, "get", url(&server, "/").with("output", "o")).await.unwrap().remove(0);
    assert_eq!((text(&response, "bytes"), text(&response, "body")), ("10".into(), String::new()));
    assert_eq!(std::fs::read_to_string(caller.work().join("o")).unwrap(), CONTENT);
    let response = call(&caller, "get", url(&server, "/missing").with("output", "p")).await.unwrap().remove(0);
    assert_eq!(text(&response, "body"), "no");
    let failure = call(&caller, "get", url(&server, "/").with("output", "q").with("max_body", 5.0)).await.unwrap_err();
    assert!(failure.message.contains("longer than 5 bytes"), "{}", failure.message);
    assert_eq!(files(&caller), ["o"]);
}

#[tokio::test]
async fn uploads_send_the_file() {
    let (server, caller) = (ranges(), Caller::new());
    std::fs::write(caller.work().join("f"), "x".repeat(200_000)).unwrap();
    call(&caller, "upload", url(&server, "/").with("path", "f")).await.unwrap();
    let request = server.requests().remove(0);
    assert!(request.starts_with("PUT / ") && request.contains("content-length: 200000\r\n"));
    assert!(request.ends_with("xxx") && request.len() > 200_000);
    let failure = call(&caller, "upload", url(&server, "/").with("path", "none")).await.unwrap_err();
    assert!(failure.message.contains("none"), "{}", failure.message);
}
