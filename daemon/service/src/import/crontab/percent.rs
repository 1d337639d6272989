//! `%` in the command of a crontab: the first unescaped one ends the command, the text after it is the standard input
//! and every further one a new line; `\%` is a percent sign. The same state machine as in do_command.c of cron.

/// The command, and its standard input when there is one.
pub(super) fn split(text: &str) -> (String, Option<String>) {
    let mut command = String::with_capacity(text.len());
    let mut escaped = false;
    let mut characters = text.char_indices();
    for (at, c) in characters.by_ref() {
        if escaped {
            escaped = false;
            if c == '%' {
                command.pop();
            }
        } else if c == '\\' {
            escaped = true;
        } else if c == '%' {
            return (command, Some(input(&text[at + 1..])));
        }
        command.push(c);
    }
    (command, None)
}

fn input(text: &str) -> String {
    let mut input = String::with_capacity(text.len() + 1);
    let mut escaped = false;
    for c in text.chars() {
        let c = match c {
            '%' if escaped => '%',
            '%' => '\n',
            c if escaped => {
                input.push('\\');
                c
            }
            c => c,
        };
        escaped = c == '\\';
        if !escaped {
            input.push(c);
        }
    }
    if escaped {
        input.push('\\');
    }
    if !input.is_empty() && !input.ends_with('\n') {
        input.push('\n');
    }
    input
}

#[cfg(test)]
mod tests {
    use super::split;

    fn check(text: &str, command: &str, stdin: Option<&str>) {
        assert_eq!(split(text), (command.to_owned(), stdin.map(str::to_owned)), "{text}");
    }

    #[test]
    fn percent_signs_are_read_as_cron_reads_them() {
        check("date", "date", None);
        check(r"date +\%F", "date +%F", None);
        check("mail root%hello%world", "mail root", Some("hello\nworld\n"));
        check("cat%", "cat", Some(""));
        check("cat%a%", "cat", Some("a\n"));
        check(r"cat%50\% of\it", "cat", Some("50% of\\it\n"));
        check(r"printf a\nb", r"printf a\nb", None);
        check(r"echo \\%in", r"echo \\", Some("in\n"));
        check(r"echo a\", r"echo a\", None);
    }
}
