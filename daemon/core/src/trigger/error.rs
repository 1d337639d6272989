//! Why a trigger text was refused, with enough detail to point at the fault.

/// A refusal of a trigger text. Printed as one line:
/// `minute: "61" at column 1: is above 59; example: "30 2 * * *"`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{text:?} at column {column}: {problem}; {hint}", .field.map(|f| format!("{f}: ")).unwrap_or_default())]
pub struct TriggerError {
    /// The field in which the fault lies, such as `minute`; none when it concerns the whole text.
    pub field: Option<&'static str>,
    /// The offending text, shortened when it is long.
    pub text: String,
    /// Where the offending text begins in the input, in characters, counted from 1.
    pub column: usize,
    /// What is wrong with it.
    pub problem: String,
    /// A remedy or an example.
    pub hint: String,
}

/// The hint where nothing more particular is known.
pub(super) const EXAMPLE: &str = "example: \"30 2 * * *\"";

/// Longest offending text that an error repeats, in characters.
const TEXT_MAX: usize = 40;

/// A part of the input that remembers where it came from, so that every refusal can name its column.
#[derive(Clone, Copy)]
pub(super) struct Span<'a> {
    input: &'a str,
    start: usize,
    end: usize,
    field: Option<&'static str>,
}

impl<'a> Span<'a> {
    /// The whole input without the blanks around it.
    pub(super) fn trimmed(input: &'a str) -> Self {
        let start = input.len() - input.trim_ascii_start().len();
        let end = start + input.trim_ascii().len();
        Span { input, start, end, field: None }
    }

    /// The whole input.
    pub(super) fn whole(input: &'a str) -> Self {
        Span { input, start: 0, end: input.len(), field: None }
    }

    pub(super) fn text(&self) -> &'a str {
        &self.input[self.start..self.end]
    }

    pub(super) fn named(self, field: &'static str) -> Self {
        Span { field: Some(field), ..self }
    }

    /// The part `part`, which must be a slice of this span's text.
    pub(super) fn part(self, part: &'a str) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(self.input.as_ptr() as usize);
        let within = start >= self.start && start.saturating_add(part.len()) <= self.end;
        debug_assert!(within, "a part lies within its span");
        if within { Span { start, end: start + part.len(), ..self } } else { self }
    }

    pub(super) fn refuse(&self, problem: impl Into<String>) -> TriggerError {
        self.refuse_with(problem, EXAMPLE)
    }

    pub(super) fn refuse_with(&self, problem: impl Into<String>, hint: impl Into<String>) -> TriggerError {
        TriggerError {
            field: self.field,
            text: self.text().chars().take(TEXT_MAX).collect(),
            column: self.input[..self.start].chars().count() + 1,
            problem: problem.into(),
            hint: hint.into(),
        }
    }
}
