//! The expected instants of `vectors/schedule.json`, one by one.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use sloth_core::Moment;
use sloth_core::trigger::{Trigger, TriggerKind};

#[test]
fn every_vector_holds() {
    let file: Value = serde_json::from_str(include_str!("vectors/schedule.json")).expect("the vectors are JSON");
    let vectors = file["vectors"].as_array().expect("a list of vectors");
    assert!(vectors.len() >= 48, "only {} vectors", vectors.len());
    let wrong: Vec<String> = vectors.iter().filter_map(|vector| check(vector).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(vector: &Value) -> Result<(), String> {
    let text = |key: &str| vector[key].as_str().unwrap_or_default();
    let moment = |text: &str| Moment::from(text.parse::<Timestamp>().expect("vectors use RFC 3339"));
    let about =
        |what: String| format!("{} in {} from {}: {what} ({})", text("expr"), text("tz"), text("from"), text("note"));
    let tz = TimeZone::get(text("tz")).map_err(|e| about(e.to_string()))?;
    let trigger = Trigger::parse(text("expr"), &tz).map_err(|e| about(e.to_string()))?;
    let class = match trigger.kind() {
        TriggerKind::Fixed => "fixed",
        TriggerKind::Interval => "interval",
        TriggerKind::Anchored => "interval-anchored",
        TriggerKind::Single => "single",
    };
    if class != text("class") {
        return Err(about(format!("is {class}, not {}", text("class"))));
    }
    let mut after = moment(text("from"));
    for expected in vector["next_utc"].as_array().expect("a list of instants") {
        let expected = moment(expected.as_str().unwrap_or_default());
        let found = trigger.next_after(&tz, after);
        if found != Some(expected) {
            return Err(about(format!("after {after} expected {expected}, got {found:?}")));
        }
        after = expected;
    }
    Ok(())
}
