//! Network interfaces.

use std::fs;

use sloth_exec::host;
use sloth_lua::Data;

use super::line;

/// `{name,ip_addresses,mac_address,mtu,is_up,speed}`, sorted by name.
pub fn interfaces() -> Data {
    let addresses = host::addresses();
    let mut names: Vec<String> = fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("ifindex").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Data::List(names.iter().map(|name| interface(name, &addresses)).collect())
}

fn interface(name: &str, addresses: &[(String, String)]) -> Data {
    let file = |file: &str| line(format!("/sys/class/net/{name}/{file}"));
    let own = addresses.iter().filter(|(interface, _)| interface == name).map(|(_, address)| address.clone());
    // IFF_UP of netdevice(7).
    let flags = u32::from_str_radix(file("flags").trim_start_matches("0x"), 16).unwrap_or(0);
    Data::map([
        ("name", Data::from(name)),
        ("ip_addresses", Data::texts(own)),
        ("mac_address", file("address").into()),
        ("mtu", file("mtu").parse::<u64>().ok().into()),
        ("is_up", (flags & 1 == 1).into()),
        // Of a virtual one it is -1 or cannot be read.
        ("speed", file("speed").parse::<u64>().ok().into()),
    ])
}
