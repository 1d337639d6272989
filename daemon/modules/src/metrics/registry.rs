//! Values that scripts measure, by name and tags. They live in the worker; who exports them takes a copy.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sloth_lua::{Data, Failure};

/// Different series of a run.
const SERIES_MAX: usize = 1000;

/// Tags of one series.
const TAGS_MAX: usize = 10;

/// Before every name.
const PREFIX: &str = "sloth_user_";

/// Upper bounds of histograms, seconds, as those of slothd.
pub(crate) const BUCKETS: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// Name and tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub name: String,
    pub tags: BTreeMap<String, String>,
}

/// What is known of a series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Gauge(f64),
    Counter(f64),
    Histogram { buckets: [u64; BUCKETS.len()], count: u64, sum: f64, min: f64, max: f64, last: f64 },
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Gauge(_) => "gauge",
            Value::Counter(_) => "counter",
            Value::Histogram { .. } => "histogram",
        }
    }
}

/// A measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measured {
    Gauge(f64),
    Counter(f64),
    Observed(f64),
}

#[derive(Default)]
pub(crate) struct Registry(Mutex<BTreeMap<Series, Value>>);

/// Of this process.
pub(crate) static REGISTRY: Registry = Registry(Mutex::new(BTreeMap::new()));

/// A name as Prometheus takes it.
pub(crate) fn metric_name(name: &str) -> String {
    let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    if name.starts_with(PREFIX) { name } else { format!("{PREFIX}{name}") }
}

