//! The text of a `.env` file, read strictly: what means different things to different programs is refused, and nothing is
//! ever expanded. Never quotes a value, nor a line that may be one.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::model::secret::{Secret, SecretBytes, SecretName};

/// Faults that are told of one file.
const FAULTS_MAX: usize = 20;

/// What an unquoted value must not hold: quotes, escapes, expansions, comments and the ends of shell words are read
/// differently by Docker, by shells and by each library.
const AMBIGUOUS: &[char] = &['\'', '"', '`', '$', '\\', '#'];

/// A line and what is wrong in it.
type Fault = (usize, String);

/// Reads the whole text, or says everything that is wrong with it.
pub(super) fn parse(text: &str) -> Result<BTreeMap<SecretName, SecretBytes>, Vec<Fault>> {
    let mut reader = Reader {
        rest: text,
        line: 1,
    };
    let mut entries = BTreeMap::new();
    let mut lines: BTreeMap<SecretName, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    while !reader.rest.is_empty() && faults.len() < FAULTS_MAX {
        let line = reader.line;
        match reader.statement() {
            Ok(None) => {}
            Ok(Some((name, value))) => {
                if let Some(before) = lines.insert(name.clone(), line) {
                    faults.push((line, format!("`{name}` stands in line {before} already")));
                }
                entries.insert(name, value);
            }
            Err(why) => faults.push((line, why.to_owned())),
        }
        reader.next_line();
    }
    if faults.is_empty() {
        Ok(entries)
    } else {
        Err(faults)
    }
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Reader<'t> {
    /// One assignment, or nothing in an empty line or a comment. Ends anywhere before the end of its last line.
    fn statement(&mut self) -> Result<Option<(SecretName, SecretBytes)>, &'static str> {
        let line = self.rest_of_line();
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            return Ok(None);
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err("there is no `=`; write NAME=value");
        };
        if name != name.trim() || value.starts_with([' ', '\t']) {
            return Err("leave no white space in front of the name and around `=`");
        }
        let Some(name) = SecretName::parse(name) else {
            return Err("in front of `=` stands no name: letters, digits, `_`, `.` and `-`");
        };
        self.skip_to_value();
        let value = match self.rest.as_bytes().first() {
            Some(b'\'') => self.single_quoted()?,
            Some(b'"') => self.double_quoted()?,
            Some(_) | None => self.unquoted()?,
        };
        Ok(Some((name, value)))
    }

    fn unquoted(&self) -> Result<SecretBytes, &'static str> {
        let value = self.rest_of_line();
        if value.contains(AMBIGUOUS) || value.contains(char::is_whitespace) {
            return Err(
                "programs differ in how they read white space, quotes, `$`, `\\` and `#`; put the value in single quotes",
            );
        }
        Ok(Secret::new(value.as_bytes().to_vec()))
    }

    /// As it stands, over several lines if need be.
    fn single_quoted(&mut self) -> Result<SecretBytes, &'static str> {
        let inside = self.rest.get(1..).unwrap_or_default();
        let Some((value, _)) = inside.split_once('\'') else {
            return Err(self.unclosed());
        };
        self.advance(value.len() + 2);
        self.end()?;
        Ok(Secret::new(value.as_bytes().to_vec()))
    }

    /// With the escapes that every program reads alike.
    fn double_quoted(&mut self) -> Result<SecretBytes, &'static str> {
        // As large as it can become: a buffer that grows leaves copies behind.
        let mut value = Zeroizing::new(Vec::with_capacity(self.rest.len()));
        let mut characters = self.rest.char_indices().skip(1);
        let closed = loop {
            let Some((at, character)) = characters.next() else {
                return Err(self.unclosed());
            };
            let character = match character {
                '"' => break at,
                '$' | '`' => {
                    return Err(
                        "nothing is expanded here; write `\\$`, or put the value in single quotes",
                    );
                }
                '\\' => match characters.next().map(|(_, escaped)| escaped) {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(plain @ ('"' | '\\' | '$' | '`')) => plain,
                    Some(_) | None => {
                        return Err("unknown escape; known are \\n \\r \\t \\\" \\\\ \\$ and \\`");
                    }
                },
                plain => plain,
            };
            let mut bytes = [0; 4];
            value.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
        };
        self.advance(closed + 1);
        self.end()?;
        Ok(Secret::new(value.to_vec()))
    }

    /// What may stand behind a quoted value.
    fn end(&self) -> Result<(), &'static str> {
        let behind = self.rest_of_line();
        let comment = behind.trim_start().starts_with('#') && behind.starts_with([' ', '\t']);
        if behind.trim().is_empty() || comment {
            return Ok(());
        }
        Err("something stands behind the quotes")
    }

    /// A quote that is not closed swallows the rest, so there is nothing more to say.
    fn unclosed(&mut self) -> &'static str {
        self.rest = "";
        "a quote is not closed"
    }

    fn rest_of_line(&self) -> &'t str {
        let line = self.rest.split('\n').next().unwrap_or_default();
        line.strip_suffix('\r').unwrap_or(line)
    }

    fn skip_to_value(&mut self) {
        self.rest = self.rest.split_once('=').map_or("", |(_, value)| value);
    }

    /// Goes on behind so many bytes, which may hold ends of lines.
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn next_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        self.line += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Vec<Fault>> {
        let shown = |(name, value): (SecretName, SecretBytes)| {
            let value = value.expose_secret_text().unwrap().to_owned();
            (name.to_string(), value)
        };
        parse(text).map(|entries| entries.into_iter().map(shown).collect())
    }

    #[test]
    fn values_are_what_is_written() {
        let table = [
            ("A=x", "x"),
            ("A=x\r\n", "x"),
            ("export A=x", "x"),
            ("\n# A=y\n  # c\nA=x\n\n", "x"),
            ("A=", ""),
            ("A=''", ""),
            ("A=a=b==", "a=b=="),
            (
                "A='$HOME \\n \"x\" # no comment'",
                "$HOME \\n \"x\" # no comment",
            ),
            ("A='x' # a comment", "x"),
            ("A=\"a\\nb\\t\\\"\\\\\\$\\`c\"", "a\nb\t\"\\$`c"),
            ("A=\"two\nlines\"", "two\nlines"),
            (
                "A='-----BEGIN X-----\nMII\n-----END X-----\n'\n",
                "-----BEGIN X-----\nMII\n-----END X-----\n",
            ),
            ("A=\"ä # x\"", "ä # x"),
        ];
        for (text, value) in table {
            let expected = vec![("A".to_owned(), value.to_owned())];
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        let several = "A=1\nB='2\n2'\nC=\"3\"";
        assert_eq!(read(several).unwrap().len(), 3);
        assert_eq!(read("").unwrap().len(), 0);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_with_its_line() {
        let table = [
            ("hunter2", 1, "no `=`"),
            ("A = hunter2", 1, "white space"),
            ("A= hunter2", 1, "white space"),
            (" A=hunter2", 1, "white space"),
            ("A=hun ter2", 1, "single quotes"),
            ("A=hunter2 ", 1, "single quotes"),
            ("A=hunter2 # comment", 1, "single quotes"),
            ("A=hunter2#", 1, "single quotes"),
            ("A=hunter2$B", 1, "single quotes"),
            ("A=hunter2\\n", 1, "single quotes"),
            ("A=hun'ter2'", 1, "single quotes"),
            ("A=\"${hunter2}\"", 1, "nothing is expanded"),
            ("A=\"`hunter2`\"", 1, "nothing is expanded"),
            ("A=\"hunter2\\x\"", 1, "unknown escape"),
            ("A=\"hunter2\\", 1, "unknown escape"),
            ("A='hunter2'x", 1, "behind the quotes"),
            ("A='hunter2'#x", 1, "behind the quotes"),
            ("B=1\n\nA='hunter2\nC=1\n", 3, "not closed"),
            ("B='1\n1'\nA=\"hunter2", 3, "not closed"),
            ("=hunter2", 1, "no name"),
            ("A B=hunter2", 1, "no name"),
            ("\u{feff}A=hunter2", 1, "no name"),
            ("A=1\nB=2\nA=hunter2", 3, "`A` stands in line 1 already"),
        ];
        for (text, line, why) in table {
            let faults = read(text).unwrap_err();
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            let (at, told) = &faults[0];
            assert_eq!(*at, line, "{text}");
            assert!(
                told.contains(why) && !told.contains("hunter2"),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn all_faults_come_together_and_are_bounded() {
        let faults = read("A\nB=1\nC =2\n").unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3]);
        assert_eq!(read(&"x\n".repeat(1000)).unwrap_err().len(), FAULTS_MAX);
    }
}
