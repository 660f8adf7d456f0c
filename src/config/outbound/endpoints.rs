//! Section `outbound[].endpoints`: where the exchange's interfaces are, if not where the preset says. A host that is not
//! the exchange's own is a stand-in, and has to be called one.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::decide::outbound::{AllowLine, Names};
use crate::model::decode::{Decode, Fields, Placed, decode_scalar};
use crate::model::endpoint::Endpoint;
use crate::model::exchange::{Preset, Role, Site};
use crate::model::facts::is_host_name;
use crate::model::fault::Faults;
use crate::model::node::{Node, Place};
use crate::model::pins::PinSettings;
use crate::model::settings::{CaText, TlsVersion};

use crate::config::files::Files;
use crate::config::why_unread;

/// Bytes of a file of certificates.
const CA_FILE_BYTES_MAX: u64 = 1 << 20;

/// What is written, by interface.
pub(super) struct Endpoints {
    written: Vec<(Role, Written)>,
    min_tls: TlsVersion,
    place: Place,
}

/// What is written of one interface.
#[derive(Default)]
struct Written {
    url: Option<Placed<Origin>>,
    server_name: Option<Name>,
    ca_file: Option<Placed<String>>,
    stand_in: bool,
}

impl Endpoints {
    /// Reads the section. `known` says that the preset was named; otherwise that is the fault to tell.
    pub(super) fn read(fields: &mut Fields<'_>, preset: &Preset, known: bool) -> Option<Self> {
        let place = fields.place_of("exchange");
        let doc = "where the exchange's interfaces are, if not where the preset says";
        let given = fields.has("endpoints");
        let written = fields.section("endpoints", doc, |fields| {
            let rest = read_one(fields, "rest", "requests and answers");
            let ws_api = read_one(fields, "ws_api", "requests over a WebSocket");
            let streams = read_one(fields, "streams", "market streams");
            let found = [
                (Role::Rest, rest),
                (Role::WsApi, ws_api),
                (Role::Streams, streams),
            ];
            let present = |(role, written): (Role, Option<Written>)| Some((role, written?));
            let written: Vec<(Role, Written)> = found.into_iter().filter_map(present).collect();
            if known {
                judge(fields, preset, &written);
            }
            Some(written)
        });
        let doc = "the oldest version of TLS that is spoken to the exchange: \"1.3\" or \"1.2\"";
        let min_tls = fields.or("min_tls", doc, "1.3", TlsVersion::V1_3);
        if given && written.is_none() {
            return None;
        }
        let written = written.unwrap_or_default();
        let has_rest = written
            .iter()
            .any(|(role, written)| *role == Role::Rest && written.url.is_some());
        if known && preset.rest.host.is_empty() && !has_rest {
            let message = format!("`{}` says nothing of where the exchange is", preset.name);
            let help = "add `endpoints: { rest: { url: https://HOST } }`";
            fields.error(&place, message, help);
        }
        Some(Self {
            written,
            min_tls,
            place,
        })
    }

    /// The host that stands in for the exchange, if one does.
    pub(super) fn stand_in(&self) -> Option<&str> {
        let mut written = self.written.iter().filter(|(_, written)| written.stand_in);
        let (_, written) = written.next()?;
        Some(&written.url.as_ref()?.value.host)
    }

    /// Warns where the key leaves for a stand-in by one interface, and by another one that `allow` opens for the exchange
    /// itself. On streams no key leaves.
    pub(super) fn warn_of_two_worlds(&self, fields: &mut Fields<'_>, allow: &[AllowLine]) {
        let stands_in = |role: Role| {
            let mut written = self.written.iter();
            written.any(|(of, written)| *of == role && written.stand_in)
        };
        let opened = |role: Role| {
            allow.iter().any(|line| match line.names() {
                Names::Rest(_) => role == Role::Rest,
                Names::Ws => role == Role::WsApi,
                Names::Stream => false,
            })
        };
        for (one, other) in [(Role::Rest, Role::WsApi), (Role::WsApi, Role::Rest)] {
            if stands_in(one) && !stands_in(other) && opened(other) {
                let (one, other) = (one.as_str(), other.as_str());
                let place = fields.place_of("endpoints");
                let message =
                    format!("`{one}` is a stand-in, and `{other}` leads to the exchange itself");
                let help = format!("the same key leaves for both; say where `{other}` is, too");
                fields.warning(&place, message, help);
            }
        }
    }

    /// The endpoints as they are connected to.
    pub(super) fn load(
        self,
        name: &Arc<str>,
        preset: &'static Preset,
        pins: Option<&PinSettings>,
        files: &mut Files<'_>,
        faults: &mut Faults,
    ) -> Option<Vec<(Role, Endpoint)>> {
        let mut endpoints = Vec::new();
        let mut whole = true;
        for role in Role::ALL {
            let written = self.written.iter().find(|(of, _)| *of == role);
            let written = written.map(|(_, written)| written);
            let Some(mut endpoint) = self.endpoint(name, preset.site(role), written) else {
                continue;
            };
            if let Some(file) = written.and_then(|written| written.ca_file.as_ref()) {
                endpoint.ca = read_ca(file, files, faults);
                whole &= endpoint.ca.is_some();
            }
            endpoint.pins = pins.and_then(|pins| pins.of_host(&endpoint.host)).cloned();
            endpoints.push((role, endpoint));
        }
        if let Some(pins) = pins {
            let hosts = endpoints.iter().map(|(_, endpoint)| endpoint.host.as_str());
            pins.judge(&hosts.collect::<Vec<_>>(), faults);
        }
        whole.then_some(endpoints)
    }

