//! `Secret<T>`: a value that cannot be printed, is wiped when dropped and is compared in constant time.
//! Never give it `Debug`, `Display` or `Serialize`.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A value that must not reach a log, an error, a metric or a core dump's long-lived memory.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The name is long so that each use is seen in review.
    pub const fn expose_secret(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref().ct_eq(other.0.as_ref()).into()
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
