//! Who may do what: every route for an administrator, the owner and somebody else, against a table that must name every route.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::skips::root_or_skip;

/// `nobody` owns the objects.
const OWNER: u32 = 65534;
/// `games` is the other one.
const OTHER: u32 = 5;

/// What root, the owner and another user get.
type Expected = (u16, u16, u16);

const ALL: Expected = (200, 200, 200);
const OWN: Expected = (200, 200, 403);
const ADMIN: Expected = (200, 403, 403);
const MADE: Expected = (201, 201, 201);
/// What only a run of a workflow has, asked of a run of a command.
const CONFLICT: Expected = (409, 409, 403);

const NEW_RUN: &str =
    r#"{"source":{"bundle":{"main":"/a.sloth","files":{"/a.sloth":"task('a')"}}},"invocation_dir":"/"}"#;
const SAVED: &str = r#"{"bundle":{"main":"/a.sloth","files":{"/a.sloth":"task('a')"}}}"#;

/// Every route; `{name}` and `{id}` are filled in. `true`: a success leaves an entry in the audit trail.
const TABLE: &[(&str, &str, &str, Expected, bool)] = &[
    ("GET /version", "", "", ALL, false),
    ("GET /status", "", "", ALL, false),
    ("GET /health", "", "", ALL, false),
    ("GET /features", "", "", ALL, false),
    ("GET /whoami", "", "", ALL, false),
    ("GET /config", "", "", ADMIN, false),
    ("POST /config/reload", "", "", ADMIN, true),
    ("GET /openapi.json", "", "", ALL, false),
    ("GET /audit", "", "", ADMIN, false),
    ("GET /schedules", "", "", ALL, false),
    ("POST /schedules", "", r#"{"name":"new","trigger":"manual","shell":"true"}"#, (201, 201, 201), true),
    ("GET /schedules/-/next", "?expr=@daily", "", ALL, false),
    ("GET /schedules/-/audit", "", "", ALL, false),
    ("GET /schedules/-/export", "", "", ALL, false),
    ("GET /schedules/-/system", "", "", ALL, false),
    ("POST /schedules/-/validate", "", r#"{"expr":"@daily"}"#, ALL, false),
    (
        "POST /schedules/-/import",
        "",
        r#"{"format":"crontab","dry_run":true,"sources":[{"name":"x","text":"@daily true\n"}]}"#,
        ALL,
        false,
    ),
    ("POST /schedules/-/pause-all", "", "", ADMIN, true),
    ("POST /schedules/-/resume-all", "", "", ADMIN, true),
    ("GET /schedules/{name}", "", "", OWN, false),
    ("PUT /schedules/{name}", "", r#"{"trigger":"manual","shell":"exit 0"}"#, OWN, true),
    ("PATCH /schedules/{name}", "", r#"{"description":"changed"}"#, OWN, true),
    ("DELETE /schedules/{name}", "", "", OWN, true),
    ("POST /schedules/{name}/enable", "", "", OWN, true),
    ("POST /schedules/{name}/disable", "", "{}", OWN, true),
    ("POST /schedules/{name}/trigger", "", "{}", (202, 202, 403), true),
    ("GET /schedules/{name}/next", "", "", OWN, false),
    ("GET /schedules/{name}/occurrences", "", "", OWN, false),
    ("GET /schedules/{name}/explain", "", "", OWN, false),
    ("GET /schedules/{name}/audit", "", "", OWN, false),
    ("GET /runs", "", "", ALL, false),
    ("GET /runs/{id}", "", "", OWN, false),
    ("DELETE /runs/{id}", "", "", OWN, true),
    ("POST /runs/{id}/cancel", "", "{}", OWN, false),
    ("GET /runs/{id}/logs", "", "", OWN, false),
    ("GET /runs/{id}/logs/stream", "", "", OWN, false),
    ("POST /runs", "", NEW_RUN, MADE, true),
    ("POST /runs/{id}/pause", "", "{}", CONFLICT, false),
    ("POST /runs/{id}/unpause", "", "{}", CONFLICT, false),
    ("POST /runs/{id}/resume", "", "{}", CONFLICT, false),
    ("POST /runs/{id}/rerun", "", "{}", CONFLICT, false),
    ("POST /runs/{id}/compensate", "", "{}", CONFLICT, false),
    ("GET /runs/{id}/tasks", "", "", OWN, false),
    ("GET /runs/{id}/graph", "", "", CONFLICT, false),
    ("GET /runs/{id}/outputs", "", "", CONFLICT, false),
    ("GET /runs/{id}/checkpoints", "", "", OWN, false),
    ("GET /runs/{id}/artifacts", "", "", OWN, false),
    ("GET /runs/{id}/journal", "", "", (409, 403, 403), false),
    ("GET /runs/{id}/bundle", "", "", CONFLICT, false),
    ("GET /runs/{id}/values", "", "", CONFLICT, false),
    ("GET /runs/{id}/summary", "", "", OWN, false),
    ("GET /runs/{id}/events", "", "", OWN, false),
    ("GET /workflows", "", "", ALL, false),
    ("GET /workflows/{name}", "", "", OWN, false),
    ("PUT /workflows/{name}", "", SAVED, OWN, true),
    ("DELETE /workflows/{name}", "", "", OWN, true),
    ("GET /events", "", "", ALL, false),
    ("GET /events/types", "", "", ALL, false),
    // Whether it exists is not said to those who may not see it.
    ("GET /events/{id}", "", "", (200, 200, 404), false),
    ("GET /stream", "?topics=events", "", ALL, false),
    ("GET /db/status", "", "", ADMIN, false),
    ("POST /db/query", "", r#"{"sql":"SELECT 1"}"#, ADMIN, true),
    ("POST /db/check", "", "", ADMIN, false),
    ("POST /db/vacuum", "", "", ADMIN, true),
    ("GET /backup", "", "", ADMIN, false),
    ("POST /backup/create", "", "{}", ADMIN, true),
    ("POST /backup/verify", "", r#"{"id":"{backup}"}"#, ADMIN, false),
    ("DELETE /backup/{id}", "", "", ADMIN, true),
    // The last one: it starts the daemon again.
    ("POST /backup/restore", "", r#"{"id":"{backup}"}"#, (202, 403, 403), true),
];

/// An instance whose socket everybody may use.
fn shared(name: &str) -> Option<Instance> {
    if !root_or_skip(name) {
        return None;
    }
    let mut instance = Instance::prepare();
    instance.open_to_all();
    instance.up();
    Some(instance)
}

/// All routes that the daemon itself names, as in the table.
fn routes(instance: &Instance) -> Vec<String> {
    let document = instance.ok("GET", "/openapi.json", Value::Null);
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for method in methods.as_object().into_iter().flatten().map(|(method, _)| method) {
            let path = path.strip_prefix("/api/v1").expect("below the base");
            found.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    found
}

#[test]
fn every_route_for_every_role() {
    let Some(instance) = shared("every_route_for_every_role") else { return };
    let mut missing = routes(&instance);
    missing.retain(|route| !TABLE.iter().any(|row| row.0 == route));
    assert!(missing.is_empty(), "routes without expectation: {missing:?}");

    let mut wrong = Vec::new();
    let mut checked = 0;
    for (route, query, body, expected, audited) in TABLE {
        let (method, path) = route.split_once(' ').expect("two words");
        // The administrator last: what he deletes is gone.
        for (uid, expected) in [(OTHER, expected.2), (OWNER, expected.1), (0, expected.0)] {
            let object = Object::fresh(&instance, route);
            let target = format!("{}{query}", object.fill(path, uid));
            let body: Value = match *body {
                "" => Value::Null,
                text => serde_json::from_str(&object.fill(text, uid)).expect("JSON"),
            };
            let before = last_audit(&instance);
            let (status, reply) = instance.as_user(uid, &[(method, target, body)]).remove(0);
            checked += 1;
            if status != expected {
                wrong.push(format!("{route} as {uid}: {status} instead of {expected}: {reply}"));
            }
            if status >= 400 && (reply["error"]["code"].is_null() || reply["error"]["message"].is_null()) {
                wrong.push(format!("{route} as {uid}: refused without a reason: {reply}"));
            }
            if *route == "POST /backup/restore" && status == 202 {
                continue;
            }
            let entries =
                audit_since(&instance, before, uid, if route.contains("/db/query") { "" } else { "db:query" });
            if status == 403 && !entries.iter().any(|(_, result)| result == "denied") {
                wrong.push(format!("{route} as {uid}: the refusal is not in the audit trail"));
            }
            if status < 300 && *audited && !entries.iter().any(|(_, result)| result == "ok") {
                wrong.push(format!("{route} as {uid}: the change is not in the audit trail: {entries:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    println!("{} routes, {checked} requests", TABLE.len());
}

/// What a route works on, made anew for each request.
struct Object {
    run: String,
    event: String,
    backup: String,
    route: String,
}

impl Object {
    fn fresh(instance: &Instance, route: &str) -> Object {
        let mut object =
            Object { run: String::new(), event: String::new(), backup: String::new(), route: route.to_owned() };
        if route.contains("{name}") || route.contains("{id}") {
            let spec = json!({ "trigger": "manual", "shell": "true", "cwd": "/", "overlap": "allow" });
            let made = instance.as_user(OWNER, &[("PUT", "/schedules/obj".to_owned(), spec)]).remove(0);
            assert!(made.0 < 300, "{made:?}");
            if route.contains("disable") {
                instance.as_user(OWNER, &[("POST", "/schedules/obj/enable".to_owned(), Value::Null)]);
            } else if route.contains("enable") {
                instance.as_user(OWNER, &[("POST", "/schedules/obj/disable".to_owned(), json!({}))]);
            }
        }
        if route.contains("runs/{id}") || route.contains("events/{id}") {
            let run = instance.as_user(OWNER, &[("POST", "/schedules/obj/trigger".to_owned(), json!({}))]).remove(0).1;
            object.run = run["run_id"].as_str().expect("an id").to_owned();
            instance.finished(&object.run);
            object.event =
                instance.value(&format!("SELECT max(seq) FROM events WHERE run_id = '{}'", object.run)).to_string();
        }
        if route.contains("/workflows/{name}") {
            let saved = serde_json::from_str(SAVED).expect("JSON");
            let made = instance.as_user(OWNER, &[("PUT", "/workflows/obj".to_owned(), saved)]).remove(0);
            assert!(made.0 < 300, "{made:?}");
        }
        if route.contains("backup") {
            let backup = instance.ok("POST", "/backup/create", json!({}));
            object.backup = backup["id"].as_str().expect("an id").to_owned();
        }
        if route.ends_with("resume-all") {
            instance.ok("POST", "/schedules/-/pause-all", json!({}));
        } else if route.ends_with("pause-all") {
            instance.ok("POST", "/schedules/-/resume-all", json!({}));
        }
        if route == "POST /schedules" {
            for name in ["new", "nobody%2Fnew", "games%2Fnew"] {
                instance.http("DELETE", &format!("/schedules/{name}"), Value::Null);
            }
        }
        object
    }

    fn fill(&self, text: &str, uid: u32) -> String {
        let id = match &self.route {
            route if route.contains("/events/") => &self.event,
            route if route.contains("/backup/") => &self.backup,
            _ => &self.run,
        };
        let name = if uid == OWNER { "obj" } else { "nobody%2Fobj" };
        text.replace("{name}", name).replace("{id}", id).replace("{backup}", &self.backup)
    }
}

fn last_audit(instance: &Instance) -> i64 {
    instance.value("SELECT max(seq) FROM audit").as_i64().unwrap_or(0)
}

/// Actions and results of a user since then, without one action.
fn audit_since(instance: &Instance, after: i64, uid: u32, without: &str) -> Vec<(String, String)> {
    let sql = format!("SELECT action, result FROM audit WHERE seq > {after} AND uid = {uid} AND action <> '{without}'");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    instance.rows(&sql).iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
}

#[test]
fn nobody_gets_at_what_belongs_to_others() {
    let Some(instance) = shared("nobody_gets_at_what_belongs_to_others") else { return };
    instance.add("secret", json!({ "trigger": "manual", "shell": "echo hidden" }));
    let run = instance.trigger("secret");
    instance.finished(&run);
    // A schedule of nobody that an administrator lets run as root.
    let lent = json!({ "trigger": "manual", "command": ["/usr/bin/id", "-u"], "user": "root", "cwd": "/" });
    instance.ok("PUT", "/schedules/nobody%2Flent", lent);
    instance.ok(
        "PUT",
        "/schedules/nobody%2Fmine",
        json!({ "trigger": "manual", "shell": "true", "cwd": "/", "user": "nobody" }),
    );
    let before = last_audit(&instance);

    let spec = |extra: Value| {
        let mut spec = json!({ "trigger": "manual", "shell": "true" });
        spec.as_object_mut().expect("an object").extend(extra.as_object().cloned().unwrap_or_default());
        spec
    };
    let import = |extra: Value| {
        let mut body = json!({ "format": "crontab", "sources": [{ "name": "x", "text": "@daily true\n" }] });
        body.as_object_mut().expect("an object").extend(extra.as_object().cloned().unwrap_or_default());
        body
    };
    let refused: Vec<(&str, String, Value)> = vec![
        ("PUT", "/schedules/a".into(), spec(json!({ "user": "root" }))),
        ("PUT", "/schedules/a".into(), spec(json!({ "user": "games" }))),
        ("PUT", "/schedules/a".into(), spec(json!({ "group": "root" }))),
        ("POST", "/schedules".into(), spec(json!({ "name": "a", "user": "root" }))),
        ("PATCH", "/schedules/mine".into(), json!({ "user": "root" })),
        ("PATCH", "/schedules/mine".into(), json!({ "group": "root" })),
        ("PATCH", "/schedules/mine".into(), json!({ "after": { "root/secret": "any" } })),
        ("PUT", "/schedules/root%2Fsecret".into(), spec(json!({}))),
        ("PUT", "/schedules/games%2Fnew".into(), spec(json!({}))),
        ("POST", "/schedules".into(), spec(json!({ "name": "games/new" }))),
        ("PATCH", "/schedules/root%2Fsecret".into(), json!({ "shell": "id" })),
        ("DELETE", "/schedules/root%2Fsecret".into(), Value::Null),
        ("POST", "/schedules/root%2Fsecret/trigger".into(), json!({})),
        ("GET", "/schedules/root%2Fsecret".into(), Value::Null),
        // Lent with root's rights: to run it or to change what it runs takes an administrator.
        ("POST", "/schedules/lent/trigger".into(), json!({})),
        ("PATCH", "/schedules/lent".into(), json!({ "command": ["/bin/sh", "-c", "id"] })),
        ("PUT", "/schedules/lent".into(), spec(json!({}))),
        ("PUT", "/schedules/lent?if_changed=true".into(), spec(json!({ "user": "nobody" }))),
        ("GET", format!("/runs/{run}"), Value::Null),
        ("GET", format!("/runs/{}", &run[run.len() - 8..]), Value::Null),
        ("GET", format!("/runs/{run}/logs"), Value::Null),
        ("GET", format!("/runs/{run}/logs/stream"), Value::Null),
        ("POST", format!("/runs/{run}/cancel"), json!({})),
        ("DELETE", format!("/runs/{run}"), Value::Null),
        ("GET", format!("/stream?topics=runs/{run}"), Value::Null),
        ("GET", "/schedules?all_users=true".into(), Value::Null),
        ("GET", "/schedules/-/export?all_users=true".into(), Value::Null),
        ("GET", "/runs?owner=*".into(), Value::Null),
        ("GET", "/runs?owner=root".into(), Value::Null),
        ("GET", "/runs?schedule=root/secret".into(), Value::Null),
        ("POST", "/schedules/-/import".into(), import(json!({ "user": "root" }))),
    ];
    let answers = instance.as_user(OWNER, &refused);
    let mut wrong = Vec::new();
    for ((method, path, body), (status, reply)) in refused.iter().zip(&answers) {
        if *status != 403 {
            wrong.push(format!("{method} {path} {body}: {status} {reply}"));
        }
        assert!(!reply.to_string().contains("hidden"), "{method} {path} shows output: {reply}");
    }
    assert!(wrong.is_empty(), "not refused:\n{}", wrong.join("\n"));
    let denied = audit_since(&instance, before, OWNER, "").iter().filter(|(_, result)| result == "denied").count();
    assert_eq!(denied, refused.len(), "every refusal has one entry in the audit trail");

    // A system crontab names users in a column; only the own name may be made.
    let text = "* * * * * root id\n* * * * * nobody id\n";
    let body = json!({ "format": "system_crontab", "sources": [{ "name": "/etc/cron.d/x", "text": text }] });
    let (status, reply) = instance.as_user(OWNER, &[("POST", "/schedules/-/import".into(), body)]).remove(0);
    let mine =
        instance.rows("SELECT name, user FROM schedules WHERE owner = 65534 AND user = 'root' AND deleted_at IS NULL");
    assert_eq!(mine.len(), 1, "an import made a schedule for root: {status} {reply}");

    // Lists hold only the own ones.
    for path in ["/schedules", "/runs", "/events?limit=1000", "/schedules/-/export", "/status"] {
        let (status, reply) = instance.as_user(OWNER, &[("GET", path.into(), Value::Null)]).remove(0);
        assert_eq!(status, 200, "{path}");
        assert!(!reply.to_string().contains("secret"), "{path} shows another's schedule: {reply}");
    }
    let untouched = instance.ok("GET", "/schedules/secret", Value::Null);
    assert_eq!((&untouched["revision"], &untouched["shell"]), (&json!(1), &json!("echo hidden")));
    assert_eq!(instance.ok("GET", "/schedules/nobody%2Flent", Value::Null)["revision"], 1);
    let refusals = instance.ok("GET", "/events?type=security.permission_denied&limit=1000", Value::Null);
    let denied = audit_since(&instance, before, OWNER, "").iter().filter(|(_, result)| result == "denied").count();
    assert_eq!(refusals["items"].as_array().map(Vec::len), Some(denied), "each refusal is an event");
}

#[test]
fn by_default_nobody_else_can_connect() {
    if !root_or_skip("by_default_nobody_else_can_connect") {
        return;
    }
    // The directories are open, so that only the socket itself stands in the way.
    let mut instance = Instance::prepare();
    instance.open_to_all();
    let path = instance.socket().display().to_string();
    instance.config(&format!("[socket]\npath = {path:?}\n"));
    instance.up();
    assert_eq!(fs::metadata(instance.socket()).expect("there").mode() & 0o777, 0o600);
    let (status, reply) = instance.as_user(OWNER, &[("GET", "/version".into(), Value::Null)]).remove(0);
    assert_eq!(status, 0, "{reply}");
    assert!(reply.to_string().to_lowercase().contains("denied"), "{reply}");
    assert_eq!(instance.as_user(0, &[("GET", "/version".into(), Value::Null)])[0].0, 200);
}

#[test]
fn members_of_the_admin_groups_are_administrators() {
    let Some(mut instance) = shared("members_of_the_admin_groups_are_administrators") else { return };
    let role = |instance: &Instance, uid| {
        instance.as_user(uid, &[("GET", "/whoami".into(), Value::Null)]).remove(0).1["role"].clone()
    };
    assert_eq!((role(&instance, 0), role(&instance, OTHER)), (json!("admin"), json!("user")));
    let config = fs::read_to_string(instance.root().join("slothd.toml")).expect("there");
    // 60 is the group of games.
    instance.config(&format!("{config}\n[security]\nadmin_groups = [\"games\"]\n"));
    instance.restart();
    assert_eq!(
        (role(&instance, 0), role(&instance, OTHER), role(&instance, OWNER)),
        (json!("admin"), json!("admin"), json!("user"))
    );
}

#[test]
fn jobs_of_nobody_have_nobodys_rights_and_nothing_else() {
    let Some(instance) = shared("jobs_of_nobody") else { return };
    let script = "id -u; id -g; id -G; umask; pwd; echo ---; env; echo ---; /bin/ls -l /proc/$$/fd; echo ---; grep -E '^(SigIgn|SigBlk|NoNewPrivs|CapEff)' /proc/self/status";
    let spec = json!({ "name": "who", "trigger": "manual", "shell": script, "cwd": "/" });
    let replies = instance
        .as_user(OWNER, &[("POST", "/schedules".into(), spec), ("POST", "/schedules/who/trigger".into(), json!({}))]);
    assert_eq!(replies[0].0, 201, "{replies:?}");
    let run = replies[1].1["run_id"].as_str().expect("a run").to_owned();
    let view = instance.finished(&run);
    let output = instance.output(&run, "stdout");
    assert_eq!(view["status"], "completed", "{view} {output}");
    let parts: Vec<&str> = output.split("---\n").collect();
    assert_eq!(parts[0].lines().collect::<Vec<_>>(), ["65534", "65534", "65534", "0022", "/"], "{output}");
    let env: BTreeMap<&str, &str> = parts[1].lines().filter_map(|line| line.split_once('=')).collect();
    let known = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "PWD", "SHLVL", "OLDPWD", "_"];
    let strange: Vec<_> = env.keys().filter(|name| !known.contains(*name) && !name.starts_with("SLOTH_")).collect();
    assert!(strange.is_empty(), "inherited variables: {strange:?}");
    assert_eq!(
        (env["USER"], env["LOGNAME"], env["SLOTH_SCHEDULE"], env["SLOTH_ATTEMPT"]),
        ("nobody", "nobody", "who", "1")
    );
    assert_eq!(env["SLOTH_RUN_ID"], run);
    assert!(env["SLOTH_DUE_AT"].ends_with('Z') && env["SLOTH_CATCH_UP"] == "0", "{env:?}");
    let fds: Vec<(&str, &str)> = parts[2]
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        .map(|(left, to)| (left.rsplit(' ').next().unwrap_or(""), to))
        .collect();
    assert_eq!(fds.iter().map(|fd| fd.0).collect::<Vec<_>>(), ["0", "1", "2"], "inherited descriptors: {}", parts[2]);
    assert_eq!(fds[0].1, "/dev/null");
    for line in parts[3].lines() {
        let value = line.split_whitespace().last().unwrap_or_default();
        if !line.starts_with("NoNewPrivs") {
            assert!(value.bytes().all(|byte| byte == b'0'), "{line}");
        }
    }
}

#[test]
fn everything_below_the_root_is_private_whatever_the_umask() {
    let instance = Instance::start();
    instance.add_shell("job", "echo out; echo err >&2");
    instance.run("job");
    instance.ok("POST", "/backup/create", json!({}));
    let mut seen = 0;
    let mut open = vec![instance.root().to_owned()];
    let check = |path: &Path| {
        let meta = fs::symlink_metadata(path).expect("there");
        let kind = meta.file_type();
        // Workers run as the users of their runs: they make their own directories, as in /tmp, and connect with a token.
        let expected = match path.strip_prefix(instance.root()).ok().and_then(Path::to_str) {
            Some("work") => 0o1733,
            Some("worker.sock") => 0o666,
            _ if kind.is_dir() => 0o700,
            _ => 0o600,
        };
        assert!(kind.is_dir() || kind.is_file() || kind.is_socket(), "{}: {kind:?}", path.display());
        assert_eq!(meta.mode() & 0o7777, expected, "{}", path.display());
        kind.is_dir()
    };
    while let Some(path) = open.pop() {
        seen += 1;
        if check(&path) {
            open.extend(fs::read_dir(&path).expect("readable").flatten().map(|entry| entry.path()));
        }
    }
    assert!(seen >= 10, "only {seen} files");
    println!("{seen} files");
}
