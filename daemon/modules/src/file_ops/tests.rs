//! Functions of `file_ops` on real files: what they do, that they tell the truth about changes, and that archives stay inside.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use sloth_lua::{Args, Data, Reply};

use super::{FILE, MODULE};
use crate::testing::{Caller, call as invoke};

fn call(caller: &Caller, name: &str, args: Args) -> Reply {
    invoke(&MODULE, caller, name, args)
}

fn changed(reply: Reply) -> bool {
    let values = reply.unwrap_or_else(|failure| panic!("{}", failure.message));
    assert_eq!(values[0], Data::Bool(true));
    values[1].get("changed") == Some(&Data::Bool(true))
}

fn both(src: &str, dest: &str) -> Args {
    Args::default().with("src", src).with("dest", dest)
}

fn line(text: &str) -> Args {
    Args::default().with("path", "f").with("line", text)
}

/// Runs twice: the second time nothing is left to do.
fn settles(caller: &Caller, name: &str, args: &Args) {
    assert!(changed(call(caller, name, args.clone())), "{name} changes first");
    assert!(!changed(call(caller, name, args.clone())), "{name} has nothing left to do");
}

#[test]
fn copies_and_contents_settle() {
    let caller = Caller::new();
    fs::write(caller.work().join("a"), "text").unwrap();
    settles(&caller, "copy", &both("a", "b"));
    settles(&caller, "copy", &Args::default().with("content", "new").with("dest", "b").with("mode", "0600"));
    assert_eq!(fs::metadata(caller.work().join("b")).unwrap().mode() & 0o777, 0o600);
    fs::create_dir(caller.work().join("d")).unwrap();
    settles(&caller, "copy", &both("a", "d"));
    assert!(caller.work().join("d/a").is_file());
    let kept = call(&caller, "copy", both("a", "b").with("force", false)).unwrap();
    assert_eq!(kept[1].get("changed"), Some(&Data::Bool(false)));
    assert_eq!(fs::read_to_string(caller.work().join("b")).unwrap(), "new");
    let failure = call(&caller, "copy", both("none", "b")).unwrap_err();
    assert!(failure.message.contains("none: No such file"), "{}", failure.message);
}

/// "`backup=false` (true keeps `<path>.<time>~`), `validate` (command with `%s`, must exit 0 before the new content is installed)"
#[test]
fn new_content_is_validated_and_the_old_kept() {
    let caller = Caller::new();
    let copy = |text: &str| Args::default().with("dest", "f").with("content", text).with("validate", "grep -q good %s");
    assert!(changed(call(&caller, "copy", copy("good 1"))));
    let failure = call(&caller, "copy", copy("bad")).unwrap_err();
    assert!(failure.message.contains("validate grep exited 1"), "{}", failure.message);
    assert_eq!(fs::read_to_string(caller.work().join("f")).unwrap(), "good 1");
    assert!(changed(call(&caller, "copy", copy("good 2").with("backup", true))));
    let backup =
        fs::read_dir(caller.work()).unwrap().map(|e| e.unwrap().path()).find(|p| p.to_string_lossy().ends_with('~'));
    assert_eq!(fs::read_to_string(backup.unwrap()).unwrap(), "good 1");
    let missing = call(&caller, "copy", copy("good 3").with("validate", "true")).unwrap_err();
    assert!(missing.message.contains("does not contain %s"));
}

#[test]
fn templates_settle_and_name_their_mistakes() {
    let caller = Caller::new();
    fs::write(caller.work().join("t.tpl"), "workers {{ workers }};\n").unwrap();
    let args = both("t.tpl", "out").with("vars", Data::map([("workers", Data::from(4.0))]));
    settles(&caller, "template", &args);
    assert_eq!(fs::read_to_string(caller.work().join("out")).unwrap(), "workers 4;\n");
    let failure = call(&caller, "template", both("t.tpl", "out")).unwrap_err();
    assert!(failure.message.ends_with("t.tpl:1: unknown name \"workers\""), "{}", failure.message);
}

