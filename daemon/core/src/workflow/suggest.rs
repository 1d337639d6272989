//! "Did you mean": the nearest of the words that would have been right.

/// The candidate that a person most likely meant: at most a third of its letters differ, and never more than three.
/// Ties go to the first.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(65).flat_map(char::to_lowercase).collect();
    if word.is_empty() || word.len() > 64 {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.chars().take(65).flat_map(char::to_lowercase).collect();
        let allowed = (letters.len().max(word.len()) / 3).clamp(1, 3);
        if letters.len().abs_diff(word.len()) > allowed {
            continue;
        }
        let far = distance(&word, &letters);
        if far <= allowed && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, replacements, and neighbours that changed places.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let words = ["timeout", "retries", "retry", "depends_on", "on_success"];
        assert_eq!(suggest("timout", words), Some("timeout"));
        assert_eq!(suggest("tiemout", words), Some("timeout"));
        assert_eq!(suggest("dependson", words), Some("depends_on"));
        assert_eq!(suggest("retrys", words), Some("retry"));
        assert_eq!(suggest("banana", words), None);
        assert_eq!(suggest("", words), None);
        assert_eq!(suggest(&"x".repeat(1_000_000), words), None);
    }
}
