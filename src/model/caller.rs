//! Who is calling, and how we know. Holds identity, never a decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderValue;

/// The caller of one request.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody said who they are.
    Anonymous,
    /// A verified access token says so.
    Token(Arc<Identity>),
    /// On the way out: a program on this machine.
    Local(LocalProof),
}

/// What a program on this machine has shown of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalProof {
    /// That it reaches loopback.
    Loopback,
    /// That it may open the socket.
    Socket,
    /// The caller token.
    Token,
    /// That it is this program itself, which asks the exchange for its time and limits.
    Own,
}

impl LocalProof {
    /// The word in evidence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Socket => "socket",
            Self::Token => "caller_token",
            Self::Own => "own",
        }
    }
}

impl Caller {
    /// The identity, if there is one.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Anonymous | Self::Local(_) => None,
            Self::Token(identity) => Some(identity),
        }
    }
}

/// What a verified token says of its holder, made once when the token is verified and shared by every request with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `iss`.
    pub issuer: String,
    /// `sub`; never empty.
    pub subject: String,
    /// `roles`.
    pub roles: Vec<String>,
    /// The token's own permissions and those its roles map to; sorted, without duplicates.
    pub permissions: Vec<Permission>,
    /// `sessionId` or `sid`.
    pub session: Option<String>,
    /// `jti`.
    pub token_id: Option<String>,
    /// `exp`, in seconds since 1970.
    pub expires_at: i64,
    /// `auth_time`, in seconds since 1970.
    pub authenticated_at: Option<i64>,
    /// `amr` (RFC 8176).
    pub methods: Vec<String>,
    /// Claims of a single value (text, number, truth value) that limits and rules may name, as text.
    pub claims: BTreeMap<String, String>,
    /// What the service is told, ready to be sent.
    pub headers: IdentityHeaders,
}

/// Values of `amr` (RFC 8176) that say a second factor was used: several factors, a one-time password, a hardware key, a
/// smart card. A password, a PIN or a network location is none.
const SECOND_FACTORS: &[&str] = &["mfa", "otp", "hwk", "sc"];

impl Identity {
    /// Whether a second factor was used.
    #[must_use]
    pub fn has_second_factor(&self) -> bool {
        self.methods
            .iter()
            .any(|method| SECOND_FACTORS.contains(&method.as_str()))
    }

    /// Whether one of the caller's permissions grants `wanted`.
    #[must_use]
    pub fn may(&self, wanted: &Permission) -> bool {
        self.permissions.iter().any(|own| own.grants(wanted))
    }
}

/// The identity as header values. Whatever is not visible ASCII, and `%`, is percent-encoded; in lists the comma too.
/// `None` where there is nothing to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// `outrider-subject`.
    pub subject: Option<HeaderValue>,
    /// `outrider-roles`, separated by commas.
    pub roles: Option<HeaderValue>,
    /// `outrider-permissions`, separated by commas.
    pub permissions: Option<HeaderValue>,
    /// `outrider-session`.
    pub session: Option<HeaderValue>,
}

/// What the service reads: the texts with commas between them, `None` if there are none. Anything but visible ASCII, and
/// `%` itself, is percent-encoded as UTF-8 (RFC 3986 section 2.1), in lists the comma too: so one decoding gives back
/// exactly what was said, and no role can pose as two.
pub fn header_value<'t>(texts: impl Iterator<Item = &'t str>, listed: bool) -> Option<HeaderValue> {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let hex = |four_bits: u8| HEX.get(usize::from(four_bits)).copied().unwrap_or_default();
    let mut value = String::new();
    for text in texts {
        if !value.is_empty() {
            value.push(',');
        }
        for byte in text.bytes() {
            if byte.is_ascii_graphic() && byte != b'%' && !(listed && byte == b',') {
                value.push(char::from(byte));
            } else {
                value.extend(['%', hex(byte >> 4), hex(byte & 15)]);
            }
        }
    }
    if value.is_empty() {
        None
    } else {
        HeaderValue::try_from(value).ok()
    }
}

/// `area:action`, such as `orders:place`; as a grant also `area:*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(String);

impl Permission {
    /// Reads a grant: `area:action` or `area:*`.
    pub fn parse_grant(text: &str) -> Result<Self, String> {
        let word = |part: &str| {
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            !part.is_empty() && part.bytes().all(plain)
        };
        match text.split_once(':') {
            Some((area, action)) if word(area) && (word(action) || action == "*") => {
                Ok(Self(text.to_owned()))
            }
            Some(_) | None => Err(format!(
                "`{text}` is not a permission (like orders:place, or orders:*)"
            )),
        }
    }

    /// Reads a permission that a route requires: `area:action`, no wildcard.
    pub fn parse_required(text: &str) -> Result<Self, String> {
        let permission = Self::parse_grant(text)?;
        if text.ends_with(":*") {
            return Err(format!(
                "`{text}`: a route requires one permission by name, not an area"
            ));
        }
        Ok(permission)
    }

    /// Whether holding this grants `wanted`.
    #[must_use]
    pub fn grants(&self, wanted: &Self) -> bool {
        self.0 == wanted.0
            || self
                .0
                .strip_suffix('*')
                .is_some_and(|area| wanted.0.starts_with(area))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
