//! From values of the script to fields: one reader per kind of value, used by methods and table keys alike.

mod compose;
mod conditions;
mod hooks;
mod plain;
mod policies;

pub(crate) use compose::{STAGE_KEYS, artifacts, doing, element, elements, reference_list, saga, stage};
pub(crate) use conditions::{condition, when_condition};
pub(crate) use hooks::hooks;
pub(crate) use plain::{
    boolean, delegate, duration_ms, env, function, int, json, json_map, optional_duration, strings, text,
};
pub(crate) use policies::{backoff, circuit, priority, resources, retry, size};

/// Tables that the editor types describe by hand, with the keys that are read.
#[cfg(test)]
pub(crate) fn shapes() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("RetryOptions", policies::RETRY_KEYS.to_vec()),
        ("Saga", compose::SAGA_KEYS.to_vec()),
        ("Hooks", hooks::KINDS.map(|(name, _)| name).to_vec()),
    ]
}
