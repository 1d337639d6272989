//! The rules of the language, each quoted where it is tested.

use crate::define::testing::*;

#[test]
fn a_builder_makes_a_task() {
    let task = task(
        r#"
local pack = task("pack_site")
  :description("Bundle the static site")
  :command(function(this, params) return true end)
  :timeout("2m")
  :build()
"#,
    );
    assert_eq!((task.name.as_str(), task.description.as_str()), ("pack_site", "Bundle the static site"));
    assert_eq!(task.timeout_ms, Some(120_000));
    assert_eq!(task.place.line, 2);
}
