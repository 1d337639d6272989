//! Tables, callbacks and batches of `data`.

use serde_json::json;

use super::{Mode, world, world_in};

#[test]
fn paths() {
    let world = world();
    assert_eq!(
        world.values(
            "local t = { a = { b = { 10, { c = 'deep' } } }, ['x.y'] = 1 }\n\
             return data.get_path(t, 'a.b[1]'), data.get_path(t, 'a.b.2.c'), data.get_path(t, 'a.z', 'none'), \
             data.get_path(t, '[\"x.y\"]'), data.get_path{ t = t, path = 'a.q', default = 3 }"
        ),
        json!([10, "deep", "none", 1, 3])
    );
    assert_eq!(
        world.values("local t = {} data.set_path(t, 'a.b[1].c', 5) return t, data.get_path(t, 'a.b[1].c')"),
        json!([{ "a": { "b": [{ "c": 5 }] } }, 5])
    );
    assert_eq!(world.error("data.get_path({}, 'a..b')"), "bad path \"a..b\"");
}

#[test]
fn flatten_and_unflatten() {
    let world = world();
    let source = "local t = { a = { b = 1, l = { 'x', { y = 2 } } }, ['p.q'] = 3 }\n\
                  local flat = data.flatten(t)\n\
                  return flat, data.equal(data.unflatten(flat), t)";
    assert_eq!(world.values(source), json!([{ "a.b": 1, "a.l[1]": "x", "a.l[2].y": 2, "[\"p.q\"]": 3 }, true]));
    assert_eq!(world.values("return data.flatten({ a = { b = 1 } }, '/')"), json!([{ "a/b": 1 }]));
}

#[test]
fn merging_copying_comparing() {
    let world = world();
    assert_eq!(
        world.values("return data.deep_merge({ a = { x = 1, y = 2 }, l = { 1, 2 } }, { a = { y = 3 }, l = { 9 } })"),
        json!([{ "a": { "x": 1, "y": 3 }, "l": [9] }])
    );
    assert_eq!(world.values("local a = { { 1 } } local b = data.deep_copy(a) b[1][1] = 2 return a[1][1]"), json!([1]));
    assert_eq!(world.values("local a = {} a.a = a return data.deep_copy(a).a ~= a"), json!([true]), "circles end");
    assert_eq!(
        world.values("return data.diff({ a = 1, b = { c = 2 } }, { b = { c = 3 }, d = 4 })"),
        json!([{ "removed": { "a": 1 }, "changed": { "b.c": { "old": 2, "new": 3 } }, "added": { "d": 4 }, "equal": false }])
    );
    assert_eq!(
        world.values("return data.equal({ 1, { a = 2 } }, { 1, { a = 2 } }), data.equal({ 1 }, { 1, 2 })"),
        json!([true, false])
    );
}

#[test]
fn callbacks() {
    let world = world();
    assert_eq!(world.values("return data.map({ 1, 2 }, function(v, k) return v * 10 + k end)"), json!([[11, 22]]));
    assert_eq!(
        world.values("return data.map{ t = { a = 1 }, fn = function(v) return v + 1 end }"),
        json!([{ "a": 2 }])
    );
    assert_eq!(world.values("return data.filter({ 1, 2, 3, 4 }, function(v) return v % 2 == 0 end)"), json!([[2, 4]]));
    assert_eq!(world.values("return data.reduce({ 1, 2, 3 }, function(a, v) return a + v end)"), json!([6]));
    assert_eq!(world.values("return data.reduce({ 1, 2 }, function(a, v) return a .. v end, 'x')"), json!(["x12"]));
    let list = "local l = { { n = 'b', v = 2 }, { n = 'a', v = 2 }, { n = 'c', v = 1 } }\n";
    assert_eq!(
        world.values(&format!(
            "{list} local s = data.sort_by(l, 'v') return s[1].n .. s[2].n .. s[3].n, data.sort_by(l, 'n', true)[1].n, \
             #data.group_by(l, 'v')[2], #data.unique(l, 'v'), #data.chunk(l, 2)[2]"
        )),
        json!(["cba", "c", 2, 2, 1])
    );
    assert_eq!(
        world.values("return data.keys({ b = 1, a = 2 }), data.values({ b = 1, a = 2 })"),
        json!([["a", "b"], [2, 1]])
    );
    assert!(world.error("data.map({}, 3)").contains("bad argument 'fn' to 'data.map' (function expected, got number)"));
}

