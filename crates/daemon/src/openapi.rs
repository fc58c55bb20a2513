//! The OpenAPI document, made of the same table as the router.

use longshore_api::ApiError;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::auth::Scope;
use crate::routes::{Answers, Endpoint, Holds, Param, table};

/// The document.
pub(crate) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = SchemaGenerator::new(settings);
    let error = schemas.subschema_for::<ApiError>();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in table() {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            let method = endpoint.method.as_str().to_ascii_lowercase();
            path.insert(method, operation(&endpoint, &mut schemas, error.as_value()));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Longshore",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Jobs, queues, workers, schedules and traces of a Longshore store. \
                Without a token the daemon answers its own machine alone; with one, send it as \
                `Authorization: Bearer TOKEN`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token that the daemon was started with, if any: one for \
                        everything, and perhaps another for looking alone.",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, schemas: &mut SchemaGenerator, error: &Value) -> Value {
    let mut parameters: Vec<Value> = in_path(endpoint.path);
    parameters.extend(endpoint.asks.iter().map(in_address));
    let mut operation = json!({
        "operationId": endpoint.id,
        "description": endpoint.about,
        "parameters": parameters,
        "responses": responses(endpoint, schemas, error),
        "security": match endpoint.scope {
            None => json!([]),
            Some(Scope::Read | Scope::Write) => json!([{ "token": [] }, {}]),
        },
    });
    if let (Some(body), Some(operation)) = (endpoint.body, operation.as_object_mut()) {
        let schema = body(schemas);
        let content = json!({ "application/json": { "schema": schema } });
        operation.insert(
            "requestBody".to_owned(),
            json!({ "required": true, "content": content }),
        );
    }
    operation
}

fn responses(endpoint: &Endpoint, schemas: &mut SchemaGenerator, error: &Value) -> Value {
    let as_json = |schema: schemars::Schema| json!({ "application/json": { "schema": schema } });
    let (content, is_made) = match endpoint.answers {
        Answers::Json(schema) => (as_json(schema(schemas)), false),
        Answers::Other(schema, _) => (as_json(schema(schemas)), false),
        Answers::Made(schema) => (as_json(schema(schemas)), true),
        Answers::Events => (json!({ "text/event-stream": {} }), false),
        Answers::Text => (
            json!({ "text/plain": {}, "application/openmetrics-text": {} }),
            false,
        ),
    };
    let done = json!({ "description": "It was done.", "content": content });
    let why = match endpoint.answers {
        // Who may not ask is told so before anybody knows what was asked.
        Answers::Other(_, wrong) => {
            let wrong = wrong(schemas);
            json!({ "application/json": { "schema": { "anyOf": [wrong, error] } } })
        }
        _ => json!({ "application/json": { "schema": error } }),
    };
    let refused = json!({
        "description": "It was not done: the message says why and what to do.",
        "content": why,
    });
    let mut responses = json!({ "200": done, "default": refused });
    if let (true, Some(responses)) = (is_made, responses.as_object_mut()) {
        responses.insert("201".to_owned(), done_anew(&done));
    }
    responses
}

fn done_anew(done: &Value) -> Value {
    let mut made = done.clone();
    if let Some(made) = made.as_object_mut() {
        made.insert("description".to_owned(), json!("It was made."));
    }
    made
}

/// The parts in braces of a path.
fn in_path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?;
        name.strip_suffix('}')
    });
    let parameter = |name: &str| {
        let schema = match name {
            "change" => json!({ "type": "string", "enum": ["cancel", "retry", "discard"] }),
            "trace_id" => json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" }),
            "span_id" => json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" }),
            _ => json!({ "type": "string", "minLength": 1 }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    names.map(parameter).collect()
}

fn in_address(param: &Param) -> Value {
    let text = json!({ "type": "string" });
    let schema = match param.holds {
        Holds::Text => text,
        Holds::Texts => json!({ "type": "array", "items": text }),
        Holds::Time => json!({ "type": "string", "format": "date-time" }),
        Holds::Yes => json!({ "type": "boolean" }),
        Holds::Number => json!({ "type": "integer", "minimum": 0 }),
    };
    json!({
        "name": param.name,
        "in": "query",
        "required": false,
        "description": param.about,
        "schema": schema,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reference_leads_somewhere_and_ids_are_distinct() {
        let document = document();
        let text = document.to_string();
        for part in text.split(r##""$ref":"#"##).skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let ids: Vec<&str> = table().iter().map(|endpoint| endpoint.id).collect();
        let distinct: HashSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len());
    }

    #[test]
    fn what_an_address_may_hold_is_what_is_read() {
        use longshore_api::Query;
        use longshore_api::job::JobsQuery;
        use longshore_api::query::{CompleteQuery, TraceQuery};
        use longshore_api::queue::LatencyQuery;
        use longshore_api::trace::TracesQuery;
        for (id, keys) in [
            ("list_jobs", JobsQuery::KEYS),
            ("latency", LatencyQuery::KEYS),
            ("list_traces", TracesQuery::KEYS),
            ("get_trace", TraceQuery::KEYS),
            ("complete_search", CompleteQuery::KEYS),
        ] {
            let table = table();
            let endpoint = table.iter().find(|endpoint| endpoint.id == id).unwrap();
            let named: Vec<&str> = endpoint.asks.iter().map(|param| param.name).collect();
            assert_eq!(named, keys, "{id}");
        }
    }
}
