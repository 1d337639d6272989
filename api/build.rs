//! Puts commit and date of the build into the program when the environment says them; nothing else, so that builds stay reproducible.

use std::env::var;

fn main() {
    let commit = var("SLOTH_BUILD_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
    let seconds = var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse::<i64>().ok());
    println!("cargo::rustc-env=SLOTH_BUILD_COMMIT={commit}");
    println!("cargo::rustc-env=SLOTH_BUILD_DATE={}", seconds.map_or("unknown".to_owned(), date));
    println!("cargo::rerun-if-env-changed=SLOTH_BUILD_COMMIT");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=build.rs");
}

/// `YYYY-MM-DD` of a number of seconds since 1970, after Howard Hinnant, "chrono-compatible low-level date algorithms".
fn date(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
