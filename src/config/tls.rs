//! Section `inbound.tls`: certificates, keys and who must show one. Reads the files and secrets that it names; never
//! judges what is in them, the door does.

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, Fields, Placed, Section, decode_scalar, one_of};
use crate::model::fault::Faults;
use crate::model::node::{Node, Value};
use crate::model::secret::{Secret, SecretRef};
use crate::model::settings::{
    CertificateSettings, ClientAuth, FileSetting, HostSetting, TlsSettings, TlsVersion,
};

use super::files::Files;

/// Bytes of a PEM file: a chain has 8 KiB, a bundle of every public root 256.
const PEM_FILE_BYTES_MAX: u64 = 1 << 20;

/// More certificates than a listener needs, and each handshake looks for one.
const CERTIFICATES_MAX: usize = 64;

/// The section before its files are read.
pub(super) struct Tls {
    settings: TlsSettings,
    /// The key of each certificate.
    keys: Vec<Key>,
}

/// Where a private key is kept.
enum Key {
    File(Placed<String>),
    Secret(SecretRef),
}

impl Tls {
    /// Reads the files. One that cannot be read is no fault here: who only asks what a policy says needs no private key.
    /// A secret that is missing is one.
    pub(super) fn load(self, files: &mut Files<'_>, faults: &mut Faults) -> TlsSettings {
        let mut settings = self.settings;
        let mut keys = self.keys.into_iter();
        for pair in &mut settings.certificates {
            pair.certificate.text = read_pem(files, &pair.certificate.name);
            match keys.next() {
                Some(Key::Secret(reference)) => {
                    files.want(&reference, faults);
                    if let Some(found) = files.secret(&reference.name) {
                        pair.key.text = Ok(Secret::new(found.expose_secret().clone()));
                    }
                }
                Some(Key::File(_)) | None => pair.key.text = read_pem(files, &pair.key.name),
            }
        }
        if let Some(file) = &mut settings.client_ca {
            file.text = read_pem(files, &file.name);
        }
        settings
    }

    /// Whether clients may show a certificate.
    pub(super) fn asks_clients(&self) -> bool {
        self.settings.client_certificate != ClientAuth::None
    }
}

/// What stands in a PEM file; otherwise why it cannot be used.
fn read_pem(files: &mut Files<'_>, name: &str) -> Result<Secret<Vec<u8>>, String> {
    // One byte more than allowed tells a file that is too large from one that just fits.
    match files.read(name, PEM_FILE_BYTES_MAX + 1) {
        Err(error) => Err(format!("the file `{name}` {}", super::why_unread(&error))),
        Ok(bytes) if bytes.len() as u64 > PEM_FILE_BYTES_MAX => {
            Err(format!("the file `{name}` is larger than 1MiB"))
        }
        Ok(bytes) if bytes.trim_ascii().is_empty() => Err(format!("the file `{name}` is empty")),
        Ok(bytes) => Ok(Secret::new(bytes)),
    }
}

impl Section for Tls {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let first = read_pair(fields);
        let doc = "further certificates, each for its own hosts; clients that name no host get the one above";
        let further = fields.list_of("certificates", doc, read_named);
        if further
            .as_ref()
            .is_some_and(|list| list.len() >= CERTIFICATES_MAX)
        {
            let place = fields.place_of("certificates");
            let message = format!("there are more than {CERTIFICATES_MAX} certificates");
            fields.error(
                &place,
                message,
                "join them: one certificate may name many hosts",
            );
        }
        let doc = "who issues client certificates: a file with one or more CA certificates (PEM)";
        let client_ca: Option<Placed<String>> = fields.optional("client_ca", doc);
        let doc = "whether clients are asked for a certificate: none, optional or required; with `client_ca` the default is optional";
        let said: Option<ClientAuth> = fields.optional("client_certificate", doc);
        let client_certificate = client_auth(fields, client_ca.is_some(), said);
        let doc = "the oldest version of TLS that is spoken: \"1.3\" or \"1.2\"";
        let min_version = fields.or("min_version", doc, "1.3", TlsVersion::V1_3);
        let mut pairs = vec![first?];
        pairs.extend(further.unwrap_or_default());
        let (certificates, keys) = pairs.into_iter().unzip();
        Some(Self {
            settings: TlsSettings {
                certificates,
                client_ca: client_ca.map(file),
                client_certificate,
                min_version,
            },
            keys,
        })
    }
}

