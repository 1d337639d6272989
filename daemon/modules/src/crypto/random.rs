//! Random values from the kernel.

use sloth_lua::Failure;

pub(super) const LETTERS_AND_DIGITS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Kinds of characters of a password. What is easily taken for another is left out.
const KINDS: [&str; 4] = ["abcdefghijkmnopqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "!#%&*+-./:=?@_~"];

/// Shortest and longest password.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=1024;

/// Random bytes.
pub(super) fn bytes(count: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(format!("no random numbers: {error}")))?;
    Ok(bytes)
}

/// An index below `end`, each as likely.
fn below(end: u64) -> Result<u64, Failure> {
    // The last, incomplete range of the 64 bits is thrown away.
    let fair = u64::MAX - u64::MAX % end;
    loop {
        let number = getrandom::u64().map_err(|error| Failure::new(format!("no random numbers: {error}")))?;
        if number < fair {
            return Ok(number % end);
        }
    }
}

/// A random integer in a range that includes both ends.
pub(super) fn integer(min: i64, max: i64) -> Result<i64, Failure> {
    if min > max {
        return Err(Failure::argument("max", format_args!("{max} is below {min}")));
    }
    let span = max.abs_diff(min);
    let offset = if span == u64::MAX { getrandom::u64().unwrap_or(0) } else { below(span + 1)? };
    Ok(min.wrapping_add_unsigned(offset))
}

fn one_of<T: Copy>(items: &[T]) -> Result<T, Failure> {
    let index = below(items.len() as u64)?;
    Ok(items[usize::try_from(index).expect("below the length")])
}

/// Random characters of a set.
pub(super) fn text(count: usize, set: &str) -> Result<String, Failure> {
    let letters: Vec<char> = set.chars().collect();
    if letters.is_empty() {
        return Err(Failure::argument("charset", "at least one character expected"));
    }
    (0..count).map(|_| one_of(&letters)).collect()
}

/// A password that has a character of every kind.
pub(super) fn password(length: usize, symbols: bool) -> Result<String, Failure> {
    if !PASSWORD.contains(&length) {
        return Err(Failure::argument("len", format_args!("{} to {} expected", PASSWORD.start(), PASSWORD.end())));
    }
    let kinds = if symbols { &KINDS[..] } else { &KINDS[..3] };
    let all: String = kinds.concat();
    // Try again rather than place the kinds: every password that qualifies is as likely.
    loop {
        let password = text(length, &all)?;
        if kinds.iter().all(|kind| password.contains(|letter| kind.contains(letter))) {
            return Ok(password);
        }
    }
}

/// A random UUID.
pub(crate) fn uuid_v4() -> String {
    uuid::Uuid::new_v4().to_string()
}

pub(super) fn uuid_v7() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_kind() {
        for length in [8, 16, 64] {
            let password = password(length, true).unwrap();
            assert_eq!(password.len(), length);
            assert!(KINDS.iter().all(|kind| password.contains(|letter| kind.contains(letter))), "{password}");
        }
        assert!(!password(16, false).unwrap().contains(|letter: char| !letter.is_alphanumeric()));
        assert!(password(7, true).unwrap_err().raise);
        assert!(text(50, "äb").unwrap().chars().all(|letter| "äb".contains(letter)));
        assert_ne!(bytes(16).unwrap(), bytes(16).unwrap());
        assert!((0..200).all(|_| (3..=5).contains(&integer(3, 5).unwrap())));
        integer(i64::MIN, i64::MAX).unwrap();
        assert_eq!(uuid_v7().as_bytes()[14], b'7');
        assert_eq!(uuid_v4().as_bytes()[14], b'4');
    }
}
