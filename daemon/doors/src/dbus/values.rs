//! Between the values of D-Bus and JSON: options become the same fields that a request over HTTP has, and answers come from the same
//! types. What JSON cannot say (file descriptors, structures, numbers that are none) is refused by its name.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value as Json};
use sloth_api::ErrorCode;
use sloth_service::ServiceError;
use zbus::{Array, OwnedVariant, Signature, Str, Variant};

/// Properties and the like.
pub(super) type Dictionary = BTreeMap<String, Variant<'static>>;

/// Options of a call.
pub(super) type Options = BTreeMap<String, OwnedVariant>;

/// Options as the fields of a request.
pub(super) fn fields(options: &Options) -> Result<Map<String, Json>, ServiceError> {
    options.iter().map(|(name, value)| Ok((name.clone(), json(name, value)?))).collect()
}

/// A request type from its fields. Serde names what is unknown or wrong, as it does over HTTP.
pub(super) fn request<T: DeserializeOwned>(fields: Map<String, Json>) -> Result<T, ServiceError> {
    serde_json::from_value(Json::Object(fields))
        .map_err(|error| ServiceError::new(ErrorCode::InvalidArgument, format!("options: {error}")))
}

/// Takes a text out of the fields.
pub(super) fn take_text(fields: &mut Map<String, Json>, name: &str) -> Result<Option<String>, ServiceError> {
    match fields.remove(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(ServiceError::field(name, "is no text")),
    }
}

fn json(name: &str, value: &Variant<'_>) -> Result<Json, ServiceError> {
    Ok(match value {
        Variant::U8(n) => Json::from(*n),
        Variant::Bool(yes) => Json::from(*yes),
        Variant::I16(n) => Json::from(*n),
        Variant::U16(n) => Json::from(*n),
        Variant::I32(n) => Json::from(*n),
        Variant::U32(n) => Json::from(*n),
        Variant::I64(n) => Json::from(*n),
        Variant::U64(n) => Json::from(*n),
        Variant::F64(n) => match Number::from_f64(*n) {
            Some(n) => Json::Number(n),
            None => return Err(ServiceError::field(name, format!("{n} is no number"))),
        },
        Variant::Str(text) => Json::from(text.as_str()),
        Variant::ObjectPath(path) => Json::from(path.as_str()),
        Variant::Variant(inner) => json(name, inner)?,
        Variant::Array(list) => {
            Json::Array(list.inner().iter().map(|item| json(name, item)).collect::<Result<_, _>>()?)
        }
        Variant::Dict(dictionary) => {
            let mut map = Map::new();
            for (key, value) in dictionary.iter() {
                let Variant::Str(key) = key else {
                    return Err(ServiceError::field(name, "the keys of a dictionary must be texts"));
                };
                map.insert(key.as_str().to_owned(), json(name, value)?);
            }
            Json::Object(map)
        }
        other => {
            let message = format!("a value of type {:?} is not possible here", other.value_signature().to_string());
            return Err(
                ServiceError::field(name, message).hint("texts, numbers, booleans, arrays and dictionaries are")
            );
        }
    })
}

/// A JSON object as a dictionary. `null` is left out: D-Bus has no word for it.
pub(super) fn dictionary(object: Map<String, Json>) -> Dictionary {
    object.into_iter().filter_map(|(name, value)| Some((name, variant(value)?))).collect()
}

fn variant(value: Json) -> Option<Variant<'static>> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(yes) => Variant::Bool(yes),
        Json::Number(n) => match (n.as_u64(), n.as_i64()) {
            (Some(n), _) => Variant::U64(n),
            (_, Some(n)) => Variant::I64(n),
            _ => Variant::F64(n.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Variant::Str(Str::from(text)),
        Json::Array(list) => Variant::Array(array(list)),
        Json::Object(object) => Variant::from(dictionary(object)),
    })
}

/// Texts as `as`, everything else as `av`.
fn array(list: Vec<Json>) -> Array<'static> {
    if list.iter().all(Json::is_string) {
        let texts = list.into_iter().filter_map(|item| item.as_str().map(str::to_owned));
        return Array::from(texts.collect::<Vec<String>>());
    }
    let mut array = Array::new(&Signature::Variant);
    for item in list.into_iter().filter_map(variant) {
        // Every element is wrapped, so that each has the type of the array.
        let _ = array.append(Variant::Variant(Box::new(item)));
    }
    array
}

/// Times of the API (RFC 3339) as microseconds since 1970; 0 for none.
pub(super) fn micros(time: Option<&str>) -> u64 {
    let parsed = time.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    parsed.map_or(0, |time| u64::try_from(time.as_microsecond()).unwrap_or(0))
}

/// The object with its times (`…_at`) as microseconds, as everywhere on this bus.
pub(super) fn with_times(mut object: Map<String, Json>) -> Map<String, Json> {
    for (name, value) in &mut object {
        if name.ends_with("_at") && value.is_string() {
            *value = Json::from(micros(value.as_str()));
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(dictionary: Dictionary) -> Options {
        let owned = |value: Variant<'static>| value.try_into_owned().expect("no descriptors");
        dictionary.into_iter().map(|(name, value)| (name, owned(value))).collect()
    }

    #[test]
    fn options_become_fields() {
        let command = Array::from(vec!["/bin/true", "-x"]);
        let env = Variant::from(BTreeMap::from([("A".to_owned(), Variant::from("1"))]));
        let given = BTreeMap::from([
            ("command".to_owned(), Variant::Array(command)),
            ("env".to_owned(), env),
            ("queue_limit".to_owned(), Variant::U32(7)),
            ("nested".to_owned(), Variant::Variant(Box::new(Variant::Bool(true)))),
        ]);
        let expected = json!({"command": ["/bin/true", "-x"], "env": {"A": "1"}, "nested": true, "queue_limit": 7});
        assert_eq!(Json::Object(fields(&options(given)).expect("good")), expected);
    }

    #[test]
    fn what_json_cannot_say_is_refused_with_its_name() {
        let given = BTreeMap::from([("timeout".to_owned(), Variant::F64(f64::NAN))]);
        assert!(fields(&options(given)).expect_err("NaN").message.starts_with("timeout: "));
        let given = BTreeMap::from([("tags".to_owned(), Variant::new((1u32, 2u32)))]);
        assert!(fields(&options(given)).expect_err("structure").message.starts_with("tags: "));
    }

    #[test]
    fn answers_keep_their_values() {
        let object = json!({"a": 1, "b": -1, "c": null, "d": ["x"], "e": [1, "x"], "f": {"g": true}, "h": []});
        let Json::Object(object) = object else { unreachable!("an object") };
        let dictionary = dictionary(object);
        assert_eq!(dictionary.keys().collect::<Vec<_>>(), ["a", "b", "d", "e", "f", "h"]);
        let back = fields(&options(dictionary)).expect("good");
        assert_eq!(Json::Object(back), json!({"a": 1, "b": -1, "d": ["x"], "e": [1, "x"], "f": {"g": true}, "h": []}));
    }

    #[test]
    fn times_are_microseconds() {
        assert_eq!(micros(Some("1970-01-01T00:00:01.5Z")), 1_500_000);
        assert_eq!(micros(None), 0);
    }
}
