//! Stories: a scenario in text, the trace that must follow. Each file in `scenarios/` holds stories, divided by lines that begin with
//! `#`, which name them. The language is in `story/mod.rs`.

mod sim;
mod story;

fn tell(file: &str, text: &str) {
    let mut stories = 0;
    let mut failures = Vec::new();
    for part in text.split("\n#").filter(|part| !part.trim().is_empty()) {
        let (title, lines) = part.trim_start_matches('#').split_once('\n').expect("a story has lines");
        stories += 1;
        if let Err(failure) = story::Story::tell(lines) {
            failures.push(format!("{file}: {}\n{failure}", title.trim()));
        }
    }
    println!("{file}: {stories} stories");
    assert!(stories > 0 && failures.is_empty(), "\n{}\n", failures.join("\n\n"));
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            tell(stringify!($name), include_str!(concat!("scenarios/", stringify!($name), ".txt")));
        })*
    };
}

scenarios!(
    overlap, catch_up, deadline, inhibitors, jitter, retries, chains, triggers, clock, zones, pauses, edits, crashes,
    places
);