    fn endpoint(
        &self,
        name: &Arc<str>,
        site: Option<&Site>,
        written: Option<&Written>,
    ) -> Option<Endpoint> {
        let url = written.and_then(|written| written.url.as_ref());
        let (host, port, place) = match (url, site) {
            (Some(url), _) => (url.value.host.clone(), url.value.port, url.place.clone()),
            (None, Some(site)) if !site.host.is_empty() => {
                (site.host.to_owned(), site.port, self.place.clone())
            }
            (None, Some(_) | None) => return None,
        };
        let named = written.and_then(|written| written.server_name.as_ref());
        Some(Endpoint {
            upstream: name.as_ref().to_owned(),
            server_name: named.map_or_else(|| host.clone(), |name| name.0.clone()),
            host,
            port,
            ca: None,
            pins: None,
            min_version: self.min_tls,
            place,
        })
    }
}

fn read_one(fields: &mut Fields<'_>, key: &'static str, doc: &'static str) -> Option<Written> {
    fields.section(key, doc, |fields| {
        let doc = "scheme, host and port: https://HOST[:PORT], or wss:// for WebSockets";
        let url: Option<Placed<Origin>> = fields.optional("url", doc);
        let doc = "the name that the handshake asks for and the certificate must be for; without it the host";
        let server_name: Option<Name> = fields.optional("server_name", doc);
        let doc = "whom to trust (PEM), instead of the public certificate authorities; relative to the folder of this file";
        let ca_file: Option<Placed<String>> = fields.optional("ca_file", doc);
        let doc = "true says that the host is not the exchange's own: a stand-in, a proxy, a test";
        let stand_in = fields.or("stand_in", doc, "false", false);
        Some(Written {
            url,
            server_name,
            ca_file,
            stand_in,
        })
    })
}

/// A key leaves for the exchange's own hosts only, unless somebody says otherwise in so many words.
fn judge(fields: &mut Fields<'_>, preset: &Preset, written: &[(Role, Written)]) {
    for (role, written) in written {
        let key = role.as_str();
        let Some(site) = preset.site(*role) else {
            let place = fields.place_of(key);
            let message = format!("`{}` has no interface `{key}`", preset.name);
            fields.error(&place, message, "leave it out");
            continue;
        };
        let Some(url) = &written.url else { continue };
        let own = site.host.is_empty() || site.has(&url.value.host);
        if !own && !written.stand_in {
            let message = format!("`{}` is no host of `{}`", url.value.host, preset.name);
            let help = "the key leaves for the exchange's own hosts only; for a stand-in add `stand_in: true`";
            fields.error(&url.place, message, help);
        }
        if own && written.stand_in {
            let place = fields.place_of(key);
            let message = format!(
                "`{}` is the exchange's own host, not a stand-in",
                url.value.host
            );
            fields.error(&place, message, "leave `stand_in` out");
        }
    }
}

fn read_ca(file: &Placed<String>, files: &mut Files<'_>, faults: &mut Faults) -> Option<CaText> {
    let name = &file.value;
    let read = match files.read(name, CA_FILE_BYTES_MAX + 1) {
        Err(error) => Err(why_unread(&error)),
        Ok(bytes) if bytes.len() as u64 > CA_FILE_BYTES_MAX => {
            Err("is larger than 1MiB".to_owned())
        }
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()),
    };
    match read {
        Ok(pem) => Some(CaText {
            pem,
            origin: name.clone(),
            place: file.place.clone(),
        }),
        Err(why) => {
            faults.error(&file.place, format!("the file `{name}` {why}"));
            None
        }
    }
}

/// Scheme, host and port.
#[derive(Clone, Debug)]
struct Origin {
    host: String,
    port: u16,
}

impl Decode for Origin {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(
            node,
            "a URL such as https://api.example.com",
            faults,
            |text| {
                parse(text).ok_or_else(|| {
                    format!(
                        "`{text}` is not https://HOST[:PORT] (or wss://HOST[:PORT]) and no more"
                    )
                })
            },
        )
    }

    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^(https|wss)://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?/?$",
            "examples": ["https://api1.binance.com"],
        })
    }
}

fn parse(text: &str) -> Option<Origin> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("wss://"))?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (host, behind) = inner.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                behind
                    .strip_prefix(':')
                    .or_else(|| behind.is_empty().then_some("443"))?,
            )
        }
        None => {
            let (host, port) = rest.split_once(':').unwrap_or((rest, "443"));
            is_host(host).then_some(())?;
            (host, port)
        }
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| *port != 0 && digits)?;
    Some(Origin {
        host: host.to_ascii_lowercase(),
        port,
    })
}

/// An IPv4 address, or a name that nobody takes for one.
fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|first: char| first.is_ascii_digit());
    host.parse::<IpAddr>().is_ok() || (host.len() <= 253 && is_host_name(host) && !numeric)
}

/// A name that a certificate can be for.
#[derive(Clone)]
struct Name(String);

impl Decode for Name {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(
            node,
            "a host such as api.example.com",
            faults,
            |text| match is_host(text) || text.parse::<IpAddr>().is_ok() {
                true => Ok(Self(text.to_ascii_lowercase())),
                false => Err(format!("`{text}` is not a host")),
            },
        )
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[A-Za-z0-9._:-]+$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_no_more() {
        let read = |text| parse(text).map(|origin| (origin.host, origin.port));
        let of = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(read("https://api.binance.com"), of("api.binance.com", 443));
        assert_eq!(
            read("wss://Stream.example:9443/"),
            of("stream.example", 9443)
        );
        assert_eq!(read("https://127.0.0.1:8443"), of("127.0.0.1", 8443));
        assert_eq!(read("https://[::1]:8443"), of("::1", 8443));
        for text in [
            "http://api.binance.com",
            "api.binance.com",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://user@a",
            "https://a:0",
            "https://a:+1",
            "https://127.1",
            "https://[::1",
            "https://[::1]x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
