"""binance-sdk-spot, unmodified, through the sidecar: only base_path and stream_url are changed."""

import asyncio

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot

from steps import DUMMY_KEY, DUMMY_SECRET, PATIENCE, SIDECAR, SOCKETS, Steps, answer, expect, part

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "time_in_force": "GTC",
    "quantity": 0.01,
    "price": 10000.5,
}


def rest(client, steps):
    api = client.rest_api
    steps.run("time", lambda: expect(api.time().data().server_time, api.time().data().server_time > 0))
    steps.run("ping", lambda: api.ping().status)
    steps.run("exchange_info", lambda: len(api.exchange_info(symbol="BTCUSDT").data().symbols))
    steps.run("depth", lambda: len(api.depth(symbol="BTCUSDT", limit=5).data().bids))
    steps.run("account", lambda: len(api.get_account().data().balances))
    steps.run("order_test", lambda: api.order_test(**ORDER).status)
    placed = steps.run("place", lambda: api.new_order(**ORDER).data().order_id)
    steps.run("open_orders", lambda: expect(orders := [o.order_id for o in api.get_open_orders(symbol="BTCUSDT").data()], placed in orders))
    steps.run("order", lambda: api.get_order(symbol="BTCUSDT", order_id=placed).data().status)
    cancelled = lambda: api.delete_order(symbol="BTCUSDT", order_id=placed).data().status
    steps.run("cancel", lambda: expect(status := cancelled(), status == "CANCELED"))
    steps.run("my_trades", lambda: len(api.my_trades(symbol="BTCUSDT").data()))


async def sockets(client, steps):
    api = client.websocket_api
    await steps.wait("connect", api.create_connection())
    events = asyncio.Queue()
    await steps.wait("time", answer(api.time()))
    await steps.wait("account", answer(api.account_status()))
    subscribed = await api.user_data_stream_subscribe_signature()
    subscribed.stream.on("message", lambda event: events.put_nowait(event))
    steps.tell("user_stream", subscribed.response)
    placed = await steps.wait("place", answer(api.order_place(**ORDER)))
    order_id = placed.result.order_id
    await steps.wait("order_event", asyncio.wait_for(events.get(), PATIENCE))
    await steps.wait("open_orders", answer(api.open_orders_status(symbol="BTCUSDT")))
    await steps.wait("cancel", answer(api.order_cancel(symbol="BTCUSDT", order_id=order_id)))
    await steps.wait("cancel_event", asyncio.wait_for(events.get(), PATIENCE))
    await api.close_connection(close_session=True)


async def streams(client, steps):
    api = client.websocket_streams
    await steps.wait("connect", api.create_connection())
    events = asyncio.Queue()
    stream = await api.trade(symbol="btcusdt")
    stream.on("message", lambda event: events.put_nowait(event))
    await steps.wait("trade", asyncio.wait_for(events.get(), PATIENCE))
    await api.close_connection(close_session=True)


async def refused(client, steps):
    api = client.rest_api
    # What the class calls a status is the exchange's code.
    words = lambda error: f"{error.status_code} {error.error_message}"
    await steps.refused("account", api.get_account, words)
    await steps.refused("place", lambda: api.new_order(**ORDER), words)
    api = client.websocket_api
    await api.create_connection()
    await steps.refused("ws_place", lambda: answer(api.order_place(**ORDER)), str)
    await api.close_connection(close_session=True)


def main():
    steps = Steps()
    keys = {"api_key": DUMMY_KEY, "api_secret": DUMMY_SECRET}
    client = Spot(
        config_rest_api=ConfigurationRestAPI(**keys, base_path=SIDECAR, timeout=PATIENCE * 1000, retries=0),
        config_ws_api=ConfigurationWebSocketAPI(**keys, timeout=PATIENCE * 1000, stream_url=f"{SOCKETS}/ws-api/v3"),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=SOCKETS),
    )
    parts = {"rest": rest, "refused": refused, "sockets": sockets, "streams": streams}
    walk = parts[part()](client, steps)
    if asyncio.iscoroutine(walk):
        asyncio.run(walk)
    steps.end()


main()
