//! In which form a run is followed.

use crate::args::runs::FollowLook;
use crate::output::Format;
use crate::session::Session;

/// `-o` of `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A line for each change; on a terminal also one that says what runs now.
    Lines,
    /// The same with a table of what runs now.
    Live,
    Json,
    Yaml,
}

/// How a run is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) shape: Shape,
    pub(crate) summary_only: bool,
    pub(crate) verbose: bool,
}

impl Look {
    /// The command's own word, else that of the whole line or of the environment.
    pub(crate) fn new(session: &Session, flags: &FollowLook) -> Look {
        let shape = match (flags.output.as_deref(), session.screen.format) {
            (Some("json"), _) | (None, Format::Json) => Shape::Json,
            (Some("yaml"), _) | (None, Format::Yaml) => Shape::Yaml,
            (Some("modern"), _) => Shape::Live,
            _ => Shape::Lines,
        };
        let verbose = flags.verbose || session.globals.verbose;
        Look { shape, summary_only: flags.summary_only, verbose }
    }

    /// Whether changes are shown as they happen.
    pub(crate) fn shows_changes(self) -> bool {
        !self.summary_only && self.shape != Shape::Yaml
    }

    pub(crate) fn is_text(self) -> bool {
        !matches!(self.shape, Shape::Json | Shape::Yaml)
    }
}
