//! Who asks on the way out: whoever reaches the listener, or only who shows its token. Never holds a token longer than
//! it takes to compare.

use http::HeaderValue;

use crate::model::caller::{Caller, LocalProof};
use crate::model::denial::{Cause, Denial};
use crate::model::outbound::CallerToken;

/// Says who asks. Where a token is configured it must be shown; it is compared in constant time.
///
/// # Errors
/// [`Cause::LocalCaller`].
pub fn caller(
    shown: Option<&HeaderValue>,
    wanted: Option<&CallerToken>,
    on_socket: bool,
) -> Result<Caller, Box<Denial>> {
    let Some(wanted) = wanted else {
        return Ok(Caller::Local(match on_socket {
            true => LocalProof::Socket,
            false => LocalProof::Loopback,
        }));
    };
    match shown {
        Some(shown) if wanted.is(shown.as_bytes()) => Ok(Caller::Local(LocalProof::Token)),
        Some(_) => Err(Denial::new(
            Cause::LocalCaller,
            "the caller token is another one",
        )),
        None => Err(Denial::new(Cause::LocalCaller, "no caller token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    #[test]
    fn a_token_that_is_asked_for_must_be_the_right_one() {
        let wanted = CallerToken::new(Secret::new(b"right".to_vec()));
        let ask = |shown: Option<&'static str>| {
            let shown = shown.map(HeaderValue::from_static);
            caller(shown.as_ref(), Some(&wanted), false).map_err(|denial| denial.cause)
        };
        assert!(matches!(
            ask(Some("right")),
            Ok(Caller::Local(LocalProof::Token))
        ));
        for wrong in [None, Some(""), Some("wrong"), Some("right ")] {
            assert!(matches!(ask(wrong), Err(Cause::LocalCaller)), "{wrong:?}");
        }
    }

    #[test]
    fn without_one_the_listener_says_who_may_reach_it() {
        let shown = HeaderValue::from_static("any");
        let of = |on_socket| caller(Some(&shown), None, on_socket).unwrap();
        assert!(matches!(of(true), Caller::Local(LocalProof::Socket)));
        assert!(matches!(of(false), Caller::Local(LocalProof::Loopback)));
    }
}
