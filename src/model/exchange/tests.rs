//! The tables of calls, and that no two of them contradict each other.

use super::*;

fn spot(method: &str, target: &str) -> Known {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    binance_spot::PRODUCTION.known(&method, path, Extent::of_query(query))
}

#[test]
fn the_table_tells_need_effect_and_cost() {
    let table = [
        ("GET", "/api/v3/time", Security::None, Effect::Read, 1, 0),
        ("HEAD", "/api/v3/time", Security::None, Effect::Read, 1, 0),
        (
            "POST",
            "/api/v3/order",
            Security::Signed,
            Effect::Change,
            1,
            1,
        ),
        (
            "DELETE",
            "/api/v3/order",
            Security::Signed,
            Effect::Cancel,
            1,
            0,
        ),
        (
            "POST",
            "/api/v3/order/test",
            Security::Signed,
            Effect::Read,
            20,
            0,
        ),
        (
            "GET",
            "/api/v3/openOrders?symbol=A",
            Security::Signed,
            Effect::Read,
            6,
            0,
        ),
        (
            "GET",
            "/api/v3/openOrders",
            Security::Signed,
            Effect::Read,
            80,
            0,
        ),
    ];
    for (method, target, security, effect, weight, orders) in table {
        let known = spot(method, target);
        let expected = Known {
            security,
            effect,
            weight,
            orders,
            is_free_on_success: orders > 0 || effect == Effect::Cancel,
            reserve: None,
        };
        assert_eq!(known, expected, "{method} {target}");
    }
}

#[test]
fn what_is_unknown_or_moves_money_is_kept_back() {
    for (method, path, reserve) in [
        ("GET", "/sapi/v1/asset/tradeFee", Reserve::Unknown),
        ("POST", "/api/v3/time", Reserve::Unknown),
        ("GET", "/api/v3/time/", Reserve::Unknown),
        ("GET", "/", Reserve::Unknown),
        (
            "POST",
            "/sapi/v1/capital/withdraw/apply",
            Reserve::MovesMoney,
        ),
        ("POST", "/sapi/v1/asset/transfer", Reserve::MovesMoney),
        ("POST", "/sapi/v1/asset/dust-btc", Reserve::MovesMoney),
        ("POST", "/sapi/v1/convert/acceptQuote", Reserve::MovesMoney),
        ("POST", "/sapi/v1/margin/borrow-repay", Reserve::MovesMoney),
        ("POST", "/sapi/v2/loan/flexible/borrow", Reserve::MovesMoney),
        (
            "POST",
            "/sapi/v1/simple-earn/flexible/redeem",
            Reserve::MovesMoney,
        ),
        (
            "POST",
            "/sapi/v4/sub-account/universalTransfer",
            Reserve::MovesMoney,
        ),
        ("POST", "/fapi/v1/convert/acceptQuote", Reserve::MovesMoney),
        ("POST", "/PAPI/v1/bnb-transfer", Reserve::MovesMoney),
    ] {
        assert_eq!(spot(method, path).reserve, Some(reserve), "{method} {path}");
        assert_eq!(spot(method, path).security, Security::Signed);
    }
}

#[test]
fn futures_pay_for_cancels_and_keep_the_same_back() {
    for (preset, root) in [
        (&binance_usd_m::PRODUCTION, "/fapi/v1"),
        (&binance_coin_m::PRODUCTION, "/dapi/v1"),
    ] {
        let known = |method: Method, path: &str| preset.known(&method, path, Extent::ALL);
        let order = format!("{root}/order");
        let place = known(Method::POST, &order);
        assert_eq!((place.weight, place.orders), (0, 1));
        let cancel = known(Method::DELETE, &order);
        assert_eq!((cancel.weight, cancel.effect), (1, Effect::Cancel));
        assert!(!place.is_free_on_success && !cancel.is_free_on_success);
        assert_eq!(preset.ws_api_opens, 5);
        for path in [
            "/sapi/v1/asset/transfer",
            "/sapi/v1/futures/transfer",
            "/wapi/v3/withdraw.html",
            "/fapi/v1/convert/getQuote",
        ] {
            let reserve = known(Method::POST, path).reserve;
            assert_eq!(reserve, Some(Reserve::MovesMoney), "{path}");
        }
        let contract = known(Method::POST, "/fapi/v1/stock/contract");
        assert_eq!(contract.reserve, Some(Reserve::Unknown));
    }
}

#[test]
fn a_path_tells_the_interface() {
    let preset = &binance_spot::PRODUCTION;
    for (path, role) in [
        ("/api/v3/order", Role::Rest),
        ("/ws-api/v3", Role::WsApi),
        ("/ws-apis", Role::Rest),
        ("/ws", Role::Streams),
        ("/ws/btcusdt@trade", Role::Streams),
        ("/stream", Role::Streams),
        ("/streams", Role::Rest),
    ] {
        assert_eq!(preset.role(path), role, "{path}");
    }
}

#[test]
fn sketches_know_what_is_public_and_what_cancels() {
    let known = |method: &str, path: &str| {
        others::KRAKEN.known(
            &Method::from_bytes(method.as_bytes()).unwrap(),
            path,
            Extent::ALL,
        )
    };
    assert_eq!(known("GET", "/0/public/Time").security, Security::None);
    assert_eq!(known("POST", "/0/public/Time").security, Security::Signed);
    assert_eq!(known("POST", "/0/private/AddOrder").effect, Effect::Change);
    assert_eq!(
        known("POST", "/0/private/CancelOrder").effect,
        Effect::Cancel
    );
    for path in [
        "/0/private/Withdraw",
        "/0/private/withdraw",
        "/0/PRIVATE/WITHDRAW",
        "/0/private/WithdrawMethods",
        "/0/private/GetWebSocketsToken",
    ] {
        let reserve = known("POST", path).reserve;
        assert_eq!(reserve, Some(Reserve::MovesMoney), "{path}");
    }
    let token = others::BITFINEX.known(&Method::POST, "/v2/auth/w/token", Extent::ALL);
    assert_eq!(token.reserve, Some(Reserve::MovesMoney));
}

#[test]
fn no_two_presets_or_endpoints_have_one_name_and_no_host_two_worlds() {
    for (at, preset) in PRESETS.iter().enumerate() {
        for other in &PRESETS[..at] {
            assert_ne!(preset.name, other.name);
            for role in Role::ALL {
                let (Some(one), Some(two)) = (preset.site(role), other.site(role)) else {
                    continue;
                };
                let shared = two.has(one.host) || one.also.iter().any(|host| two.has(host));
                assert!(!shared || preset.environment == other.environment);
            }
        }
        let Catalogue::Complete(endpoints) = preset.catalogue else {
            continue;
        };
        for (at, one) in endpoints.iter().enumerate() {
            let twice = |two: &Call| (one.method, one.path) == (two.method, two.path);
            assert!(!endpoints[..at].iter().any(twice), "{one:?}");
        }
        for path in [preset.time, preset.info].into_iter().flatten() {
            let known = preset.known(&Method::GET, path, Extent::ALL);
            assert_eq!((known.security, known.reserve), (Security::None, None));
        }
    }
}
