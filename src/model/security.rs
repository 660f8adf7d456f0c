//! What an exchange asks of a call: nothing, the key's name, or a signature. Never infers it; route tables say it.

/// How much of a key a call gets. `None` is for public calls: a key is never sent where it is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Neither key nor signature.
    None,
    /// The key's name, but no time and no signature.
    KeyOnly,
    /// The key's name, the time and a signature.
    Signed,
}
