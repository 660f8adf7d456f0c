//! Bytes, and what they must lead to.

use std::net::IpAddr;

use super::origin::Received;
use super::wire::Response;

/// What must have happened.
pub enum Want {
    /// Refused with one of these statuses, recorded with one of these codes.
    Refused {
        /// The statuses.
        statuses: Vec<u16>,
        /// The codes, in the record and in the answer if it has a problem document.
        codes: Vec<&'static str>,
        /// Whether the connection must end with the answer.
        closes: bool,
    },
    /// Refused, or only closed: no answer is promised to bytes that are not a message.
    Cut {
        /// The codes of the record.
        codes: Vec<&'static str>,
    },
    /// Forwarded exactly once, and answered with what the service said.
    Forwarded(Box<Check>),
}

/// What else must hold of a forwarded request.
pub type Check = dyn Fn(&Received, &Response) -> Result<(), String>;

/// Bytes and what they must lead to.
pub struct Case {
    /// Such as `7 two lines`.
    pub id: String,
    /// What is sent, piece by piece.
    pub pieces: Vec<Vec<u8>>,
    /// From which address of this machine.
    pub from: Option<IpAddr>,
    /// What the record tells the operator beyond the code.
    pub detail: Option<&'static str>,
    /// What must happen.
    pub want: Want,
}

impl Case {
    /// A case that is refused, and whose connection ends with the answer.
    pub fn refused(
        id: impl Into<String>,
        bytes: impl AsRef<[u8]>,
        status: u16,
        code: &'static str,
    ) -> Self {
        let want = Want::Refused {
            statuses: vec![status],
            codes: vec![code],
            closes: true,
        };
        Self::new(id, bytes, want)
    }

    /// A case that is refused on a connection that goes on.
    pub fn denied(
        id: impl Into<String>,
        bytes: impl AsRef<[u8]>,
        status: u16,
        code: &'static str,
    ) -> Self {
        let want = Want::Refused {
            statuses: vec![status],
            codes: vec![code],
            closes: false,
        };
        Self::new(id, bytes, want)
    }

    /// A case that is refused or cut off.
    pub fn cut(id: impl Into<String>, bytes: impl AsRef<[u8]>, codes: &[&'static str]) -> Self {
        let want = Want::Cut {
            codes: codes.to_vec(),
        };
        Self::new(id, bytes, want)
    }

    /// A case that is forwarded.
    pub fn forwarded(
        id: impl Into<String>,
        bytes: impl AsRef<[u8]>,
        check: impl Fn(&Received, &Response) -> Result<(), String> + 'static,
    ) -> Self {
        Self::new(id, bytes, Want::Forwarded(Box::new(check)))
    }

    fn new(id: impl Into<String>, bytes: impl AsRef<[u8]>, want: Want) -> Self {
        Self {
            id: id.into(),
            pieces: vec![bytes.as_ref().to_vec()],
            from: None,
            detail: None,
            want,
        }
    }

    /// The same, recorded with exactly this detail.
    #[must_use]
    pub fn because(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The same in pieces, each sent a little later than the one before.
    #[must_use]
    pub fn and_then(mut self, piece: impl AsRef<[u8]>) -> Self {
        self.pieces.push(piece.as_ref().to_vec());
        self
    }

    /// The same, cut into pieces of so many bytes.
    #[must_use]
    pub fn in_pieces(mut self, size: usize) -> Self {
        let whole = self.pieces.concat();
        self.pieces = whole.chunks(size).map(<[u8]>::to_vec).collect();
        self
    }

    /// The same from another address of this machine.
    #[must_use]
    pub fn from(mut self, address: &str) -> Self {
        self.from = Some(address.parse().unwrap());
        self
    }

    /// The same with another code in the record that is as good.
    #[must_use]
    pub fn or_code(mut self, code: &'static str) -> Self {
        match &mut self.want {
            Want::Refused { codes, .. } | Want::Cut { codes } => codes.push(code),
            Want::Forwarded(_) => panic!("a forwarded case has no code"),
        }
        self
    }

    /// The same with another status that is as good.
    #[must_use]
    pub fn or_status(mut self, status: u16) -> Self {
        match &mut self.want {
            Want::Refused { statuses, .. } => statuses.push(status),
            Want::Cut { .. } | Want::Forwarded(_) => panic!("only a refusal has statuses"),
        }
        self
    }
}
