//! The guard of `require.client_certificate`: a verified certificate, and names that it must carry. Never verifies one,
//! the handshake did.

use serde_json::{Value as Json, json};

use crate::model::certificate::{CertificateNames, ClientCertificate};
use crate::model::decode::{Decode, Fields, describe_section, read_section};
use crate::model::denial::{Cause, Denial};
use crate::model::fault::Faults;
use crate::model::node::{Node, Value};

use super::{Ask, Context, Guard, GuardKind, Pass, Rule, Scope, Stage};
use crate::decide::policy::Mode;

/// Key `client_certificate` in `require`; no mode turns it into a shadow.
pub(super) struct Kind;

impl GuardKind for Kind {
    fn name(&self) -> &'static str {
        "certificate"
    }

    fn stage(&self) -> Stage {
        Stage::Head
    }

    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Require]
    }

    fn read(&self, _: Scope, context: &Context<'_>, fields: &mut Fields<'_>) -> Vec<Rule> {
        let wanted: Option<Wanted> = fields.optional(
            "client_certificate",
            "true if the client must show a certificate; or the names of which it must carry one",
        );
        let Some(Wanted(Some(names))) = wanted else {
            return Vec::new();
        };
        let place = fields.place_of("client_certificate");
        if !context.client_certificates {
            fields.error(
                &place,
                "a client certificate is required, but the listener asks for none",
                "give `inbound.tls` a `client_ca`",
            );
        }
        let rule = context.rule(
            "require.client_certificate",
            place,
            CertificateGuard { names },
        );
        vec![Rule {
            mode: Mode::Enforce,
            ..rule
        }]
    }
}

/// Nothing, any certificate, or one of these names.
struct Wanted(Option<Accepted>);

impl Decode for Wanted {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        if matches!(node.value, Value::Map(_)) {
            return read_section(node, faults, |names| Some(Self(Some(read_names(names)))));
        }
        bool::decode(node, faults).map(|wanted| Self(wanted.then(Accepted::default)))
    }

    fn schema() -> Json {
        json!({"anyOf": [{"type": "boolean"}, describe_section(|names| Some(read_names(names)))]})
    }
}

fn read_names(fields: &mut Fields<'_>) -> Accepted {
    let doc = "subjects, written as RFC 4514 has them: CN=bot,O=JTS";
    let subjects: Option<Vec<String>> = fields.optional("subjects", doc);
    let doc = "hosts among the alternative names";
    let dns: Option<Vec<String>> = fields.optional("dns", doc);
    let doc = "URIs among the alternative names, such as spiffe://prod/bot; /* at the end stands for anything below";
    let uris: Option<Vec<String>> = fields.optional("uris", doc);
    let doc = "mail addresses among the alternative names";
    let emails: Option<Vec<String>> = fields.optional("emails", doc);
    let names = Accepted {
        subjects: subjects.unwrap_or_default(),
        dns: dns.unwrap_or_default(),
        uris: uris.unwrap_or_default(),
        emails: emails.unwrap_or_default(),
    };
    if names.is_empty() && !fields.describing() {
        fields.error(
            &fields.place(),
            "no name is given that a certificate could carry",
            "write true to take every certificate of `client_ca`, or name some",
        );
    }
    names
}

/// The names that are accepted; empty means every certificate.
#[derive(Debug, Default)]
struct Accepted {
    subjects: Vec<String>,
    dns: Vec<String>,
    uris: Vec<String>,
    emails: Vec<String>,
}

impl Accepted {
    const fn is_empty(&self) -> bool {
        self.subjects.is_empty()
            && self.dns.is_empty()
            && self.uris.is_empty()
            && self.emails.is_empty()
    }

    /// Whether the certificate carries one of them. Hosts have no case (RFC 4343), everything else has.
    fn meets(&self, names: &CertificateNames) -> bool {
        let host = |own: &String| {
            self.dns
                .iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(own))
        };
        let uri = |own: &String| self.uris.iter().any(|wanted| covers(wanted, own));
        self.is_empty()
            || self.subjects.contains(&names.subject)
            || names.dns.iter().any(host)
            || names.uris.iter().any(uri)
            || names.emails.iter().any(|own| self.emails.contains(own))
    }
}

/// Whether `wanted` is the URI, or ends in `/*` and is the beginning of it.
fn covers(wanted: &str, uri: &str) -> bool {
    match wanted
        .strip_suffix('*')
        .filter(|parent| parent.ends_with('/'))
    {
        Some(parent) => uri.len() > parent.len() && uri.starts_with(parent),
        None => wanted == uri,
    }
}

#[derive(Debug)]
struct CertificateGuard {
    names: Accepted,
}

impl Guard for CertificateGuard {
    fn check(&self, ask: &Ask<'_>) -> Result<Pass, Box<Denial>> {
        let missing = |why| Err(Denial::new(Cause::CertificateMissing, why));
        match ask.facts.certificate.as_deref() {
            None => missing("no client certificate was shown"),
            Some(shown) if shown.has_expired(ask.now.unix_seconds()) => {
                missing("the client certificate has expired since the connection began")
            }
            Some(shown) if self.names.meets(&shown.names) => Ok(Pass::Plain),
            Some(shown) => Err(Denial::new(
                Cause::CertificateName,
                format!(
                    "the certificate of {} carries no name that is accepted",
                    holder(shown)
                ),
            )),
        }
    }

    fn explain(&self, ask: &Ask<'_>) -> String {
        let wants = if self.names.is_empty() {
            "any client certificate"
        } else {
            "a client certificate of certain names"
        };
        match ask.facts.certificate.as_deref() {
            Some(shown) => format!("wants {wants}; shown is {}", holder(shown)),
            None => format!("wants {wants}; none is shown"),
        }
    }
}

fn holder(shown: &ClientCertificate) -> &str {
    shown.names.principal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_names_is_enough_and_none_is_not() {
        let names = CertificateNames {
            subject: "CN=bot,O=JTS".to_owned(),
            dns: vec!["Bot.jts.local".to_owned()],
            uris: vec!["spiffe://prod/ns/trading/bot".to_owned()],
            emails: vec!["desk@jts.example".to_owned()],
        };
        let list = |text: &str| vec![text.to_owned()];
        let subjects = |text: &str| Accepted {
            subjects: list(text),
            ..Accepted::default()
        };
        let dns = |text: &str| Accepted {
            dns: list(text),
            ..Accepted::default()
        };
        let uris = |text: &str| Accepted {
            uris: list(text),
            ..Accepted::default()
        };
        let emails = |text: &str| Accepted {
            emails: list(text),
            ..Accepted::default()
        };
        for (accepted, meets) in [
            (Accepted::default(), true),
            (subjects("CN=bot,O=JTS"), true),
            (subjects("CN=bot"), false),
            (subjects("cn=bot,o=JTS"), false),
            (dns("bot.jts.local"), true),
            (dns("jts.local"), false),
            (uris("spiffe://prod/ns/trading/bot"), true),
            (uris("spiffe://prod/ns/trading/*"), true),
            (uris("spiffe://prod/ns/trad*"), false),
            (uris("spiffe://prod/ns/trading/bot/*"), false),
            (uris("spiffe://prod/ns/trading"), false),
            (emails("desk@jts.example"), true),
            (emails("Desk@jts.example"), false),
            // A name of one kind is no name of another.
            (dns("desk@jts.example"), false),
        ] {
            assert_eq!(accepted.meets(&names), meets, "{accepted:?}");
        }
    }
}
