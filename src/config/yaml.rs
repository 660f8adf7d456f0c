//! YAML text as a tree of nodes in which every key and value knows its place. Refuses what makes YAML surprising
//! (anchors, aliases, merge keys, tags, several documents); never decides what a key means.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

use crate::model::fault::Faults;
use crate::model::node::{Entry, Node, Place, Value};

use super::syntax;

/// Bytes of a configuration: room for 100,000 addresses, and still read in well under a second.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// Keys and values of a configuration.
pub const NODES_MAX: usize = 500_000;
/// Maps and lists inside each other. The deepest section of ours needs seven.
pub const DEPTH_MAX: usize = 32;

/// Reads one document; on `None` at least one error was noted. A syntax error ends the reading, everything else is
/// noted and read past.
pub fn parse(text: &str, faults: &mut Faults) -> Option<Node> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!(
            "the configuration has {} bytes, more than the {DOCUMENT_BYTES_MAX} that are read",
            text.len()
        );
        faults.error(&Place::Default, message);
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
        disallow_directives: true,
    };
    let mut builder = Builder::new(faults);
    for next in Parser::new_from_str_with_options(text, options) {
        let went_on = match next {
            Ok((event, span)) => builder.take(event, &span),
            Err(error) => {
                builder.syntax_error(text, &error);
                false
            }
        };
        if !went_on {
            return None;
        }
    }
    builder.finish()
}

/// The place of `length` bytes that begin at `offset`, for faults that are found without a parser.
pub fn place_at(text: &str, offset: usize, length: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before
        .get(line_start..)
        .map_or(0, |part| part.chars().count());
    Place::File {
        line: number(before.matches('\n').count() + 1),
        column: number(column + 1),
        offset,
        length,
    }
}

/// Collects events into nodes. Its stack is a list, not the call stack, so depth cannot overflow anything.
struct Builder<'f> {
    faults: &'f mut Faults,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
    /// A fault so far from which a syntax error further on would only follow.
    ran_on: bool,
    /// Something was noted: the tree is not used.
    failed: bool,
}

/// A map or list whose end has not come yet.
struct Open {
    place: Place,
    flow: bool,
    /// Where the last child ends: a block collection has no closing mark of its own.
    end: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// Each key's line, to find duplicates.
        seen: HashMap<String, u32>,
        /// The key whose value comes next.
        key: Option<Key>,
    },
}

struct Key {
    text: String,
    place: Place,
    kept: bool,
}

impl<'f> Builder<'f> {
    const fn new(faults: &'f mut Faults) -> Self {
        Self {
            faults,
            open: Vec::new(),
            root: None,
            nodes: 0,
            documents: 0,
            ran_on: false,
            failed: false,
        }
    }

