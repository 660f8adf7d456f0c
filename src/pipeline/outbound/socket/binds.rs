//! What requests make of the WebSocket they are sent on: whose it is, and what it hears. Asks nothing, keeps nothing.

/// The method that binds a WebSocket to a key.
pub(super) const LOG_ON: &str = "session.logon";

/// What a request makes of the connection if it succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binds {
    Nothing,
    /// It is logged on.
    LogsOn,
    /// It is logged out.
    LogsOut,
    /// It hears of an account, which this method asked for.
    Listens(&'static str),
}

impl Binds {
    /// What a method makes of it.
    pub(super) fn of(method: &str) -> Self {
        match method {
            LOG_ON => Self::LogsOn,
            "session.logout" => Self::LogsOut,
            "userDataStream.subscribe" => Self::Listens("userDataStream.subscribe"),
            "userDataStream.subscribe.signature" => {
                Self::Listens("userDataStream.subscribe.signature")
            }
            _ => Self::Nothing,
        }
    }

    /// The method, where it binds.
    pub(super) const fn method(self) -> Option<&'static str> {
        match self {
            Self::LogsOn => Some(LOG_ON),
            Self::Listens(method) => Some(method),
            Self::Nothing | Self::LogsOut => None,
        }
    }
}
