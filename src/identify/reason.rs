//! Why a token is not good, as one stable word for the audit log. Never tells the client: every bad token is answered alike.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal;)+) => {
        /// Why a token is not good. A later one was found out later, and cost more.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason; those behind [`Self::Signature`] are about a token that the issuer signed.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable word.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word,)+ } }
        }
    };
}

reasons! {
    /// The token, or its header alone, has more bytes than allowed; nothing was read.
    TooLarge = "too_large";
    /// Not three base64url parts, or a header that is not one JSON object with unique names.
    Structure = "structure";
    /// `alg` is not RS256.
    Algorithm = "algorithm";
    /// `crit` or `b64` is there (RFC 7515 section 4.1.11, RFC 7797): no extension is understood.
    Crit = "crit";
    /// `typ` is neither `JWT` nor `at+jwt`.
    Typ = "typ";
    /// There is no `kid`, and more than one key.
    KidMissing = "kid_missing";
    /// No key goes by this `kid`.
    KidUnknown = "kid_unknown";
    /// The signature is not by the key. Every later reason is about claims that the issuer did sign.
    Signature = "signature";
    /// The claims are not one JSON object with unique names, or one of them has the wrong type or is out of bounds.
    Claims = "claims";
    /// `iss` is not the issuer.
    Issuer = "issuer";
    /// `aud` does not name this service.
    Audience = "audience";
    /// `sub` is missing, empty, too long, or holds a control character.
    Subject = "subject";
    /// `tokenType` is there and is not `access`.
    TokenType = "token_type";
    /// `exp` is past.
    Expired = "expired";
    /// `nbf` is ahead.
    NotYetValid = "not_yet_valid";
    /// `iat` is ahead.
    IssuedInFuture = "issued_in_future";
    /// The token lives longer than allowed, or ends before it begins.
    Lifetime = "lifetime";
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
