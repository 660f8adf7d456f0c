//! Listen keys: names by which the streams of futures tell what happens to an account. Whoever knows one may listen.

use std::collections::HashMap;

use aws_lc_rs::rand;

use super::refusal::Refusal;

/// Random bytes of a listen key; it is twice as long.
const LISTEN_KEY_BYTES: usize = 32;

/// The listen key of each account that has one.
#[derive(Debug, Default)]
pub(super) struct ListenKeys(HashMap<String, String>);

impl ListenKeys {
    /// The listen key of an account; a new one if it has none.
    ///
    /// # Errors
    ///
    /// -1000 if none can be made.
    pub(super) fn start(&mut self, account: &str) -> Result<String, Refusal> {
        if let Some(known) = self.0.get(account) {
            return Ok(known.clone());
        }
        let made = made_up()?;
        self.0.insert(account.to_owned(), made.clone());
        Ok(made)
    }

    /// Lets the listen key of an account live longer.
    ///
    /// # Errors
    ///
    /// -1125 if it has none.
    pub(super) fn go_on(&self, account: &str) -> Result<String, Refusal> {
        self.0.get(account).cloned().ok_or_else(unknown)
    }

    /// Forgets the listen key of an account.
    ///
    /// # Errors
    ///
    /// -1125 if it has none.
    pub(super) fn stop(&mut self, account: &str) -> Result<(), Refusal> {
        self.0.remove(account).map(drop).ok_or_else(unknown)
    }

    /// Whether this is the listen key of the account.
    pub(super) fn is_of(&self, listen_key: &str, account: &str) -> bool {
        self.0.get(account).is_some_and(|known| known == listen_key)
    }
}

fn unknown() -> Refusal {
    Refusal::bad(-1125, "This listenKey does not exist.")
}

fn made_up() -> Result<String, Refusal> {
    let mut bytes = [0; LISTEN_KEY_BYTES];
    rand::fill(&mut bytes).map_err(|_| Refusal::bad(-1000, "An unknown error occured."))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_key_stays_until_it_is_stopped() {
        let mut keys = ListenKeys::default();
        assert_eq!(keys.go_on("a").unwrap_err().code, -1125);
        let first = keys.start("a").unwrap();
        assert_eq!((first.len(), &keys.start("a").unwrap()), (64, &first));
        assert_eq!(keys.go_on("a").unwrap(), first);
        assert!(keys.is_of(&first, "a") && !keys.is_of(&first, "b"));
        keys.stop("a").unwrap();
        assert_eq!(keys.stop("a").unwrap_err().code, -1125);
        assert_ne!(keys.start("a").unwrap(), first);
    }
}
