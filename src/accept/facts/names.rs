//! Header names and where they may be named: spellings that others fold into one, and what `Connection` may nominate.
//! Never looks at a value but those of `Connection` and the few that decide.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

use super::{FORWARDED_FOR, refuse};
use crate::model::denial::{Cause, Denial};

/// Names that decide, or that this proxy sets itself. A name ending in `-` stands for all that begin so.
const GUARDED: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "forwarded",
    "host",
    "origin",
    "traceparent",
    "transfer-encoding",
    "x-forwarded-",
    "x-real-ip",
    "x-request-id",
];

/// Our own headers to the service. Those of a client are removed in either spelling (`transform` does), so they need
/// no refusal, but `Connection` must not have ours removed.
const OWN: &str = "outrider-";

/// Fields that are decided by: a byte outside visible ASCII reads differently in different programs.
static PLAIN: [HeaderName; 8] = [
    AUTHORIZATION,
    CONNECTION,
    CONTENT_TYPE,
    EXPECT,
    FORWARDED_FOR,
    HOST,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Judges every name, and the values of the fields that decide.
pub(super) fn judge(headers: &HeaderMap) -> Result<(), Box<Denial>> {
    for (name, value) in headers {
        if name.as_str().contains('_') {
            judge_underscore(name, headers)?;
        }
        if PLAIN.contains(name) && value.to_str().is_err() {
            return refuse(Cause::Header, "a field that decides is not plain ASCII");
        }
    }
    for value in headers.get_all(CONNECTION) {
        judge_nominations(value.to_str().unwrap_or_default())?;
    }
    Ok(())
}

/// Many services read `x_user` and `x-user` as one name (CGI, WSGI). A spelling with underscores passes only where that
/// cannot put it in the place of another field: not of one that decides, and not beside its twin.
fn judge_underscore(name: &HeaderName, headers: &HeaderMap) -> Result<(), Box<Denial>> {
    let twin = |other: &HeaderName| other != name && folds_to(name.as_str(), other.as_str());
    if GUARDED
        .iter()
        .any(|guarded| is_guarded_by(name.as_str(), guarded))
    {
        return refuse(
            Cause::Header,
            "an underscore spelling of a field that decides",
        );
    }
    if headers.keys().any(twin) {
        return refuse(Cause::Header, "a field stands in two spellings");
    }
    Ok(())
}

/// A client may have fields of its own removed on this hop, but none that was judged or that this proxy adds.
fn judge_nominations(list: &str) -> Result<(), Box<Denial>> {
    let names = list.split(',').map(|name| name.trim_matches([' ', '\t']));
    for name in names.filter(|name| !name.is_empty()) {
        if !name.bytes().all(is_token_byte) {
            return refuse(Cause::Header, "Connection holds something that is no name");
        }
        let ours = is_guarded_by(name, OWN);
        if ours || GUARDED.iter().any(|guarded| is_guarded_by(name, guarded)) {
            return refuse(Cause::Header, "Connection names a field that must arrive");
        }
    }
    Ok(())
}

fn is_guarded_by(name: &str, guarded: &str) -> bool {
    let prefix = if guarded.ends_with('-') {
        name.get(..guarded.len())
    } else {
        Some(name)
    };
    prefix.is_some_and(|prefix| folds_to(prefix, guarded))
}

/// Whether two names are one where case does not count and underscores are dashes.
fn folds_to(name: &str, other: &str) -> bool {
    let fold = |byte: u8| match byte {
        b'_' => b'-',
        _ => byte.to_ascii_lowercase(),
    };
    name.len() == other.len() && name.bytes().map(fold).eq(other.bytes().map(fold))
}

/// RFC 9110 `tchar`.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
