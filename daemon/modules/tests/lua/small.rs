//! `strings`, `math`, `time`, `validate`, `utils`, `crypto`.

use serde_json::json;

use super::world;

#[test]
fn strings() {
    let world = world();
    assert_eq!(
        world.values(
            "return strings.trim('  x '), strings.split('a,b', ',')[2], strings.join({ 'a', 1, true }, '-'), \
             strings.replace('aaa', 'a', 'b', 2), strings.contains{ text = 'abc', sub = 'b' }, strings.index('häx', 'x')"
        ),
        json!(["x", "b", "a-1-true", "bba", true, 3])
    );
    assert_eq!(
        world.values("return strings.match('k=v', '(\\\\w)=(\\\\w)')"),
        json!(["k", "v"]),
        "groups are several values"
    );
    assert_eq!(
        world.values("return strings.pad_left('7', 3, '0'), strings.pad_left{ s = '7', n = 2 }, strings.truncate('abcdefgh', 6), strings.format_duration(7500), strings.indent('a\\nb', 4)"),
        json!(["007", " 7", "abc...", "2h05m", "    a\n    b"])
    );
    assert!(world.values("return strings.match('x', '(')")[1].as_str().unwrap().starts_with("bad regular expression"));
    assert!(world.error("strings.join({ {} })").contains("bad argument 'list'"));
    assert_eq!(world.values("return (strings['repeat']('x', 1e9))"), json!([null]));
}

/// "All standard functions, plus …"
#[test]
fn math() {
    let world = world();
    assert_eq!(
        world.values(
            "return math.floor(2.7), math.round(2.567, 2), math.clamp(9, 1, 5), math.sum({ 1, 2, '3' }), math.median{ list = { 3, 1, 2 } }, \
             math.gcd(12, 18), math.is_prime(97), math.inf == math.huge, math.nan ~= math.nan"
        ),
        json!([2, 2.57, 5, 6, 2, 6, true, true, true])
    );
    assert_eq!(
        world.values(
            "math.seed(7) local a = math.random_int(1, 1000) math.seed(7) return a == math.random_int(1, 1000)"
        ),
        json!([true])
    );
    assert_eq!(
        world.values("for _ = 1, 200 do local n, x = math.random_int(3, 5), math.random_float(1, 2) if n < 3 or n > 5 or x < 1 or x >= 2 then return n, x end end return 'fine'"),
        json!(["fine"])
    );
    assert_eq!(world.values("return (math.mean({}))"), json!([null]));
}

#[test]
fn time() {
    let world = world();
    assert_eq!(
        world.values(
            "return time.rfc3339(0), time.format(0, '%Y-%m-%d', { zone = 'UTC' }), time.parse('1970-01-02', '2006-01-02', { zone = 'UTC' }), \
             time.add(100, '1m'), time.duration('1h30m'), time.year{ at = 0, zone = 'UTC' }, time.in_location(0, 'Asia/Tokyo').hour, \
             time.truncate(3700, '1h'), time.is_leap(2000)"
        ),
        json!(["1970-01-01T00:00:00Z", "1970-01-01", 86400, 160, 5400, 1970, 9, 3600, true])
    );
    assert_eq!(
        world.values("local w = time.timer() time.sleep(0.05) local e = w:elapsed() return e >= 0.05 and e < 5"),
        json!([true])
    );
    let now = world
        .values("return time.now() == math.floor(time.now()), time.since(time.now() - 10) >= 10, time.unix() > 1e9");
    assert_eq!(now, json!([true, true, true]));
    assert!(world.values("return time.parse('nonsense')")[1].as_str().unwrap().contains("nonsense"));
}

