//! What a function that changes something answers: the same words whether it did it or only says what it would do.

use sloth_lua::{Call, Data};

/// Whether a call must not change anything: the mode of the run, or its own `check=true`.
pub fn simulated(call: &Call) -> bool {
    call.ctx.is_simulated() || call.args.flag("check")
}

/// What was, or would be, done.
#[derive(Clone, Debug)]
pub struct Change {
    /// Whether something is different now.
    pub changed: bool,
    /// One sentence, about what was done.
    pub message: String,
    /// Single differences.
    pub changes: Vec<String>,
    /// Further members of the info.
    pub more: Vec<(&'static str, Data)>,
}

impl Change {
    /// Something was changed.
    pub fn made(message: impl Into<String>) -> Change {
        Change { changed: true, message: message.into(), changes: Vec::new(), more: Vec::new() }
    }

    /// Nothing had to be changed.
    pub fn none(message: impl Into<String>) -> Change {
        Change { changed: false, ..Change::made(message) }
    }

    /// With a further member.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Data>) -> Change {
        self.more.push((name, value.into()));
        self
    }

    /// With single differences.
    #[must_use]
    pub fn because(mut self, changes: Vec<String>) -> Change {
        self.changes = changes;
        self
    }

    /// As the info of a reply.
    pub fn info(self, simulated: bool) -> Data {
        let mut members = vec![
            ("changed", Data::Bool(self.changed)),
            ("message", self.message.as_str().into()),
            ("changes", Data::texts(self.changes)),
        ];
        if simulated {
            members.push(("simulated", true.into()));
            members.push(("would", self.message.as_str().into()));
        }
        members.extend(self.more);
        Data::map(members)
    }
}
