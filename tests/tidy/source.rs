//! A Rust file as words: comments and literals blanked, test modules cut, paths resolved. Knows no rule.

/// One file.
pub struct Source {
    /// From the root of the repository.
    pub path: String,
    /// As written.
    pub text: String,
    /// The words outside comments and literals.
    pub words: Vec<Word>,
    /// The same without `#[cfg(test)]` items; empty for a file of tests in `src`.
    pub product: Vec<Word>,
}

/// A name, `::`, or one character of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub line: usize,
    pub text: String,
}

/// A path below the crate (or below a crate such as `std`), as far as it is written out.
#[derive(Debug, PartialEq, Eq)]
pub struct Used {
    pub line: usize,
    pub segments: Vec<String>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let words = words(&blanked(text));
        let only_tests =
            path.starts_with("src/") && (path.ends_with("/tests.rs") || path.contains("/tests/"));
        let product = if only_tests {
            Vec::new()
        } else {
            without_tests(&words)
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            words,
            product,
        }
    }

    /// `path:line: message`.
    pub fn fault(&self, line: usize, message: &str) -> String {
        format!("{}:{line}: {message}", self.path)
    }

    /// Every path of the product that begins at `crate` or `super`, from the root of the crate.
    pub fn own_paths(&self) -> Vec<Used> {
        let mut found = paths(&self.product, "crate", &[]);
        let module = module_of(&self.path);
        let mut at = 0;
        while at < self.product.len() {
            // `a::super` goes on from `a`; only a first `super` begins a path.
            let goes_on =
                at >= 2 && is(&self.product, at - 1, "::") && named(&self.product, at - 2);
            let begins = is(&self.product, at, "super") && is(&self.product, at + 1, "::");
            at = if begins && !goes_on {
                tree(&self.product, at, &module, &mut found)
            } else {
                at + 1
            };
        }
        for used in &mut found {
            used.segments = resolved(&used.segments);
        }
        found
    }

    /// Every path of the product that begins with a foreign crate's name.
    pub fn foreign_paths(&self, krate: &str) -> Vec<Used> {
        paths(&self.product, krate, &[])
    }
}

/// Whether the word at `at` is `text`.
pub fn is(words: &[Word], at: usize, text: &str) -> bool {
    words.get(at).is_some_and(|word| word.text == text)
}

/// Where `sequence` stands, word for word.
pub fn find<'w>(words: &'w [Word], sequence: &'w [&str]) -> impl Iterator<Item = usize> + 'w {
    (0..words.len()).filter(move |at| {
        let mut pairs = sequence.iter().enumerate();
        pairs.all(|(offset, text)| is(words, at + offset, text))
    })
}

fn paths(words: &[Word], root: &str, prefix: &[String]) -> Vec<Used> {
    let mut found = Vec::new();
    for at in 0..words.len() {
        let begins = at == 0 || !is(words, at - 1, "::") || at == 1 || !named(words, at - 2);
        if is(words, at, root) && is(words, at + 1, "::") && begins {
            tree(words, at + 2, prefix, &mut found);
        }
    }
    found
}

fn named(words: &[Word], at: usize) -> bool {
    words
        .get(at)
        .is_some_and(|word| is_name(&word.text) && word.text != "use")
}

/// Reads `a::b`, `a::{b, c::*}` from `at`; returns where it ends.
fn tree(words: &[Word], mut at: usize, prefix: &[String], found: &mut Vec<Used>) -> usize {
    let mut segments = prefix.to_vec();
    let line = words.get(at).map_or(0, |word| word.line);
    while let Some(word) = words.get(at) {
        if word.text == "{" {
            at += 1;
            while at < words.len() && !is(words, at, "}") {
                let name = words.get(at).is_some_and(|word| is_name(&word.text));
                at = if name || is(words, at, "{") || is(words, at, "*") {
                    let end = tree(words, at, &segments, found);
                    skip_alias(words, end)
                } else {
                    at + 1
                };
            }
            return at + 1;
        }
        if word.text != "*" && !is_name(&word.text) {
            break;
        }
        segments.push(word.text.clone());
        at += 1;
        if !is(words, at, "::") {
            break;
        }
        at += 1;
    }
    found.push(Used { line, segments });
    at
}

fn skip_alias(words: &[Word], at: usize) -> usize {
    if is(words, at, "as") { at + 2 } else { at }
}

/// Takes `super` and `self` out of a path.
fn resolved(segments: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for segment in segments {
        match segment.as_str() {
            "super" => drop(out.pop()),
            "self" => {}
            _ => out.push(segment.clone()),
        }
    }
    out
}

/// `src/decide/guards/ip.rs` is `decide::guards::ip`; `src/decide/mod.rs` is `decide`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = inside
        .split('/')
        .filter(|part| !matches!(*part, "mod" | "lib" | "main"));
    parts.map(str::to_owned).collect()
}

