//! Functions of `fs` on real files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use sloth_lua::{Args, Data, Reply};

use super::MODULE;
use crate::testing::{Caller, call as invoke};

fn call(caller: &Caller, name: &str, args: Args) -> Reply {
    invoke(&MODULE, caller, name, args)
}

fn path(path: &str) -> Args {
    Args::default().with("path", path)
}

fn changed(reply: Reply) -> bool {
    let values = reply.unwrap();
    assert_eq!((&values[0], &values[1]), (&Data::Bool(true), &Data::Nil));
    values[2].get("changed") == Some(&Data::Bool(true))
}

fn texts(reply: Reply) -> Vec<String> {
    match reply.unwrap().remove(0) {
        Data::List(items) => items.iter().filter_map(Data::to_text).collect(),
        other => panic!("{other:?}"),
    }
}

/// "File writes are atomic (temporary file, fsync, rename), keep owner and mode unless given."
#[test]
fn a_write_keeps_owner_and_mode() {
    let caller = Caller::new();
    let file = caller.work().join("f");
    let write = |text: &str| call(&caller, "write", path("f").with("content", text));
    assert!(changed(write("one")));
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o644);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let _ = std::os::unix::fs::chown(&file, Some(1234), Some(4321));
    let before = fs::metadata(&file).unwrap();
    assert!(changed(write("two")));
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino(), "a new file took its place");
    assert!(!changed(write("two")));
    assert!(changed(call(&caller, "write", path("f").with("content", "two").with("mode", "0600"))));
    assert_eq!(fs::read_dir(caller.work()).unwrap().count(), 1, "no temporary file stays");
    symlink("f", caller.work().join("l")).unwrap();
    call(&caller, "write", path("l").with("content", "three")).unwrap();
    assert!(caller.work().join("l").is_symlink() && fs::read_to_string(&file).unwrap() == "three");
    let failure = call(&caller, "write", path("none/f").with("content", "")).unwrap_err();
    assert!(failure.message.contains("none/f: No such file"), "{}", failure.message);
}

/// "In check … mode a function marked *mut* changes nothing: … `changed=<would change>`, `simulated=true`, `would="…"`"
#[test]
fn check_mode_changes_nothing_and_says_what_it_would() {
    let caller = Caller::checking();
    fs::write(caller.work().join("f"), "old").unwrap();
    fs::create_dir(caller.work().join("d")).unwrap();
    let before = snapshot(&caller);
    let calls = [
        ("write", path("f").with("content", "new")),
        ("append", path("f").with("content", "new")),
        ("mkdir", path("x/y")),
        ("rm", path("f")),
        ("rmr", path("d")),
        ("copy", Args::default().with("src", "f").with("dst", "g")),
        ("move", Args::default().with("src", "f").with("dst", "g")),
        ("symlink", Args::default().with("target", "f").with("link", "g")),
        ("link", Args::default().with("target", "f").with("link", "g")),
        ("touch", path("g")),
        ("chmod", path("f").with("mode", "0600")),
        ("truncate", path("f")),
    ];
    for (name, args) in calls {
        let info = call(&caller, name, args).unwrap().remove(2);
        assert_eq!(info.get("simulated"), Some(&Data::Bool(true)), "{name}");
        assert_eq!(info.get("changed"), Some(&Data::Bool(true)), "{name}");
        assert!(info.get("would").is_some(), "{name}");
        assert_eq!(snapshot(&caller), before, "{name}");
    }
}

fn snapshot(caller: &Caller) -> Vec<(String, u32, Vec<u8>)> {
    let entries = walkdir::WalkDir::new(caller.work()).sort_by_file_name().into_iter().map(Result::unwrap);
    entries
        .map(|e| (e.path().display().to_string(), e.metadata().unwrap().mode(), fs::read(e.path()).unwrap_or_default()))
        .collect()
}

/// "missing is success with `changed=false` as 3rd value info; `rmr` refuses `/`, mount points, home directories
/// (`force=true` lifts the last two)"
#[test]
fn removal_refuses_what_nobody_means() {
    let caller = Caller::new();
    assert!(!changed(call(&caller, "rm", path("none"))));
    assert!(!changed(call(&caller, "rmr", path("none"))));
    fs::create_dir_all(caller.work().join("a/b")).unwrap();
    assert!(call(&caller, "rm", path("a")).unwrap_err().message.contains("not empty"));
    for refused in ["/", "//", "/proc", "/usr/..", "~", "/tmp/../proc"] {
        let failure = call(&caller, "rmr", path(refused)).unwrap_err();
        assert!(failure.message.contains("refused"), "{refused}: {}", failure.message);
    }
    assert!(call(&caller, "rmr", path("/").with("force", true)).unwrap_err().message.contains("root directory"));
    symlink("/", caller.work().join("a/root")).unwrap();
    assert!(changed(call(&caller, "rmr", path("a"))), "a link in it is removed, not followed");
    assert!(fs::read_dir("/usr").unwrap().count() > 0);
}

