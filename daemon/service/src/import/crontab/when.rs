//! When a crontab line is due. Stricter than the triggers of slothd: what cron does not read it never ran, and an import
//! must not start it.

/// The time of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// A trigger of slothd.
    pub(super) trigger: String,
    /// Width of a random minute or hour (`~` of cronie).
    pub(super) jitter_minutes: Option<u32>,
    /// Whether the hour is named and the minute begins with `*`: clock changes are then treated otherwise than by cron.
    pub(super) anchored: bool,
}

impl When {
    fn exactly(trigger: impl Into<String>) -> Self {
        When { trigger: trigger.into(), jitter_minutes: None, anchored: false }
    }
}

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 8] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day of month", min: 1, max: 31, names: &[] },
    Field { name: "month", min: 1, max: 12, names: &MONTHS },
    Field { name: "day of week", min: 0, max: 7, names: &DAYS },
];
const NICKNAMES: [&str; 8] =
    ["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Reads the time at the start of a line; returns it and the rest of the line.
pub(super) fn read<'a>(line: &'a str, notes: &mut Vec<String>) -> Result<(When, &'a str), String> {
    let line = match line.strip_prefix('-') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit() || "*@~".contains(c)) => {
            notes.push("the leading `-` keeps cronie from logging the job; here every run is recorded".to_owned());
            rest
        }
        _ => line,
    };
    if line.starts_with('@') {
        return nickname(line, notes);
    }
    if !line.starts_with(|c: char| c.is_ascii_digit() || "*~,-/?".contains(c)) {
        let hint = "a line is a comment (#), NAME=value, or five time fields and a command";
        return Err(format!("is not a line of a crontab: {} is no minute; {hint}", quoted(super::split_word(line).0)));
    }
    let mut rest = line;
    let mut fields = [""; 5];
    for (text, field) in fields.iter_mut().zip(&FIELDS) {
        (*text, rest) = super::split_word(rest);
        if text.is_empty() {
            return Err(format!("ends before the {}: five time fields and a command are needed", field.name));
        }
    }
    if let Some(when) = random(&fields, notes)? {
        return Ok((when, rest));
    }
    for (text, field) in fields.iter().zip(&FIELDS) {
        field.check(text)?;
    }
    if rest.starts_with("* ") || rest.starts_with("*\t") || rest == "*" {
        return Err("has a sixth time field, which cron does not know: remove one of them".to_owned());
    }
    let anchored = fields[0].starts_with('*') && !fields[1].starts_with('*');
    Ok((When { trigger: fields.join(" "), jitter_minutes: None, anchored }, rest))
}

/// Whether cron reads a trigger of slothd, and reads it the same.
pub(crate) fn crontab_accepts(trigger: &str) -> bool {
    let mut notes = Vec::new();
    let line = format!("{trigger} x");
    !trigger.starts_with('-')
        && !trigger.contains(['\n', '%'])
        && matches!(read(&line, &mut notes), Ok((when, "x")) if notes.is_empty() && when.jitter_minutes.is_none())
}

fn nickname<'a>(line: &'a str, notes: &mut Vec<String>) -> Result<(When, &'a str), String> {
    let (word, rest) = super::split_word(line);
    if NICKNAMES.contains(&word) {
        return Ok((When::exactly(word), rest));
    }
    let foreign = |notes: &mut Vec<String>, of: &str| {
        notes.push(format!("{word} is an extension of {of}; cron of Debian refuses it"))
    };
    if word == "@every_minute" || word == "@every_second" {
        foreign(notes, "FreeBSD's cron");
        return Ok((When::exactly(if word == "@every_minute" { "* * * * *" } else { "* * * * * *" }), rest));
    }
    if word == "@every" {
        let (period, rest) = super::split_word(rest);
        foreign(notes, "cron libraries");
        notes.push("the period is counted from the import".to_owned());
        return Ok((When::exactly(format!("@every {period}")), rest));
    }
    if let Some(seconds) =
        word.strip_prefix('@').filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
    {
        let since_end = "FreeBSD's cron counts the pause from the end of a run";
        return Err(format!(
            "{since_end}, slothd has no such trigger: add it with `slothctl scheduler add NAME --every {seconds}s`"
        ));
    }
    let known = "@reboot, @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly, in small letters";
    Err(format!("{} is not a time that cron knows: it knows {known}", quoted(word)))
}

