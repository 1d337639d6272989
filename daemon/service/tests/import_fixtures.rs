//! Each directory `fixtures/FORMAT/CASE` is an import: its files are the texts, under their paths, and `report.txt` is
//! what becomes of every line. Run with `UPDATE_FIXTURES=1` to write the reports anew, then read the difference.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sloth_api::{ImportRequest, ImportSource};
use sloth_service::export::to_toml;
use sloth_service::import::{FORMATS, ImportContext, Planned, import};

const REPORT: &str = "report.txt";

#[test]
fn every_line_is_scheduled_or_refused_as_written_in_the_reports() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut cases = 0;
    for format in FORMATS {
        for case in sorted(&root.join(format)) {
            cases += 1;
            check(format, &case);
        }
    }
    assert!(cases >= 10, "only {cases} cases were found below {}", root.display());
}

fn check(format: &str, case: &Path) {
    let mut sources = Vec::new();
    collect(case, case, &mut sources);
    let request = ImportRequest { format: format.to_owned(), sources, user: None, dry_run: true, replace: false };
    let context = ImportContext { default_user: "alice".to_owned(), local_zone: Some("Europe/Lisbon".to_owned()) };
    let planned = import(&request, &context);
    let report: String = planned.iter().map(render).collect();
    let path = case.join(REPORT);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &report).expect("the fixtures can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(report == expected, "{}: the report is now\n{report}", case.display());
}

fn render(planned: &Planned) -> String {
    let line = &planned.line;
    let mut text =
        format!("{}:{} {} {}\n", line.source, line.line, line.outcome, line.schedule.as_deref().unwrap_or_default());
    if !line.text.is_empty() {
        let _ = writeln!(text, "    | {}", line.text);
    }
    if let Some(made) = &planned.made {
        assert_eq!(Some(&made.name), line.schedule.as_ref());
        for field in to_toml(&[(made.name.clone(), made.spec.clone())]).lines().skip(1) {
            let _ = writeln!(text, "    {field}");
        }
    }
    for note in &line.notes {
        let _ = writeln!(text, "    - {note}");
    }
    text
}

fn collect(root: &Path, directory: &Path, sources: &mut Vec<ImportSource>) {
    for path in sorted(directory) {
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.file_name().is_none_or(|name| name != REPORT) {
            let name = path.strip_prefix(root).expect("it lies below the case");
            let text = std::fs::read_to_string(&path).expect("fixtures are text");
            sources.push(ImportSource { name: format!("/{}", name.display()), text });
        }
    }
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the directory can be read").path()).collect();
    paths.sort();
    paths
}