#[test]
fn lines_are_there_or_not() {
    let caller = Caller::new();
    let file = caller.work().join("f");
    let text = || fs::read_to_string(&file).unwrap();
    assert!(call(&caller, "lineinfile", line("x")).unwrap_err().message.contains("create=true"));
    settles(&caller, "lineinfile", &line("a = 1").with("create", true));
    settles(&caller, "lineinfile", &line("a = 2").with("regexp", "^a ="));
    assert_eq!(text(), "a = 2\n");
    settles(&caller, "lineinfile", &line("b = 1").with("regexp", "^b ="));
    settles(&caller, "lineinfile", &line("first").with("insertbefore", "BOF"));
    settles(&caller, "lineinfile", &line("after a").with("insertafter", "^a"));
    assert_eq!(text(), "first\na = 2\nafter a\nb = 1\n");
    assert!(changed(call(&caller, "lineinfile", line("$1 = 9").with("regexp", "^(b) = .*").with("backrefs", true))));
    assert!(text().contains("b = 9\n"));
    assert!(!changed(call(&caller, "lineinfile", line("$1").with("regexp", "^(zzz)").with("backrefs", true))));
    let absent = Args::default().with("path", "f").with("regexp", "^a").with("state", "absent");
    settles(&caller, "lineinfile", &absent);
    assert_eq!(text(), "first\nb = 9\n");
    assert!(call(&caller, "lineinfile", line("x").with("regexp", "(")).unwrap_err().raise);
    assert!(call(&caller, "lineinfile", line("x\ny")).unwrap_err().raise);
}

