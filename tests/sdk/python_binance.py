"""python-binance, unmodified, through the sidecar: only its URLs are changed."""

import asyncio

from binance import AsyncClient, BinanceSocketManager, Client
from binance.ws.reconnecting_websocket import ReconnectingWebsocket

from steps import DUMMY_KEY, DUMMY_SECRET, PATIENCE, SIDECAR, SOCKETS, Steps, expect, part

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "10000.5",
}


def rest_client():
    Client.API_URL = f"{SIDECAR}/api"
    Client.REQUEST_TIMEOUT = PATIENCE
    return Client(DUMMY_KEY, DUMMY_SECRET, ping=False)


async def rest(steps):
    client = rest_client()
    steps.run("time", client.get_server_time)
    steps.run("depth", lambda: len(client.get_order_book(symbol="BTCUSDT")["bids"]))
    steps.run("account", lambda: len(client.get_account()["balances"]))
    steps.run("order_test", lambda: client.create_test_order(**ORDER))
    placed = steps.run("place", lambda: client.create_order(**ORDER))
    open_ids = lambda: [order["orderId"] for order in client.get_open_orders(symbol="BTCUSDT")]
    steps.run("open_orders", lambda: expect(ids := open_ids(), placed["orderId"] in ids))
    known = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    steps.run("order", lambda: client.get_order(**known)["status"])
    cancel = lambda: client.cancel_order(**known)["status"]
    steps.run("cancel", lambda: expect(status := cancel(), status == "CANCELED"))
    steps.run("my_trades", lambda: len(client.get_my_trades(symbol="BTCUSDT")))


async def refused(steps):
    client = rest_client()
    words = lambda error: f"{error.status_code} {error.code} {error.message}"
    await steps.refused("account", client.get_account, words)
    await steps.refused("place", lambda: client.create_order(**ORDER), words)
    # Not with `create`, which asks for the time, and is refused for its key already.
    client = socket_client()
    await steps.refused("ws_place", lambda: client.ws_create_order(**ORDER), str)
    await client.close_connection()


def socket_client():
    AsyncClient.API_URL = f"{SIDECAR}/api"
    AsyncClient.REQUEST_TIMEOUT = PATIENCE
    # How long it waits for an answer, and until it takes a stream for silent.
    ReconnectingWebsocket.TIMEOUT = PATIENCE
    AsyncClient.WS_API_URL = f"{SOCKETS}/ws-api/v3"
    BinanceSocketManager.STREAM_URL = f"{SOCKETS}/"
    return AsyncClient(DUMMY_KEY, DUMMY_SECRET)


async def sockets(steps):
    client = socket_client()
    await client.ping()
    manager = BinanceSocketManager(client)
    async with manager.trade_socket("BTCUSDT") as trades:
        await steps.wait("trade", asyncio.wait_for(trades.recv(), PATIENCE))
    async with manager.user_socket() as user:
        placed = await steps.wait("place", client.ws_create_order(**ORDER))
        await steps.wait("order_event", asyncio.wait_for(user.recv(), PATIENCE))
        cancel = client.ws_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
        await steps.wait("cancel", cancel)
    await client.close_connection()


def main():
    steps = Steps()
    parts = {"rest": rest, "refused": refused, "sockets": sockets}
    asyncio.run(parts[part()](steps))
    steps.end()


main()
