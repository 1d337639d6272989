//! The .rpm: a spec file made from the list, built by rpmbuild, which finds what the programs are linked with by itself.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::list::{Entry, Role, Source};
use super::stage::Stage;
use super::{Plan, tool};

pub const TOOLS: &[&str] = &["rpmbuild"];

/// Writes the package; `work` becomes the directory of rpmbuild.
pub fn write(plan: &Plan, stage: &Stage, work: &Path) -> Result<PathBuf> {
    fs::create_dir_all(work).with_context(|| format!("cannot make {}", work.display()))?;
    let file = |name: &str| {
        let path = plan.root.join("packaging/rpm").join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let files: String = stage.entries.iter().map(line).collect();
    let spec = file("slothd.spec.in")?
        .replace("{version}", &plan.version)
        .replace("{release}", &plan.revision)
        .replace("{maintainer}", &plan.changelog.maintainer)
        .replace("{stage}", &stage.dir.to_string_lossy())
        .replace("{post}", &file("post")?)
        .replace("{preun}", &file("preun")?)
        .replace("{postun}", &file("postun")?)
        .replace("{files}", &files)
        .replace("{changelog}", &plan.changelog.as_rpm(plan.epoch)?);
    let path = work.join("slothd.spec");
    fs::write(&path, spec).with_context(|| format!("cannot write {}", path.display()))?;
    let defines = [
        format!("_topdir {}", work.display()),
        "_buildhost localhost".to_owned(),
        // Readable by every rpm since 4.14.
        "_binary_payload w9.xzdio".to_owned(),
        "use_source_date_epoch_as_buildtime 1".to_owned(),
        "clamp_mtime_to_source_date_epoch 1".to_owned(),
    ];
    let mut args = vec![OsStr::new("-bb"), OsStr::new("--nodeps")];
    for define in &defines {
        args.extend([OsStr::new("--define"), OsStr::new(define)]);
    }
    args.push(path.as_os_str());
    tool::run(work, plan.epoch, "rpmbuild", &args)?;
    let arch = std::env::consts::ARCH;
    let name = format!("slothd-{}-{}.{arch}.rpm", plan.version, plan.revision);
    let (built, out) = (work.join("RPMS").join(arch).join(&name), plan.out.join(&name));
    fs::copy(&built, &out).with_context(|| format!("{} did not become {}", built.display(), out.display()))?;
    Ok(out)
}

/// An entry in the words of a spec file.
fn line(entry: &Entry) -> String {
    let word = match (entry.role, &entry.source) {
        // A directory of documentation is a directory first: its files are listed themselves.
        (_, Source::Directory) => "%dir ",
        (Role::Config, _) => "%config(noreplace) ",
        (Role::Doc, _) if entry.path.starts_with("/usr/share/licenses/") => "%license ",
        (Role::Doc, _) => "%doc ",
        (Role::Plain, _) => "",
    };
    format!("%attr({:04o},root,root) {word}{}\n", entry.mode, entry.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_words() {
        let entry = |path: &str, role, source| Entry { path: path.to_owned(), source, mode: 0o644, role, only: None };
        let file = || Source::File("x".into());
        assert_eq!(line(&entry("/a", Role::Config, file())), "%attr(0644,root,root) %config(noreplace) /a\n");
        assert_eq!(
            line(&entry("/usr/share/licenses/a", Role::Doc, file())),
            "%attr(0644,root,root) %license /usr/share/licenses/a\n"
        );
        assert_eq!(line(&entry("/d", Role::Doc, Source::Directory)), "%attr(0644,root,root) %dir /d\n");
    }
}
