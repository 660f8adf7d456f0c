//! For tests: authorities and certificates of every kind, made anew, at a moment that never changes.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::pin_of_spki;
use crate::model::clock::Now;
use crate::model::pins::SpkiPin;

/// 2026-07-01T00:00:00Z.
pub(in crate::forward) const NOW: Now = Now {
    mono_ns: 0,
    unix_us: 1_782_864_000_000_000,
};

/// The host that good certificates are for.
pub(in crate::forward) const HOST: &str = "exchange.example";

/// An authority: a name and a key. Who signs a certificate for it is another matter.
pub(in crate::forward) struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

/// A server's certificate and its key.
pub(in crate::forward) struct Server {
    pub(in crate::forward) certificate: CertificateDer<'static>,
    pub(in crate::forward) key: KeyPair,
}

/// What a server's certificate says.
pub(in crate::forward) struct Said {
    pub(in crate::forward) host: &'static str,
    pub(in crate::forward) purpose: ExtendedKeyUsagePurpose,
    /// The month of 2026 from whose beginning it is valid, and the one from whose beginning it is not.
    pub(in crate::forward) months: (u8, u8),
}

pub(in crate::forward) const GOOD: Said = Said {
    host: HOST,
    purpose: ExtendedKeyUsagePurpose::ServerAuth,
    months: (6, 9),
};

impl Authority {
    pub(in crate::forward) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().unwrap();
        Self { params, key }
    }

    pub(in crate::forward) fn pin(&self) -> SpkiPin {
        pin_of_spki(&self.key.subject_public_key_info())
    }

    /// Its certificate, signed by itself.
    pub(in crate::forward) fn root(&self) -> CertificateDer<'static> {
        self.params.self_signed(&self.key).unwrap().into()
    }

    /// The same as PEM text.
    pub(in crate::forward) fn pem(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    /// A certificate of another authority.
    pub(in crate::forward) fn vouch(&self, other: &Self) -> CertificateDer<'static> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let signed = other.params.signed_by(&other.key, &issuer);
        signed.unwrap().into()
    }

    /// A server's certificate for a new key.
    pub(in crate::forward) fn server(&self, said: &Said) -> Server {
        let mut params = CertificateParams::new(vec![said.host.to_owned()]).unwrap();
        params.extended_key_usages = vec![said.purpose.clone()];
        let (from, until) = said.months;
        params.not_before = date_time_ymd(2026, from, 1);
        params.not_after = date_time_ymd(2026, until, 1);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap().into();
        Server { certificate, key }
    }
}

impl Server {
    pub(in crate::forward) fn pin(&self) -> SpkiPin {
        pin_of_spki(&self.key.subject_public_key_info())
    }

    pub(in crate::forward) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

/// A pin of a key that nobody has.
pub(in crate::forward) fn other_pin() -> SpkiPin {
    SpkiPin::of_digest([7; 32])
}
