//! The module `net`: short forms for addresses, ports and pages.

use std::net::{SocketAddr, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hyper::Method;
use sloth_lua::{Body, BoxFuture, Call, Data, Failure, Family, Function, Module, Param, Reply, Tier, Type};
use tokio::net::TcpStream;

use crate::describe::{also, family, give, integer, may, named, need, options, pure, value};
use crate::http::{self, Order, URL, resolve};
use crate::{ended, strings};

/// The module `net`.
pub const MODULE: Module = Module {
    name: "net",
    aliases: &[],
    tier: Tier::Here,
    about: "Addresses, ports, pages.",
    functions: FUNCTIONS,
    prelude: "",
};

const HOST: Param = need("host", Type::Str);
const PAGE: &str = "(string, number, {[string]: string}, string?)";
const TIMEOUT: &[Param] = &[may("timeout", Type::Duration, "\"30s\""), may("verify_ssl", Type::Bool, "true")];

const FUNCTIONS: &[Function] = &[
    family(
        options(
            value(
                "http_get",
                &[URL, may("headers", Type::Map, "{}")],
                PAGE,
                "Body, status, headers; or an error as the fourth value.",
                Body::Async(|call| page(call, Method::GET)),
            ),
            TIMEOUT,
        ),
        Family::Raw,
    ),
    also(
        family(
            options(
                value(
                    "http_post",
                    &[URL, may("body", Type::Any, "\"\""), may("headers", Type::Map, "{}")],
                    PAGE,
                    "As `http_get`, with a body.",
                    Body::Async(|call| page(call, Method::POST)),
                ),
                TIMEOUT,
            ),
            Family::Raw,
        ),
        &["post"],
    ),
    family(
        options(
            value(
                "download",
                &[URL, need("dest", Type::Str)],
                "string?",
                "To a file; nil, or what went wrong.",
                Body::Async(download),
            ),
            &[
                may("checksum", Type::Str, "nil"),
                may("timeout", Type::Duration, "\"30s\""),
                may("check", Type::Bool, "false"),
            ],
        ),
        Family::Raw,
    ),
    family(
        value(
            "ping",
            &[HOST, Param { aliases: &["n"], ..may("count", Type::Int, "1") }],
            "(boolean, string)",
            "Whether a host answers to the program ping.",
            Body::Async(ping),
        ),
        Family::P,
    ),
    value(
        "port_open",
        &[HOST, need("port", Type::Int), may("timeout", Type::Duration, "\"5s\"")],
        "boolean",
        "Whether somebody listens on a TCP port.",
        Body::Async(port_open),
    ),
    value(
        "resolve",
        &[named("host", &["name"], Type::Str)],
        "{string}",
        "Addresses of a name.",
        Body::Async(addresses),
    ),
    family(
        options(
            value(
                "wait_port",
                &[HOST, need("port", Type::Int), may("timeout", Type::Duration, "\"30s\"")],
                "(boolean, string)",
                "Waits until somebody listens on a TCP port.",
                Body::Async(wait_port),
            ),
            &[may("interval", Type::Duration, "\"500ms\"")],
        ),
        Family::P,
    ),
    pure("local_ip", &[], "string", "Address from which this host would reach others.", |_| local_ip()),
];

fn page(call: Call, method: Method) -> BoxFuture<Reply> {
    Box::pin(async move {
        let order = match Order::of(&call, method) {
            Ok(order) => order,
            Err(failure) if failure.raise => return Err(failure),
            Err(failure) => return Ok(vec![Data::Nil, Data::Nil, Data::Nil, Data::text(failure.message)]),
        };
        http::flat(&call, &order).await
    })
}

fn download(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let order = Order::of(&call, Method::GET);
        let result = match order {
            Ok(order) => http::download(call, order).await,
            Err(failure) => Err(failure),
        };
        match result {
            Ok(_) => give(Data::Nil),
            Err(failure) if failure.raise => Err(failure),
            Err(failure) => give(failure.message),
        }
    })
}

fn port(call: &Call) -> Result<u16, Failure> {
    let port = integer(&call.args, "port")?;
    u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| Failure::argument("port", "1 to 65535 expected"))
}

fn time(call: &Call, name: &str, usual: Duration) -> Duration {
    let ms = call.args.num(name);
    ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok()).unwrap_or(usual)
}

/// Tries all addresses of a host; what went wrong with the last.
async fn connect(host: &str, port: u16, time: Duration) -> Result<(), String> {
    let attempt = async {
        let mut last = String::new();
        for address in resolve(host, port).await? {
            match TcpStream::connect(address).await {
                Ok(_) => return Ok(()),
                Err(error) => last = format!("{address}: {error}"),
            }
        }
        Err(last)
    };
    tokio::time::timeout(time, attempt)
        .await
        .unwrap_or_else(|_| Err(format!("{host}:{port}: no answer within {time:?}")))
}

async fn unless_ended<T>(call: &Call, work: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::select! {
        biased;
        kind = call.ctx.cancel.cancelled() => Err(ended(&kind)),
        result = work => Ok(result),
    }
}

