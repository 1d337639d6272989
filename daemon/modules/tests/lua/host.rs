//! `exec`, `fs`, `file_ops`, `log`, `workdir`, `template`, `git`, `system`, `facts` as scripts use them, in both forms.

use serde_json::json;

use super::{Mode, world, world_in};

/// "So `local out, err, failed = exec.run(…)`, `local r, err = …` and `local r = …` all work."
#[test]
fn commands_return_three_values_in_both_forms() {
    let world = world();
    assert_eq!(
        world.values(
            "local out, err, failed = exec.run('echo hi; echo no >&2; exit 3') return out.stdout, err, failed, out.code"
        ),
        json!(["hi\n", "no\n", true, 3])
    );
    assert_eq!(
        world.values("local r, err = exec.run{ 'echo', '$HOME' } return r .. '', err"),
        json!(["$HOME\n", null])
    );
    assert_eq!(
        world.values(
            "local r = exec.run{ cmd = 'cat', stdin = 'in', env = { A = 1 } } return tostring(r), r.success, #r"
        ),
        json!(["in", true, 2])
    );
    assert_eq!(
        world.values("local r = cmd.command('echo $A', { env = { A = 'b' }, quiet = true }) return r:gsub('%s+$', '')"),
        json!(["b", 1])
    );
    assert_eq!(
        world.values("local r = exec.run('sleep 30', { timeout = '100ms' }) return r.timed_out, r.code"),
        json!([true, 124])
    );
    assert_eq!(world.values("return exec.sh('echo out')"), json!([true, "out"]));
    assert_eq!(world.values("local r = exec.script('echo $1', { args = { 'x' } }) return r.lines[1]"), json!(["x"]));
    assert_eq!(world.values("return exec.pipeline({ 'printf \"b\\\\na\\\\n\"', 'sort' }).lines"), json!([["a", "b"]]));
    assert!(world.error("exec.run('exit 2', { raise = true })").contains("exit status 2"));
    assert!(world.error("exec.run({})").contains("bad argument 'cmd' to 'exec.run'"));
}

#[test]
fn background_commands_are_objects() {
    let world = world();
    let source = "local h = exec.background('while read l; do echo got $l; done')\n\
                  h:write('one\\n')\n\
                  local first, alive = h:read(), h:is_running()\n\
                  h:close_stdin()\n\
                  local r = h:wait()\n\
                  return first, alive, r.stdout, h:is_running(), exec.is_running(h), h:read()";
    assert_eq!(world.values(source), json!(["got one\n", true, "got one\n", false, false, null]));
    assert_eq!(
        world.values(
            "local h = exec.start{ cmd = 'sleep 30' } local ok = exec.kill(h, 'KILL') return ok, h:wait().signal"
        ),
        json!([true, 9])
    );
}

/// "calls fn(line, stream) while running; R"
#[test]
fn lines_come_while_a_command_runs() {
    let world = world();
    let source = "local seen = {}\n\
                  local r = exec.lines('echo a; sleep 0.05; echo b >&2; exit 4', function(line, stream) table.insert(seen, stream .. ' ' .. line) end)\n\
                  return seen, r.code";
    assert_eq!(world.values(source), json!([["stdout a", "stderr b"], 4]));
    assert!(world.error("exec.lines('yes', function() error('enough') end)").contains("enough"));
    assert!(world.error("exec.lines('true')").contains("bad argument 'fn' to 'exec.lines'"));
}

#[test]
fn files_in_both_forms() {
    let world = world();
    let source = "local ok = fs.write('a/f', 'x')\n\
                  local made = fs.mkdir('a')\n\
                  local wrote, err, info = fs.write{ path = 'a/f', content = 'text', mode = 0600 }\n\
                  return ok, made, wrote, err, info.changed, fs.read('a/f'), fs.stat{ path = 'a/f' }.mode";
    assert_eq!(world.values(source), json!([false, true, true, null, true, "text", "0600"]));
    assert_eq!(world.values("return fs.read('none')").as_array().map(Vec::len), Some(2));
    assert_eq!(world.values("return fs.join('a', 'b', 'c'), fs.basename{ path = '/x/y' }"), json!(["a/b/c", "y"]));
    assert_eq!(
        world.values("local seen = {} fs.walk('.', function(p, e) if e.is_file then table.insert(seen, e.name) end end) return seen"),
        json!([["f"]])
    );
    assert_eq!(
        world.values("local ok, err, info = fs.rm('none') return ok, err, info.changed"),
        json!([true, null, false])
    );
    assert!(world.values("return fs.rmr('/')")[1].as_str().is_some_and(|text| text.contains("refused")));
}