    /// Takes the next event; false if reading further makes no sense.
    fn take(&mut self, event: Event<'_>, span: &Span) -> bool {
        if let Some(tag) = span.tag_span() {
            let help = "write the value without the tag: values mean what is written";
            self.error(&place_of(&tag), "tags (`!...`) are not read here", help);
        }
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Comment(..) => {}
            Event::DocumentStart(..) => return self.document(span),
            Event::Anchor(..) => {
                let help = "write the value out in each place that needs it";
                self.error(&place_of(span), "anchors (`&name`) are not read here", help);
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let help = "write the value out in each place that needs it";
                self.error(&place_of(span), "aliases (`*name`) are not read here", help);
                return self.add(null(place_of(span)));
            }
            Event::Scalar(text, style, ..) => return self.scalar(&text, style, span),
            Event::SequenceStart(style, ..) => {
                return self.begin(style, span, Content::List(Vec::new()));
            }
            Event::MappingStart(style, ..) => {
                let content = Content::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                };
                return self.begin(style, span, content);
            }
            Event::SequenceEnd | Event::MappingEnd => return self.end(span),
            // The parser's list of events may grow; what we do not know we do not read past.
            _ => {
                let message = "this is YAML that is not read here";
                self.error(
                    &place_of(span),
                    message,
                    "write it in plain keys, lists and values",
                );
                return false;
            }
        }
        true
    }

    fn document(&mut self, span: &Span) -> bool {
        self.documents += 1;
        if self.documents > 1 {
            let help = "one file is one configuration: remove the `---` and what follows it";
            self.error(&place_of(span), "a second document begins here", help);
        }
        self.documents == 1
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: &Span) -> bool {
        let place = place_of(span);
        let plain = style == ScalarStyle::Plain;
        if plain && span.start.line() != span.end.line() {
            let message = format!("the value `{text}` runs on into the next line");
            let help = "check both lines: `: ` (with a space) follows each key, and keys of one section begin in the same column";
            self.error(&place, message, help);
            self.ran_on = true;
        }
        let nothing = plain && (span.is_empty() || matches!(text, "~" | "null" | ""));
        if nothing {
            return self.add(null(self.place_of_nothing(span)));
        }
        self.add(Node {
            value: Value::Scalar {
                text: text.to_owned(),
                quoted: !plain,
            },
            place,
        })
    }

    /// A value that is not there is shown at its key.
    fn place_of_nothing(&self, span: &Span) -> Place {
        match self.open.last().map(|open| &open.content) {
            Some(Content::Map { key: Some(key), .. }) if span.is_empty() => key.place.clone(),
            _ => place_of(span),
        }
    }

    fn begin(&mut self, style: StructureStyle, span: &Span, content: Content) -> bool {
        let place = place_of(span);
        if self.open.len() >= DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} maps and lists inside each other");
            self.error(&place, message, "no section needs more than seven");
            return false;
        }
        self.open.push(Open {
            end: span.end.byte_offset().unwrap_or(0),
            place,
            flow: style == StructureStyle::Flow,
            content,
        });
        true
    }

    fn end(&mut self, span: &Span) -> bool {
        let Some(mut open) = self.open.pop() else {
            return true;
        };
        if open.flow {
            open.end = span.end.byte_offset().unwrap_or(open.end);
        }
        if let Place::File { offset, length, .. } = &mut open.place {
            *length = open.end.saturating_sub(*offset);
        }
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        self.add(Node {
            value,
            place: open.place,
        })
    }

    /// Puts a finished node where it belongs; false if there are too many.
    fn add(&mut self, node: Node) -> bool {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} keys and values");
            self.error(
                &node.place,
                message,
                "split the service, or shorten its lists",
            );
            return false;
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return true;
        };
        open.end = open.end.max(end_of(&node.place));
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key, .. } => match key.take() {
                Some(key) if key.kept => entries.push(Entry {
                    key: key.text,
                    key_place: key.place,
                    value: node,
                }),
                Some(_) => {}
                None => self.key(node),
            },
        }
        true
    }

    /// Keeps a node as the key of the value that follows, unless it cannot be one.
    fn key(&mut self, node: Node) {
        let refusal = self.refuse_key(&node);
        let kept = refusal.is_none();
        if let Some((message, help)) = refusal {
            self.error(&node.place, message, help);
        }
        let text = match node.value {
            Value::Scalar { text, .. } => text,
            Value::Null | Value::List(_) | Value::Map(_) => String::new(),
        };
        if let Some(Content::Map { key, .. }) = self.innermost() {
            *key = Some(Key {
                text,
                place: node.place,
                kept,
            });
        }
    }

    /// Why a node cannot be a key, and what to do.
    fn refuse_key(&mut self, node: &Node) -> Option<(String, String)> {
        let (message, help) = match &node.value {
            Value::Scalar {
                text,
                quoted: false,
            } if text == "<<" => (
                "merge keys (`<<`) are not read here".to_owned(),
                "write the keys out".to_owned(),
            ),
            Value::Scalar { text, .. } => {
                let line = match node.place {
                    Place::File { line, .. } => line,
                    Place::Env(_) | Place::Default => 0,
                };
                let Some(Content::Map { seen, .. }) = self.innermost() else {
                    return None;
                };
                let Some(first) = seen.get(text) else {
                    seen.insert(text.clone(), line);
                    return None;
                };
                (
                    format!("the key `{text}` stands here a second time"),
                    format!("the first is in line {first}: remove one of them"),
                )
            }
            Value::Null => (
                "there is no key here".to_owned(),
                "write `key: value`".to_owned(),
            ),
            Value::List(_) | Value::Map(_) => (
                format!("{} cannot be a key", node.kind()),
                "write `key: value`".to_owned(),
            ),
        };
        Some((message, help))
    }

    fn innermost(&mut self) -> Option<&mut Content> {
        self.open.last_mut().map(|open| &mut open.content)
    }

    /// Notes why the text is not YAML: at the bracket that is never closed if there is one, because the parser only
    /// notices where the next thing begins.
    fn syntax_error(&mut self, text: &str, error: &ScanError) {
        if self.ran_on {
            return;
        }
        let offset = error.marker().byte_offset().unwrap_or(0);
        let found = place_at(text, offset, 1);
        let flow = self.open.last().filter(|open| open.flow);
        let (place, message, help) = match flow {
            Some(open) if syntax::is_unclosed(error.kind()) => {
                let (opening, closing) = match open.content {
                    Content::List(_) => ('[', ']'),
                    Content::Map { .. } => ('{', '}'),
                };
                (
                    open.place.clone(),
                    format!("the `{opening}` that opens here is not closed"),
                    format!("`,` or `{closing}` was expected before {found}"),
                )
            }
            Some(_) | None => {
                let (message, help) = syntax::explain(error.kind());
                (found, message, help)
            }
        };
        self.error(&place, message, help);
    }

    fn error(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.faults.error_with_help(place, message, help);
        self.failed = true;
    }

    fn finish(mut self) -> Option<Node> {
        if self.root.is_none() && !self.failed {
            let help = "begin with `service: NAME`; `sidecar.yaml.example` shows every key";
            self.error(&Place::Default, "the configuration is empty", help);
        }
        self.root.filter(|_| !self.failed)
    }
}

const fn null(place: Place) -> Node {
    Node {
        value: Value::Null,
        place,
    }
}

fn place_of(span: &Span) -> Place {
    let offset = span.start.byte_offset().unwrap_or(0);
    let end = span.end.byte_offset().unwrap_or(offset);
    Place::File {
        line: number(span.start.line()),
        column: number(span.start.col() + 1),
        offset,
        length: end.saturating_sub(offset),
    }
}

const fn end_of(place: &Place) -> usize {
    match place {
        Place::File { offset, length, .. } => *offset + *length,
        Place::Env(_) | Place::Default => 0,
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
