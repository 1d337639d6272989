//! Lists: pages, order, formats, and text that would harm a terminal.

use serde_json::{Value, json};

use crate::canned::{page, schedule};
use crate::support::{Mock, text};

#[test]
fn lists_page_up_to_the_limit() {
    let mock = Mock::start();
    mock.on("GET /schedules?limit=3&cursor=c1", 200, page(vec![schedule("c")], Some("c2")));
    mock.on("GET /schedules?limit=5", 200, page(vec![schedule("a"), schedule("b")], Some("c1")));
    mock.on("GET /schedules?limit=2&cursor=c2", 200, page(vec![schedule("d"), schedule("e")], Some("c3")));
    let list = mock.run(&["scheduler", "list", "--limit", "5", "-o", "name"]);
    assert_eq!(text(&list.stdout), "a\nb\nc\nd\ne\n");
    assert!(text(&list.stderr).contains("more than 5"));
    let sorted = mock.run(&["scheduler", "list", "--limit", "5", "-o", "json", "--sort=-name", "-q"]);
    let rows: Vec<Value> = serde_json::from_slice(&sorted.stdout).expect("JSON");
    assert_eq!(rows[0]["name"], "e");
    assert!(sorted.stderr.is_empty());
}

#[test]
fn hostile_names_never_reach_the_screen_as_they_are() {
    let mock = Mock::start();
    let mut hostile = schedule("n\x1b]0;owned\x07\u{9b}31m\u{202e}");
    hostile["description"] = "a\r\nb\x1b[2J".into();
    mock.on("GET /schedules?", 200, page(vec![hostile.clone()], None)).on("GET /schedules/n", 200, hostile);
    for words in [
        &["scheduler", "list", "-o", "wide"][..],
        &["scheduler", "list", "-o", "name"],
        &["scheduler", "list", "-o", "json"],
        &["scheduler", "show", "n"],
        &["scheduler", "list", "--color", "never"],
    ] {
        let shown = text(&mock.run(words).stdout);
        assert!(shown.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{words:?}: {shown:?}");
        assert!(shown.contains("owned"));
    }
}

#[test]
fn queries_print_as_table_json_and_csv() {
    let mock = Mock::start();
    mock.on(
        "POST /db/query",
        200,
        json!({"columns": ["a", "a", "*x"], "rows": [[1, "x,\"y", null]], "truncated": false}),
    );
    let query = |format: &str| text(&mock.run(&["db", "query", "SELECT 1", "-o", format]).stdout);
    assert_eq!(query("table"), "a  a     *x\n1  x,\"y  NULL\n");
    assert_eq!(query("json"), "[{\"a\":1,\"a_2\":\"x,\\\"y\",\"*x\":null}]\n");
    assert_eq!(query("csv"), "a,a,*x\n1,\"x,\"\"y\",\n");
}
