//! JSON text written by hand, for evidence and logs: capped, and safe to show on a terminal. Keeps to the forms of
//! RFC 8785 (JCS), so that whoever serialises the same values again gets the same bytes.

use std::fmt::Display;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::ip::IpText;

/// Appends `text` as a JSON string of at most `bytes_max` bytes of the original, with `…` where it was cut.
///
/// Control characters get JSON's escapes. Characters that only mislead a reader (C1 controls, line and paragraph
/// separators, direction marks, zero-width characters) stand as `<U+2028>`: JCS leaves no escape for them.
pub fn push_text(out: &mut Vec<u8>, text: &str, bytes_max: usize) {
    out.push(b'"');
    let end = text.floor_char_boundary(bytes_max);
    let (kept, cut) = text.split_at_checked(end).unwrap_or((text, ""));
    push_escaped(out, kept);
    if !cut.is_empty() {
        out.extend_from_slice("…".as_bytes());
    }
    out.push(b'"');
}

/// Appends `value` as it displays itself, unquoted: numbers.
pub fn push_number(out: &mut Vec<u8>, value: impl Display) {
    write_into(out, value);
}

/// Appends a count in digits. By hand: each event has several, and `Display` costs some five times as much.
pub fn push_count(out: &mut Vec<u8>, count: u64) {
    let start = out.len();
    let mut left = count;
    loop {
        out.push(b'0' + u8::try_from(left % 10).unwrap_or_default());
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.get_mut(start..).unwrap_or_default().reverse();
}

/// Appends an address, in quotes.
pub fn push_ip(out: &mut Vec<u8>, address: IpAddr) {
    out.push(b'"');
    out.extend_from_slice(IpText::of(address).as_bytes());
    out.push(b'"');
}

/// Appends an address and its port, in quotes.
pub fn push_peer(out: &mut Vec<u8>, peer: SocketAddr) {
    match peer {
        SocketAddr::V4(v4) => {
            out.push(b'"');
            out.extend_from_slice(IpText::of(peer.ip()).as_bytes());
            out.push(b':');
            push_count(out, u64::from(v4.port()));
            out.push(b'"');
        }
        SocketAddr::V6(v6) => push_plain(out, v6),
    }
}

/// Appends a word of this program's own, in quotes: it holds nothing to escape.
pub fn push_own(out: &mut Vec<u8>, word: &'static str) {
    out.push(b'"');
    out.extend_from_slice(word.as_bytes());
    out.push(b'"');
}

/// Appends `value` as it displays itself, in quotes: identifiers and the like, which hold nothing to escape.
pub fn push_plain(out: &mut Vec<u8>, value: impl Display) {
    out.push(b'"');
    write_into(out, value);
    out.push(b'"');
}

/// Appends text as it stands: the punctuation and names between values.
pub fn push_raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// `text` as it can be shown on a terminal: one line, nothing that moves the cursor or turns the direction.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    push_escaped(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

fn write_into(out: &mut Vec<u8>, value: impl Display) {
    // Writing into memory cannot fail.
    out.write_fmt(format_args!("{value}")).ok();
}

fn push_escaped(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(is_plain) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for character in text.chars() {
        push_character(out, character);
    }
}

/// Printable ASCII that JSON does not escape.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn push_character(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\0'..='\u{1f}' => write_into(out, format_args!("\\u{:04x}", u32::from(character))),
        _ if misleads(character) => {
            write_into(out, format_args!("<U+{:04X}>", u32::from(character)));
        }
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Whether a character changes what a reader sees without being seen.
#[must_use]
pub const fn misleads(character: char) -> bool {
    matches!(character,
        '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str, bytes_max: usize) -> String {
        let mut out = Vec::new();
        push_text(&mut out, input, bytes_max);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_what_breaks_a_line_or_misleads() {
        let table = [
            ("plain", "\"plain\""),
            ("a\"}\n{\"level\":", "\"a\\\"}\\n{\\\"level\\\":\""),
            ("\x1b[31m", "\"\\u001b[31m\""),
            ("back\\slash\t", "\"back\\\\slash\\t\""),
            ("a\u{2028}b", "\"a<U+2028>b\""),
            ("\u{202e}evil", "\"<U+202E>evil\""),
            ("\u{85}\u{7f}", "\"<U+0085><U+007F>\""),
            ("grün", "\"grün\""),
        ];
        for (input, expected) in table {
            assert_eq!(text(input, 100), expected, "{input:?}");
        }
    }

    #[test]
    fn counts_and_addresses_are_as_they_display_themselves() {
        let pushed = |push: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            push(&mut out);
            String::from_utf8(out).unwrap()
        };
        for count in [0, 9, 10, 99, 100, 65_535, u64::MAX - 1, u64::MAX] {
            let text = pushed(&|out| push_count(out, count));
            assert_eq!(text, count.to_string());
        }
        for peer in [
            "0.0.0.0:0",
            "127.0.0.1:80",
            "255.10.9.100:65535",
            "[::]:1",
            "[2001:db8::1]:443",
            "[::ffff:1.2.3.4]:9",
        ] {
            let peer: SocketAddr = peer.parse().unwrap();
            let text = pushed(&|out| push_peer(out, peer));
            assert_eq!(text, format!("\"{peer}\""));
            let text = pushed(&|out| push_ip(out, peer.ip()));
            assert_eq!(text, format!("\"{}\"", peer.ip()));
        }
    }

    #[test]
    fn cuts_at_a_character_and_says_so() {
        assert_eq!(text("grün", 3), "\"gr…\"");
        assert_eq!(text("abc", 3), "\"abc\"");
        assert_eq!(text("", 0), "\"\"");
    }

    #[test]
    fn every_character_is_read_back_as_json() {
        for code in 0..0x3000_u32 {
            let Some(character) = char::from_u32(code) else {
                continue;
            };
            let written = text(&character.to_string(), 8);
            let read: String = serde_json::from_str(&written).unwrap();
            assert!(
                read == character.to_string() || misleads(character),
                "{code:x}"
            );
            assert_eq!(written.lines().count(), 1, "{code:x}");
        }
    }
}
