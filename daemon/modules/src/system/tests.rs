//! The host on which the tests run, as `system` sees it.

use sloth_lua::{Args, Body, Data, Reply};

use super::MODULE;
use crate::testing::{Caller, call as invoke};

fn call(caller: &Caller, name: &str, args: Args) -> Reply {
    invoke(&MODULE, caller, name, args)
}

#[test]
fn whatever_needs_no_argument_answers() {
    let caller = Caller::new();
    for function in MODULE.functions {
        let needs = function.params.iter().any(|param| param.required);
        if !needs && !matches!(function.body, Body::Luau) {
            let reply = call(&caller, function.name, Args::default());
            assert!(reply.is_ok(), "{}: {reply:?}", function.name);
        }
    }
}

#[test]
fn the_environment_is_that_of_later_commands() {
    let caller = Caller::new();
    let name = || Args::default().with("name", "COLOUR");
    call(&caller, "setenv", name().with("value", "red")).unwrap();
    let r = call(&caller, "exec", Args::default().with("cmd", "echo $COLOUR")).unwrap().remove(0);
    assert_eq!(r.get("stdout"), Some(&"red\n".into()));
    assert_eq!(call(&caller, "env", name()).unwrap(), [Data::from("red")]);
    call(&caller, "unsetenv", name()).unwrap();
    assert_eq!(call(&caller, "env", name()).unwrap(), [Data::Nil]);
    assert!(call(&caller, "setenv", Args::default().with("name", "A=B").with("value", "")).unwrap_err().raise);
}

#[test]
fn processes_are_known_by_number() {
    let caller = Caller::new();
    let me = i64::from(std::process::id());
    let info = call(&caller, "process_info", Args::default().with("pid", me)).unwrap().remove(0);
    assert_eq!(info.get("pid"), Some(&me.into()));
    assert!(info.get("command").is_some() && info.get("memory").is_some());
    assert!(call(&caller, "process_info", Args::default().with("pid", -5.0)).unwrap_err().raise);
    let Data::List(all) = call(&caller, "processes", Args::default()).unwrap().remove(0) else { panic!() };
    assert!(all.iter().any(|process| process.get("pid") == Some(&me.into())));
    let none = call(&caller, "processes", Args::default().with("filter", "surely-no-such-process")).unwrap();
    assert_eq!(none, [Data::List(Vec::new())]);
}

#[test]
fn a_listening_socket_is_seen() {
    let caller = Caller::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = f64::from(listener.local_addr().unwrap().port());
    let Data::List(all) = call(&caller, "network_connections", Args::default()).unwrap().remove(0) else { panic!() };
    let own =
        all.iter().find(|c| c.get("local_port") == Some(&port.into()) && c.get("state") == Some(&"LISTEN".into()));
    assert_eq!(own.unwrap().get("local_address"), Some(&"127.0.0.1".into()));
}
