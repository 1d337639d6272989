//! From a URL to a stream of bytes: name, address, proxy, TLS.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::tls::Tls;
use super::trouble::{Trouble, causes};
use crate::strings::to_base64;

/// A connection, whatever it goes through.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How long one of several addresses is tried.
const PER_ADDRESS: Duration = Duration::from_secs(5);

/// Longest head of a proxy's answer, bytes.
const PROXY_HEAD_MAX: usize = 8 << 10;

fn connection(why: impl Into<String>) -> Trouble {
    Trouble::Connection(why.into())
}

/// Connects to the server of a URL, or to the proxy where that forwards.
pub(crate) async fn open(url: &Url, tls: &Tls, proxy: Option<&Url>) -> Result<Box<dyn Stream>, Trouble> {
    let mut stream = match proxy {
        None => dial(url).await?,
        Some(proxy) => {
            let mut stream = dial(proxy).await?;
            if proxy.scheme() == "https" {
                stream = secure(stream, proxy, &Tls::default()).await?;
            }
            if url.scheme() == "https" {
                tunnel(&mut stream, url, proxy).await?;
            }
            stream
        }
    };
    if url.scheme() == "https" {
        stream = secure(stream, url, tls).await?;
    }
    Ok(stream)
}

/// Host and port, as a `Host` header and an address need them.
pub(crate) fn authority(url: &Url) -> Result<(String, u16), Trouble> {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => Ok((host.to_owned(), port)),
        _ => Err(Trouble::Request(format!("the URL `{url}` has no host"))),
    }
}

async fn dial(url: &Url) -> Result<Box<dyn Stream>, Trouble> {
    let (host, port) = authority(url)?;
    let addresses = resolve(host.trim_start_matches('[').trim_end_matches(']'), port).await.map_err(connection)?;
    let mut last = String::new();
    let count = addresses.len();
    for (index, address) in addresses.into_iter().enumerate() {
        let attempt = TcpStream::connect(address);
        let result =
            if index + 1 < count { tokio::time::timeout(PER_ADDRESS, attempt).await } else { Ok(attempt.await) };
        match result {
            Ok(Ok(stream)) => {
                // Small requests and answers must not wait for each other; a socket that cannot is still a connection.
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no answer within {PER_ADDRESS:?}"),
        }
    }
    Err(connection(last))
}

/// Addresses of a name, never none.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    if addresses.is_empty() { Err(format!("{host}: the name has no address")) } else { Ok(addresses) }
}

async fn secure(stream: Box<dyn Stream>, url: &Url, tls: &Tls) -> Result<Box<dyn Stream>, Trouble> {
    let name = match url.host() {
        Some(Host::Domain(name)) => {
            ServerName::try_from(name.to_owned()).map_err(|error| connection(error.to_string()))?
        }
        Some(Host::Ipv4(address)) => ServerName::from(std::net::IpAddr::from(address)),
        Some(Host::Ipv6(address)) => ServerName::from(std::net::IpAddr::from(address)),
        None => return Err(Trouble::Request(format!("the URL `{url}` has no host"))),
    };
    let tls = tls.clone();
    let config = tokio::task::spawn_blocking(move || tls.config()).await;
    let config = config.map_err(|error| connection(error.to_string()))?.map_err(Trouble::Request)?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| connection(format!("TLS: {}", causes(&error))))?))
}

/// `Basic` credentials of a URL, when it has any.
pub(crate) fn basic(url: &Url) -> Option<String> {
    let decoded = |text: &str| {
        String::from_utf8_lossy(&percent_encoding::percent_decode_str(text).collect::<Vec<_>>()).into_owned()
    };
    let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    (!user.is_empty() || url.password().is_some())
        .then(|| format!("Basic {}", to_base64(format!("{user}:{password}").as_bytes())))
}

async fn tunnel(stream: &mut Box<dyn Stream>, url: &Url, proxy: &Url) -> Result<(), Trouble> {
    let (host, port) = authority(url)?;
    let credentials = basic(proxy).map(|text| format!("Proxy-Authorization: {text}\r\n")).unwrap_or_default();
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{credentials}\r\n");
    let broken = |error: std::io::Error| connection(format!("proxy: {error}"));
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // One byte at a time: what follows the head belongs to TLS.
        match stream.read_u8().await {
            Ok(byte) if head.len() < PROXY_HEAD_MAX => head.push(byte),
            Ok(_) => return Err(connection("proxy: its answer has no end")),
            Err(error) => return Err(broken(error)),
        }
    }
    let first = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).unwrap_or_default().to_owned();
    if status.starts_with('2') { Ok(()) } else { Err(connection(format!("proxy: {first}"))) }
}
