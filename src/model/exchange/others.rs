//! Exchanges whose signers are declarations: hosts, what is public there, and what moves money. No tables of weights:
//! what they allow is learned from their answers.

use super::{Catalogue, Credentials, Environment, Preset, Site, site};

const COMMON: Preset = Preset {
    name: "",
    family: "",
    environment: Environment::Production,
    signer: "",
    rest: site("", &[]),
    ws_api: None,
    streams: None,
    time: None,
    info: None,
    account: None,
    order_counts: None,
    limits: "[]",
    catalogue: sketch(&[], &[]),
    ws_methods: &[],
    ws_api_opens: 0,
    orders_are_free: false,
    refused: &[],
    credentials: Credentials {
        headers: &[],
        parameters: &[],
        members: &[],
    },
    speaks_codes: false,
};

const fn sketch(public: &'static [&'static str], cancels: &'static [&'static str]) -> Catalogue {
    Catalogue::Sketch { public, cancels }
}

const fn headers(headers: &'static [&'static str]) -> Credentials {
    Credentials {
        headers,
        parameters: &[],
        members: &[],
    }
}

pub(super) const CUSTOM: Preset = Preset {
    name: "custom",
    family: "custom",
    ..COMMON
};

pub(super) static OKX: Preset = Preset {
    name: "okx",
    family: "okx",
    signer: "okx",
    rest: Site {
        also: &["aws.okx.com", "eea.okx.com", "us.okx.com", "my.okx.com"],
        ..site("www.okx.com", &[])
    },
    catalogue: sketch(
        &["/api/v5/public/", "/api/v5/market/", "/api/v5/system/"],
        &[
            "/api/v5/trade/cancel-",
            "/api/v5/trade/mass-cancel",
            "/api/v5/sprd/cancel-",
        ],
    ),
    refused: &[
        "/api/v5/asset/withdrawal",
        "/api/v5/asset/transfer",
        "/api/v5/asset/cancel-withdrawal",
        "/api/v5/asset/subaccount",
        "/api/v5/fiat/",
        "/api/v5/users",
    ],
    credentials: headers(&[
        "ok-access-key",
        "ok-access-sign",
        "ok-access-timestamp",
        "ok-access-passphrase",
    ]),
    ..COMMON
};

pub(super) static BYBIT: Preset = Preset {
    name: "bybit",
    family: "bybit",
    signer: "bybit",
    rest: Site {
        also: &["api.bytick.com", "api.bybit.eu", "api.bybit.nl"],
        ..site("api.bybit.com", &[])
    },
    catalogue: sketch(
        &["/v5/market/", "/v5/announcements/"],
        &["/v5/order/cancel"],
    ),
    refused: &[
        "/v5/asset/withdraw",
        "/v5/asset/transfer",
        "/v5/user/",
        "/v5/fiat/",
    ],
    credentials: headers(&[
        "x-bapi-api-key",
        "x-bapi-sign",
        "x-bapi-sign-type",
        "x-bapi-timestamp",
        "x-bapi-recv-window",
    ]),
    ..COMMON
};

pub(super) static KRAKEN: Preset = Preset {
    name: "kraken",
    family: "kraken",
    signer: "kraken",
    rest: site("api.kraken.com", &[]),
    catalogue: sketch(&["/0/public/"], &["/0/private/Cancel"]),
    refused: &[
        "/0/private/Withdraw",
        "/0/private/WalletTransfer",
        "/0/private/AccountTransfer",
        "/0/private/CreateSubaccount",
        // A token that trades past this program.
        "/0/private/GetWebSocketsToken",
    ],
    credentials: Credentials {
        headers: &["api-key", "api-sign"],
        parameters: &["nonce"],
        members: &[],
    },
    ..COMMON
};

