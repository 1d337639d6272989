//! Texts with `${root.path}` and `${root.path:-default}`. What is not of this form, such as `${HOME}` or `${x%.*}`,
//! belongs to the shell and stays as it is.

use serde_json::Value;

use super::expr::{Step, number_text, step_into};

/// Roots that a template can read.
pub const ROOTS: [&str; 8] = ["values", "params", "deps", "env", "stack", "run", "secrets", "task"];

/// A text, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Slot(Slot),
}

/// A place that gets a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// One of [`ROOTS`].
    pub root: String,
    /// At least one step.
    pub path: Vec<Step>,
    /// Used when the value is missing.
    pub default: Option<String>,
    /// As written, for messages.
    pub written: String,
}

/// A value without default is missing (E302).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("missing template value: {written} has no value and no default")]
pub struct Missing {
    /// The slot as written.
    pub written: String,
}

/// A command whose slots became references to variables, so that values cannot become code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellText {
    /// Text for the shell.
    pub text: String,
    /// Variables to add to its environment.
    pub env: Vec<(String, String)>,
}

impl Template {
    /// Reads it; every text is a template.
    pub fn parse(text: &str) -> Template {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some((slot, length)) = slot(rest) {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Slot(slot));
                rest = &rest[length..];
            } else {
                plain.push_str("${");
                rest = &rest[2..];
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Template { parts }
    }

    /// Its slots.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.parts.iter().filter_map(|part| match part {
            Part::Slot(slot) => Some(slot),
            Part::Text(_) => None,
        })
    }

    /// Puts values in. `root` gives the value of a root, null when there is none.
    pub fn render<'v>(&self, root: &dyn Fn(&str) -> &'v Value) -> Result<String, Missing> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Slot(slot) => text.push_str(&slot.value(root)?),
            }
        }
        Ok(text)
    }

    /// As [`Template::render`] for a shell: each slot becomes a reference to a variable, `${SLOTH_T1}` and so on, and
    /// follows the shell's own rules of quoting. Equal slots share a variable.
    pub fn render_shell<'v>(&self, root: &dyn Fn(&str) -> &'v Value) -> Result<ShellText, Missing> {
        let mut shell = ShellText { text: String::new(), env: Vec::new() };
        let mut seen: Vec<&str> = Vec::new();
        for part in &self.parts {
            let slot = match part {
                Part::Text(plain) => {
                    shell.text.push_str(plain);
                    continue;
                }
                Part::Slot(slot) => slot,
            };
            let at = match seen.iter().position(|written| *written == slot.written) {
                Some(at) => at,
                None => {
                    seen.push(&slot.written);
                    shell.env.push((format!("SLOTH_T{}", seen.len()), slot.value(root)?));
                    seen.len() - 1
                }
            };
            shell.text.push_str(&format!("${{SLOTH_T{}}}", at + 1));
        }
        Ok(shell)
    }
}

impl Slot {
    fn value<'v>(&self, root: &dyn Fn(&str) -> &'v Value) -> Result<String, Missing> {
        match (step_into(root(&self.root), &self.path), &self.default) {
            (Value::Null, Some(default)) => Ok(default.clone()),
            (Value::Null, None) => Err(Missing { written: self.written.clone() }),
            (Value::String(text), _) => Ok(text.clone()),
            (Value::Number(number), _) => Ok(number_text(number)),
            (other, _) => Ok(other.to_string()),
        }
    }
}

/// The slot at the start of `text`, and its length.
fn slot(text: &str) -> Option<(Slot, usize)> {
    let inner = text.strip_prefix("${")?;
    let (root, mut rest) = word(inner)?;
    if !ROOTS.contains(&root) {
        return None;
    }
    let mut path = Vec::new();
    while let Some((step, after)) = step(rest) {
        path.push(step);
        rest = after;
    }
    if path.is_empty() {
        return None;
    }
    let default = match rest.strip_prefix(":-") {
        Some(after) => {
            let end = after.find('}')?;
            rest = &after[end..];
            Some(after[..end].to_owned())
        }
        None => None,
    };
    let rest = rest.strip_prefix('}')?;
    let length = text.len() - rest.len();
    Some((Slot { root: root.to_owned(), path, default, written: text[..length].to_owned() }, length))
}

fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        // Names of tasks often hold dashes: `${deps.build-app.file}`.
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        // The dash of `:-` is not part of a name, and a name does not end with one.
        let name = rest[..end].trim_end_matches('-');
        return (!name.is_empty()).then(|| (Step::Key(name.to_owned()), &rest[name.len()..]));
    }
    let inner = text.strip_prefix('[')?;
    if let Some(quote) = inner.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (key, rest) = inner[1..].split_once(quote)?;
        return Some((Step::Key(key.to_owned()), rest.strip_prefix(']')?));
    }
    let (digits, rest) = inner.split_once(']')?;
    digits.parse().ok().filter(|index| *index > 0).map(|index| (Step::Index(index), rest))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Template;

    fn render(text: &str) -> Result<String, String> {
        let values =
            json!({"env": "prod", "n": 3, "list": ["a", {"b": true}], "x y": "z", "evil": "'; rm -rf /", "half": 0.5});
        let deps = json!({"build-app": {"file": "app.tgz"}});
        let root = |name: &str| match name {
            "values" => &values,
            "deps" => &deps,
            _ => &Value::Null,
        };
        Template::parse(text).render(&root).map_err(|missing| missing.to_string())
    }

    #[test]
    fn a_slot_with_a_known_root_and_a_path_is_replaced() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("${values.env}", "prod"),
            ("a ${values.env} b ${values.n} c", "a prod b 3 c"),
            ("${values.half}", "0.5"),
            ("${values.list[1]}", "a"),
            ("${values.list[2].b}", "true"),
            ("${values[\"x y\"]} ${values['x y']}", "z z"),
            ("${deps.build-app.file}", "app.tgz"),
            ("${values.list}", r#"["a",{"b":true}]"#),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_other_form_stays_as_it_is() {
        for text in [
            "${HOME}",
            "$HOME",
            "${stack}",
            "${values}",
            "${x:-y}",
            "${values.env",
            "${values.}",
            "${}",
            "$${x}",
            "${values.env%prod}",
            "${other.x}",
            "${values.list[0]}",
            "${values[x]}",
        ] {
            assert_eq!(render(text).as_deref(), Ok(text), "{text}");
        }
        assert_eq!(render("${HOME}/${values.env}/${").as_deref(), Ok("${HOME}/prod/${"));
    }

    #[test]
    fn a_default_is_used_when_the_value_is_missing_and_without_one_it_is_an_error() {
        assert_eq!(render("${values.no:-eu}").as_deref(), Ok("eu"));
        assert_eq!(render("${values.no:-}").as_deref(), Ok(""));
        assert_eq!(render("${values.env:-eu}").as_deref(), Ok("prod"));
        assert_eq!(render("${run.id:-none}").as_deref(), Ok("none"));
        let error = render("x ${values.no.deep}").expect_err("no default");
        assert_eq!(error, "missing template value: ${values.no.deep} has no value and no default");
    }

    #[test]
    fn in_a_shell_a_value_becomes_a_variable_and_cannot_become_code() {
        let values = json!({"evil": "'; rm -rf /", "n": 2});
        let root = |name: &str| if name == "values" { &values } else { &Value::Null };
        let shell = Template::parse("echo \"${values.evil}\" ${values.n} ${values.evil} $HOME").render_shell(&root);
        let shell = shell.expect("all there");
        assert_eq!(shell.text, "echo \"${SLOTH_T1}\" ${SLOTH_T2} ${SLOTH_T1} $HOME");
        assert_eq!(shell.env, [("SLOTH_T1".into(), "'; rm -rf /".into()), ("SLOTH_T2".into(), "2".into())]);
    }
}