/// "iterator of `{id (from 1), items, offset, size, last}`"
#[test]
fn batches_in_a_loop() {
    let world = world();
    let lines: String = (1..=25).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    std::fs::write(world.file("f.jsonl"), lines).unwrap();
    assert_eq!(
        world.values(
            "local seen, sum = {}, 0\n\
             for batch in data.batches('f.jsonl', 10) do\n\
               for _, item in ipairs(batch.items) do sum += item.n end\n\
               table.insert(seen, batch.id .. ':' .. batch.offset .. ':' .. batch.size .. ':' .. tostring(batch.last))\n\
             end\n\
             return sum, table.concat(seen, ' ')"
        ),
        json!([325, "1:0:10:false 2:10:10:false 3:20:5:true"])
    );
    assert_eq!(
        world.values(
            "for batch in data.batches{ file = 'f.jsonl', size = 10, offset = 20 } do return batch.items[1].n end"
        ),
        json!([21])
    );
    let missing = world.values("return data.batches('none', 10)");
    assert!(missing[0].is_null() && missing[1].as_str().unwrap().contains("none"), "{missing}");
    std::fs::write(world.file("bad.jsonl"), "{}\nnope\n").unwrap();
    assert!(world.error("for _ in data.batches('bad.jsonl', 1) do end").contains("bad.jsonl: item of line 2"));
}

/// "constant memory"
#[test]
fn batches_take_constant_memory() {
    let world = world();
    let line = format!("{{\"text\":\"{}\"}}\n", "x".repeat(1000));
    std::fs::write(world.file("f.jsonl"), line.repeat(40_000)).unwrap();
    let peak = world.values(
        "local peak, count = 0, 0\n\
         for batch in data.batches('f.jsonl', 100) do\n\
           count += batch.size\n\
           peak = math.max(peak, collectgarbage('count'))\n\
         end\n\
         return count, peak",
    );
    assert_eq!(peak[0], json!(40_000));
    assert!(peak[1].as_f64().unwrap() < 16.0 * 1024.0, "40 MB of items, {} KiB of objects at most", peak[1]);
}

/// "V `{data, count, bytes, rejected[]}`"
#[test]
fn transform() {
    let world = world();
    let source = "local r = data.transform({ items = { { n = 1 }, { n = 2 }, { n = 3 } } }, { format = 'jsonl', \
                  map = function(i) return { m = i.n * 2 } end, filter = function(i) return i.n > 1 end })\n\
                  return r.data, r.count, r.bytes";
    assert_eq!(world.values(source), json!(["{\"m\":4}\n{\"m\":6}\n", 2, 16]));
    let refused = world.values("return data.transform({ { n = 1 }, 5 }, { validation = true })");
    assert_eq!(refused, json!([null, "validation failed: item 2: is a number, not an object"]));
    let refused =
        world.values("return data.transform({ { n = 1 } }, { validation = function() return false, 'odd' end })");
    assert_eq!(refused, json!([null, "validation failed: item 1: odd"]));
    let source = "local r = data.transform({ batch = { 1 } , options = { output = 'o.json.gz', compression = 'gzip' } })\n\
                  return r.changed, r.count";
    assert_eq!(world.values(source), json!([true, 1]));
    assert!(std::fs::read(world.file("o.json.gz")).unwrap().starts_with(&[0x1f, 0x8b]));
    let check = world_in(Mode::Check);
    assert_eq!(check.values("return data.transform({ 1 }, { output = 'o' }).simulated"), json!([true]));
    assert!(!check.file("o").exists());
}