/// cronie's `a~b`, a value that each start of its daemon draws anew: the first minute and a delay fixed for the host.
fn random(fields: &[&str; 5], notes: &mut Vec<String>) -> Result<Option<When>, String> {
    if !fields.iter().any(|field| field.contains('~')) {
        return Ok(None);
    }
    let advice = "slothd draws only a minute, or a minute of 0~59 with an hour: write fixed values, or a jitter";
    let refused = || format!("has a random value (`~`) that cannot be kept; {advice}");
    if fields[2..].iter().any(|field| field.contains('~')) {
        return Err(refused());
    }
    let minute = FIELDS[0].random(fields[0])?;
    let hour = FIELDS[1].random(fields[1])?;
    for (text, field) in fields.iter().zip(&FIELDS).filter(|(text, _)| !text.contains('~')) {
        field.check(text)?;
    }
    let (first, jitter_minutes) = match (minute, hour) {
        (Some((from, to)), None) => ([from.to_string(), fields[1].to_owned()], to - from + 1),
        (Some((0, 59)), Some((from, to))) => (["0".to_owned(), from.to_string()], (to - from + 1) * 60),
        _ => return Err(refused()),
    };
    notes.push(format!("the random time (`~`) becomes a delay below {jitter_minutes} minutes, fixed for this host"));
    let trigger = format!("{} {} {}", first[0], first[1], fields[2..].join(" "));
    Ok(Some(When { trigger, jitter_minutes: Some(jitter_minutes), anchored: false }))
}

impl Field {
    /// Accepts what crontab(5) describes and nothing else.
    fn check(&self, text: &str) -> Result<(), String> {
        let refuse = |item: &str, problem: &str| Err(format!("{} {}: {problem}", self.name, quoted(item)));
        for item in text.split(',') {
            let (base, step) = match item.split_once('/') {
                Some((base, step)) => (base, Some(step)),
                None => (item, None),
            };
            if step.is_some_and(|step| !matches!(step.parse::<u32>(), Ok(1..))) {
                return refuse(item, "the step after `/` is not a number from 1");
            }
            if base == "*" {
                continue;
            }
            let (first, last) = base.split_once('-').map_or((base, None), |(first, last)| (first, Some(last)));
            let Some(first) = self.value(first) else {
                return refuse(item, &self.expectation(item));
            };
            match last {
                None if step.is_some() => {
                    let range = format!("{base}-{}/{}", self.max, step.unwrap_or_default());
                    return refuse(item, &format!("cron reads no step after a single value: write {range} or {base}"));
                }
                None => {}
                Some(last) => match self.value(last) {
                    None => return refuse(item, &self.expectation(item)),
                    Some(last) if last < first => {
                        return refuse(item, "the range runs backwards, which cron refuses: write two ranges");
                    }
                    Some(_) => {}
                },
            }
        }
        Ok(())
    }

    fn value(&self, text: &str) -> Option<u32> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().filter(|value| (self.min..=self.max).contains(value));
        }
        let at = self.names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
        Some(self.min + at as u32)
    }

    fn expectation(&self, item: &str) -> String {
        let (min, max) = (self.min, self.max);
        if item.contains(['L', 'W', '#', '?', 'H']) {
            let add = "slothd may: `slothctl scheduler add NAME --cron '…'`";
            return format!("cron does not read this and never ran the line; {add}");
        }
        match self.names {
            [] => format!("is not {min} to {max}"),
            names => format!(
                "is not {min} to {max} or {} to {}",
                names[0],
                names[max as usize - min as usize - usize::from(max == 7)]
            ),
        }
    }

    /// The ends of `a~b`, each of which may be left out.
    fn random(&self, text: &str) -> Result<Option<(u32, u32)>, String> {
        let Some((from, to)) = text.split_once('~') else {
            return Ok(None);
        };
        let end = |text: &str, default: u32| {
            if text.is_empty() { Some(default) } else { self.value(text) }
        };
        match (end(from, self.min), end(to, self.max)) {
            (Some(from), Some(to)) if from <= to => Ok(Some((from, to))),
            _ => Err(format!(
                "{} {}: a random value is one range from {} to {}",
                self.name,
                quoted(text),
                self.min,
                self.max
            )),
        }
    }
}

/// A foreign text in a message.
pub(in crate::import) fn quoted(text: &str) -> String {
    format!("\"{}\"", super::text::shorten(text))
}
