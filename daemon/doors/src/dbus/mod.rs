//! D-Bus: `org.slothd.Slothd1` on the system bus, or on the session bus for the daemon of a user.
//!
//! There is no tree of objects: a call is checked against the table of the contract and answered from the service, as a request over
//! HTTP is. `busctl`, `gdbus` and every binding of D-Bus work; `docs/guide/dbus.md` describes it for users.

mod answers;
mod bus;
mod call;
mod contract;
mod dispatch;
mod introspect;
mod lasting;
mod log_control;
mod manager;
mod object;
mod peer;
mod pipes;
mod polkit;
mod properties;
mod run;
mod schedule;
mod signals;
mod values;

pub use bus::serve;
pub use call::CALLS_MAX;

/// The name of slothd on its bus.
pub const NAME: &str = "org.slothd.Slothd1";

/// Whether this is an address of a bus (D-Bus specification, "Server Addresses").
pub fn is_address(text: &str) -> bool {
    text.parse::<zbus::Address>().is_ok()
}

/// Where the bus is, and what decides about its callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// Which one.
    pub kind: BusKind,
    /// Another address than that of the environment.
    pub address: Option<String>,
}

/// Which bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusKind {
    /// Of the system: polkit decides, and where there is none, roles.
    System,
    /// Of a session: roles decide, so its user may all.
    Session,
}
