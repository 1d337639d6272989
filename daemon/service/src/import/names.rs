//! Names of imported schedules: derived from what is imported and nothing else, so that importing again finds them.

use std::collections::HashMap;

/// Longest name of a schedule.
const NAME_MAX: usize = 64;

/// The names given so far.
#[derive(Default)]
pub(super) struct Names {
    /// How often each name was wanted or given.
    seen: HashMap<String, u32>,
}

impl Names {
    /// A valid name from `base` that is not given yet: `base`, `base-2`, `base-3`.
    pub(super) fn claim(&mut self, base: &str) -> String {
        let base = valid(base);
        let mut count = self.seen.get(&base).copied().unwrap_or(0);
        loop {
            count += 1;
            let name = if count == 1 { base.clone() } else { numbered(&base, count) };
            if count == 1 || !self.seen.contains_key(&name) {
                self.seen.insert(base, count);
                if count > 1 {
                    self.seen.insert(name.clone(), 1);
                }
                return name;
            }
        }
    }
}

fn numbered(base: &str, count: u32) -> String {
    let suffix = format!("-{count}");
    format!("{}{suffix}", &base[..base.len().min(NAME_MAX - suffix.len())])
}

/// The nearest text that matches `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
pub(super) fn valid(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c),
            '.' | '_' | '-' if !name.is_empty() => name.push(c),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
        if name.len() == NAME_MAX {
            break;
        }
    }
    name.truncate(name.trim_end_matches(['-', '.', '_']).len());
    if name.is_empty() { "job".to_owned() } else { name }
}

/// The last component of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// What a line of shell is about: the file name of its first command that is more than a guard or a wrapper.
pub(super) fn of_command(text: &str) -> String {
    // Long lines tell nothing more about themselves after this much.
    let end = text.char_indices().nth(2000).map_or(text.len(), |(at, _)| at);
    let commands = || text[..end].split([';', '|', '&', '\n', '(', '{', '}', ')']);
    let guard = || {
        commands()
            .flat_map(str::split_ascii_whitespace)
            .map(file_name)
            .find(|word| GUARDS.contains(word) && word.len() > 2)
    };
    commands().find_map(of_simple_command).or_else(|| guard().map(str::to_owned)).unwrap_or_else(|| "job".to_owned())
}

/// Words that only decide whether or where the next command runs.
const GUARDS: [&str; 25] = [
    "[", "[[", "test", "cd", "command", "true", "false", ":", "export", ".", "source", "umask", "sleep", "which",
    "type", "set", "ulimit", "echo", "fi", "done", "else", "exit", "trap", "ls", "date",
];
/// Words before a command that say how it runs.
const WRAPPERS: [&str; 19] = [
    "if", "then", "do", "while", "!", "exec", "env", "nice", "ionice", "chrt", "timeout", "nohup", "sudo", "setsid",
    "time", "chronic", "flock", "sh", "bash",
];

const INTERPRETERS: [&str; 7] = ["php", "perl", "python", "python3", "ruby", "node", "java"];

fn of_simple_command(text: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace().map(|word| word.trim_matches(['"', '\''])).peekable();
    let mut wrapped_by = "";
    loop {
        let word = words.next()?;
        let name = file_name(word);
        let is_value = word.starts_with('$') && !word.contains('/');
        if word.is_empty()
            || is_value
            || word.starts_with(['-', '<', '>', '`'])
            || is_assignment(word)
            || word.starts_with("2>")
        {
            continue;
        }
        if WRAPPERS.contains(&name) {
            wrapped_by = name;
            continue;
        }
        // `nice 5`, `ionice -c 3`, `timeout 1h`, `flock /run/lock`: their arguments come before the command.
        let is_number = word.starts_with(|c: char| c.is_ascii_digit()) && !word.contains('/');
        if is_number && matches!(wrapped_by, "nice" | "ionice" | "timeout" | "chrt") {
            continue;
        }
        if wrapped_by == "flock" && words.peek().is_some() {
            wrapped_by = "";
            continue;
        }
        if GUARDS.contains(&name) || name.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if name == "run-parts" {
            let directory = words.find(|word| word.starts_with('/')).map(file_name);
            return Some(directory.unwrap_or(name).to_owned());
        }
        // `php /usr/share/cacti/poller.php` is about the script.
        let script = words.peek().filter(|word| INTERPRETERS.contains(&name) && word.starts_with('/'));
        let name = script.map_or(name, |script| file_name(script));
        return name.contains(|c: char| c.is_ascii_alphanumeric()).then(|| name.to_owned());
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    word.contains('=') && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
