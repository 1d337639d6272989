//! TLS and proxies.

use std::io::{Read, Write};
use std::net::TcpStream;

use sloth_lua::Args;

use super::server::{Connection, Server, pipe, response};
use super::{call, get, text};
use crate::testing::Caller;

fn hello(_: &str, out: &mut dyn Connection) {
    let _ = out.write_all(response("200 OK", "", "hello").as_bytes());
}

fn at(server: &Server) -> Args {
    Args::default().with("url", format!("https://localhost:{}/", server.port))
}

/// `verify_ssl=true`, `ca`.
#[tokio::test]
async fn only_who_is_trusted_is_talked_to() {
    let (server, pem) = Server::secure(hello);
    let caller = Caller::new();
    std::fs::write(caller.work().join("ca.pem"), pem).unwrap();
    let with_ca = call(&caller, "get", at(&server).with("ca", "ca.pem")).await.unwrap().remove(0);
    assert_eq!(text(&with_ca, "body"), "hello");
    let unchecked = get(at(&server).with("verify_ssl", false)).await.unwrap();
    assert_eq!(text(&unchecked, "body"), "hello");
    assert_eq!(server.requests().len(), 2);
    let (stranger, _) = Server::secure(hello);
    let error = call(&caller, "get", at(&stranger).with("ca", "ca.pem")).await.unwrap_err().message;
    assert!(error.contains("certificate"), "{error}");
    // Another name than the certificate has.
    let by_address = Args::default().with("url", format!("https://127.0.0.1:{}/", server.port)).with("ca", "ca.pem");
    assert!(call(&caller, "get", by_address).await.unwrap_err().message.contains("certificate"));
    assert!(stranger.requests().is_empty());
    let missing = call(&caller, "get", at(&server).with("ca", "none.pem")).await.unwrap_err().message;
    assert!(missing.contains("none.pem"), "{missing}");
}

#[tokio::test]
async fn proxies_forward_and_tunnel() {
    let plain = Server::saying(response("200 OK", "", "plain"));
    let plain_port = plain.port;
    let forward = Server::new(move |request, out| {
        let request = request.replacen(&format!("http://127.0.0.1:{plain_port}"), "", 1);
        pipe(out, plain_port, Some(&request));
    });
    let proxy = forward.url("").replace("http://", "http://u:p@");
    let response = get(super::url(&plain, "/x").with("proxy", proxy)).await.unwrap();
    assert_eq!(text(&response, "body"), "plain");
    assert!(forward.requests()[0].starts_with(&format!("GET http://127.0.0.1:{plain_port}/x HTTP/1.1")));
    assert!(forward.requests()[0].contains("proxy-authorization: Basic dTpw"));
    let refusing = Server::saying("HTTP/1.1 403 Forbidden\r\n\r\n");
    let (secret, _) = Server::secure(hello);
    let error = get(at(&secret).with("proxy", refusing.url(""))).await.unwrap_err();
    assert!(error.contains("403 Forbidden"), "{error}");
    assert!(refusing.requests()[0].starts_with(&format!("CONNECT localhost:{} HTTP/1.1", secret.port)));
}

/// Reads and writes by turns, which is all that a handshake and one request need.
#[tokio::test]
async fn a_tunnel_carries_tls() {
    let (secret, pem) = Server::secure(hello);
    let port = secret.port;
    let tunnel = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tunnel.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = tunnel.accept().unwrap();
        super::server::read_request(&mut client).unwrap();
        let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let mut server = server;
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = server.read(&mut buffer) {
            client.write_all(&buffer[..read]).unwrap();
        }
    });
    let caller = Caller::new();
    std::fs::write(caller.work().join("ca.pem"), pem).unwrap();
    let args = at(&secret).with("ca", "ca.pem").with("proxy", format!("http://{address}"));
    let response = call(&caller, "get", args).await.unwrap().remove(0);
    assert_eq!(text(&response, "body"), "hello");
}
