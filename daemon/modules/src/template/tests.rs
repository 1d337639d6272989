//! The syntax of templates, rule by rule.

use sloth_lua::{Args, Data, Mode};

use super::module::{Roots, render_text};
use crate::testing::Caller;

fn vars() -> Data {
    let host = |name: &str, port: f64| Data::map([("name", Data::from(name)), ("port", port.into())]);
    Data::map([
        ("name", Data::from("web")),
        ("on", true.into()),
        ("off", false.into()),
        ("n", 4.0.into()),
        ("list", Data::texts(["a", "b"])),
        ("hosts", Data::List(vec![host("one", 80.0), host("two", 443.0)])),
        ("a", Data::map([("b", Data::texts(["zero", "one"]))])),
    ])
}

fn try_render(text: &str, missing: &str) -> Result<String, String> {
    let caller = Caller::with(Mode::Normal, |ctx| {
        ctx.env.lock().unwrap().insert("COLOUR".into(), Some("red".into()));
    });
    let args = Args::default().with("vars", vars()).with("missing", missing);
    let roots = Roots::from(&args, &caller.ctx).unwrap();
    render_text(text, &roots).map_err(|mistake| format!("{}: {}", mistake.line, mistake.message))
}

fn render(text: &str) -> String {
    try_render(text, "error").unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn mistake(text: &str) -> String {
    try_render(text, "error").unwrap_err()
}

/// "`{{ name }}`, `{{ .name }}`, `{{ a.b[0] }}`, filters `{{ x | upper | default("y") }}`"
#[test]
fn values_and_filters() {
    assert_eq!(render("<{{ name }} {{ .name }} {{a.b[0]}} {{ a.b[1] | upper }} {{ n }}>"), "<web web zero ONE 4>");
    assert_eq!(render("{{ none_such | default(\"y\") }} {{ name | upper | default('y') }}"), "y WEB");
    assert_eq!(render("{{ list | join(\", \") }} {{ list | length }} {{ name | replace('w', 'b') }}"), "a, b 2 beb");
    assert_eq!(render("{{ list }} {{ on }}"), "[\"a\",\"b\"] true");
}

/// "`{{ if c }}…{{ else if d }}…{{ else }}…{{ end }}`"
#[test]
fn conditions() {
    let text = |c: &str, d: &str| format!("{{{{ if {c} }}}}1{{{{ else if {d} }}}}2{{{{ else }}}}3{{{{ end }}}}");
    assert_eq!(render(&text("on", "on")), "1");
    assert_eq!(render(&text("off", "n > 3")), "2");
    assert_eq!(render(&text("not on", "name == \"db\" or n < 4")), "3");
    assert_eq!(render("{{ if eq .name \"web\" }}y{{ end }}{{ if \"a\" in list && !off }}z{{ end }}"), "yz");
}

/// "`{{ range .list }}…{{ .field }}…{{ end }}`, `{{ range i, v := .list }}`"
#[test]
fn loops() {
    assert_eq!(render("{{ range .hosts }}{{ .name }}:{{ .port }} {{ end }}"), "one:80 two:443 ");
    assert_eq!(render("{{ range i, v := .list }}{{ i }}={{ v }};{{ end }}"), "0=a;1=b;");
    assert_eq!(render("{{ range $i, $v := .list }}{{ $i }}={{ $v }}{{ $.name }};{{ end }}"), "0=aweb;1=bweb;");
    assert_eq!(render("{{ range .list }}{{ . }}{{ else }}none{{ end }}"), "ab");
    assert_eq!(render("{{ range .hosts }}{{ name }}{{ end }}"), "webweb", "a bare name is not the item's");
}

/// "`{% if %}/{% for %}/{% endfor %}` forms"
#[test]
fn the_other_spelling() {
    assert_eq!(render("{% for h in hosts %}{% if h.port == 443 %}{{ h.name }}{% endif %}{% endfor %}"), "two");
    assert_eq!(render("{% if off %}1{% elif on %}2{% else %}3{% endif %}"), "2");
    assert_eq!(render("{% for k, v in a %}{{ k }}={{ v | first }}{% endfor %}"), "b=zero");
    assert_eq!(render("{% set x = n + 1 %}{{ x }}"), "5");
}

/// "comments `{{/* */}}` and `{# #}`, `{{-`/`-}}` trimming"
#[test]
fn comments_and_trimming() {
    assert_eq!(render("a{{/* no }} \n */}}b{# nor this {{ x }} #}c"), "abc");
    assert_eq!(render("a  \n {{- name -}} \n b"), "awebb");
    assert_eq!(render("{{- if on -}}\n x\n{{- end }}"), "x");
    assert_eq!(render("{{ \"}}\" }}"), "}}", "a quoted end is no end");
}

/// "Roots: `vars`, then `values`, `facts`, `env`."
#[test]
fn roots() {
    assert_eq!(render("{{ COLOUR }} {{ env.COLOUR }} {{ vars.name }}"), "red red web");
}

/// "An unknown name is an error unless `missing="empty"`."
#[test]
fn unknown_names() {
    assert_eq!(mistake("ok\n{{ none_such }}"), "2: unknown name \"none_such\"");
    assert_eq!(mistake("{{ a.c }}"), "1: unknown name \"a.c\"");
    assert_eq!(mistake("{{ a.b[7] }}"), "1: unknown name \"a.b[7]\"");
    assert_eq!(mistake("{{ if none_such }}{{ end }}"), "1: unknown name \"none_such\"");
    assert_eq!(try_render("<{{ none_such }}{{ if none_such }}x{{ end }}>", "empty").unwrap(), "<>");
    assert_eq!(render("{{ if none_such | defined }}x{{ end }}"), "");
}

#[test]
fn mistakes_name_their_line() {
    assert_eq!(mistake("a\n{{ if on }}"), "2: \"if\" has no end");
    assert_eq!(mistake("{{ end }}"), "1: \"end\" without a block that it ends");
    assert_eq!(mistake("\n\n{{ name"), "3: \"{{\" is not closed");
    assert_eq!(mistake("{{ name | no_such }}"), "1: unknown filter \"no_such\"");
    assert_eq!(mistake("{{ name name }}"), "1: unexpected \"name\" in \"name name\"");
    assert_eq!(mistake("{% for x list %}{% endfor %}"), "1: \"for name in list\" expected");
    for text in ["{{", "{{ (", "{{ \"", "{%", "{{ . . }}", "{{ a[ }}", "{{}}", "{{ 1.2.3 }}", "{{ | }}", "{{ é"] {
        assert!(try_render(text, "error").is_err(), "{text}");
    }
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(try_render(&format!("{{{{ {deep} }}}}"), "error").is_err());
    assert!(try_render(&"{{ if on }}".repeat(100_000), "error").is_err());
}
