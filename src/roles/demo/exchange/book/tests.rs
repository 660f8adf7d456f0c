//! Orders of spot and of futures: what they lock, what they leave, what is refused.

use super::super::dialect::Market;
use super::*;

fn book(market: Market) -> Book {
    Book::new(market.dialect())
}

fn spot(name: &str) -> &'static Symbol {
    Market::Spot.dialect().symbol(name).unwrap()
}

fn order(side: Side, price: &str, quantity: &str, name: &str) -> NewOrder {
    NewOrder {
        symbol: spot("BTCUSDT"),
        side,
        kind: Kind::Limit,
        in_force: InForce::UntilCancelled,
        price: Amount::parse(price).unwrap(),
        quantity: Amount::parse(quantity).unwrap(),
        client_id: Some(name.to_owned()),
    }
}

fn balance(book: &mut Book, asset: &'static str) -> (String, String) {
    let balance = book.balance("a", asset);
    (balance.free.to_string(), balance.locked.to_string())
}

#[test]
fn an_open_order_locks_what_it_costs_until_it_is_cancelled() {
    let mut book = book(Market::Spot);
    let symbol = spot("BTCUSDT");
    let placed = book
        .place("a", order(Side::Buy, "50000", "2", "x"), 1)
        .unwrap();
    assert_eq!((placed.id, placed.status), (1, Status::New));
    let locked = ("9900000.00000000".to_owned(), "100000.00000000".to_owned());
    assert_eq!(balance(&mut book, "USDT"), locked);
    assert_eq!(
        book.place("a", order(Side::Buy, "1", "1", "x"), 2)
            .unwrap_err()
            .msg,
        "Duplicate order sent."
    );
    book.place("b", order(Side::Buy, "1", "1", "x"), 2).unwrap();
    let cancelled = book.cancel("a", symbol, Named::Client("x"), 3).unwrap();
    assert_eq!(cancelled.status, Status::Cancelled);
    assert_eq!(balance(&mut book, "USDT").1, "0.00000000");
    assert_eq!(
        book.cancel("a", symbol, Named::Id(1), 4).unwrap_err().code,
        -2011
    );
    assert_eq!(
        book.status("a", symbol, Named::Id(1)).unwrap().updated_us,
        3
    );
    assert_eq!(
        book.status("a", symbol, Named::Id(2)).unwrap_err().code,
        -2013
    );
    assert_eq!(book.cancel_all("a", symbol, 5).unwrap_err().code, -2011);
    book.place("a", order(Side::Buy, "50000", "2", "x"), 6)
        .unwrap();
    assert_eq!(book.cancel_all("a", symbol, 7).unwrap().len(), 1);
}

#[test]
fn an_order_at_the_market_is_filled_at_once() {
    let mut book = book(Market::Spot);
    let placed = book
        .place("a", order(Side::Sell, "1", "1", "x"), 1)
        .unwrap();
    assert_eq!(placed.status, Status::Filled);
    assert_eq!(balance(&mut book, "BTC").0, "99.00000000");
    assert_eq!(balance(&mut book, "USDT").0, "10059999.99000000");
    let mut maker = order(Side::Sell, "1", "1", "y");
    maker.kind = Kind::LimitMaker;
    assert_eq!(book.place("a", maker, 1).unwrap_err().code, -2010);
    let mut now = order(Side::Buy, "1", "1", "z");
    now.in_force = InForce::AtOnce("IOC");
    assert_eq!(book.place("a", now, 1).unwrap().status, Status::Expired);
    let poor = book.place("a", order(Side::Sell, "70000", "1000", "w"), 1);
    assert_eq!(poor.unwrap_err().code, -2010);
}

#[test]
fn a_future_locks_its_margin_and_leaves_a_position() {
    for (market, symbol, asset, price, quantity, margin) in [
        (
            Market::UsdM,
            "BTCUSDT",
            "USDT",
            "50000",
            "2",
            "5000.00000000",
        ),
        (
            Market::CoinM,
            "BTCUSD_PERP",
            "BTC",
            "50000",
            "1000",
            "0.10000000",
        ),
    ] {
        let mut book = book(market);
        let symbol = market.dialect().symbol(symbol).unwrap();
        let wanted = |side, price: &str, name: &str| NewOrder {
            symbol,
            ..order(side, price, quantity, name)
        };
        book.place("a", wanted(Side::Buy, price, "x"), 1).unwrap();
        let again = book.place("a", wanted(Side::Buy, price, "x"), 1);
        assert_eq!(again.unwrap_err().code, -4116);
        assert_eq!(balance(&mut book, asset).1, margin);
        assert_eq!(book.cancel_all("a", symbol, 2).unwrap().len(), 1);
        assert!(book.cancel_all("a", symbol, 2).unwrap().is_empty());
        assert_eq!(balance(&mut book, asset).1, "0.00000000");
        let taker = NewOrder {
            in_force: InForce::MakerOnly,
            ..wanted(Side::Sell, "1", "y")
        };
        assert_eq!(book.place("a", taker, 3).unwrap_err().code, -5022);
        let sold = book.place("a", wanted(Side::Sell, "1", "y"), 3).unwrap();
        assert_eq!(sold.average, symbol.bid());
        let [position] = book.holdings("a").positions.try_into().unwrap();
        assert_eq!(position.amount.to_string(), format!("-{quantity}.00000000"));
        let poor = NewOrder {
            quantity: Amount::whole(100_000_000),
            ..wanted(Side::Buy, price, "z")
        };
        assert_eq!(book.place("a", poor, 4).unwrap_err().code, -2019);
    }
}
