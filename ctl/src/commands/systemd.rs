//! Where systemd keeps timers: finds a timer, the service that it starts, and the drop-ins of both.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::import::Batch;
use super::sources::read;
use crate::args::scheduler::SystemdArgs;
use crate::failure::Failure;

/// The first place wins, as in systemd.unit(5).
const DIRS: &[&str] = &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// One batch for each timer.
pub(crate) fn batches(args: &SystemdArgs) -> Result<Vec<Batch>, Failure> {
    let dirs: Vec<PathBuf> = DIRS.iter().map(PathBuf::from).collect();
    let units = if args.all { every_timer(&dirs) } else { args.units.clone() };
    units.iter().map(|unit| batch(unit, &dirs)).collect()
}

fn every_timer(dirs: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = dirs
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".timer") && !name.contains("@."))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn batch(unit: &str, dirs: &[PathBuf]) -> Result<Batch, Failure> {
    let mut dirs = dirs.to_vec();
    let mut name = unit.to_owned();
    if let (true, Some(dir)) = (unit.contains('/'), Path::new(unit).parent()) {
        dirs.insert(0, dir.to_path_buf());
        name = Path::new(unit).file_name().map_or(name, |file| file.to_string_lossy().into_owned());
    }
    if !name.ends_with(".timer") {
        name.push_str(".timer");
    }
    let mut texts = unit_texts(&name, &dirs)?;
    if texts.is_empty() {
        let places: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        return Err(
            Failure::not_found(format!("there is no unit {name}")).hint(format!("looked in {}", places.join(", ")))
        );
    }
    let service = texts.iter().rev().find_map(|(_, text)| unit_setting(text));
    let service = service.unwrap_or_else(|| name.trim_end_matches(".timer").to_owned() + ".service");
    texts.extend(unit_texts(&service, &dirs)?); // a service that is missing is the daemon's to report
    Ok(Batch { format: "systemd", texts })
}

/// The unit file and its drop-ins, in the order in which systemd reads them; empty when there is no such unit.
fn unit_texts(name: &str, dirs: &[PathBuf]) -> Result<Vec<(String, String)>, Failure> {
    let template = name.split_once('@').and_then(|(stem, rest)| Some(format!("{stem}@.{}", rest.rsplit_once('.')?.1)));
    let names: Vec<&str> = std::iter::once(name).chain(template.as_deref()).collect();
    let file = names.iter().find_map(|name| dirs.iter().map(|dir| dir.join(name)).find(|path| path.is_file()));
    let Some(file) = file else {
        return Ok(Vec::new());
    };
    let mut paths = vec![file];
    let mut drop_ins: BTreeMap<String, PathBuf> = BTreeMap::new();
    for name in names {
        for entry in dirs.iter().filter_map(|dir| fs::read_dir(dir.join(format!("{name}.d"))).ok()).flatten().flatten()
        {
            let file = entry.file_name().to_string_lossy().into_owned();
            if file.ends_with(".conf") {
                drop_ins.entry(file).or_insert_with(|| entry.path());
            }
        }
    }
    paths.extend(drop_ins.into_values());
    paths.iter().map(|path| read(&path.to_string_lossy())).collect()
}

/// `Unit=` of the section `[Timer]`.
fn unit_setting(text: &str) -> Option<String> {
    let mut in_timer = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_timer = line == "[Timer]";
        } else if let Some(value) =
            line.strip_prefix("Unit").map(str::trim_start).and_then(|rest| rest.strip_prefix('='))
            && in_timer
        {
            found = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_comes_with_its_service_and_all_drop_ins() {
        let root = tempfile::tempdir().expect("a directory");
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        };
        put("lib/a.timer", "[Timer]\nOnCalendar=daily\n");
        put("lib/a.timer.d/10.conf", "hidden\n");
        put("etc/a.timer.d/10.conf", "[Timer]\nUnit = b.service\n");
        put("lib/b.service", "[Service]\nExecStart=/bin/b\n");
        put("etc/b.service.d/x.conf", "[Service]\nUser=b\n");
        let dirs = [root.path().join("etc"), root.path().join("lib")];
        let batch = batch("a", &dirs).expect("found");
        let names: Vec<String> =
            batch.texts.iter().map(|(name, _)| name.replace(&root.path().display().to_string(), "")).collect();
        assert_eq!(names, ["/lib/a.timer", "/etc/a.timer.d/10.conf", "/lib/b.service", "/etc/b.service.d/x.conf"]);
        assert!(super::batch("none.timer", &dirs).is_err());
    }
}