#[test]
fn copies_recurse_and_keep_links() {
    let caller = Caller::new();
    let work = caller.work();
    fs::create_dir_all(work.join("a/sub")).unwrap();
    fs::write(work.join("a/sub/run"), "#!").unwrap();
    fs::set_permissions(work.join("a/sub/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run", work.join("a/sub/link")).unwrap();
    let copy = || call(&caller, "copy", Args::default().with("src", "a").with("dst", "b"));
    assert!(changed(copy()));
    assert_eq!(fs::metadata(work.join("b/sub/run")).unwrap().mode() & 0o777, 0o755);
    assert_eq!(fs::read_link(work.join("b/sub/link")).unwrap().to_str(), Some("run"));
    assert!(!changed(copy()));
    let inside = call(&caller, "copy", Args::default().with("src", "a").with("dst", "a/sub/deep")).unwrap_err();
    assert!(inside.message.contains("is inside of its source"), "{}", inside.message);
}

/// "hash-based directory copy", `{delete=false, exclude={}}`
#[test]
fn sync_makes_directories_equal() {
    let caller = Caller::new();
    let work = caller.work();
    for (file, text) in [("a/one", "1"), ("a/two.log", "2"), ("b/old", "x"), ("b/kept.log", "y"), ("b/gone/deep", "z")]
    {
        fs::create_dir_all(work.join(file).parent().unwrap()).unwrap();
        fs::write(work.join(file), text).unwrap();
    }
    let sync = || {
        let args = Args::default().with("src", "a").with("dst", "b").with("delete", true);
        call(&caller, "sync", args.with("exclude", Data::texts(["*.log"]))).unwrap().remove(0)
    };
    assert_eq!(sync().get("changed"), Some(&Data::Bool(true)));
    let mut names: Vec<_> = fs::read_dir(work.join("b")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["kept.log", "one"]);
    assert_eq!(sync().get("changed"), Some(&Data::Bool(false)));
}

#[test]
fn files_are_found() {
    let caller = Caller::new();
    let work = caller.work();
    for file in ["a/x.txt", "a/y.log", "a/.hidden.txt", "z.txt"] {
        fs::create_dir_all(work.join(file).parent().unwrap()).unwrap();
        fs::write(work.join(file), "12345").unwrap();
    }
    let glob = |pattern: &str| texts(call(&caller, "glob", Args::default().with("pattern", pattern)));
    assert_eq!(glob("*.txt"), ["z.txt"]);
    assert_eq!(glob("a/*"), ["a/x.txt", "a/y.log"]);
    assert_eq!(glob("**/*.txt"), ["a/x.txt", "z.txt"]);
    assert_eq!(glob("a/.h*"), ["a/.hidden.txt"]);
    assert_eq!(glob("z.txt"), ["z.txt"]);
    assert_eq!(glob(&work.join("{z,q}.txt").display().to_string()), [work.join("z.txt").display().to_string()]);
    assert_eq!(glob("none/*"), Vec::<String>::new());
    let find = |args: Args| texts(call(&caller, "find", args.with("path", "."))).len();
    assert_eq!(find(Args::default().with("name", "*.txt")), 3);
    assert_eq!(find(Args::default().with("type", "dir")), 1);
    assert_eq!(find(Args::default().with("size", "+4")), 4);
    assert_eq!(find(Args::default().with("size", "+5")), 0);
    assert_eq!(find(Args::default().with("mtime", "-1h").with("depth", 1.0)), 2);
    assert_eq!(find(Args::default().with("mtime", "+7")), 0);
    assert_eq!(texts(call(&caller, "ls", path("a"))), [".hidden.txt", "x.txt", "y.log"]);
    assert!(call(&caller, "ls", path("none")).is_err());
}

#[test]
fn names_are_taken_apart() {
    let caller = Caller::new();
    let name = |function: &str, text: &str| call(&caller, function, path(text)).unwrap()[0].to_text().unwrap();
    assert_eq!(name("basename", "/a/b.tar.gz"), "b.tar.gz");
    assert_eq!(name("dirname", "/a/b"), "/a");
    assert_eq!(name("dirname", "b"), ".");
    assert_eq!(name("ext", "/a/b.tar.gz"), ".gz");
    assert_eq!(name("ext", "/a/.bashrc"), "");
    assert_eq!(name("abs", "/a/./b/../c"), "/a/c");
    assert_eq!(name("abs", "x"), caller.work().join("x").to_str().unwrap());
    let mut args = path("a");
    args.rest = vec!["b".into(), "../c".into()];
    assert_eq!(call(&caller, "join", args).unwrap(), [Data::from("a/c")]);
    assert_eq!(call(&caller, "split", path("/a/b")).unwrap(), ["/a".into(), Data::from("b")]);
}

/// `stat(p)`: "`{exists,path,size,mode,is_dir,is_file,is_link,uid,gid,owner,group,mtime,atime}`"
#[test]
fn what_is_known_about_a_path() {
    let caller = Caller::new();
    fs::write(caller.work().join("f"), "abc\nd\r\n").unwrap();
    let stat = call(&caller, "stat", path("f")).unwrap().remove(0);
    for key in [
        "exists", "path", "size", "mode", "is_dir", "is_file", "is_link", "uid", "gid", "owner", "group", "mtime",
        "atime",
    ] {
        assert!(stat.get(key).is_some(), "{key}");
    }
    assert_eq!(stat.get("mode"), Some(&"0644".into()));
    assert_eq!(call(&caller, "stat", path("none")).unwrap()[0].get("exists"), Some(&Data::Bool(false)));
    assert_eq!(texts(call(&caller, "read_lines", path("f"))), ["abc", "d"]);
    let sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    fs::write(caller.work().join("empty"), "").unwrap();
    assert_eq!(call(&caller, "checksum", path("empty")).unwrap(), [Data::from(sum)]);
    assert!(call(&caller, "checksum", path("f").with("alg", "crc")).unwrap_err().raise);
    assert!(
        call(&caller, "read", path("none"))
            .unwrap_err()
            .message
            .ends_with("none: No such file or directory (os error 2)")
    );
    assert!(call(&caller, "read", path("a\0b")).unwrap_err().raise);
}
