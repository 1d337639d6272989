//! The contract of the door as a table: interfaces with their methods, properties and signals. Calls are checked against it, properties
//! are listed from it, and the introspection XML (`daemon/doors/dbus/`) is written from it, so none can know what another does not.

/// Everything that an interface has.
pub(super) struct Interface {
    pub(super) name: &'static str,
    pub(super) methods: &'static [Method],
    pub(super) properties: &'static [Property],
    pub(super) signals: &'static [Signal],
}

/// Name and signature of an argument.
type Argument = (&'static str, &'static str);

pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) takes: &'static [Argument],
    pub(super) gives: &'static [Argument],
}

impl Method {
    /// Signature of what it takes.
    pub(super) fn signature(&self) -> String {
        self.takes.iter().map(|(_, kind)| *kind).collect()
    }
}

pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) writable: bool,
    /// What `PropertiesChanged` says of it: `true` (the value), `invalidates`, `const` (never changes) or `false` (nothing).
    pub(super) emits: &'static str,
}

pub(super) struct Signal {
    pub(super) name: &'static str,
    pub(super) carries: &'static [Argument],
}

const fn method(name: &'static str, takes: &'static [Argument], gives: &'static [Argument]) -> Method {
    Method { name, takes, gives }
}

const fn property(name: &'static str, kind: &'static str, emits: &'static str) -> Property {
    Property { name, kind, writable: false, emits }
}

pub(super) const MANAGER: Interface = Interface {
    name: "org.slothd.Slothd1.Manager",
    methods: &[
        method("AddSchedule", &[("options", "a{sv}")], &[("schedule", "o")]),
        method("RemoveSchedule", &[("name", "s")], &[]),
        method("GetSchedule", &[("name", "s")], &[("schedule", "o")]),
        method("ListSchedules", &[], &[("schedules", "a(ssbto)")]),
        method("RunSchedule", &[("name", "s"), ("options", "a{sv}")], &[("run", "o")]),
        method("GetRun", &[("id", "s")], &[("run", "a{sv}")]),
        method("CancelRun", &[("id", "s"), ("options", "a{sv}")], &[]),
        method("EmitEvent", &[("type", "s"), ("data", "a{sv}")], &[("seq", "t")]),
        method("Inhibit", &[("what", "s"), ("who", "s"), ("why", "s")], &[("inhibitor", "h")]),
        method("Reload", &[], &[]),
        method("CanRead", &[("schedule", "s")], &[("answer", "s")]),
        method("CanRun", &[("schedule", "s")], &[("answer", "s")]),
        method("CanCancel", &[("schedule", "s")], &[("answer", "s")]),
        method("CanManageOwn", &[("schedule", "s")], &[("answer", "s")]),
        method("CanManageAll", &[("schedule", "s")], &[("answer", "s")]),
        method("CanManageDaemon", &[("schedule", "s")], &[("answer", "s")]),
    ],
    properties: &[
        property("Version", "s", "const"),
        property("State", "s", "true"),
        property("NSchedules", "t", "true"),
        property("NRunning", "t", "true"),
        property("NQueued", "t", "true"),
        property("NextElapseUSec", "t", "false"),
        property("Features", "a{sv}", "false"),
    ],
    signals: &[
        Signal { name: "RunStarted", carries: &[("id", "s"), ("schedule", "s"), ("details", "a{sv}")] },
        Signal {
            name: "RunFinished",
            carries: &[("id", "s"), ("schedule", "s"), ("result", "s"), ("details", "a{sv}")],
        },
        Signal { name: "EventPublished", carries: &[("seq", "t"), ("type", "s"), ("details", "a{sv}")] },
    ],
};

pub(super) const SCHEDULE: Interface = Interface {
    name: "org.slothd.Slothd1.Schedule",
    methods: &[
        method("Enable", &[], &[]),
        method("Disable", &[], &[]),
        method("Run", &[("options", "a{sv}")], &[("run", "o")]),
    ],
    properties: &[
        property("Name", "s", "const"),
        property("Owner", "s", "const"),
        property("Enabled", "b", "invalidates"),
        property("Trigger", "s", "invalidates"),
        property("Timezone", "s", "invalidates"),
        property("NextElapseUSec", "t", "invalidates"),
        property("LastResult", "s", "invalidates"),
        property("LastStartUSec", "t", "invalidates"),
    ],
    signals: &[],
};

pub(super) const RUN: Interface = Interface {
    name: "org.slothd.Slothd1.Run",
    methods: &[method("Cancel", &[("options", "a{sv}")], &[]), method("OpenLog", &[], &[("output", "h")])],
    properties: &[
        property("Id", "s", "const"),
        property("Schedule", "s", "const"),
        property("State", "s", "invalidates"),
        property("Attempt", "u", "invalidates"),
        property("StartUSec", "t", "invalidates"),
    ],
    signals: &[],
};

/// org.freedesktop.LogControl1(5).
pub(super) const LOG_CONTROL: Interface = Interface {
    name: "org.freedesktop.LogControl1",
    methods: &[],
    properties: &[
        Property { name: "LogLevel", kind: "s", writable: true, emits: "false" },
        Property { name: "LogTarget", kind: "s", writable: true, emits: "false" },
        property("SyslogIdentifier", "s", "false"),
    ],
    signals: &[],
};

pub(super) const OBJECT_MANAGER: Interface = Interface {
    name: "org.freedesktop.DBus.ObjectManager",
    methods: &[method("GetManagedObjects", &[], &[("objects", "a{oa{sa{sv}}}")])],
    properties: &[],
    signals: &[
        Signal { name: "InterfacesAdded", carries: &[("object", "o"), ("interfaces", "a{sa{sv}}")] },
        Signal { name: "InterfacesRemoved", carries: &[("object", "o"), ("interfaces", "as")] },
    ],
};

pub(super) const PROPERTIES: Interface = Interface {
    name: "org.freedesktop.DBus.Properties",
    methods: &[
        method("Get", &[("interface", "s"), ("property", "s")], &[("value", "v")]),
        method("GetAll", &[("interface", "s")], &[("properties", "a{sv}")]),
        method("Set", &[("interface", "s"), ("property", "s"), ("value", "v")], &[]),
    ],
    properties: &[],
    signals: &[Signal {
        name: "PropertiesChanged",
        carries: &[("interface", "s"), ("changed", "a{sv}"), ("invalidated", "as")],
    }],
};

pub(super) const INTROSPECTABLE: Interface = Interface {
    name: "org.freedesktop.DBus.Introspectable",
    methods: &[method("Introspect", &[], &[("xml", "s")])],
    properties: &[],
    signals: &[],
};

pub(super) const PEER: Interface = Interface {
    name: "org.freedesktop.DBus.Peer",
    methods: &[method("Ping", &[], &[]), method("GetMachineId", &[], &[("id", "s")])],
    properties: &[],
    signals: &[],
};
