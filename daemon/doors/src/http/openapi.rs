//! The OpenAPI 3.1 document, made from the table of routes and the wire types. Its copy in git shows every change of the contract.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use sloth_api::{BASE, ErrorBody, ErrorCode, PROTOCOL};

use super::routes::{ROUTES, Route};

/// The document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let error = generator.subschema_for::<ErrorBody>();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut generator, &error);
        let path = paths.entry(format!("{BASE}{}", route.path)).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation;
    }
    let codes: Vec<Value> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let (http, exit, dbus) = (code.http_status(), code.exit_code(), code.dbus_name());
            json!({ "code": code.as_str(), "http": http, "exit": exit, "dbus": dbus })
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "slothd",
            "version": PROTOCOL,
            "description": "HTTP/1.1 on the Unix socket of slothd. The caller is whom the kernel says (SO_PEERCRED).",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
        "x-error-table": codes,
    })
}

fn operation(route: &Route, generator: &mut schemars::SchemaGenerator, error: &schemars::Schema) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for part in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        parameters.push(json!({ "name": part, "in": "path", "required": true, "schema": { "type": "string" } }));
    }
    for (name, text) in route.query {
        parameters.push(json!({ "name": name, "in": "query", "description": text, "schema": { "type": "string" } }));
    }
    let content = match route.reply {
        Some(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        None if route.path.contains("stream") => json!({ "text/event-stream": {} }),
        None => json!({ "text/plain": {} }),
    };
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "responses": {
            route.status.to_string(): { "description": "done", "content": content },
            "default": { "description": "refused", "content": { "application/json": { "schema": error } } },
        },
    });
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = route.body {
        operation["requestBody"] = json!({ "content": { "application/json": { "schema": body(generator) } } });
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let words: String = route.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{}{}", route.method.to_ascii_lowercase(), words)
}