pub(super) static KUCOIN: Preset = Preset {
    name: "kucoin",
    family: "kucoin",
    signer: "kucoin",
    rest: site("api.kucoin.com", &[]),
    catalogue: sketch(
        &[
            "/api/v1/market/",
            "/api/v1/symbols",
            "/api/v2/symbols",
            "/api/v1/currencies",
            "/api/v3/currencies",
            "/api/v1/prices",
            "/api/v1/timestamp",
            "/api/v1/status",
            "/api/v1/bullet-public",
        ],
        &["/api/v1/orders/cancel", "/api/v1/hf/orders/cancel"],
    ),
    refused: &[
        "/api/v1/withdrawals",
        "/api/v3/withdrawals",
        "/api/v1/accounts/transfer",
        "/api/v2/accounts/inner-transfer",
        "/api/v3/accounts/universal-transfer",
        "/api/v2/accounts/sub-transfer",
        "/api/v1/sub",
        "/api/v2/sub",
        "/api/v1/transfer-out",
        "/api/v2/transfer-out",
        "/api/v3/transfer-out",
    ],
    credentials: headers(&[
        "kc-api-key",
        "kc-api-sign",
        "kc-api-timestamp",
        "kc-api-passphrase",
        "kc-api-key-version",
        "kc-api-partner",
    ]),
    ..COMMON
};

pub(super) static BITFINEX: Preset = Preset {
    name: "bitfinex",
    family: "bitfinex",
    signer: "bitfinex",
    rest: site("api.bitfinex.com", &[]),
    catalogue: sketch(
        &[
            "/v2/platform/",
            "/v2/ticker",
            "/v2/trades/",
            "/v2/book/",
            "/v2/candles/",
            "/v2/conf/",
            "/v2/status/",
            "/v2/stats1/",
        ],
        &["/v2/auth/w/order/cancel"],
    ),
    refused: &[
        "/v2/auth/w/withdraw",
        "/v2/auth/w/transfer",
        "/v2/auth/w/deposit",
        // A token that is good for withdrawals too.
        "/v2/auth/w/token",
        "/v1/withdraw",
        "/v1/transfer",
    ],
    credentials: headers(&["bfx-nonce", "bfx-apikey", "bfx-signature"]),
    ..COMMON
};

pub(super) static GATE: Preset = Preset {
    name: "gate",
    family: "gate",
    signer: "gate",
    rest: site("api.gateio.ws", &[]),
    catalogue: sketch(
        &[
            "/api/v4/spot/currencies",
            "/api/v4/spot/currency_pairs",
            "/api/v4/spot/tickers",
            "/api/v4/spot/order_book",
            "/api/v4/spot/trades",
            "/api/v4/spot/candlesticks",
            "/api/v4/spot/time",
        ],
        &["/api/v4/spot/cancel_"],
    ),
    refused: &[
        "/api/v4/withdrawals",
        "/api/v4/wallet/",
        "/api/v4/sub_accounts",
    ],
    credentials: headers(&["key", "timestamp", "sign"]),
    ..COMMON
};

pub(super) static UPBIT: Preset = Preset {
    name: "upbit",
    family: "upbit",
    signer: "upbit",
    rest: Site {
        also: &["sg-api.upbit.com", "id-api.upbit.com", "th-api.upbit.com"],
        ..site("api.upbit.com", &[])
    },
    catalogue: sketch(
        &[
            "/v1/market/",
            "/v1/candles/",
            "/v1/trades/",
            "/v1/ticker",
            "/v1/orderbook",
        ],
        &[],
    ),
    refused: &["/v1/withdraws", "/v1/travel_rule", "/v1/deposits/"],
    credentials: headers(&["authorization"]),
    ..COMMON
};

pub(super) static COINBASE: Preset = Preset {
    name: "coinbase",
    family: "coinbase",
    signer: "coinbase",
    rest: site("api.coinbase.com", &[]),
    catalogue: sketch(
        &["/api/v3/brokerage/market/", "/api/v3/brokerage/time"],
        &["/api/v3/brokerage/orders/batch_cancel"],
    ),
    refused: &[
        "/v2/accounts",
        "/api/v3/brokerage/portfolios/move_funds",
        "/api/v3/brokerage/convert/",
        "/api/v3/brokerage/cfm/sweeps",
    ],
    credentials: headers(&["authorization"]),
    ..COMMON
};