/// Cuts each item that follows `#[cfg(test)]`.
fn without_tests(words: &[Word]) -> Vec<Word> {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let cut = attribute
            .iter()
            .enumerate()
            .all(|(offset, text)| is(words, at + offset, text));
        if cut {
            at = item_end(words, at + attribute.len());
        } else {
            kept.push(words[at].clone());
            at += 1;
        }
    }
    kept
}

/// Behind the `;` or the closing brace of the item at `at`.
fn item_end(words: &[Word], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(word) = words.get(at) {
        at += 1;
        match word.text.as_str() {
            ";" if depth == 0 => return at,
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    at
}

fn words(code: &str) -> Vec<Word> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_name_char(first) {
                rest.find(|next| !is_name_char(next)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (text, behind) = rest.split_at(length);
            found.push(Word {
                line: index + 1,
                text: text.to_owned(),
            });
            rest = behind.trim_start();
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    text.chars().all(is_name_char)
}

fn is_name_char(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The text with comments and what stands between quotes replaced by blanks; lines stay where they are.
pub fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hidden = hidden_length(rest, out.chars().next_back());
        let length = if hidden > 0 { hidden } else { first.len_utf8() };
        let (piece, behind) = rest.split_at(length);
        if hidden > 0 {
            out.extend(
                piece
                    .chars()
                    .map(|one| if one == '\n' { '\n' } else { ' ' }),
            );
        } else {
            out.push_str(piece);
        }
        rest = behind;
    }
    out
}

/// How many bytes from here are a comment or a literal.
fn hidden_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    let starts_word = !before.is_some_and(is_name_char);
    if starts_word {
        for prefix in ["r", "br", "cr"] {
            let raw = rest.strip_prefix(prefix).map_or(0, raw_string);
            if raw > 0 {
                return prefix.len() + raw;
            }
        }
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') && is_character(rest) {
        return quoted(rest, '\'');
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of `#"..."#`, or 0 if this is none.
fn raw_string(rest: &str) -> usize {
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let Some(inner) = rest[hashes..].strip_prefix('"') else {
        return 0;
    };
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inner
        .find(&end)
        .map_or(inner.len(), |found| found + end.len());
    hashes + 1 + length
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + character.len_utf8();
        }
    }
    rest.len()
}

/// A character literal and not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(path: &str, text: &str) -> Vec<String> {
        let used = Source::new(path, text).own_paths();
        used.iter().map(|used| used.segments.join("::")).collect()
    }

    #[test]
    fn comments_and_literals_are_blank() {
        let text = "a // crate::x\nb /* crate /* x */ y */ c \"crate::\\\"z\" 'd' '\\'' r#\"e\"f\"# b\"g\" <'h>\n";
        let shown: Vec<String> = words(&blanked(text))
            .into_iter()
            .map(|word| word.text)
            .collect();
        assert_eq!(shown, ["a", "b", "c", "b", "<", "'", "h", ">"]);
        assert_eq!(blanked(text).lines().count(), text.lines().count());
    }

    #[test]
    fn paths_are_resolved() {
        let table = [
            ("use crate::model::ip;", vec!["model::ip"]),
            (
                "use crate::{a::{b, c::*}, d as e, f};",
                vec!["a::b", "a::c::*", "d", "f"],
            ),
            ("use crate::*;", vec!["*"]),
            ("fn f() { crate::cli::run::<u8>(1) }", vec!["cli::run"]),
            (
                "use super::policy::Rule;",
                vec!["decide::guards::policy::Rule"],
            ),
            ("use super::super::super::cli::run;", vec!["cli::run"]),
            (
                "use super::{super::super::roles, ip};",
                vec!["roles", "decide::guards::ip"],
            ),
            ("use self::super::super::head;", vec!["decide::head"]),
            ("pub(crate) fn f() {}", vec![]),
            ("$crate::model::x!()", vec!["model::x"]),
        ];
        for (text, expected) in table {
            assert_eq!(own("src/decide/guards/ip.rs", text), expected, "{text}");
        }
        assert_eq!(own("src/decide/mod.rs", "use super::cli;"), ["cli"]);
    }

    #[test]
    fn test_items_are_not_product() {
        let text = "use crate::a;\n#[cfg(test)]\nmod tests { use crate::b; fn f() {} }\n#[cfg(test)]\nuse crate::c;\nuse crate::d;";
        assert_eq!(own("src/x.rs", text), ["a", "d"]);
        assert!(own("src/x/tests.rs", text).is_empty());
    }

    #[test]
    fn foreign_paths_are_found_in_any_form() {
        let file = Source::new(
            "src/x.rs",
            "use std::{env, fs::{self, File}}; ::std::process::exit(1); my::std::f()",
        );
        let used = file.foreign_paths("std");
        let shown: Vec<String> = used.iter().map(|used| used.segments.join("::")).collect();
        assert_eq!(shown, ["env", "fs::self", "fs::File", "process::exit"]);
    }
}
