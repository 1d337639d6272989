//! Who may know whom: the table of the architecture as data. A new edge is a decision about the design: it changes
//! this table and the page on architecture in one commit.

/// A crate of the workspace and the crates of the workspace it may use.
pub struct Row {
    pub name: &'static str,
    pub may_use: Uses,
}

pub enum Uses {
    Only(&'static [&'static str]),
    /// Tests and automation may look at everything; nobody may use them.
    Anything,
}

pub const CRATES: &[Row] = &[
    only("sloth-core", &[]),
    only("sloth-api", &[]),
    only("sloth-store", &["sloth-core"]),
    only("sloth-lua", &["sloth-core"]),
    only("sloth-exec", &["sloth-core", "sloth-api"]),
    only("sloth-engine", &["sloth-core"]),
    only("sloth-modules", &["sloth-core", "sloth-lua", "sloth-exec"]),
    only("sloth-worker", &["sloth-core", "sloth-api", "sloth-lua", "sloth-modules", "sloth-exec"]),
    only("sloth-service", &["sloth-core", "sloth-api", "sloth-store", "sloth-engine"]),
    only("sloth-doors", &["sloth-api", "sloth-service"]),
    only(
        "slothd",
        &["sloth-api", "sloth-core", "sloth-store", "sloth-exec", "sloth-engine", "sloth-service", "sloth-doors"],
    ),
    only("slothctl", &["sloth-api"]),
    Row { name: "sloth-tests", may_use: Uses::Anything },
    Row { name: "xtask", may_use: Uses::Anything },
];

const fn only(name: &'static str, may_use: &'static [&'static str]) -> Row {
    Row { name, may_use: Uses::Only(may_use) }
}

/// A library that does I/O or shapes whoever uses it, and the crates that may use it.
pub struct Heavy {
    pub names: &'static [&'static str],
    pub homes: &'static [&'static str],
}

/// Libraries that are not here are free, except in the core.
pub const HEAVY: &[Heavy] = &[
    Heavy { names: &["rusqlite", "libsqlite3-sys", "sqlx", "diesel"], homes: &["sloth-store"] },
    Heavy { names: &["axum", "tonic", "tower", "tower-http"], homes: &["sloth-doors"] },
    Heavy {
        // slothctl's tests play the daemon; slothctl itself speaks through the client of sloth-api.
        names: &["hyper", "hyper-util", "http-body-util"],
        homes: &["sloth-api", "sloth-doors", "sloth-modules", "slothctl"],
    },
    Heavy { names: &["reqwest", "ureq", "async-std", "smol", "async-process"], homes: &[] },
    Heavy { names: &["zbus"], homes: &["sloth-exec", "sloth-doors"] },
    Heavy { names: &["mlua"], homes: &["sloth-lua"] },
    Heavy { names: &["clap", "clap_complete", "clap_mangen"], homes: &["slothd", "slothctl"] },
    Heavy { names: &["nix", "libc", "rustix"], homes: &["sloth-exec", "slothd"] },
    Heavy { names: &["croner"], homes: &["sloth-core"] },
    Heavy { names: &["sd-notify", "tokio-cron-scheduler", "tracing-journald"], homes: &["slothd"] },
    Heavy {
        names: &["tokio", "tokio-stream", "tokio-util"],
        homes: &[
            "sloth-api",
            "sloth-exec",
            "sloth-engine",
            "sloth-modules",
            "sloth-worker",
            "sloth-service",
            "sloth-doors",
            "slothd",
            "slothctl",
        ],
    },
];

/// All that the core may use from outside. Its types are not serializable on purpose, so serde is not among them;
/// `serde_json` is, for the values of scripts, which are JSON and opaque to it.
pub const CORE: &str = "sloth-core";
pub const CORE_LIBRARIES: &[&str] =
    &["jiff", "chrono", "chrono-tz", "croner", "serde_json", "smallvec", "thiserror", "uuid", "sha2", "tracing"];

/// Libraries for tests, free as dev-dependencies of every crate.
pub const TEST_LIBRARIES: &[&str] =
    &["proptest", "insta", "tempfile", "serde", "serde_json", "anyhow", "nix", "tracing-subscriber"];