/// What goes together: somebody who issues certificates, and asking for them.
fn client_auth(fields: &mut Fields<'_>, issuer: bool, said: Option<ClientAuth>) -> ClientAuth {
    let asks = said.is_some_and(|auth| auth != ClientAuth::None);
    let place = fields.place_of("client_certificate");
    if asks && !fields.has("client_ca") {
        let message = "clients are asked for a certificate, but `client_ca` is missing";
        fields.error(&place, message, "name the file of the CA that issues them");
    }
    if said == Some(ClientAuth::None) && fields.has("client_ca") {
        let message = "`client_ca` is given, but clients are not asked for a certificate";
        fields.error(
            &place,
            message,
            "write optional or required, or leave `client_ca` out",
        );
    }
    let otherwise = if issuer {
        ClientAuth::Optional
    } else {
        ClientAuth::None
    };
    said.unwrap_or(otherwise)
}

fn read_pair(fields: &mut Fields<'_>) -> Option<(CertificateSettings, Key)> {
    let doc = "the certificate (PEM), behind it those that lead to the root; relative to the folder of this file";
    let certificate: Option<Placed<String>> = fields.required("certificate", doc);
    let doc = "its private key (PEM, not encrypted), a file or secret:NAME: ECDSA, Ed25519, or RSA of 2048 bits and more";
    let key: Option<Key> = fields.required("key", doc);
    let key = key?;
    let settings = CertificateSettings {
        certificate: file(certificate?),
        key: file(key.named()),
        hosts: Vec::new(),
    };
    Some((settings, key))
}

fn read_named(fields: &mut Fields<'_>) -> Option<(CertificateSettings, Key)> {
    let doc = "the hosts it is shown for, such as api.example.com or *.example.com; without it those that it names";
    let hosts: Option<Vec<Placed<Host>>> = fields.optional("hosts", doc);
    if hosts.as_ref().is_some_and(Vec::is_empty) {
        let place = fields.place_of("hosts");
        let help = "name one, or leave `hosts` out to take those of the certificate";
        fields.error(&place, "a certificate for no host is never shown", help);
    }
    let pair = read_pair(fields);
    let (mut settings, key) = pair?;
    let named = hosts.unwrap_or_default().into_iter();
    let named = named.map(|host| HostSetting {
        name: host.value.0,
        place: host.place,
    });
    settings.hosts.extend(named);
    Some((settings, key))
}

fn file(named: Placed<String>) -> FileSetting {
    FileSetting {
        text: Err(format!("the file `{}` was not read", named.value)),
        name: named.value,
        place: named.place,
    }
}

impl Key {
    /// As it is told in faults.
    fn named(&self) -> Placed<String> {
        match self {
            Self::File(file) => file.clone(),
            Self::Secret(SecretRef { name, place }) => Placed {
                value: format!("secret:{name}"),
                place: place.clone(),
            },
        }
    }
}

impl Decode for Key {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, .. } if SecretRef::is_meant(text) => {
                SecretRef::decode(node, faults).map(Self::Secret)
            }
            Value::Null | Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                Placed::decode(node, faults).map(Self::File)
            }
        }
    }

    fn schema() -> Json {
        json!({"anyOf": [
            SecretRef::schema(),
            {"type": "string", "minLength": 1, "not": {"pattern": "^secret:"}},
        ]})
    }
}

/// A host that clients name in the handshake, or `*.` and a host.
struct Host(String);

impl Decode for Host {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a host such as api.example.com", faults, |text| {
            let name = text.strip_prefix("*.").unwrap_or(text);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            let label = |label: &str| !label.is_empty() && label.bytes().all(plain);
            // Clients that connect to an address name no host (RFC 6066 section 3).
            let address = name.parse::<std::net::IpAddr>().is_ok();
            if name.len() <= 253 && name.split('.').all(label) && !address {
                return Ok(Self(text.to_ascii_lowercase()));
            }
            Err(format!(
                "`{text}` is not a host; write it like api.example.com or *.example.com"
            ))
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^(\\*\\.)?[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$"})
    }
}

impl Decode for ClientAuth {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let table = [
            ("none", Self::None),
            ("optional", Self::Optional),
            ("required", Self::Required),
        ];
        one_of(node, faults, &table)
    }

    fn schema() -> Json {
        json!({"enum": ["none", "optional", "required"]})
    }
}

impl Decode for TlsVersion {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        one_of(node, faults, &[("1.3", Self::V1_3), ("1.2", Self::V1_2)])
    }

    fn schema() -> Json {
        // Both ways to write it are read: the decoder goes by the characters.
        json!({"enum": ["1.3", "1.2", 1.3, 1.2]})
    }
}
