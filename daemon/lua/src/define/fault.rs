//! What is wrong with a definition, before it is known where.

use sloth_core::units::UnitError;

/// A finding without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `E113`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Fault {
    /// A finding.
    pub fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), hint: None }
    }

    /// With a remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }

    /// With a near word, when there is one.
    pub fn did_you_mean(mut self, suggestion: Option<&str>) -> Fault {
        if let Some(word) = suggestion {
            self.hint = Some(format!("did you mean {word:?}?"));
        }
        self
    }

    /// Says what the finding is about.
    pub fn about(mut self, what: &str) -> Fault {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// A value of the wrong type or form.
    pub fn wrong(expected: &str, got: &str) -> Fault {
        Fault::new("E115", format!("{expected} expected, got {got}"))
    }

    /// A known word that this build does not do.
    pub fn absent(what: &str) -> Fault {
        Fault::new("E112", format!("{what} is not available in this build"))
    }
}

impl From<UnitError> for Fault {
    fn from(error: UnitError) -> Fault {
        Fault::new("E113", format!("{:?} {}", error.text, error.problem)).hint(error.hint)
    }
}

/// All codes with their texts: what can be wrong with a file.
pub const CODES: &[(&str, &str)] = &[
    ("E100", "error while the file was evaluated"),
    ("E101", "syntax error"),
    ("E104", "unsupported goto"),
    ("E105", "missing separator in block form"),
    ("E106", "import outside the allowed directories"),
    ("E107", "os.exit at file level"),
    ("E110", "bad name"),
    ("E111", "duplicate task"),
    ("E112", "unknown method"),
    ("E113", "bad duration or quantity"),
    ("E114", "two commands"),
    ("E115", "wrong type"),
    ("E121", "unsupported state store"),
    ("E201", "unresolved task reference"),
    ("E202", "circular dependency"),
    ("E203", "nothing defined"),
    ("E204", "too many tasks"),
    ("E205", "bad expression"),
    ("E301", "output too large"),
    ("E302", "missing template value"),
    ("E401", "role missing"),
    ("E402", "sandbox denies"),
    ("W101", "shadowed module"),
    ("W103", "function not in this build"),
    ("W104", "task without command"),
    ("W110", "task replaced"),
    ("W111", "workflow replaced"),
    ("W112", "unknown key or option"),
    ("W120", "unknown runner_config key"),
    ("W130", "stack mismatch"),
    ("W201", "unresolved reference"),
    ("W202", "task added by reference"),
    ("W203", "many tasks"),
    ("W301", "definition journal mismatch"),
    ("W302", "value dropped from output"),
    ("W303", "limit not enforceable"),
];
