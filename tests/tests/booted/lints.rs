//! What the checkers of both distributions think of the packages.

use std::process::{Command, Stdio};

use sloth_tests::booted::{is_there, packages, rpm_package};
use sloth_tests::instance::texts;
use sloth_tests::paths::project;
use sloth_tests::skips::skip;

#[test]
fn lintian_finds_no_error() {
    let name = "lintian_finds_no_error";
    if !is_there("lintian") {
        return skip(name, "THE .deb WAS NOT CHECKED: lintian is missing (apt-get install lintian)");
    }
    let package = match packages() {
        Ok(packages) => packages.current,
        Err(reason) => return skip(name, &reason),
    };
    let output = Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning"])
        .arg(package)
        .stdin(Stdio::null())
        .output()
        .expect("lintian can be started");
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{out}{err}");
}

#[test]
fn rpmlint_finds_no_error() {
    let name = "rpmlint_finds_no_error";
    if !is_there("rpmlint") {
        return skip(name, "THE .rpm WAS NOT CHECKED: rpmlint is missing (apt-get install rpmlint)");
    }
    let package = match rpm_package() {
        Ok(package) => package,
        Err(reason) => return skip(name, &reason),
    };
    let output = Command::new("rpmlint")
        .arg("--config")
        .arg(project().join("packaging/rpm/rpmlint.toml"))
        .arg(package)
        .stdin(Stdio::null())
        .output()
        .expect("rpmlint can be started");
    let (out, err) = texts(&output);
    assert!(output.status.success() && out.contains(" 0 errors, 0 warnings"), "{out}{err}");
}
