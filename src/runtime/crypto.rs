//! The one cryptographic provider of the process: AWS-LC, chosen on purpose and never by what happens to be linked.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The provider: installed for the whole process the first time it is asked for, so that a library that asks for the
/// default gets this one. Its key exchanges begin with X25519MLKEM768; all of its cipher suites are AEAD, and those of
/// TLS 1.2 are ECDHE, so that a stolen key opens no recorded connection.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    if let Some(installed) = CryptoProvider::get_default() {
        return Arc::clone(installed);
    }
    let ours = aws_lc_rs::default_provider();
    match ours.install_default() {
        Ok(()) => CryptoProvider::get_default().map_or_else(fresh, Arc::clone),
        // Another thread was quicker, with the same one.
        Err(installed) => installed,
    }
}

fn fresh() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Fills this thread's random generator. AWS-LC gathers its first entropy for some 30 ms, which no handshake should
/// wait for. A failure shows where randomness is needed, and is an error there.
pub fn warm() {
    let mut bytes = [0; 32];
    let _later = ::aws_lc_rs::rand::fill(&mut bytes);
}
