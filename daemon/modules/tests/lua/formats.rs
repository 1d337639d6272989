//! `json`, `yaml`, `toml`, and the formats of `data`.

use serde_json::json;

use super::{Mode, world, world_in};

/// "encode(v [, {pretty, sort_keys}]) decode(s) encode_pretty(v) load(path) save(path, v)"
#[test]
fn encode_and_decode_in_both_forms() {
    let world = world();
    assert_eq!(world.values("return json.encode({ 1, 2.5, 'x' })"), json!(["[1,2.5,\"x\"]"]));
    assert_eq!(
        world.values("return json.encode({ b = 1, a = 2 }, { sort_keys = true })"),
        json!(["{\"a\":2,\"b\":1}"])
    );
    assert_eq!(world.values("return json.encode{ value = { 1 }, pretty = true }"), json!(["[\n  1\n]"]));
    assert_eq!(world.values("return json.decode('{\"a\":[1,{\"b\":true}]}').a[2].b"), json!([true]));
    assert_eq!(world.values("return json.decode{ text = '7' } + 1"), json!([8]));
    assert_eq!(world.values("return yaml.decode('a: [1, x]').a[2], toml.decode('a = 3').a"), json!(["x", 3]));
    assert_eq!(world.values("return yaml.encode({ a = 1 }), toml.encode({ a = 1 })"), json!(["a: 1\n", "a = 1\n"]));
}

/// "`json.null` is the null value (decodes to `json.null` only with `{nulls=true}`, else absent)"
#[test]
fn null_is_a_value_of_its_own() {
    let world = world();
    assert_eq!(
        world.values(
            "local t = json.decode('{\"a\":null,\"b\":1}', { nulls = true })\n\
             return t.a == json.null, json.decode('{\"a\":null}').a == nil, json.encode({ a = json.null }), \
             yaml.null == json.null, json.encode(t, { sort_keys = true })"
        ),
        json!([true, true, "{\"a\":null}", true, "{\"a\":null,\"b\":1}"])
    );
}

/// "empty table encodes as `[]` if it came from an array or `json.array()`, else `{}`"
#[test]
fn empty_lists_stay_lists() {
    let world = world();
    assert_eq!(
        world.values(
            "return json.encode({}), json.encode(json.array()), json.encode(json.decode('{\"l\":[]}')), \
             json.encode(json.array({ 1 })), json.encode({ x = json.array() })"
        ),
        json!(["{}", "[]", "{\"l\":[]}", "[1]", "{\"x\":[]}"])
    );
}

#[test]
fn failures_are_values_with_the_place() {
    let world = world();
    let answer = world.values("return json.decode('{\"a\":\\n x}')");
    assert!(answer[0].is_null() && answer[1].as_str().unwrap().contains("at line 2 column"), "{answer}");
    let answer = world.values("return json.encode({ a = 0/0 })");
    assert_eq!(answer, json!([null, "json: a is not a number that JSON has"]));
    assert!(
        world.error("json.decode({ 1 })").contains("bad argument 'text' to 'json.decode' (string expected, got table)")
    );
}

/// "truthful `changed`"
#[test]
fn saving_writes_only_what_differs() {
    let world = world();
    let save = "local ok, info = json.save('f.json', { a = 1 }) return ok, info.changed, tostring(info)";
    assert_eq!(world.values(save)[1], json!(true));
    assert_eq!(world.values(save)[1], json!(false));
    assert_eq!(std::fs::read_to_string(world.file("f.json")).unwrap(), "{\n  \"a\": 1\n}\n");
    assert_eq!(world.values("return json.load('f.json').a, json.load{ path = 'f.json' }.a"), json!([1, 1]));
    let missing = world.values("return yaml.load('none.yaml')");
    assert!(missing[1].as_str().unwrap().contains("none.yaml"), "{missing}");
    assert_eq!(world.values("return toml.save{ path = 'f.toml', value = { a = 1 } }")[0], json!(true));
}

#[test]
fn check_mode_writes_nothing() {
    let world = world_in(Mode::Check);
    let answer = world.values(
        "local ok, info = json.save('f.json', { a = 1 }) return ok, info.changed, info.simulated, info.would ~= nil",
    );
    assert_eq!(answer, json!([true, true, true, true]));
    assert!(!world.file("f.json").exists());
}

#[test]
fn the_formats_of_data() {
    let world = world();
    assert_eq!(
        world.values("return data.to_json({ 1 }), data.parse_json('[2]')[1], data.yaml_to_json('a: 1')"),
        json!(["[1]", 2, "{\"a\":1}"])
    );
    assert_eq!(
        world.values(
            "return data.csv_parse('a;b\\n1;2', ';')[1].b, data.csv_parse('1,2', ',', { header = false })[1][2]"
        ),
        json!(["2", "2"])
    );
    assert_eq!(
        world.values("return data.csv_generate({ { a = 1, b = 'x,y' } }), data.csv_generate({ { 1, 2 } }, ';')"),
        json!(["a,b\n1,\"x,y\"\n", "1;2\n"])
    );
    assert_eq!(
        world.values("return data.ini_decode('[s]\\nk = v').s.k, data.ini_encode({ k = 1 })"),
        json!(["v", "k = 1\n"])
    );
    assert_eq!(
        world.values("return data.xml_decode('<a><b>1</b></a>').a.b, data.xml_encode({ b = 1 }, 'a')")[0],
        json!("1")
    );
    assert_eq!(world.values("return data.json_validate('[]'), (data.json_validate('['))"), json!([true, null]));
}
