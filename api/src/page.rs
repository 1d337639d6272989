//! Lists: one page and the key to the next.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A page of a list. Ask again with `cursor=next_cursor` until it is `null`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// At most `limit` items (default 100, at most 1000).
    pub items: Vec<T>,
    /// Opaque; `null` on the last page.
    pub next_cursor: Option<String>,
}