fn port_open(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let (host, port) = (call.args.text("host")?, port(&call)?);
        let open = unless_ended(&call, connect(&host, port, time(&call, "timeout", Duration::from_secs(5)))).await?;
        give(open.is_ok())
    })
}

fn wait_port(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let (host, port) = (call.args.text("host")?, port(&call)?);
        let whole = time(&call, "timeout", Duration::from_secs(30));
        let interval = time(&call, "interval", Duration::from_millis(500));
        let begin = Instant::now();
        loop {
            let left = whole.saturating_sub(begin.elapsed());
            let attempt = connect(&host, port, left.min(Duration::from_secs(5)).max(Duration::from_millis(1)));
            let problem = match unless_ended(&call, attempt).await? {
                Ok(()) => return Ok(vec![Data::Bool(true), Data::text(format!("{host}:{port} is open"))]),
                Err(problem) => problem,
            };
            let left = whole.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return Err(Failure::new(format!("{host}:{port} did not open within {whole:?}: {problem}")));
            }
            unless_ended(&call, tokio::time::sleep(interval.min(left))).await?;
        }
    })
}

fn addresses(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let host = call.args.text("host")?;
        let found = unless_ended(&call, resolve(&host, 0)).await?.map_err(Failure::new)?;
        let mut texts: Vec<String> = Vec::new();
        for text in found.into_iter().map(|address: SocketAddr| address.ip().to_string()) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        give(Data::texts(texts))
    })
}

/// Raw sockets need a privilege; the program has it.
fn ping(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let host = call.args.text("host")?;
        let count = call.args.int("count").unwrap_or(1).clamp(1, 100);
        let mut command = tokio::process::Command::new("ping");
        command.args(["-n", "-q", "-c", &count.to_string(), "-W", "2", "-w", &(count * 3).to_string(), "--", &host]);
        command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
        let output = unless_ended(&call, command.output()).await?.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::new(format!("ping {host}: the program ping is not installed (iputils)"))
            }
            _ => Failure::new(format!("ping {host}: {error}")),
        })?;
        let said = String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout })
            .into_owned();
        let summary = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no answer").trim().to_owned();
        if output.status.success() {
            Ok(vec![Data::Bool(true), Data::text(summary)])
        } else {
            Err(Failure::new(format!("ping {}: {summary}", strings::quote_shell(&host))))
        }
    })
}

/// Connecting a datagram socket sends nothing; it makes the kernel choose a route.
fn local_ip() -> Reply {
    for (from, to) in [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")] {
        let chosen = UdpSocket::bind(from).and_then(|socket| socket.connect(to).and_then(|()| socket.local_addr()));
        if let Ok(address) = chosen {
            return give(address.ip().to_string());
        }
    }
    Err(Failure::new("this host has no route to others"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Caller;
    use sloth_lua::Args;

    fn args(port: u16) -> Args {
        Args::default().with("host", "127.0.0.1").with("port", f64::from(port)).with("timeout", 300.0)
    }

    #[tokio::test]
    async fn ports() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let caller = Caller::new();
        assert_eq!(port_open(caller.call(args(open))).await.unwrap(), [Data::Bool(true)]);
        assert_eq!(wait_port(caller.call(args(open))).await.unwrap()[0], Data::Bool(true));
        drop(listener);
        assert_eq!(port_open(caller.call(args(open))).await.unwrap(), [Data::Bool(false)]);
        let failure = wait_port(caller.call(args(open).with("interval", 50.0))).await.unwrap_err();
        assert!(failure.message.contains("did not open") && failure.message.contains("refused"), "{}", failure.message);
        assert!(port_open(caller.call(args(open).with("port", 70_000.0))).await.unwrap_err().raise);
    }

    #[tokio::test]
    async fn a_port_that_opens_later_is_waited_for() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let opener = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            std::net::TcpListener::bind(("127.0.0.1", port))
        });
        let call = Caller::new().call(args(port).with("timeout", 5000.0).with("interval", 50.0));
        assert_eq!(wait_port(call).await.unwrap()[0], Data::Bool(true));
        drop(opener.join().unwrap());
    }

    #[tokio::test]
    async fn names() {
        let call = |host: &str| Caller::new().call(Args::default().with("host", host));
        let Data::List(found) = addresses(call("localhost")).await.unwrap().remove(0) else { panic!("no list") };
        assert!(found.contains(&Data::text("127.0.0.1")) || found.contains(&Data::text("::1")), "{found:?}");
        assert!(addresses(call("no.such.name.invalid")).await.unwrap_err().message.contains("no.such.name.invalid"));
    }

    /// "http_get: body, status, headers, err (err nil on success)"; "download: nil on success, else err string".
    #[tokio::test]
    async fn pages() {
        let caller = Caller::new();
        let gone = Args::default().with("url", "http://127.0.0.1:1/").with("dest", "f");
        let reply = page(caller.call(gone.clone()), Method::GET).await.unwrap();
        assert_eq!(reply[0], Data::Nil);
        assert!(reply[3].to_text().unwrap().contains("refused"));
        let reply = download(caller.call(gone)).await.unwrap();
        assert!(reply[0].to_text().unwrap().contains("refused"));
    }
}