/// "`info` … converts to string and concatenates as its message"; "Failure is `nil, err`"
#[test]
fn files_as_they_should_be_in_both_forms() {
    let world = world();
    let source = "local ok, info = file_ops.lineinfile('hosts', 'sshd: 10.0.0.0/8', { regexp = '^sshd:', create = true })\n\
                  local again = select(2, file_ops.lineinfile{ path = 'hosts', line = 'sshd: 10.0.0.0/8' })\n\
                  return ok, info.changed, again.changed, (info .. ''):match('changed$')";
    assert_eq!(world.values(source), json!([true, true, false, "changed"]));
    let source = "fs.write('t.tpl', 'workers {{ workers }}') \n\
                  local ok, info = file_ops.template({ src = 't.tpl', dest = 'out', vars = { workers = 4 } })\n\
                  return ok, info.changed, fs.read('out')";
    assert_eq!(world.values(source), json!([true, true, "workers 4"]));
    assert_eq!(
        world.values("local ok, err = file_ops.copy('none', 'x') return ok, type(err)"),
        json!([null, "string"])
    );
    assert_eq!(
        world.values(
            "local ok, info = file.create{ path = 'n', content = 'c' } return ok, info.changed, file.exists('n')"
        ),
        json!([true, true, true])
    );
    let checking = world_in(Mode::Check);
    assert_eq!(
        checking.values("local ok, info = file_ops.copy{ content = 'x', dest = 'f' } return ok, info.simulated, info.changed, fs.exists('f')"),
        json!([true, true, true, false])
    );
}

#[test]
fn templates_in_both_forms() {
    let world = world();
    assert_eq!(world.values("return template.render('{{ a }}', { a = 'x' })"), json!(["x"]));
    assert_eq!(world.values("return template.render{ text = '{{ a | upper }}', vars = { a = 'x' } }"), json!(["X"]));
    assert_eq!(
        world.values("return template.render('{{ no_such }}')"),
        json!([null, "template:1: unknown name \"no_such\""])
    );
}

/// "`msg` any value (tables as JSON); `fields` a map; further arguments are appended."
#[test]
fn log_lines() {
    let world = world();
    world.values(
        "log.info('a', 1, true) log.warn({ b = 2 }) log.success('done', { n = 1 }) log.infof('%d-%s', 3, 'x') log.print('bare')\n\
         log.info{ msg = 'named', fields = { k = 'v' } } log.with({ job = 'j' }).error('with') log.table({ 1 }, 'title')",
    );
    let lines = world.log.0.lock().unwrap().clone();
    assert_eq!(lines[..7], ["a 1 true", "{\"b\":2}", "✓ done", "3-x", "bare", "named", "with"]);
    assert_eq!(lines[7], "title:");
    assert!(world.error("log.fatal('over')").contains("over"));
    assert!(world.error("log.set_level('loud')").contains("bad argument 'level'"));
}

#[test]
fn repositories_are_objects() {
    let world = world();
    world.values(
        "for _, n in ipairs{ 'AUTHOR', 'COMMITTER' } do system.setenv('GIT_' .. n .. '_NAME', 'A') system.setenv('GIT_' .. n .. '_EMAIL', 'a@b.test') end\n\
         assert(exec.run('git init -q -b main origin').success) fs.write('origin/f', '1')",
    );
    let source = "local info, err = git.commit{ path = 'origin', message = 'one', add_all = true }\n\
                  assert(info, err)\n\
                  local repo = assert(git.clone('origin', 'copy'))\n\
                  local again = git.clone{ url = 'origin', local_path = 'copy' }\n\
                  return info.changed, repo:branch(), repo.changed, again.changed, again.exists, (repo:log(1))[1].message";
    assert_eq!(world.values(source), json!([true, "main", true, false, true, "one"]));
    assert_eq!(world.values("return git.is_repo{ path = 'copy' }, git.is_repo('.')"), json!([true, false]));
}

#[test]
fn the_host_in_both_forms() {
    let world = world();
    assert_eq!(world.values("return facts.get_memory().total == facts.query{ path = 'memory.total' }"), json!([true]));
    assert_eq!(
        world.values("return facts.get_user('root').uid, facts.get_user{ username = 'root' }.uid"),
        json!([0, 0])
    );
    assert_eq!(
        world.values("system.setenv('A', 'b') return system.env('A'), tostring(system.exec('echo $A'))"),
        json!(["b", "b\n"])
    );
    assert_eq!(world.values("return system.exec_async('echo x'):wait().stdout"), json!(["x\n"]));
    assert_eq!(
        world.values("return workdir.get() == fs.cwd(), workdir.exists(), workdir.path('x') == fs.join(fs.cwd(), 'x')"),
        json!([true, true, true])
    );
}
