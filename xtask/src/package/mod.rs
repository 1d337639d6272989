//! `cargo xtask package`: a .deb and an .rpm from one list of files, by the reference tools of both formats.

mod changelog;
mod deb;
mod list;
mod options;
mod rpm;
mod stage;
mod tool;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::workspace;
use changelog::Changelog;
use list::{Entry, Kind};
use options::Wish;
use stage::Stage;

/// What both formats are made from.
struct Plan {
    /// Of the project.
    root: PathBuf,
    /// Of the programs, without a revision.
    version: String,
    revision: String,
    changelog: Changelog,
    entries: Vec<Entry>,
    /// Where packages go.
    out: PathBuf,
    /// Seconds since 1970 of everything in the packages.
    epoch: u64,
}

/// Formats as options, with the tools that make them.
pub const FORMATS: &[(&str, &[&str])] = &[("--deb", deb::TOOLS), ("--rpm", rpm::TOOLS)];

/// Whether a format can be made here; else what is missing.
pub fn tools_there(tools: &[&str]) -> Result<()> {
    tool::all_there(tools)?;
    tool::all_there(TOOLS)
}

/// Packages the programs of the tests into a directory of the target directory.
pub fn for_tests(root: &Path, format: &str, which: &str, version: Option<&str>) -> Result<()> {
    let out = stage::target(root)?.join("test-packages").join(which);
    let mut args = vec![format.to_owned(), "--profile".to_owned(), "dev".to_owned()];
    args.extend(["--out".to_owned(), out.to_string_lossy().into_owned()]);
    args.extend(version.iter().flat_map(|version| ["--version".to_owned(), (*version).to_owned()]));
    run(&args).map(|_| ())
}

/// Tools of every format.
const TOOLS: &[&str] = &["strip", "gzip"];

/// Runs `cargo xtask package`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let options = match options::parse(args)? {
        Wish::Help => {
            print!("{}", options::HELP);
            return Ok(ExitCode::SUCCESS);
        }
        Wish::Make(options) => options,
    };
    let root = workspace::root()?;
    let mut needed = TOOLS.to_vec();
    needed.extend(if options.deb { deb::TOOLS } else { &[] });
    needed.extend(if options.rpm { rpm::TOOLS } else { &[] });
    tool::all_there(&needed)?;

    let changelog = Changelog::read(&root.join("packaging/changelog"))?;
    let programs = stage::build(&root, &options)?;
    let built = stage::version(&programs)?;
    if built != changelog.version {
        bail!(
            "the programs are version {built}, packaging/changelog begins with {}: write an entry for what is packaged",
            changelog.version
        );
    }
    let out = options.out.clone().unwrap_or_else(|| programs.target.join("package"));
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let work = out.join(format!("work-{}", std::process::id()));
    let made = make(&root, &options, changelog, &programs, &out, &work);
    // Half a tree helps nobody, and the next attempt makes its own.
    let _ = std::fs::remove_dir_all(&work);
    for path in made? {
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn make(
    root: &Path,
    options: &options::Options,
    changelog: Changelog,
    programs: &stage::Programs,
    out: &Path,
    work: &Path,
) -> Result<Vec<PathBuf>> {
    let generated = work.join("made");
    stage::generate(root, programs, &changelog, &generated)?;
    let plan = Plan {
        root: root.to_owned(),
        version: options.version.clone().unwrap_or_else(|| changelog.version.clone()),
        revision: changelog.revision.clone(),
        entries: list::read(root, &generated)?,
        out: out.to_owned(),
        epoch: changelog.seconds()?,
        changelog,
    };
    let mut paths = Vec::new();
    if options.deb {
        let stage = Stage::fill(&plan, Kind::Deb, programs, &generated, &work.join("deb"))?;
        paths.push(deb::write(&plan, &stage)?);
    }
    if options.rpm {
        let stage = Stage::fill(&plan, Kind::Rpm, programs, &generated, &work.join("rpm"))?;
        paths.push(rpm::write(&plan, &stage, &work.join("rpmbuild"))?);
    }
    Ok(paths)
}