fn tag_name(name: &str) -> String {
    let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

impl Series {
    /// Of a name and a table of tags.
    pub(crate) fn of(name: &str, tags: Option<&Data>) -> Result<Series, Failure> {
        let mut series = Series { name: metric_name(name), tags: BTreeMap::new() };
        match tags {
            Some(Data::Map(entries)) => {
                for (key, value) in entries {
                    let text = match value {
                        Data::Bool(value) => value.to_string(),
                        value => value
                            .to_text()
                            .ok_or_else(|| Failure::argument("tags", format_args!("`{key}` is no text")))?,
                    };
                    series.tags.insert(tag_name(key), text);
                }
            }
            Some(Data::List(items)) if !items.is_empty() => return Err(Failure::argument("tags", "names expected")),
            _ => {}
        }
        if series.tags.len() > TAGS_MAX {
            return Err(Failure::new(format!("{name}: {} tags, at most {TAGS_MAX} are kept", series.tags.len())));
        }
        Ok(series)
    }
}

impl Registry {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Series, Value>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a measurement.
    pub(crate) fn take(&self, series: Series, measured: Measured) -> Result<(), Failure> {
        let (Measured::Gauge(number) | Measured::Counter(number) | Measured::Observed(number)) = measured;
        if !number.is_finite() {
            return Err(Failure::new(format!("{}: {number} is no measurement", series.name)));
        }
        self.with(|all| {
            if !all.contains_key(&series) && all.len() >= SERIES_MAX {
                return Err(Failure::new(format!("{}: {SERIES_MAX} series are kept already", series.name)));
            }
            let name = series.name.clone();
            let value = all.entry(series).or_insert_with(|| match measured {
                Measured::Gauge(_) => Value::Gauge(0.0),
                Measured::Counter(_) => Value::Counter(0.0),
                Measured::Observed(_) => Value::Histogram {
                    buckets: [0; BUCKETS.len()],
                    count: 0,
                    sum: 0.0,
                    min: f64::INFINITY,
                    max: f64::NEG_INFINITY,
                    last: 0.0,
                },
            });
            match (value, measured) {
                (Value::Gauge(value), Measured::Gauge(number)) => *value = number,
                (Value::Counter(_), Measured::Counter(number)) if number < 0.0 => {
                    return Err(Failure::new(format!("{name}: a counter only grows")));
                }
                (Value::Counter(value), Measured::Counter(number)) => *value += number,
                (Value::Histogram { buckets, count, sum, min, max, last }, Measured::Observed(number)) => {
                    for (bucket, bound) in buckets.iter_mut().zip(BUCKETS) {
                        *bucket += u64::from(number <= bound);
                    }
                    *count += 1;
                    *sum += number;
                    *min = min.min(number);
                    *max = max.max(number);
                    *last = number;
                }
                (value, _) => return Err(Failure::new(format!("{name} is a {} already", value.kind()))),
            }
            Ok(())
        })
    }

    /// A copy of all series, or those of one name, in order.
    pub(crate) fn snapshot(&self, name: Option<&str>) -> Vec<(Series, Value)> {
        let name = name.map(metric_name);
        self.with(|all| {
            let wanted = all.iter().filter(|(series, _)| name.as_ref().is_none_or(|name| *name == series.name));
            wanted.map(|(series, value)| (series.clone(), value.clone())).collect()
        })
    }
}

/// As scripts see a series.
#[allow(clippy::cast_precision_loss)] // counts below 2^53
pub(crate) fn describe(series: &Series, value: &Value) -> Data {
    let tags = Data::Map(series.tags.iter().map(|(key, value)| (key.clone(), Data::text(value.clone()))).collect());
    let mut entries = vec![
        ("name".to_owned(), Data::text(series.name.clone())),
        ("type".to_owned(), Data::text(value.kind())),
        ("tags".to_owned(), tags),
    ];
    let mut add = |name: &str, number: f64| entries.push((name.to_owned(), Data::Num(number)));
    match value {
        Value::Gauge(number) | Value::Counter(number) => add("value", *number),
        Value::Histogram { count, sum, min, max, last, .. } => {
            add("value", *last);
            add("count", *count as f64);
            add("sum", *sum);
            add("min", *min);
            add("max", *max);
            add("avg", sum / *count as f64);
        }
    }
    Data::Map(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, tags: &[(&str, &str)]) -> Series {
        let tags = Data::map(tags.iter().map(|(key, value)| (*key, Data::text(*value))));
        Series::of(name, Some(&tags)).unwrap()
    }

    /// "Names are sanitised to Prometheus form with prefix `sloth_user_`; at most 10 tags, 1 000 series".
    #[test]
    fn names_and_limits() {
        assert_eq!(metric_name("jobs.done-ok"), "sloth_user_jobs_done_ok");
        assert_eq!(metric_name("sloth_user_x"), "sloth_user_x");
        let many = Data::map((0..11).map(|n| (format!("t{n}"), Data::text("x"))));
        assert!(Series::of("x", Some(&many)).unwrap_err().message.contains("at most 10"));
        let registry = Registry::default();
        for n in 0..1000 {
            registry.take(series("x", &[("n", &n.to_string())]), Measured::Counter(1.0)).unwrap();
        }
        let failure = registry.take(series("x", &[("n", "more")]), Measured::Counter(1.0)).unwrap_err();
        assert!(failure.message.contains("1000 series"));
        registry.take(series("x", &[("n", "1")]), Measured::Counter(1.0)).unwrap();
    }

    #[test]
    fn kinds() {
        let registry = Registry::default();
        registry.take(series("g", &[]), Measured::Gauge(2.0)).unwrap();
        registry.take(series("g", &[]), Measured::Gauge(1.5)).unwrap();
        registry.take(series("c", &[("a", "1")]), Measured::Counter(1.0)).unwrap();
        registry.take(series("c", &[("a", "1")]), Measured::Counter(2.0)).unwrap();
        for seconds in [0.1, 3.0] {
            registry.take(series("h", &[]), Measured::Observed(seconds)).unwrap();
        }
        assert_eq!(registry.snapshot(Some("g"))[0].1, Value::Gauge(1.5));
        assert_eq!(registry.snapshot(Some("c"))[0].1, Value::Counter(3.0));
        let (name, histogram) = registry.snapshot(Some("h")).remove(0);
        let Value::Histogram { buckets, count, .. } = &histogram else { panic!("{histogram:?}") };
        assert_eq!((*count, buckets[4], buckets[15]), (2, 1, 2));
        assert_eq!(describe(&name, &histogram).get("avg"), Some(&Data::Num(1.55)));
        assert!(registry.take(series("g", &[]), Measured::Counter(1.0)).unwrap_err().message.contains("gauge already"));
        assert!(registry.take(series("c", &[("a", "1")]), Measured::Counter(-1.0)).is_err());
        assert!(registry.take(series("g", &[]), Measured::Gauge(f64::NAN)).is_err());
    }
}
