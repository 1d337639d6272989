//! Facts of the machine on which the tests run.

use sloth_lua::{Args, Body, Data, Reply};

use super::MODULE;
use crate::testing::Caller;

fn call(name: &str, args: Args) -> Reply {
    let function = MODULE.functions.iter().find(|f| f.name == name || f.aliases.contains(&name)).unwrap();
    match function.body {
        Body::Blocking(body) => body(Caller::new().call(args)),
        _ => panic!("{name} blocks"),
    }
}

fn fact(name: &str, args: Args) -> Data {
    call(name, args).unwrap_or_else(|failure| panic!("{name}: {}", failure.message)).remove(0)
}

fn number(data: &Data, key: &str) -> f64 {
    data.get(key).and_then(Data::to_text).and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("{key} of {data:?}"))
}

#[test]
fn facts_are_those_of_this_host() {
    let memory = fact("memory", Args::default());
    assert!(number(&memory, "total") > number(&memory, "available"));
    let cpu = fact("get_cpu", Args::default());
    assert!(number(&cpu, "threads") >= 1.0 && number(&cpu, "usage") <= 100.0);
    let os = fact("os", Args::default());
    assert_eq!(os.get("os"), Some(&"linux".into()));
    assert_eq!(fact("get_load", Args::default()), fact("query", Args::default().with("path", "load")));
    assert!(number(&fact("get_uptime", Args::default()), "seconds") > 0.0);
    assert!(number(&fact("get_processes", Args::default()), "total") >= 1.0);
    let root = fact("get_user", Args::default().with("username", "root"));
    assert_eq!(number(&root, "uid"), 0.0);
    let lo = fact("get_network", Args::default().with("interface", "lo"));
    assert!(format!("{lo:?}").contains("ip_addresses"), "{lo:?}");
}

/// "value at `memory.total`, `network[0].name`, `services["sshd"].state`"
#[test]
fn a_path_leads_to_a_value() {
    let query = |path: &str| call("query", Args::default().with("path", path));
    assert_eq!(query("memory.total").unwrap()[0], fact("memory", Args::default()).get("total").cloned().unwrap());
    let name = query("network[0].name").unwrap().remove(0).to_text().unwrap();
    assert_eq!(query(&format!("network[\"{name}\"].name")).unwrap()[0].to_text().unwrap(), name);
    assert_eq!(query("users[\"root\"].uid").unwrap()[0], 0.0.into());
    assert!(query("memory.nothing").unwrap_err().message.contains("\"nothing\""));
    assert!(query("nowhere").is_err());
    assert!(query("a[").unwrap_err().raise);
}

#[test]
fn agents_are_refused_by_name() {
    let failure = call("get_memory", Args::default().with("agent", "web01")).unwrap_err();
    assert_eq!(failure.message, "facts of agent web01: agents are not available in this build");
    assert!(call("get_hostname", Args::default().with("agent", "local")).is_ok());
}
