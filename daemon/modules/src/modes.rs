//! File modes as scripts write them.

use sloth_lua::{Data, Failure};

/// A mode: a text such as `"0644"`, or a number whose digits are read the same way, as Lua has no octal numbers and `0644` and
/// `644` are what people write.
pub fn mode(name: &'static str, value: &Data) -> Result<u32, Failure> {
    let text = value.to_text().unwrap_or_default();
    let digits = text.strip_prefix("0o").unwrap_or(&text);
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err(Failure::argument(name, format_args!("octal mode such as \"0644\" expected, got {text:?}"))),
    }
}

/// As `stat` shows it.
pub fn mode_text(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_octal_however_they_are_written() {
        assert_eq!(mode("mode", &"0644".into()).unwrap(), 0o644);
        assert_eq!(mode("mode", &644.0.into()).unwrap(), 0o644);
        assert_eq!(mode("mode", &"4755".into()).unwrap(), 0o4755);
        for wrong in ["0888", "rw-r--r--", "", "17777"] {
            assert!(mode("mode", &wrong.into()).unwrap_err().raise, "{wrong}");
        }
    }
}
