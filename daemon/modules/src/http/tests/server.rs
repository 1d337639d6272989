//! A server for tests: answers with raw bytes, so that it can be as wrong as it likes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection of a client.
pub(super) trait Connection: Read + Write + Send {}

impl<T: Read + Write + Send> Connection for T {}

/// What the server does with a request.
pub(super) type Respond = dyn Fn(&str, &mut dyn Connection) + Send + Sync;

/// A running server. Its threads end with the connections and the test process.
pub(super) struct Server {
    pub port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) fn new(respond: impl Fn(&str, &mut dyn Connection) + Send + Sync + 'static) -> Server {
        Server::start(Arc::new(respond), None)
    }

    /// Over TLS; the second value is its certificate as PEM.
    pub(super) fn secure(respond: impl Fn(&str, &mut dyn Connection) + Send + Sync + 'static) -> (Server, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        (Server::start(Arc::new(respond), Some(Arc::new(config))), made.cert.pem())
    }

    /// Always the same answer.
    pub(super) fn saying(answer: impl Into<Vec<u8>>) -> Server {
        let answer = answer.into();
        Server::new(move |_, out| drop(out.write_all(&answer)))
    }

    fn start(respond: Arc<Respond>, tls: Option<Arc<ServerConfig>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (respond, seen, tls) = (Arc::clone(&respond), Arc::clone(&seen), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &*respond, &seen),
                    Some(config) => {
                        serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &*respond, &seen)
                    }
                });
            }
        });
        Server { port, requests }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Requests so far, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: impl Connection, respond: &Respond, seen: &Mutex<Vec<String>>) {
    let Some(request) = read_request(&mut stream) else { return };
    seen.lock().unwrap().push(request.clone());
    respond(&request, &mut stream);
    let _ = stream.flush();
}

/// Head and body of a request, as text.
pub(super) fn read_request(stream: &mut dyn Connection) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    bytes.extend(body);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Passes bytes both ways until one side ends; for proxies.
pub(super) fn pipe(client: &mut dyn Connection, port: u16, request_first: Option<&str>) {
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    if let Some(request) = request_first {
        server.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = server.read_to_end(&mut answer);
        let _ = client.write_all(&answer);
    }
}

/// A response with a body.
pub(super) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}
