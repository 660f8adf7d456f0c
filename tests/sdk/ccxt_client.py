"""ccxt, unmodified, through the sidecar: only its URLs are changed."""

import asyncio

import ccxt.pro

from steps import DUMMY_KEY, DUMMY_SECRET, PATIENCE, SIDECAR, SOCKETS, Steps, expect, part

SYMBOL = "BTC/USDT"


def through_the_sidecar():
    exchange = ccxt.pro.binance(
        {
            "apiKey": DUMMY_KEY,
            "secret": DUMMY_SECRET,
            "timeout": PATIENCE * 1000,
            # Both would call /sapi, which the sidecar refuses unless it is opened by name.
            "options": {"fetchCurrencies": False, "fetchMargins": False, "fetchMarkets": {"types": ["spot"]}, "defaultType": "spot"},
        }
    )
    for name, version in (("public", "v3"), ("private", "v3"), ("v1", "v1")):
        exchange.urls["api"][name] = f"{SIDECAR}/api/{version}"
    exchange.urls["api"]["ws"]["spot"] = f"{SOCKETS}/ws"
    exchange.urls["api"]["ws"]["ws-api"]["spot"] = f"{SOCKETS}/ws-api/v3"
    return exchange


async def rest(exchange, steps):
    await steps.wait("time", exchange.fetch_time())
    await steps.wait("load_markets", exchange.load_markets())
    await steps.wait("order_book", exchange.fetch_order_book(SYMBOL, 5))
    await steps.wait("account", exchange.fetch_balance())
    placed = await steps.wait("place", exchange.create_order(SYMBOL, "limit", "buy", 0.01, 10000.5))
    is_open = await exchange.fetch_open_orders(SYMBOL)
    steps.run("open_orders", lambda: expect(ids := [order["id"] for order in is_open], placed["id"] in ids))
    await steps.wait("order", exchange.fetch_order(placed["id"], SYMBOL))
    await steps.wait("cancel", exchange.cancel_order(placed["id"], SYMBOL))
    await steps.wait("my_trades", exchange.fetch_my_trades(SYMBOL))


async def refused(exchange, steps):
    await exchange.load_markets()
    await steps.refused("account", exchange.fetch_balance, str)
    order = (SYMBOL, "limit", "buy", 0.01, 10000.5)
    await steps.refused("place", lambda: exchange.create_order(*order), str)
    await steps.refused("ws_place", lambda: exchange.create_order_ws(*order), str)


async def sockets(exchange, steps):
    await exchange.load_markets()
    await steps.wait("trade", asyncio.wait_for(exchange.watch_trades(SYMBOL), PATIENCE))
    # As watch_orders does by itself, but before there is an order to be heard of.
    await exchange.authenticate({"type": "spot"})
    watched = asyncio.ensure_future(exchange.watch_orders(SYMBOL))
    placed = await steps.wait("place", exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, 10000.5))
    await steps.wait("order_event", asyncio.wait_for(watched, PATIENCE))
    await steps.wait("cancel", exchange.cancel_order_ws(placed["id"], SYMBOL))


async def run(steps):
    exchange = through_the_sidecar()
    try:
        parts = {"rest": rest, "refused": refused, "sockets": sockets}
        await parts[part()](exchange, steps)
    finally:
        await exchange.close()


def main():
    steps = Steps()
    asyncio.run(run(steps))
    steps.end()


main()
