//! The name of a trace as programs hand it on (W3C Trace Context, `traceparent`). Judged here and nowhere else; never
//! made of anything but an identifier that was sent or drawn.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header field.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A trace, a span in it, and whether whoever began the span keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    trace: [u8; 32],
    span: [u8; 16],
    sampled: bool,
}

impl Traceparent {
    /// A span that begins a trace.
    #[must_use]
    pub fn root(trace: [u8; 16], span: [u8; 8], sampled: bool) -> Self {
        Self {
            trace: hex(&trace),
            span: hex(&span),
            sampled,
        }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(&self, span: [u8; 8], sampled: bool) -> Self {
        Self {
            trace: self.trace,
            span: hex(&span),
            sampled,
        }
    }

    /// The only one of these headers; `None` if there are several, or if it is not valid: then it is to be ignored
    /// (section 3.2).
    #[must_use]
    pub fn sole(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let only = lines.next().filter(|_| lines.next().is_none());
        only.and_then(Self::parse)
    }

    /// `version-trace-span-flags` in lower-case hex. Version 00 has exactly four parts, a later one may have more behind
    /// them; ff is forbidden, and so are identifiers of zeroes (section 3.2.2).
    #[must_use]
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let (version, rest) = value.as_bytes().split_first_chunk::<3>()?;
        let (trace, rest) = rest.split_first_chunk::<32>()?;
        let (span, rest) = rest.strip_prefix(b"-")?.split_first_chunk::<16>()?;
        let (flags, more) = rest.strip_prefix(b"-")?.split_first_chunk::<2>()?;
        let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let ends = more.is_empty() || (version != b"00-" && more.starts_with(b"-"));
        let sound = ends
            && version != b"ff-"
            && version.ends_with(b"-")
            && version.iter().take(2).all(digit)
            && trace.iter().chain(span).chain(flags).all(digit)
            && trace.iter().any(|byte| *byte != b'0')
            && span.iter().any(|byte| *byte != b'0');
        let bits = str::from_utf8(flags).ok()?;
        let bits = u8::from_str_radix(bits, 16).ok()?;
        sound.then_some(Self {
            trace: *trace,
            span: *span,
            sampled: bits & 1 == 1,
        })
    }

    /// The trace, 32 hex digits.
    #[must_use]
    pub fn trace(&self) -> &str {
        str::from_utf8(&self.trace).unwrap_or_default()
    }

    /// The span, 16 hex digits.
    #[must_use]
    pub fn span(&self) -> &str {
        str::from_utf8(&self.span).unwrap_or_default()
    }

    /// Whether the span is kept.
    #[must_use]
    pub const fn sampled(&self) -> bool {
        self.sampled
    }

    /// As version 00 writes it.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        let flags: &[u8] = if self.sampled { b"-01" } else { b"-00" };
        let parts = [b"00-", self.trace.as_slice(), b"-", &self.span, flags];
        HeaderValue::from_bytes(&parts.concat()).ok()
    }
}

/// Lower-case hex digits; `N` is twice the number of bytes.
fn hex<const N: usize>(bytes: &[u8]) -> [u8; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; N];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        for (place, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *place = DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(text: &str) -> Option<Traceparent> {
        Traceparent::parse(&HeaderValue::try_from(text).unwrap())
    }

    #[test]
    fn what_is_valid_is_read_and_written_again() {
        let read = parse(GOOD).unwrap();
        assert_eq!(read.trace(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(read.span(), "00f067aa0ba902b7");
        assert!(read.sampled());
        assert_eq!(read.header().unwrap(), GOOD);
        let later = [
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-follows",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
        ];
        for text in later {
            assert_eq!(parse(text), Some(read), "{text}");
        }
        let kept = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02");
        assert!(!kept.unwrap().sampled(), "another flag");
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0G",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.x",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_one_line_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(Traceparent::sole(&headers), None);
        headers.insert(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(Traceparent::sole(&headers).is_some());
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(Traceparent::sole(&headers), None);
    }

    #[test]
    fn a_child_belongs_to_the_trace() {
        let root = Traceparent::root([0xab; 16], [0x0c; 8], false);
        let text = "00-abababababababababababababababab-0c0c0c0c0c0c0c0c-00";
        assert_eq!(root.header().unwrap(), text);
        assert_eq!(parse(text), Some(root));
        let child = root.child([1; 8], true);
        assert_eq!((child.trace(), child.sampled()), (root.trace(), true));
        assert_eq!(child.span(), "0101010101010101");
    }
}
