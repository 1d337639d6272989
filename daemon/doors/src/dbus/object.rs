//! What is at which path. Nothing is registered and nothing is kept: a path names an object, and whether it exists is asked of the
//! service when somebody calls it, so that a hundred thousand schedules cost the door nothing.

use uuid::Uuid;
use zbus::ObjectPath;

use super::contract::{
    INTROSPECTABLE, Interface, LOG_CONTROL, MANAGER, OBJECT_MANAGER, PEER, PROPERTIES, RUN, SCHEDULE,
};

/// The root of our objects.
pub(super) const BASE: &str = "/org/slothd/Slothd1";

/// What a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// A directory: the names below it.
    Branch(&'static [&'static str]),
    /// The root of our objects.
    Base,
    Manager,
    Schedules,
    Runs,
    /// Identity with hyphens.
    Schedule(String),
    /// Identity with hyphens.
    Run(String),
    LogControl,
}

impl Object {
    pub(super) fn at(path: &str) -> Option<Object> {
        Some(match path {
            "/" => Object::Branch(&["org"]),
            "/org" => Object::Branch(&["slothd", "freedesktop"]),
            "/org/slothd" => Object::Branch(&["Slothd1"]),
            "/org/freedesktop" => Object::Branch(&["LogControl1"]),
            "/org/freedesktop/LogControl1" => Object::LogControl,
            BASE => Object::Base,
            _ => match path.strip_prefix(BASE)? {
                "/Manager" => Object::Manager,
                "/schedule" => Object::Schedules,
                "/run" => Object::Runs,
                rest => match rest.strip_prefix("/schedule/") {
                    Some(id) => Object::Schedule(hyphened(id)?),
                    None => Object::Run(hyphened(rest.strip_prefix("/run/")?)?),
                },
            },
        })
    }

    /// Its interfaces, ours first.
    pub(super) fn interfaces(&self) -> &'static [&'static Interface] {
        match self {
            Object::Branch(_) | Object::Schedules | Object::Runs => &[&INTROSPECTABLE, &PEER],
            Object::Base => &[&OBJECT_MANAGER, &INTROSPECTABLE, &PEER],
            Object::Manager => &[&MANAGER, &PROPERTIES, &INTROSPECTABLE, &PEER],
            Object::Schedule(_) => &[&SCHEDULE, &PROPERTIES, &INTROSPECTABLE, &PEER],
            Object::Run(_) => &[&RUN, &PROPERTIES, &INTROSPECTABLE, &PEER],
            Object::LogControl => &[&LOG_CONTROL, &PROPERTIES, &INTROSPECTABLE, &PEER],
        }
    }
}

/// An identity as it stands in a path: 32 hexadecimal digits, in one spelling only.
fn hyphened(text: &str) -> Option<String> {
    let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    plain.then(|| Uuid::parse_str(text).ok()).flatten().map(|id| id.to_string())
}

fn path_of(kind: &str, id: &str) -> ObjectPath<'static> {
    let plain: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    ObjectPath::from_string_unchecked(format!("{BASE}/{kind}/{plain}"))
}

/// The path of a schedule.
pub(super) fn schedule_path(id: &str) -> ObjectPath<'static> {
    path_of("schedule", id)
}

/// The path of a run.
pub(super) fn run_path(id: &str) -> ObjectPath<'static> {
    path_of("run", id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_for_one_object_and_back() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(Object::at(schedule_path(id).as_str()), Some(Object::Schedule(id.to_owned())));
        assert_eq!(Object::at(run_path(id).as_str()), Some(Object::Run(id.to_owned())));
        assert_eq!(Object::at("/org/slothd/Slothd1"), Some(Object::Base));
    }

    #[test]
    fn nothing_is_at_other_paths() {
        for path in [
            "/org/slothd/Slothd",
            "/org/slothd/Slothd1x",
            "/org/slothd/Slothd1/schedule/",
            "/org/slothd/Slothd1/schedule/01890A5DAC96774BBCCEB302099A8057",
            "/org/slothd/Slothd1/schedule/01890a5dac96774bbcceb302099a80570",
            "/org/slothd/Slothd1/run/x",
        ] {
            assert_eq!(Object::at(path), None, "{path}");
        }
    }
}
