//! What a YAML syntax error means, in a sentence for the person who has to mend the file. Never knows our keys.

use granit_parser::ErrorKind;

/// The sentence and what to do.
pub(super) fn explain(kind: &ErrorKind) -> (String, String) {
    if let ErrorKind::UnexpectedCharacter { character } = kind {
        return (
            format!(
                "a value cannot begin with or hold `{}` here",
                character.escape_default()
            ),
            "put the value in quotes".to_owned(),
        );
    }
    if let ErrorKind::MismatchedFlowCollectionEnd { open, close } = kind {
        return (
            format!("the `{open}` that opens here is closed by `{close}`"),
            "brackets close in the order in which they opened".to_owned(),
        );
    }
    if let ErrorKind::UnclosedFlowCollection { open } = kind {
        let closing = if *open == '[' { ']' } else { '}' };
        return (
            format!("a `{open}` further up is not closed"),
            format!("close it with `{closing}`"),
        );
    }
    SENTENCES
        .iter()
        .find(|(kinds, ..)| kinds.contains(kind))
        .map_or_else(
            || (format!("not YAML: {kind}"), GENERAL_HELP.to_owned()),
            |(_, message, help)| ((*message).to_owned(), (*help).to_owned()),
        )
}

/// Whether the error is how the parser sees a list or map in brackets that has no end.
pub(super) fn is_unclosed(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnclosedFlowCollection { .. }) || UNCLOSED.contains(kind)
}

const UNCLOSED: &[ErrorKind] = &[
    ErrorKind::UnexpectedEofFlowSequence,
    ErrorKind::UnexpectedEofFlowMapping,
    ErrorKind::UnexpectedEofImplicitFlowMapping,
    ErrorKind::UnexpectedEof,
    ErrorKind::ExpectedFlowMappingSeparator,
    ErrorKind::ExpectedFlowSequenceSeparator,
    ErrorKind::InvalidColonPlacement,
    ErrorKind::InvalidFlowScalarIndent,
    ErrorKind::BlockEntryInFlowCollection,
    ErrorKind::BlockSequenceEntryNotAllowed,
    ErrorKind::ExpectedNodeContent,
];

const GENERAL_HELP: &str =
    "look at this line and the one above it: indentation, quotes, `: ` and `- `";

type Sentence = (&'static [ErrorKind], &'static str, &'static str);

const SENTENCES: &[Sentence] = &[
    (
        &[
            ErrorKind::TabNotAllowed,
            ErrorKind::TabInBlockIndentation,
            ErrorKind::TabInIndentation,
            ErrorKind::TabInPlainScalar,
            ErrorKind::TabAtBlockScalarStart,
        ],
        "there is a tab here, and YAML is indented with spaces only",
        "replace the tab by spaces",
    ),
    (
        &[
            ErrorKind::UnclosedQuotedScalar,
            ErrorKind::InvalidQuotedScalarIndent,
        ],
        "a quoted text further up is not closed",
        "find the quote that opens and has no partner on its line",
    ),
    (
        &[
            ErrorKind::InvalidTrailingSingleQuotedScalar,
            ErrorKind::InvalidTrailingDoubleQuotedScalar,
        ],
        "something follows a closed quote",
        "put the whole value inside one pair of quotes",
    ),
    (
        &[
            ErrorKind::UnknownQuotedScalarEscape,
            ErrorKind::InvalidQuotedScalarHexEscape,
            ErrorKind::InvalidLowSurrogateHexEscape,
            ErrorKind::InvalidLowSurrogate,
            ErrorKind::MissingLowSurrogate,
            ErrorKind::UnpairedLowSurrogate,
            ErrorKind::InvalidUnicodeEscape,
        ],
        "the quoted text that begins here holds a backslash that escapes nothing",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    (
        &[ErrorKind::MisplacedFlowCollectionEnd],
        "this bracket closes nothing",
        "remove it, or open it further up",
    ),
    (
        &[ErrorKind::MappingValueNotAllowed],
        "a `: ` stands where no key can stand",
        "one `key: value` a line; a value that holds `: ` goes in quotes",
    ),
    (
        &[ErrorKind::SimpleKeyExpected, ErrorKind::InvalidSimpleKey],
        "this line has no `: ` behind its key",
        "write `key: value`, with a space after the colon",
    ),
    (
        &[
            ErrorKind::ExpectedBlockMappingKey,
            ErrorKind::InvalidIndentation,
        ],
        "this line is indented like nothing above it",
        "keys of one section begin in the same column",
    ),
    (
        &[ErrorKind::ExpectedBlockSequenceEntry],
        "a list further up ends here without an end",
        "items of one list begin with `- ` in the same column; a key stands further left or inside an item",
    ),
    (
        &[ErrorKind::BlockSequenceEntryNotAllowed],
        "a list cannot begin on the line of its key",
        "put `- ` on a line of its own, or write the list as [a, b]",
    ),
    (
        &[ErrorKind::DirectiveDisallowed],
        "lines that begin with `%` are not read here",
        "remove the line",
    ),
    (
        &[ErrorKind::BomInsideDocument],
        "there is an invisible byte-order mark inside the text",
        "remove it; it comes from joining files",
    ),
    (
        &[
            ErrorKind::InvalidBlockScalarHeader,
            ErrorKind::ZeroBlockScalarIndent,
            ErrorKind::InvalidBlockScalarIndent,
        ],
        "a text block (`|` or `>`) is not laid out as one",
        "nothing but a comment follows `|` or `>`; the text is indented below it",
    ),
    (
        &[ErrorKind::CommentNotSeparated],
        "a `#` stands directly behind something else",
        "put a space before a comment, or the value in quotes",
    ),
];
