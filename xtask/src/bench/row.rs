//! One measured quantity beside its limit or its rival, the table of all, and the arithmetic that both need.

use serde_json::{Value, json};

/// What the ratio of ours to the other must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub bench: &'static str,
    pub what: String,
    pub unit: &'static str,
    pub ours: f64,
    /// A limit, or what a rival did in the same run.
    pub other: f64,
    /// The rival; `None` for a limit.
    pub rival: Option<String>,
    pub goal: Goal,
    /// Raw data of both.
    pub raw: Value,
}

impl Row {
    /// A quantity that must not exceed its limit.
    pub fn at_most(bench: &'static str, what: impl Into<String>, unit: &'static str, ours: f64, limit: f64) -> Row {
        Row {
            bench,
            what: what.into(),
            unit,
            ours,
            other: limit,
            rival: None,
            goal: Goal::AtMost(1.0),
            raw: Value::Null,
        }
    }

    /// A quantity that must reach its limit.
    pub fn at_least(bench: &'static str, what: impl Into<String>, unit: &'static str, ours: f64, limit: f64) -> Row {
        Row { goal: Goal::AtLeast(1.0), ..Row::at_most(bench, what, unit, ours, limit) }
    }

    /// Against a rival instead of a limit.
    pub fn beside(self, rival: impl Into<String>, goal: Goal) -> Row {
        Row { rival: Some(rival.into()), goal, ..self }
    }

    pub fn raw(self, raw: Value) -> Row {
        Row { raw, ..self }
    }

    pub fn ratio(&self) -> f64 {
        self.ours / self.other
    }

    pub fn holds(&self) -> bool {
        match self.goal {
            Goal::AtMost(most) => self.ratio() <= most,
            Goal::AtLeast(least) => self.ratio() >= least,
        }
    }

    pub fn json(&self) -> Value {
        let (bound, sign) = match self.goal {
            Goal::AtMost(bound) => (bound, "<="),
            Goal::AtLeast(bound) => (bound, ">="),
        };
        json!({
            "bench": self.bench, "what": self.what, "unit": self.unit, "ours": self.ours, "other": self.other,
            "rival": self.rival, "ratio": self.ratio(), "goal": format!("ratio {sign} {bound}"), "holds": self.holds(),
            "raw": self.raw,
        })
    }
}

/// The table, at most 100 columns wide.
pub fn table(rows: &[Row]) -> String {
    let head = ["BENCH", "WHAT", "OURS", "LIMIT OR RIVAL", "RATIO", "GOAL", "VERDICT"];
    let mut text = format!(
        "{:<9} {:<35} {:>11}  {:<20} {:>6} {:>6}  {}\n",
        head[0], head[1], head[2], head[3], head[4], head[5], head[6]
    );
    for row in rows {
        let other = match &row.rival {
            Some(rival) => format!("{} {rival}", figure(row.other)),
            None => format!("limit {}", figure(row.other)),
        };
        let (sign, bound) = match row.goal {
            Goal::AtMost(bound) => ('<', bound),
            Goal::AtLeast(bound) => ('>', bound),
        };
        let verdict = if row.holds() { "ok" } else { "MISSED" };
        text += &format!(
            "{:<9} {:<35} {:>11}  {other:<20} {:>6} {:>6}  {verdict}\n",
            row.bench,
            row.what,
            format!("{} {}", figure(row.ours), row.unit),
            figure(row.ratio()),
            format!("{sign}{}", figure(bound)),
        );
    }
    text
}

/// Three digits that tell.
pub fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 0.1 => format!("{value:.3}"),
        v if v < 10.0 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        v if v < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The value below which a fraction of all lies.
pub fn percentile(samples: &[f64], fraction: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(((sorted.len().saturating_sub(1)) as f64 * fraction) as usize).copied().unwrap_or(f64::NAN)
}

pub fn median(samples: &[f64]) -> f64 {
    percentile(samples, 0.5)
}

/// Numbers of a JSON list.
pub fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().map(|list| list.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_have_a_direction() {
        assert!(Row::at_most("a", "b", "ms", 1.0, 2.0).holds());
        assert!(!Row::at_least("a", "b", "/s", 1.0, 2.0).holds());
        assert!(Row::at_least("a", "b", "/s", 30.0, 2.0).beside("rival", Goal::AtLeast(10.0)).holds());
    }

    #[test]
    fn percentiles_are_of_the_sorted() {
        let samples = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!((median(&samples), percentile(&samples, 1.0)), (3.0, 5.0));
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn figures_are_short() {
        let figures = [0.0, 0.0123, 1.5, 42.25, 1234.5].map(figure);
        assert_eq!(figures, ["0", "0.012", "1.5", "42.2", "1234"]);
    }
}
