//! How a followed run of a workflow looks: as text, one line for each change; as JSON, one object for each; and the summary at the end.
//! Pure: events and log lines in, text out.

pub(crate) mod event;
pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod logline;
pub(crate) mod summary;
pub(crate) mod text;

#[cfg(test)]
mod tests;
