//! The .deb: control files as deb-control(5) wants them, packed by dpkg-deb, dependencies by dpkg-shlibdeps.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::list::{Role, Source};
use super::stage::Stage;
use super::{Plan, tool};

pub const TOOLS: &[&str] = &["dpkg-deb", "dpkg-shlibdeps", "md5sum"];

/// Maintainer scripts.
const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];

/// Writes the package.
pub fn write(plan: &Plan, stage: &Stage) -> Result<PathBuf> {
    let control = stage.dir.join("DEBIAN");
    // Before the control directory exists: these look at what is installed only.
    let sums = sums(plan, stage)?;
    let size = installed_kib(stage)?;
    let shlibs = shared_libraries(plan, stage)?;
    fs::create_dir(&control).with_context(|| format!("cannot make {}", control.display()))?;
    fs::set_permissions(&control, Permissions::from_mode(0o755))?;

    let version = format!("{}-{}", plan.version, plan.revision);
    let template = fs::read_to_string(plan.root.join("packaging/deb/control")).context("packaging/deb/control")?;
    let fields = template
        .replace("{version}", &version)
        .replace("{arch}", arch())
        .replace("{maintainer}", &plan.changelog.maintainer)
        .replace("{installed_size}", &size.to_string())
        .replace("{shlibs}", &shlibs);
    put(&control.join("control"), fields.as_bytes(), 0o644)?;
    put(&control.join("md5sums"), &sums, 0o644)?;
    let config = stage.entries.iter().filter(|entry| entry.role == Role::Config);
    let config: String = config.map(|entry| format!("{}\n", entry.path)).collect();
    put(&control.join("conffiles"), config.as_bytes(), 0o644)?;
    for name in SCRIPTS {
        let text = fs::read(plan.root.join("packaging/deb").join(name)).with_context(|| (*name).to_owned())?;
        put(&control.join(name), &text, 0o755)?;
    }
    let path = plan.out.join(format!("slothd_{version}_{}.deb", arch()));
    let args =
        ["--build".as_ref(), "--root-owner-group".as_ref(), "-Zxz".as_ref(), stage.dir.as_os_str(), path.as_os_str()];
    tool::run(&plan.root, plan.epoch, "dpkg-deb", &args)?;
    Ok(path)
}

/// The word of Debian for the machine that this was built for.
pub fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "riscv64" => "riscv64",
        "powerpc64" => "ppc64el",
        other => other,
    }
}

fn put(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// Of all files but configuration, which the package manager follows by itself (deb-md5sums(5)).
fn sums(plan: &Plan, stage: &Stage) -> Result<Vec<u8>> {
    let files = stage.entries.iter().filter(|entry| entry.source != Source::Directory && entry.role != Role::Config);
    let names: Vec<&str> = files.map(|entry| entry.path.trim_start_matches('/')).collect();
    let args: Vec<&OsStr> = names.iter().map(AsRef::as_ref).collect();
    tool::run(&stage.dir, plan.epoch, "md5sum", &args)
}

/// As dpkg-gencontrol(1) counts: each file in whole KiB, each directory as one.
fn installed_kib(stage: &Stage) -> Result<u64> {
    let mut kib = 0;
    for entry in &stage.entries {
        let meta = fs::metadata(stage.dir.join(entry.path.trim_start_matches('/')))?;
        kib += if meta.is_dir() { 1 } else { meta.len().div_ceil(1024) };
    }
    Ok(kib)
}

/// What the programs are linked with, as a list of packages.
fn shared_libraries(plan: &Plan, stage: &Stage) -> Result<String> {
    let dir = stage.dir.with_extension("shlibs");
    fs::create_dir_all(dir.join("debian"))?;
    // dpkg-shlibdeps wants to be in a source package.
    fs::write(dir.join("debian/control"), "Source: slothd\n\nPackage: slothd\nArchitecture: any\n")?;
    let programs = stage.entries.iter().filter(|entry| matches!(entry.source, Source::Program(_)));
    let programs: Vec<PathBuf> = programs.map(|entry| stage.dir.join(entry.path.trim_start_matches('/'))).collect();
    let mut args: Vec<&OsStr> = vec![OsStr::new("-O")];
    args.extend(programs.iter().map(|path| path.as_os_str()));
    let text = String::from_utf8(tool::run(&dir, plan.epoch, "dpkg-shlibdeps", &args)?)?;
    let depends = text.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    Ok(depends.with_context(|| format!("dpkg-shlibdeps said nothing of Depends: {text}"))?.to_owned())
}
