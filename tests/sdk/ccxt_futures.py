"""ccxt's binanceusdm and binancecoinm, unmodified, through the sidecar: only their URLs are changed."""

import asyncio

import ccxt.pro

from steps import DUMMY_KEY, DUMMY_SECRET, PATIENCE, SIDECAR, SOCKETS, Steps, expect, part

# What sets the two apart: the class, where its paths begin, its kind of contract, and what is traded.
MARKETS = {
    "usd_m": (ccxt.pro.binanceusdm, "fapi", "linear", "BTC/USDT:USDT", "USDT", 0.01),
    "coin_m": (ccxt.pro.binancecoinm, "dapi", "inverse", "BTC/USD:BTC", "BTC", 2),
}


def through_the_sidecar(exchange, name, kind):
    # It would call /sapi, which the sidecar refuses unless it is opened by name.
    exchange.options["fetchCurrencies"] = False
    for api in exchange.urls["api"]:
        if api.startswith(name):
            version = f"v{api[-1]}" if api[-1].isdigit() else "v1"
            exchange.urls["api"][api] = f"{SIDECAR}/{name}/{version}"
    exchange.urls["api"]["sapi"] = f"{SIDECAR}/sapi/v1"
    exchange.urls["api"]["ws"]["ws-api"][kind] = f"{SOCKETS}/ws-{name}/v1"
    return exchange


async def walk(exchange, steps, symbol, code, amount):
    await steps.wait("time", exchange.fetch_time())
    await steps.wait("load_markets", exchange.load_markets())
    await steps.wait("order_book", exchange.fetch_order_book(symbol, 5))
    balance = await steps.wait("account", exchange.fetch_balance())
    steps.run("balance", lambda: expect(balance[code], balance[code]["free"] > 0))
    order = (symbol, "limit", "buy", amount, 10000.5)
    placed = await steps.wait("place", exchange.create_order(*order))
    is_open = await exchange.fetch_open_orders(symbol)
    steps.run("open_orders", lambda: expect(ids := [order["id"] for order in is_open], placed["id"] in ids))
    await steps.wait("order", exchange.fetch_order(placed["id"], symbol))
    await steps.wait("cancel", exchange.cancel_order(placed["id"], symbol))
    await steps.wait("my_trades", exchange.fetch_my_trades(symbol))
    placed = await steps.wait("ws_place", exchange.create_order_ws(*order))
    await steps.wait("ws_cancel", exchange.cancel_order_ws(placed["id"], symbol))
    # As watch_orders does by itself: it asks for a listen key.
    await steps.wait("listen_key", exchange.authenticate())
    await steps.reserved("transfer", lambda: exchange.transfer(code, 1, "future" if code == "USDT" else "delivery", "spot"), str)


async def run(steps, market):
    make, name, kind, symbol, code, amount = MARKETS[market]
    exchange = through_the_sidecar(make({"apiKey": DUMMY_KEY, "secret": DUMMY_SECRET, "timeout": PATIENCE * 1000}), name, kind)
    try:
        await walk(exchange, steps, symbol, code, amount)
    finally:
        await exchange.close()


def main():
    steps = Steps()
    asyncio.run(run(steps, part()))
    steps.end()


main()
