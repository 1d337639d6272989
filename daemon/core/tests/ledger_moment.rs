//! Moments in words: the same as the library of dates would write them.

use sloth_core::Moment;

#[test]
fn every_moment_reads_as_the_library_writes_it() {
    let step = 86_400_000_000 * 11 + 12_345_678_901;
    let mut at = Moment::MIN.micros();
    let mut count = 0;
    while at <= Moment::MAX.micros() {
        let moment = Moment::from_micros(at);
        let expected = moment.timestamp().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let ms = moment.millis().rem_euclid(1000);
        assert_eq!(moment.rfc3339(), format!("{expected}.{ms:03}Z"));
        at += step;
        count += 1;
    }
    assert!(count > 9000);
    assert_eq!(Moment::from_micros(i64::MAX).rfc3339(), Moment::MAX.rfc3339());
}