/// "markers default `# BEGIN SLOTH MANAGED BLOCK` / `# END …`"
#[test]
fn blocks_are_there_or_not() {
    let caller = Caller::new();
    let file = caller.work().join("f");
    fs::write(&file, "top\nend\n").unwrap();
    let block = |text: &str| Args::default().with("path", "f").with("block", text);
    settles(&caller, "blockinfile", &block("a\nb").with("insertafter", "^top"));
    let begin = "# BEGIN SLOTH MANAGED BLOCK\n";
    let end = "# END SLOTH MANAGED BLOCK\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("top\n{begin}a\nb\n{end}end\n"));
    settles(&caller, "blockinfile", &block("c"));
    settles(&caller, "blockinfile", &block("").with("state", "absent"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "top\nend\n");
    fs::write(&file, begin).unwrap();
    assert!(call(&caller, "blockinfile", block("x")).unwrap_err().message.contains("but not"));
}

/// "`{changed,path,count}`; Rust regex syntax, `$1`"
#[test]
fn patterns_are_replaced_and_counted() {
    let caller = Caller::new();
    fs::write(caller.work().join("f"), "port 80\nport 81\n").unwrap();
    let args = Args::default().with("path", "f").with("pattern", "^port (\\d+)$").with("replacement", "listen $1;");
    let info = call(&caller, "replace", args.clone()).unwrap().remove(1);
    assert_eq!((info.get("count"), info.get("changed")), (Some(&2.0.into()), Some(&true.into())));
    assert_eq!(fs::read_to_string(caller.work().join("f")).unwrap(), "listen 80;\nlisten 81;\n");
    assert!(!changed(call(&caller, "replace", args)));
}

/// "tar, tar.gz, tar.xz, tar.zst, tar.bz2, zip"
#[test]
fn every_format_is_packed_and_extracted_again() {
    let caller = Caller::new();
    let work = caller.work();
    fs::create_dir_all(work.join("src/site/sub")).unwrap();
    fs::write(work.join("src/site/sub/page"), vec![b'x'; 100_000]).unwrap();
    fs::write(work.join("src/site/run.log"), "log").unwrap();
    symlink("sub/page", work.join("src/site/link")).unwrap();
    for format in ["tar", "tar.gz", "tar.xz", "tar.zst", "tar.bz2", "zip"] {
        let (archive, dest) = (format!("a.{format}"), format!("out-{format}"));
        settles(&caller, "archive", &both("src", &archive));
        let args = both(&archive, &dest).with("strip", 1.0).with("exclude", Data::texts(["*.log"]));
        settles(&caller, "unarchive", &args);
        let out = work.join(&dest);
        assert_eq!(fs::read(out.join("sub/page")).unwrap().len(), 100_000, "{format}");
        assert_eq!(fs::read_link(out.join("link")).unwrap(), Path::new("sub/page"), "{format}");
        assert!(!out.join("run.log").exists());
    }
    let checking = Caller::checking();
    fs::copy(work.join("a.zip"), checking.work().join("a.zip")).unwrap();
    assert!(changed(call(&checking, "unarchive", both("a.zip", "out"))));
    assert!(!checking.work().join("out").exists());
    fs::write(work.join("noise.tar"), [7; 600]).unwrap();
    assert!(call(&caller, "unarchive", both("noise.tar", "out")).is_err());
    assert!(!changed(call(&caller, "unarchive", both("a.tar", "new").with("creates", "src"))));
}

/// A header made by hand: libraries refuse to write such names.
fn hostile(entries: &[(&str, u8, &str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, link, content) in entries {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[148..156].copy_from_slice(b"        ");
        header[156] = *kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..262].copy_from_slice(b"ustar");
        header[263..265].copy_from_slice(b"00");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// "Archives never extract outside the destination (`..`, absolute paths and escaping links are errors)."
#[test]
fn archives_never_leave_their_destination() {
    type Entries<'a> = &'a [(&'a str, u8, &'a str, &'a [u8])];
    let cases: &[(&str, Entries<'_>)] = &[
        ("..", &[("../evil", b'0', "", b"x")]),
        (".. within", &[("a/../../evil", b'0', "", b"x")]),
        ("absolute", &[("/tmp/sloth-evil", b'0', "", b"x")]),
        ("absolute link", &[("l", b'2', "/etc", b""), ("l/evil", b'0', "", b"x")]),
        ("link with ..", &[("l", b'2', "..", b""), ("l/evil", b'0', "", b"x")]),
        ("link through a link", &[("s", b'2', ".", b""), ("x", b'2', "s/..", b""), ("x/evil", b'0', "", b"x")]),
        (
            "link from a bent directory",
            &[("d/", b'5', "", b""), ("d/up", b'2', "..", b""), ("d/up/l", b'2', "..", b"")],
        ),
        ("hard link", &[("h", b'1', "../evil", b"")]),
        ("absolute hard link", &[("h", b'1', "/etc/passwd", b"")]),
        ("device", &[("dev", b'3', "", b"")]),
    ];
    for (name, entries) in cases {
        let caller = Caller::new();
        fs::write(caller.work().join("evil.tar"), hostile(entries)).unwrap();
        let dest = caller.work().join("deep/dest");
        let failure = call(&caller, "unarchive", both("evil.tar", "deep/dest"));
        assert!(failure.is_err(), "{name}: {failure:?}");
        let outside = [caller.work().join("deep/evil"), caller.work().join("evil"), dest.join("../../evil")];
        assert!(!outside.iter().any(|path| path.exists()), "{name}");
        assert!(!Path::new("/tmp/sloth-evil").exists() && !Path::new("/etc/evil").exists(), "{name}");
    }
}

#[test]
fn a_link_laid_in_the_way_is_not_followed() {
    let caller = Caller::new();
    let work = caller.work();
    fs::create_dir_all(work.join("outside")).unwrap();
    fs::create_dir_all(work.join("dest")).unwrap();
    symlink(work.join("outside"), work.join("dest/d")).unwrap();
    fs::write(work.join("a.tar"), hostile(&[("d/file", b'0', "", b"x")])).unwrap();
    let failure = call(&caller, "unarchive", both("a.tar", "dest")).unwrap_err();
    assert!(failure.message.contains("leads out"), "{}", failure.message);
    assert!(!work.join("outside/file").exists());
    // A link in place of the file itself is replaced.
    fs::write(work.join("victim"), "safe").unwrap();
    symlink(work.join("victim"), work.join("dest/f")).unwrap();
    fs::write(work.join("b.tar"), hostile(&[("f", b'0', "", b"new")])).unwrap();
    assert!(changed(call(&caller, "unarchive", both("b.tar", "dest"))));
    assert_eq!(fs::read_to_string(work.join("victim")).unwrap(), "safe");
    assert_eq!(fs::read_to_string(work.join("dest/f")).unwrap(), "new");
}

#[test]
fn a_zip_with_dots_is_refused() {
    let caller = Caller::new();
    let mut zip = zip::ZipWriter::new(fs::File::create(caller.work().join("evil.zip")).unwrap());
    zip.start_file("../evil", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(b"x").unwrap();
    zip.finish().unwrap();
    assert!(call(&caller, "unarchive", both("evil.zip", "dest")).is_err());
    assert!(!caller.work().join("evil").exists());
}

#[test]
fn directories_links_and_removal_settle() {
    let caller = Caller::new();
    let path = |p: &str| Args::default().with("path", p);
    settles(&caller, "mkdir", &path("a/b").with("mode", "0750"));
    settles(&caller, "symlink", &both("a", "l"));
    settles(&caller, "remove", &path("l"));
    settles(&caller, "absent", &path("a"));
    assert!(changed(call(&caller, "touch", path("t"))));
    let stat = call(&caller, "stat", path("t")).unwrap();
    assert_eq!(stat[0], Data::Bool(true));
    assert!(stat[1].get("checksum").is_some());
    assert!(call(&caller, "remove", path("/")).is_err());
}

/// "Alias module … C returns for mutating functions"
#[test]
fn short_names_give_the_info_alone() {
    let caller = Caller::new();
    let call = |name: &str, args: Args| invoke(&FILE, &caller, name, args).unwrap();
    let path = || Args::default().with("path", "f");
    for (name, args) in [
        ("create", path().with("content", "a\n")),
        ("append", path().with("content", "b\n")),
        ("line", path().with("line", "c")),
        ("chmod", path().with("mode", "0600")),
        ("remove", path()),
    ] {
        let values = call(name, args);
        assert_eq!((values.len(), values[0].get("changed")), (1, Some(&Data::Bool(true))), "{name}");
    }
    assert_eq!(call("exists", path()), [Data::Bool(false)]);
}
