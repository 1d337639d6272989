//! `os` and `io` of the language over the real host.

use serde_json::json;

use super::world;

/// "modes `r w a r+ w+ a+` with optional `b`"
#[test]
fn every_mode_of_io_open() {
    let world = world();
    let source = "
        local function put(mode, text) local f = assert(io.open('f', mode)) local ok, why = f:write(text) f:close() return ok ~= nil, why end
        local function get() local f = assert(io.open('f', 'rb')) local s = f:read('*a') f:close() return s end
        local out = {}
        put('w', 'one\n') out[1] = get()
        put('ab', 'two\n') out[2] = get()
        local f = io.open('f', 'r+') f:write('ONE') f:seek('set', 0) out[3] = f:read('a') f:close()
        local f = io.open('f', 'w+') f:write('new') f:seek('set') out[4] = f:read('a') f:close()
        local f = io.open('f', 'a+') f:write('er') f:seek('set') out[5] = f:read('a') f:close()
        local ok, why = put('r', 'x') out[6] = { ok, why }
        local f = io.open('f', 'w') local v, why, code = f:read() out[7] = { why, code } f:close()
        return out";
    assert_eq!(
        world.values(source),
        json!([[
            "one\n",
            "one\ntwo\n",
            "ONE\ntwo\n",
            "new",
            "newer",
            [false, "f: the file is not open for writing"],
            ["the file is not open for reading", 9]
        ]])
    );
    assert!(world.error("io.open('f', 'x')").contains("invalid mode x"));
}

/// "handle or `nil, \"path: reason\", errno`"
#[test]
fn io_open_of_a_missing_file_gives_path_reason_and_errno() {
    let world = world();
    assert_eq!(world.values("return io.open('none')"), json!([null, "none: No such file or directory", 2]));
    assert!(world.error("io.lines('none')").contains("none: No such file or directory"));
}

/// "methods `read lines write seek flush close setvbuf`"
#[test]
fn every_method_of_a_file() {
    let world = world();
    std::fs::write(world.file("f"), "first\nsecond\n 42 0x10 rest\nlast").unwrap();
    let source = "local f = io.open('f')
        local a, b, three, n, hex = f:read('l', '*L', 0, 'n', 'n')
        local rest, tail, none = f:read('*l'), f:read(2), f:seek('cur')
        local size = f:seek('end', -2)
        local last, over = f:read('a'), f:read('l')
        f:seek('set', 0)
        local all = {}
        for line in f:lines() do all[#all + 1] = line end
        local kind, flushed, buffered = io.type(f), f:flush() == f, f:setvbuf('no')
        local closed = f:close()
        return a, b, three, n, hex, rest, tail, none, size, last, over, #all, all[4], kind, flushed, buffered, closed, io.type(f), io.type(5)";
    assert_eq!(
        world.values(source),
        json!([
            "first",
            "second\n",
            "",
            42,
            16,
            " rest",
            "la",
            29,
            29,
            "st",
            null,
            4,
            "last",
            "file",
            true,
            true,
            true,
            "closed file",
            null
        ])
    );
    assert!(world.error("local f = io.open('f') f:close() f:read()").contains("attempt to use a closed file"));
    assert!(world.error("io.open('f'):read('z')").contains("invalid format z"));
    assert_eq!(
        world.values("local n, f = 0, io.open('f', 'w') f:write('a', 1, '\\n', 2.5):close() for l in io.lines('f') do n += #l end return n"),
        json!([5])
    );
}

/// "`close()` returns `true|nil, \"exit\"|\"signal\", code`"
#[test]
fn io_popen_reads_writes_and_tells_the_code() {
    let world = world();
    assert_eq!(
        world.values("local p = io.popen('echo a; echo b; exit 3') local l = p:read() local rest = p:read('a') local ok, why, code = p:close() return l, rest, ok, why, code"),
        json!(["a", "b\n", null, "exit", 3])
    );
    assert_eq!(
        world.values(
            "local p = io.popen('cat > copy', 'w') p:write('x', 5) local ok, why, code = p:close() return ok, why, code"
        ),
        json!([true, "exit", 0])
    );
    assert_eq!(std::fs::read_to_string(world.file("copy")).unwrap(), "x5");
    let ended = world.values("local p = io.popen('kill -9 $$') local ok, why, code = p:close() return ok, why");
    assert_eq!(ended, json!([null, "signal"]));
    assert!(world.error("io.popen('true', 'x')").contains("r or w expected"));
}

/// "Returns `exit_code, \"exit\"|\"signal\", exit_code`. No argument: returns `1`"
#[test]
fn os_execute_gives_code_kind_code() {
    let world = world();
    assert_eq!(world.values("return os.execute()"), json!([1]));
    assert_eq!(world.values("return os.execute('exit 0')"), json!([0, "exit", 0]));
    assert_eq!(world.values("return os.execute('exit 7')"), json!([7, "exit", 7]));
    assert_eq!(world.values("return (select(2, os.execute('kill -9 $$')))"), json!(["signal"]));
    world.values("os.execute('echo to the log')");
    assert!(world.log.0.lock().unwrap().iter().any(|line| line.trim_end() == "to the log"));
}

#[test]
fn os_rename_remove_and_tmpname() {
    let world = world();
    std::fs::write(world.file("a"), "x").unwrap();
    assert_eq!(world.values("return os.rename('a', 'b')"), json!([true]));
    assert!(world.file("b").exists() && !world.file("a").exists());
    assert_eq!(world.values("return os.remove('b')"), json!([true]));
    assert!(!world.file("b").exists());
    assert_eq!(world.values("return os.remove('b')"), json!([null, "b: No such file or directory", 2]));
    let gone = world.values("return os.rename('b', 'c')");
    assert_eq!((&gone[0][0], gone[0].is_array()), (&json!(null), false), "{gone}");
    assert_eq!(gone[2], json!(2), "{gone}");
    let made = world.values("local a, b = os.tmpname(), os.tmpname() return a, a ~= b, io.open(a):read('a')");
    let path = std::path::PathBuf::from(made[0].as_str().unwrap());
    assert!(path.starts_with(world.dir.path()) && path.is_file(), "{path:?}");
    assert_eq!((&made[1], &made[2]), (&json!(true), &json!("")), "new and empty");
}

/// "`setenv` changes the environment of later commands of the same task"
#[test]
fn os_setenv_reaches_later_commands() {
    let world = world();
    let source = "local before = exec.run('echo \"[$SHIM_TEST]\"').stdout
        os.setenv('SHIM_TEST', 'on')
        local during, own = exec.run('echo \"[$SHIM_TEST]\"').stdout, os.getenv('SHIM_TEST')
        os.setenv('SHIM_TEST', nil)
        return before, during, own, exec.run('echo \"[$SHIM_TEST]\"').stdout, os.getenv('SHIM_TEST'), os.getenv('PATH') ~= nil";
    let found = world.values(source);
    let trimmed: Vec<_> = [0, 1, 3].iter().map(|at| found[*at].as_str().unwrap_or_default().trim()).collect();
    assert_eq!(trimmed, ["[]", "[on]", "[]"], "{found}");
    assert_eq!((&found[2], &found[4], &found[5]), (&json!("on"), &json!(null), &json!(true)));
    assert!(std::env::var_os("SHIM_TEST").is_none(), "the worker's own environment stays");
}
