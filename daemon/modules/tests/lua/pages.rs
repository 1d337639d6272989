//! `http` and `net` as scripts use them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::{Mode, world, world_in};

/// Answers every request with what its path asks for; remembers the requests.
fn server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                request.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
                if body.len() >= length {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let body = match text.split([' ', '?']).nth(1).unwrap_or_default() {
                "/json" => "{\"a\":[1,2]}".to_owned(),
                "/big" => "x".repeat(1_000_000),
                path => format!("{path} here"),
            };
            requests.lock().unwrap().push(text);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Seen: yes\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(body.as_bytes());
        }
    });
    (port, seen)
}

/// "headers (case-insensitive)", "json (decoded when JSON)", both calling forms
#[test]
fn responses() {
    let (world, (port, seen)) = (world(), server());
    let source = format!(
        "local r = http.get('http://127.0.0.1:{port}/json', {{ headers = {{ ['X-A'] = '1' }} }})\n\
         local q = http.get{{ url = 'http://127.0.0.1:{port}/json', query = {{ b = 2 }} }}\n\
         return r.success, r.status_code, r.json.a[2], r.headers['x-seen'], r.headers['X-Seen'], q.json.a[1], \
         http.is_success(r), http.is_error(r), http.is_error(nil)"
    );
    assert_eq!(world.values(&source), json!([true, 200, 2, "yes", "yes", 1, true, false, true]));
    assert!(seen.lock().unwrap()[1].starts_with("GET /json?b=2 "));
    let failed = world.values("return http.get('http://127.0.0.1:1/')");
    assert!(failed[0].is_null() && failed[1].as_str().unwrap().contains("refused"), "{failed}");
    assert_eq!(
        world.values("return http_client == http, http.build_url('http://h/', { a = 'x y' })"),
        json!([true, "http://h/?a=x+y"])
    );
}

/// "A table body is sent as JSON."
#[test]
fn bodies_and_clients() {
    let (world, (port, seen)) = (world(), server());
    world.values(&format!(
        "http.post('http://127.0.0.1:{port}/p', {{ a = 1 }}, {{ timeout = '5s' }})\n\
         http.post{{ url = 'http://127.0.0.1:{port}/p', body = 'raw' }}\n\
         local c = http.client{{ base_url = 'http://127.0.0.1:{port}/v1/', headers = {{ ['X-K'] = 'k' }} }}\n\
         c:get('/one') c.get('two', {{ headers = {{ ['X-M'] = 'm' }} }}) c:post('three', {{ b = 2 }})"
    ));
    let seen = seen.lock().unwrap();
    assert!(seen[0].ends_with("{\"a\":1}") && seen[1].ends_with("raw"));
    assert!(seen[2].starts_with("GET /v1/one ") && seen[2].contains("x-k: k"));
    assert!(seen[3].starts_with("GET /v1/two ") && seen[3].contains("x-k: k") && seen[3].contains("x-m: m"));
    assert!(seen[4].starts_with("POST /v1/three ") && seen[4].ends_with("{\"b\":2}"));
}

/// "stream=fn"
#[test]
fn streams() {
    let (world, (port, _)) = (world(), server());
    let source = format!(
        "local total, calls = 0, 0\n\
         local r = http.get('http://127.0.0.1:{port}/big', {{ stream = function(piece) total += #piece calls += 1 end }})\n\
         return total, calls > 1, r.status_code, r.bytes, r.headers['X-SEEN']"
    );
    assert_eq!(world.values(&source), json!([1_000_000, true, 200, 1_000_000, "yes"]));
    let stopped = format!(
        "local calls = 0\n\
         local r = http.get{{ url = 'http://127.0.0.1:{port}/big', stream = function() calls += 1 return false end }}\n\
         return calls, r.bytes < 1000000"
    );
    assert_eq!(world.values(&stopped), json!([1, true]));
    let raised = format!("http.get('http://127.0.0.1:{port}/big', {{ stream = function() error('enough') end }})");
    assert!(world.error(&raised).contains("enough"));
}

#[test]
fn net_in_short() {
    let (world, (port, _)) = (world(), server());
    let source = format!(
        "local body, status, headers, err = net.http_get('http://127.0.0.1:{port}/a')\n\
         return body, status, headers['x-seen'], err, net.port_open('127.0.0.1', {port}), \
         net.port_open{{ host = '127.0.0.1', port = 1, timeout = '1s' }}, net.wait_port('127.0.0.1', {port})"
    );
    let answer = world.values(&source);
    assert_eq!(
        answer.as_array().unwrap()[..7],
        json!(["/a here", 200, "yes", null, true, false, true]).as_array().unwrap()[..]
    );
    let download =
        format!("return net.download('http://127.0.0.1:{port}/f', 'f'), net.download('http://127.0.0.1:1/', 'g')");
    let answer = world.values(&download);
    assert!(answer[0].is_null() && answer[1].as_str().unwrap().contains("refused"), "{answer}");
    assert_eq!(std::fs::read_to_string(world.file("f")).unwrap(), "/f here");
    let wait = world.values("return net.wait_port('127.0.0.1', 1, 0.1)");
    assert_eq!(wait[0], json!(false));
}

/// "truthful in check mode"
#[test]
fn check_mode() {
    let (world, (port, seen)) = (world_in(Mode::Check), server());
    let source = format!(
        "local ok, info = http.download('http://127.0.0.1:{port}/f', 'f')\n\
         local r = http.post('http://127.0.0.1:{port}/p', {{}})\n\
         return ok, info.changed, info.simulated, r.simulated, http.get('http://127.0.0.1:{port}/g').body"
    );
    assert_eq!(world.values(&source), json!([true, true, true, true, "/g here"]));
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert!(!world.file("f").exists());
}
