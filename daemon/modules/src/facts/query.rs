//! `facts.query`: `memory.total`, `network[0].name`, `services["sshd"].state`.

use sloth_lua::{Data, Failure};

/// Steps of a path.
fn steps(path: &str) -> Result<Vec<String>, Failure> {
    let wrong = || Failure::argument("path", format_args!("{path:?} is not a path such as \"network[0].name\""));
    let mut steps = Vec::new();
    let mut rest = path.trim_start_matches('.');
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = inner.split_once(']').ok_or_else(wrong)?;
            steps.push(step.trim().trim_matches(['"', '\'']).to_owned());
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return Err(wrong());
            }
            steps.push(rest[..end].to_owned());
            rest = rest[end..].strip_prefix('.').unwrap_or(&rest[end..]);
        }
    }
    if steps.is_empty() { Err(wrong()) } else { Ok(steps) }
}

/// Follows a path; `section` gives what the first step names. Lists count from 0, or are searched by name.
pub fn query(path: &str, section: impl Fn(&str) -> Result<Data, Failure>) -> Result<Data, Failure> {
    let steps = steps(path)?;
    let mut value = section(&steps[0])?;
    for step in &steps[1..] {
        let next = match &value {
            Data::Map(_) => value.get(step).cloned(),
            Data::List(items) => match step.parse::<usize>() {
                Ok(at) => items.get(at).cloned(),
                Err(_) => items.iter().find(|item| is_named(item, step)).cloned(),
            },
            _ => None,
        };
        value = next.ok_or_else(|| Failure::new(format!("there is no fact {path:?}: nothing is called {step:?}")))?;
    }
    Ok(value)
}

/// Whether an entry of a list has this name.
pub fn is_named(item: &Data, name: &str) -> bool {
    ["name", "username", "mountpoint", "device"]
        .iter()
        .any(|key| item.get(key).and_then(Data::to_text).as_deref() == Some(name))
}