/// "→ `ok, err`"
#[test]
fn validate() {
    let world = world();
    assert_eq!(world.values("return validate.required({ a = 1 }, { 'a', 'b', 'c' })"), json!([false, "missing: b, c"]));
    assert_eq!(world.values("return validate.required{ tbl = { a = print }, keys = { 'a' } }"), json!([true]));
    assert_eq!(
        world.values(
            "return validate.type(print, 'function'), validate.type({}, 'list'), validate.type({ a = 1 }, 'map')"
        )[0],
        json!(true)
    );
    assert_eq!(world.values("return validate.type(1.5, 'integer')"), json!([false, "integer expected, got number"]));
    assert_eq!(world.values("return validate.one_of('x', { 'a', 'b' })"), json!([false, "x is none of: a, b"]));
    assert_eq!(world.values("return validate.range(5, 1, 3)"), json!([false, "5 is above 3"]));
    assert_eq!(world.values("return validate.email('a@b.test'), (validate.url('x'))"), json!([true, false]));
    assert_eq!(world.values("return validate.length('abc', 1, 2)"), json!([false, "3 characters, at most 2 expected"]));
    assert_eq!(
        world.values(
            "return validate.schema({ a = 'x' }, { type = 'object', properties = { a = { type = 'integer' } } })"
        ),
        json!([false, "a is a string, integer expected"])
    );
}

/// "`config(key, default)` (values, then env `SLOTH_<KEY>`, then daemon `[user]` table)"
#[test]
fn utils() {
    let world = world();
    world
        .daemon
        .replies
        .lock()
        .unwrap()
        .insert("config.user".into(), vec![json!({ "region": "eu", "db": { "host": "h" } }); 4]);
    assert_eq!(
        world.values(
            "return utils.config('region'), utils.config('db.host'), utils.config('none', 'd'), utils.config('none')"
        ),
        json!(["eu", "h", "d", null])
    );
    world.ctx.env.lock().unwrap().insert("SLOTH_REGION".into(), Some("us".into()));
    assert_eq!(
        world.values("return utils.config{ key = 'region' }, utils.env('SLOTH_REGION'), utils.env('NO_SUCH', 'd')"),
        json!(["us", "us", "d"])
    );
    assert_eq!(
        world.values("return utils.merge({ a = { b = 1 } }, { a = { c = 2 } }), #utils.uuid(), utils.hostname() ~= ''"),
        json!([{ "a": { "b": 1, "c": 2 } }, 36, true])
    );
    assert_eq!(
        world.values("return utils.dump({ b = { 1 }, a = 'x' })"),
        json!(["{\n  \"a\": \"x\",\n  \"b\": [\n    1\n  ]\n}"])
    );
    assert_eq!(world.values("return utils.secret('x')"), json!([null, "utils.secret is not available in this build"]));
}

#[test]
fn crypto() {
    let world = world();
    assert_eq!(
        world.values("return crypto.md5('abc'), crypto.hash('sha1', 'abc'), crypto.hmac{ alg = 'md5', key = 'Jefe', s = 'what do ya want for nothing?' }"),
        json!(["900150983cd24fb0d6963f7d28e17f72", "a9993e364706816aba3e25717850c26c9cd0d89d", "750c783e6ab0b503eaa86e310a5db738"])
    );
    std::fs::write(world.file("f"), "abc").unwrap();
    assert_eq!(world.values("return crypto.hash_file('f', 'md5')"), json!(["900150983cd24fb0d6963f7d28e17f72"]));
    assert_eq!(
        world.values(
            "local key = crypto.random_bytes(32)\n\
             local pair = crypto.generate_keypair()\n\
             local sig = crypto.sign('m', pair.private)\n\
             return crypto.aes_decrypt(crypto.aes_encrypt('secret', key), key), crypto.verify('m', sig, pair.public), \
             (crypto.verify('n', sig, pair.public)), crypto.bcrypt_check('p', crypto.bcrypt_hash('p', 4)), \
             #crypto.generate_password(20), crypto.constant_time_equal('a', 'a')"
        ),
        json!(["secret", true, false, true, 20, true])
    );
    assert_eq!(
        world.values("return crypto.aes_decrypt(crypto.aes_encrypt('x', 'pass one'), 'pass two')"),
        json!([null, "cannot decrypt: another key, or the text was changed"])
    );
}

/// "its functions return `nil, "<module>.<fn> is not available in this build"`"
#[test]
fn absent_modules_answer_when_called() {
    let world = world();
    for (call, name) in [
        ("pkg.install('x')", "pkg.install"),
        ("k8s.apply('x')", "kubernetes.apply"),
        ("notify.send({})", "notifications.send"),
    ] {
        let text = format!("{name} is not available in this build");
        assert_eq!(world.values(&format!("return {call}")), json!([null, text]));
    }
}
