//! Who acted, as an audit event tells it: names, roles and what was proved, never a token.

use std::net::IpAddr;

use crate::model::caller::{Caller, Identity};
use crate::model::certificate::ClientCertificate;
use crate::model::json::{push_ip, push_own, push_plain, push_raw, push_text};

use super::event::{NAME_BYTES_MAX, WORD_BYTES_MAX};
use super::told::Told;

const ROLES_MAX: usize = 16;

/// Writes the member `actor`.
pub(super) fn push_actor(out: &mut Vec<u8>, told: &Told) {
    let (ip, certificate) = (told.client_ip(), told.certificate());
    match (&told.caller, certificate) {
        (Caller::Token(identity), _) => push_identity(out, identity, certificate, ip),
        (Caller::Anonymous, Some(shown)) => push_holder(out, shown, ip),
        (Caller::Local(proof), _) => {
            push_raw(out, ",\"actor\":{\"auth\":");
            push_own(out, proof.as_str());
            push_raw(out, ",\"ip\":");
            push_ip(out, ip);
            push_raw(out, ",\"mfa\":false,\"type\":\"service\"}");
        }
        (Caller::Anonymous, None) => {
            push_raw(out, ",\"actor\":{\"auth\":\"none\",\"ip\":");
            push_ip(out, ip);
            push_raw(out, ",\"mfa\":false,\"type\":\"anonymous\"}");
        }
    }
}

/// A caller who is known by a certificate alone.
fn push_holder(out: &mut Vec<u8>, shown: &ClientCertificate, ip: IpAddr) {
    push_raw(out, ",\"actor\":{\"auth\":\"mtls\",\"certificate\":");
    push_certificate(out, shown);
    push_raw(out, ",\"id\":");
    push_text(out, shown.names.principal(), NAME_BYTES_MAX);
    push_raw(out, ",\"ip\":");
    push_ip(out, ip);
    push_raw(out, ",\"mfa\":false,\"type\":\"service\"}");
}

fn push_identity(
    out: &mut Vec<u8>,
    identity: &Identity,
    certificate: Option<&ClientCertificate>,
    ip: IpAddr,
) {
    push_raw(out, ",\"actor\":{\"auth\":\"jwt\"");
    if let Some(shown) = certificate {
        push_raw(out, ",\"certificate\":");
        push_certificate(out, shown);
    }
    push_raw(out, ",\"id\":");
    push_text(out, &identity.subject, NAME_BYTES_MAX);
    push_raw(out, ",\"ip\":");
    push_ip(out, ip);
    push_raw(out, ",\"mfa\":");
    push_raw(
        out,
        if identity.has_second_factor() {
            "true"
        } else {
            "false"
        },
    );
    push_raw(out, ",\"roles\":[");
    for (at, role) in identity.roles.iter().take(ROLES_MAX).enumerate() {
        if at > 0 {
            push_raw(out, ",");
        }
        push_text(out, role, WORD_BYTES_MAX);
    }
    push_raw(out, "]");
    if let Some(session) = &identity.session {
        push_raw(out, ",\"sid\":");
        push_text(out, session, NAME_BYTES_MAX);
    }
    push_raw(out, ",\"type\":\"user\"}");
}

/// Enough to find the one certificate, and what it calls its holder.
fn push_certificate(out: &mut Vec<u8>, shown: &ClientCertificate) {
    push_raw(out, "{\"serial\":");
    push_text(out, &shown.serial, WORD_BYTES_MAX);
    push_raw(out, ",\"sha256\":");
    push_plain(out, shown.fingerprint);
    if let Some(id) = shown.names.spiffe() {
        push_raw(out, ",\"spiffe\":");
        push_text(out, id, NAME_BYTES_MAX);
    }
    if !shown.names.subject.is_empty() {
        push_raw(out, ",\"subject\":");
        push_text(out, &shown.names.subject, NAME_BYTES_MAX);
    }
    push_raw(out, "}");
}
