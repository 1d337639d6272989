//! The client against servers on the loopback device that are slow, broken, huge, or lead in circles.

mod files;
mod secure;
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sloth_lua::{Args, Body, CancelKind, Data, Reply};

use self::server::{Server, response};
use super::FUNCTIONS;
use crate::testing::Caller;

/// Calls a function of the module.
async fn call(caller: &Caller, name: &str, args: Args) -> Reply {
    let function = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
    match function.body {
        Body::Async(body) => body(caller.call(args)).await,
        Body::Pure(body) => body(&args),
        _ => panic!("{name} has another body"),
    }
}

fn url(server: &Server, path: &str) -> Args {
    Args::default().with("url", server.url(path))
}

fn text(response: &Data, name: &str) -> String {
    response.get(name).and_then(Data::to_text).unwrap_or_default()
}

async fn get(args: Args) -> Result<Data, String> {
    call(&Caller::new(), "get", args).await.map(|mut values| values.remove(0)).map_err(|failure| failure.message)
}

/// "HTTP error statuses are responses, not failures"; "json (decoded when JSON)".
#[tokio::test]
async fn a_response_has_all_its_parts() {
    let server = Server::saying(response(
        "404 Not Found",
        "Content-Type: application/problem+json; charset=utf-8\r\nX-A: 1\r\nX-A: 2\r\n",
        r#"{"code":7}"#,
    ));
    let response = get(url(&server, "/x")).await.unwrap();
    assert_eq!(text(&response, "status_code"), "404");
    assert_eq!(text(&response, "status"), "404 Not Found");
    assert_eq!(text(&response, "body"), r#"{"code":7}"#);
    assert_eq!(response.get("success"), Some(&Data::Bool(false)));
    assert_eq!(text(response.get("headers").unwrap(), "x-a"), "1, 2");
    assert_eq!(response.get("json").unwrap().get("code"), Some(&Data::Num(7.0)));
    let request = server.requests().remove(0);
    assert!(request.starts_with("GET /x HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains(&format!("host: 127.0.0.1:{}\r\n", server.port)), "{request}");
}

#[tokio::test]
async fn chunked_and_endless_bodies_are_read() {
    let server =
        Server::saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_eq!(text(&get(url(&server, "/")).await.unwrap(), "body"), "abcde");
    let server = Server::saying("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    assert_eq!(text(&get(url(&server, "/")).await.unwrap(), "body"), "until the end");
}

/// "A table body is sent as JSON"; form, multipart, query, headers, auth.
#[tokio::test]
async fn bodies_headers_and_credentials() {
    let server = Server::saying(response("200 OK", "", ""));
    let caller = Caller::new();
    let body = Data::map([("a", Data::List(vec![Data::Num(1.0)]))]);
    call(&caller, "post", url(&server, "/").with("body", body)).await.unwrap();
    let form = Data::map([("a b", Data::text("ü&")), ("l", Data::texts(["1", "2"]))]);
    let auth = Data::map([("username", Data::text("me")), ("password", Data::text("pw"))]);
    call(&caller, "post", url(&server, "/").with("form", form).with("auth", auth)).await.unwrap();
    std::fs::write(caller.work().join("f.txt"), "file content").unwrap();
    let parts = Data::map([("plain", Data::text("v")), ("up", Data::map([("path", Data::text("f.txt"))]))]);
    call(&caller, "put", url(&server, "/").with("multipart", parts)).await.unwrap();
    let query = Data::map([("q", Data::text("a b")), ("n", Data::Num(3.0))]);
    let headers = Data::map([("X-Mine", Data::text("1")), ("Content-Type", Data::text("text/x"))]);
    let auth = Data::map([("token", Data::text("t0k"))]);
    let args = url(&server, "/p?x=1").with("query", query).with("headers", headers).with("auth", auth);
    call(&caller, "patch", args.with("body", "raw")).await.unwrap();
    let requests = server.requests();
    assert!(requests[0].contains("content-type: application/json") && requests[0].ends_with(r#"{"a":[1]}"#));
    assert!(requests[1].contains("authorization: Basic bWU6cHc=\r\n"), "{}", requests[1]);
    assert!(requests[1].ends_with("a+b=%C3%BC%26&l=1&l=2"), "{}", requests[1]);
    assert!(
        requests[2].contains(
            "name=\"up\"; filename=\"f.txt\"\r\nContent-Type: application/octet-stream\r\n\r\nfile content\r\n"
        )
    );
    assert!(requests[3].starts_with("PATCH /p?x=1&q=a+b&n=3 HTTP/1.1"), "{}", requests[3]);
    assert!(requests[3].contains("x-mine: 1") && requests[3].contains("content-type: text/x"));
    assert!(requests[3].contains("authorization: Bearer t0k") && requests[3].ends_with("\r\n\r\nraw"));
}

#[tokio::test]
async fn wrong_requests_are_named() {
    for (address, part) in [("ftp://a.test/", "http:// or https://"), ("no url", "no url"), ("http://", "empty host")] {
        let error = get(Args::default().with("url", address)).await.unwrap_err();
        assert!(error.contains(part), "{address}: {error}");
    }
    let server = Server::saying(response("200 OK", "", ""));
    let headers = Data::map([("X", Data::text("a\r\nEvil: 1"))]);
    assert!(get(url(&server, "/").with("headers", headers)).await.unwrap_err().contains("not allowed"));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn slow_servers_run_out_of_time() {
    let server = Server::new(|_, out| {
        for _ in 0..100 {
            let _ = out.write_all(b"H");
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let begin = Instant::now();
    let error = get(url(&server, "/").with("timeout", 300.0)).await.unwrap_err();
    assert!(error.ends_with(": timeout") && begin.elapsed() < Duration::from_secs(3), "{error}");
}

#[tokio::test]
async fn broken_servers_are_failures() {
    for answer in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let server = Server::saying(answer);
        assert!(get(url(&server, "/")).await.unwrap_err().starts_with("GET http://"), "{answer}");
    }
    let error = get(Args::default().with("url", "http://127.0.0.1:1/")).await.unwrap_err();
    assert!(error.contains("refused"), "{error}");
    let endless_head = Server::new(|_, out| {
        let _ = out.write_all(b"HTTP/1.1 200 OK\r\n");
        while out.write_all(b"X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").is_ok() {}
    });
    assert!(get(url(&endless_head, "/")).await.is_err());
}

/// `max_body`, whether the length is announced or not.
#[tokio::test]
async fn huge_bodies_are_refused() {
    let announced = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx");
    let endless = Server::new(|_, out| {
        let _ = out.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while out.write_all(&[b'x'; 65536]).is_ok() {}
    });
    for server in [announced, endless] {
        let error = get(url(&server, "/").with("max_body", 100_000.0)).await.unwrap_err();
        assert!(error.contains("longer than 100000 bytes"), "{error}");
    }
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_allowed() {
    let server = Server::new(|request, out| {
        let path = request.split(' ').nth(1).unwrap();
        let to = |status: &str, place: &str| response(status, &format!("Location: {place}\r\n"), "");
        let answer = match path {
            "/a" => to("302 Found", "b?x#frag"),
            "/b?x" => to("303 See Other", "/end"),
            "/keep" => to("307 Temporary Redirect", "/end"),
            "/loop" => to("301 Moved", "/loop"),
            "/file" => to("302 Found", "file:///etc/passwd"),
            _ => response("200 OK", "", "end"),
        };
        let _ = out.write_all(answer.as_bytes());
    });
    let caller = Caller::new();
    let response = call(&caller, "post", url(&server, "/a").with("body", "b")).await.unwrap().remove(0);
    assert_eq!(text(&response, "body"), "end");
    assert!(text(&response, "url").ends_with("/end#frag"));
    assert!(server.requests()[2].starts_with("GET /end") && !server.requests()[2].contains("content-length"));
    call(&caller, "post", url(&server, "/keep").with("body", "again")).await.unwrap();
    let last = server.requests().pop().unwrap();
    assert!(last.starts_with("POST /end") && last.ends_with("again"), "{last}");
    let count = server.requests().len();
    let error = get(url(&server, "/loop").with("max_redirects", 3.0)).await.unwrap_err();
    assert!(error.contains("more than 3 redirects"), "{error}");
    assert_eq!(server.requests().len(), count + 4);
    let response = get(url(&server, "/loop").with("follow_redirects", false)).await.unwrap();
    assert_eq!(text(&response, "status_code"), "301");
    assert!(get(url(&server, "/file")).await.unwrap_err().contains("not http or https"));
}

/// Secrets are for whom they were given.
#[tokio::test]
async fn another_origin_gets_no_credentials() {
    let other = Server::saying(response("200 OK", "", "other"));
    let target = other.url("/");
    let server = Server::saying(response("302 Found", &format!("Location: {target}\r\n"), ""));
    let headers = Data::map([("Cookie", Data::text("c=1")), ("X-Mine", Data::text("1"))]);
    let address = server.url("/").replace("http://", "http://user:pw@");
    let response = get(Args::default().with("url", address).with("headers", headers)).await.unwrap();
    assert_eq!(text(&response, "body"), "other");
    assert!(server.requests()[0].contains("authorization: Basic"));
    let second = other.requests().remove(0);
    assert!(!second.contains("authorization") && !second.contains("cookie") && second.contains("x-mine"), "{second}");
    assert!(!text(&response, "url").contains("pw"));
}

#[tokio::test]
async fn retries_until_it_works() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let server = Server::new(|_, out| {
        let answer = match COUNT.fetch_add(1, Ordering::SeqCst) {
            0 => response("503 Busy", "Retry-After: 0\r\n", ""),
            1 => response("429 Slow", "Retry-After: 0\r\n", ""),
            _ => response("200 OK", "", "done"),
        };
        let _ = out.write_all(answer.as_bytes());
    });
    let response = get(url(&server, "/").with("retries", 5.0)).await.unwrap();
    assert_eq!((text(&response, "body"), server.requests().len()), ("done".into(), 3));
    COUNT.store(0, Ordering::SeqCst);
    let response =
        get(url(&server, "/").with("retries", 5.0).with("retry_on", Data::texts(["timeout"]))).await.unwrap();
    assert_eq!(text(&response, "status_code"), "503");
    assert!(get(url(&server, "/").with("retry_on", "nonsense")).await.unwrap_err().contains("nonsense"));
}

#[tokio::test]
async fn a_cancelled_task_does_not_wait() {
    let server = Server::new(|_, _| std::thread::sleep(Duration::from_secs(20)));
    let caller = Caller::new();
    let begin = Instant::now();
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        caller.ctx.cancel.cancel(CancelKind::Cancelled("stop".into()));
    };
    let (reply, ()) = tokio::join!(call(&caller, "get", url(&server, "/")), cancel);
    let failure = reply.unwrap_err();
    assert_eq!(failure.kind, Some("cancelled"));
    assert!(failure.message.ends_with("cancelled: stop") && begin.elapsed() < Duration::from_secs(5));
}

/// "mutating host calls return simulated success"; "Reading functions work normally."
#[tokio::test]
async fn check_mode_only_reads() {
    let server = Server::saying(response("200 OK", "", "read"));
    let caller = Caller::checking();
    let response = call(&caller, "post", url(&server, "/").with("body", "x")).await.unwrap().remove(0);
    assert_eq!(text(&response, "would"), format!("POST {}", server.url("/")));
    assert_eq!(response.get("simulated"), Some(&Data::Bool(true)));
    let response = call(&caller, "get", url(&server, "/").with("output", "f")).await.unwrap().remove(0);
    assert_eq!(response.get("simulated"), Some(&Data::Bool(true)));
    assert!(server.requests().is_empty());
    let response = call(&caller, "get", url(&server, "/")).await.unwrap().remove(0);
    assert_eq!(text(&response, "body"), "read");
}

#[tokio::test]
async fn streams_are_read_in_pieces() {
    let server = Server::new(|_, out| {
        let _ = out.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        for _ in 0..64 {
            let _ = out.write_all(&[b'x'; 16384]);
        }
    });
    let caller = Caller::new();
    let head = call(&caller, "_open", url(&server, "/")).await.unwrap().remove(0);
    let stream = || Args::default().with("stream", head.get("_stream").cloned().unwrap());
    let mut total = 0;
    while let Data::List(pieces) = call(&caller, "_read", stream()).await.unwrap().remove(0) {
        total += pieces.iter().map(|piece| piece.to_text().unwrap().len()).sum::<usize>();
    }
    assert_eq!(total, 64 * 16384);
    assert_eq!(call(&caller, "_read", stream()).await.unwrap(), [Data::Nil], "the end stays the end");
}

#[tokio::test]
async fn waiting_for_a_status() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let server = Server::new(|_, out| {
        let ready = COUNT.fetch_add(1, Ordering::SeqCst) >= 2;
        let _ = out.write_all(response(if ready { "204 Ready" } else { "503 Busy" }, "", "").as_bytes());
    });
    let wait = |time: f64| url(&server, "/").with("status", 204.0).with("interval", 10.0).with("timeout", time);
    let reply = call(&Caller::new(), "wait_for", wait(5000.0)).await.unwrap();
    assert_eq!(reply[0], Data::Bool(true));
    let failure = call(&Caller::new(), "wait_for", wait(50.0).with("status", 200.0)).await.unwrap_err();
    assert!(failure.message.contains("last: status 204"), "{}", failure.message);
}
