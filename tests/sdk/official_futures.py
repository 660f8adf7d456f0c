"""The official SDKs of USD-M and COIN-M futures, unmodified, through the sidecar: only base_path and stream_url are changed."""

import asyncio

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.utils import send_request
from binance_sdk_derivatives_trading_coin_futures import DerivativesTradingCoinFutures
from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures

from steps import DUMMY_KEY, DUMMY_SECRET, PATIENCE, SIDECAR, SOCKETS, Steps, answer, expect, part

# What sets the two apart: the SDK, its WebSocket API, what is traded, and what it calls the account.
MARKETS = {
    "usd_m": (DerivativesTradingUsdsFutures, "/ws-fapi/v1", "BTCUSDT", 0.01, "account_information_v3"),
    "coin_m": (DerivativesTradingCoinFutures, "/ws-dapi/v1", "BTCUSD_PERP", 2, "account_information"),
}


async def rest(api, steps, order, account):
    symbol = order["symbol"]
    steps.run("time", lambda: expect(time := api.check_server_time().data().server_time, time > 0))
    steps.run("exchange_info", lambda: expect(names := [s.symbol for s in api.exchange_information().data().symbols], symbol in names))
    steps.run("depth", lambda: len(api.order_book(symbol=symbol, limit=5).data().bids))
    steps.run("klines", lambda: len(api.kline_candlestick_data(symbol=symbol, interval="1m", limit=5).data()))
    steps.run("account", lambda: expect(assets := getattr(api, account)().data().assets, len(assets) > 0))
    placed = steps.run("place", lambda: api.new_order(**order).data().order_id)
    is_open = lambda: [o.order_id for o in api.current_all_open_orders(symbol=symbol).data()]
    steps.run("open_orders", lambda: expect(orders := is_open(), placed in orders))
    steps.run("order", lambda: expect(status := api.query_order(symbol=symbol, order_id=placed).data().status, status == "NEW"))
    cancelled = lambda: api.cancel_order(symbol=symbol, order_id=placed).data().status
    steps.run("cancel", lambda: expect(status := cancelled(), status == "CANCELED"))
    steps.run("my_trades", lambda: len(api.account_trade_list(symbol=symbol).data()))
    listen_key = steps.run("listen_key", lambda: api.start_user_data_stream().data().listen_key)
    steps.run("listen_on", lambda: expect(status := api.keepalive_user_data_stream().status, status == 200))
    transfer = {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "1"}
    # What the class calls a status is the exchange's code.
    words = lambda error: f"{error.status_code} {error.error_message}"
    # The way of every call of the SDK; its own `send_signed_request` raises before it sends anything.
    sent = lambda: send_request(api._session, api.configuration, "POST", "/sapi/v1/asset/transfer", payload=transfer, is_signed=True)
    await steps.reserved("transfer", sent, words)
    if hasattr(api, "accept_the_offered_quote"):
        await steps.reserved("convert", lambda: api.accept_the_offered_quote(quote_id="12415572564"), words)
    return listen_key


async def user_stream(streams, api, steps, order, listen_key):
    events = asyncio.Queue()
    await steps.wait("connect", streams.create_connection())
    stream = await streams.user_data(listen_key)
    stream.on("message", lambda event: events.put_nowait(event))
    # Until the subscription is there, an order tells nobody; so there are orders until one is heard of.
    heard = asyncio.ensure_future(events.get())
    for _ in range(100):
        placed = api.new_order(**order).data().order_id
        api.cancel_order(symbol=order["symbol"], order_id=placed)
        if (await asyncio.wait([heard], timeout=0.2))[0]:
            break
    steps.run("event", lambda: expect(told := str(heard.result()), order["symbol"] in told))
    await streams.close_connection(close_session=True)


async def sockets(api, steps, order):
    symbol = order["symbol"]
    await steps.wait("ws_connect", api.create_connection())
    await steps.wait("ws_account", answer(api.account_information()))
    placed = await steps.wait("ws_place", answer(api.new_order(**order)))
    named = {"symbol": symbol, "order_id": placed.result.order_id}
    await steps.wait("ws_order", answer(api.query_order(**named)))
    cancelled = await steps.wait("ws_cancel", answer(api.cancel_order(**named)))
    steps.run("ws_cancelled", lambda: expect(status := cancelled.result.status, status == "CANCELED"))
    await steps.wait("ws_listen_key", answer(api.start_user_data_stream()))
    await api.close_connection(close_session=True)


async def run(steps, market):
    sdk, path, symbol, quantity, account = MARKETS[market]
    order = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "quantity": quantity, "price": 10000.5}
    keys = {"api_key": DUMMY_KEY, "api_secret": DUMMY_SECRET}
    client = sdk(
        config_rest_api=ConfigurationRestAPI(**keys, base_path=SIDECAR, timeout=PATIENCE * 1000, retries=0),
        config_ws_api=ConfigurationWebSocketAPI(**keys, timeout=PATIENCE * 1000, stream_url=f"{SOCKETS}{path}"),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=SOCKETS),
    )
    listen_key = await rest(client.rest_api, steps, order, account)
    await sockets(client.websocket_api, steps, order)
    await user_stream(client.websocket_streams, client.rest_api, steps, order, listen_key)
    steps.run("listen_no_more", lambda: client.rest_api.close_user_data_stream().status)


def main():
    steps = Steps()
    asyncio.run(run(steps, part()))
    steps.end()


main()
