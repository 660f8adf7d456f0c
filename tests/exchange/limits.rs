//! Weights, orders and bans over the wire, and a clock that is wrong.

use std::time::Duration;

use http::Method;

use crate::world::World;

#[tokio::test]
async fn weight_is_reported_and_its_end_is_429_and_then_418() {
    let world = World::with(|options| {
        options.limits.weight_per_minute = 30;
        options.limits.warnings = 1;
        options.limits.grace = Duration::ZERO;
    })
    .await;
    world.exchange.clock().stop_at_us(1_700_000_090_500_000);
    let info = world.get("/api/v3/exchangeInfo").await;
    assert_eq!(info.header("x-mbx-used-weight-1m"), "20");
    world.exchange.use_weight(9);
    assert_eq!(
        world
            .get("/api/v3/time")
            .await
            .header("x-mbx-used-weight-1m"),
        "30"
    );
    let full = world.get("/api/v3/time").await;
    assert_eq!((full.status, full.code()), (429, -1003));
    // 1700000090.5 is 9.5 s before a full minute.
    assert_eq!(full.header("retry-after"), "10");
    let ban = world.get("/api/v3/time").await;
    assert_eq!((ban.status, ban.header("retry-after")), (418, "120"));
    assert_eq!(world.exchange.violations(), [""; 0]);
    assert_eq!(world.get("/api/v3/time").await.status, 418);
    assert_eq!(world.exchange.sent_while_banned(), 1);
    assert_eq!(
        world.exchange.violations(),
        ["`GET /api/v3/time` was sent while banned"]
    );
}

#[tokio::test]
async fn a_ban_ends_and_the_next_window_is_empty() {
    let world = World::new().await;
    world.stop_clock();
    world.exchange.use_weight(6000);
    assert_eq!(world.get("/api/v3/time").await.status, 429);
    world.exchange.clock().step_ms(60_000);
    assert_eq!(world.get("/api/v3/time").await.status, 200);
    world.exchange.ban(Duration::from_millis(1));
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(world.get("/api/v3/time").await.status, 200);
}

#[tokio::test]
async fn orders_have_their_own_limit() {
    let world = World::with(|options| options.limits.orders_per_10_seconds = 2).await;
    world.exchange.clock().stop_at_us(1_700_000_004_000_000);
    for name in ["a", "b"] {
        assert_eq!(world.send(world.order(name)).await.status, 200);
    }
    let full = world.send(world.order("c")).await;
    assert_eq!((full.status, full.code()), (429, -1015));
    assert_eq!(full.header("retry-after"), "6");
    world.exchange.clock().step_ms(6_000);
    assert_eq!(
        world
            .send(world.order("d"))
            .await
            .header("x-mbx-order-count-1d"),
        "3"
    );
}

#[tokio::test]
async fn a_clock_that_steps_refuses_what_was_stamped_by_the_old_one() {
    let world = World::new().await;
    let request = world.signed_request(Method::GET, "/api/v3/account", "");
    world.exchange.clock().step_ms(180_000);
    let answer = world.send(request).await;
    assert_eq!((answer.status, answer.code()), (400, -1021));
    let request = world.signed_request(Method::GET, "/api/v3/account", "");
    world.exchange.clock().step_ms(-180_000);
    assert_eq!(world.send(request).await.code(), -1021);
    assert_eq!(
        world
            .signed(Method::GET, "/api/v3/account", "")
            .await
            .status,
        200
    );
}
