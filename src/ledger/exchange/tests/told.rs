//! What the exchange says of its limits: read strictly, and never more of it than is needed.

use super::*;

#[test]
fn what_a_hostile_exchange_says_is_bounded() {
    let budget = binance();
    for seconds in 1..2_000_u16 {
        let interval = Interval::new(seconds, Unit::Second).unwrap();
        budget.learn(&[RateLimit {
            kind: LimitKind::Orders,
            interval,
            limit: 1_000,
        }]);
    }
    let members = r#"{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":1,"limit":18446744073709551615,"count":18446744073709551615},"#;
    let array = format!("[{}]", members.repeat(1_000).trim_end_matches(','));
    let (limits, told) = read_rate_limits(array.as_bytes()).unwrap();
    assert_eq!((limits.len(), told.figures().count()), (16, 8));
    budget.learn(&limits);
    let fields: Vec<_> = (1..100)
        .map(|n| format!("x-mbx-used-weight-{n}s"))
        .collect();
    let fields: Vec<_> = fields
        .iter()
        .map(|name| (name.as_str(), "99999999999999999999"))
        .collect();
    let told = answer(200, &fields);
    assert_eq!(
        told.told.figures().count(),
        0,
        "numbers that do not fit are none"
    );
    let most = Told::from_iter([Figure {
        kind: LimitKind::Weight,
        interval: Interval::parse("1M").unwrap(),
        count: u64::MAX,
    }]);
    for _ in 0..3 {
        take_any(&budget, at(100)).settle(
            Settled::Answered(&Answer {
                outcome: Outcome::Failure,
                told: most,
            }),
            at(120),
        );
        assert!(
            budget
                .refusal(Charge::request(u32::MAX), Lane::Cancel, at(130))
                .is_some()
        );
        budget.learn(&[limit(LimitKind::Weight, "1M", u64::MAX)]);
    }
    let scopes = [&budget.address, &budget.account].map(|scope| scope.state().meters_held());
    assert_eq!(scopes, [2, limits::LIMITS_MAX]);
}

fn take_any(budget: &Budget, at: Moment) -> Reservation {
    budget
        .reserve(
            Charge {
                raw: 1,
                ..Charge::default()
            },
            Lane::Normal,
            at,
        )
        .unwrap()
}

#[test]
fn headers_are_read_strictly() {
    for (name, value, expected) in [
        (
            "X-MBX-USED-WEIGHT-1M",
            "5",
            Some((LimitKind::Weight, "1M", 5)),
        ),
        (
            "x-mbx-order-count-10s",
            "0",
            Some((LimitKind::Orders, "10S", 0)),
        ),
        ("x-mbx-used-weight-1m", "-5", None),
        ("x-mbx-used-weight-1m", "+5", None),
        (
            "x-mbx-used-weight-1m",
            "5 ",
            Some((LimitKind::Weight, "1M", 5)),
        ),
        ("x-mbx-used-weight-1m", "5, 6", None),
        ("x-mbx-used-weight-1m", "", None),
        ("x-mbx-used-weight", "5", None),
        ("x-mbx-used-weight-", "5", None),
        ("x-mbx-used-weight-1y", "5", None),
        ("x-sapi-used-ip-weight-1m", "5", None),
    ] {
        let mut headers = HeaderMap::new();
        let value = value.trim_end().parse().unwrap();
        headers.insert(name.to_lowercase().parse::<HeaderName>().unwrap(), value);
        let told = Told::read(&headers);
        let read = told
            .figures()
            .next()
            .map(|figure| (figure.kind, figure.interval.to_string(), figure.count));
        let expected = expected.map(|(kind, interval, count)| (kind, interval.to_owned(), count));
        assert_eq!(read, expected, "{name}");
    }
}
