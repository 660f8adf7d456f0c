//! When an answer counts as one that may stay open, and when it must end.

use bytes::Bytes;
use http_body_util::{Empty, Full};

use super::*;

#[test]
fn only_long_and_unknown_lengths_are_streams() {
    let full = |bytes: usize| Full::new(Bytes::from(vec![0; bytes]));
    assert!(!is_stream(&Empty::<Bytes>::new()));
    assert!(!is_stream(&full(1)));
    assert!(!is_stream(&full(64 * 1024)));
    assert!(is_stream(&full(64 * 1024 + 1)));
}

#[test]
fn a_token_lasts_to_the_end_of_its_last_second() {
    let now = Now {
        mono_ns: 0,
        unix_us: 10_400_000,
    };
    let table = [(10, 600_000), (9, 0), (0, 0), (12, 2_600_000)];
    for (last, micros) in table {
        assert_eq!(left(last, now), Duration::from_micros(micros), "{last}");
    }
    assert_eq!(left(i64::MIN, now), Duration::ZERO);
}
