//! A rule from YAML nodes: every name is resolved, every fault has its place, and the rule's own vectors are tried before
//! it is taken. Never runs anything else.

use std::sync::Arc;

use http::{HeaderName, Method};
use serde_json::{Value as Json, json};

use super::names::{Allow, Names};
use super::step::read_step;
use super::template::Template;
use super::vectors;
use super::{Append, Inject, PLACES, Program, Rule, Step, To, VARS, Var, When};
use crate::model::decode::{Decode, Fields, Section, decode_list, decode_scalar, one_of, scalar};
use crate::model::fault::Faults;
use crate::model::node::{Node, Value};
use crate::model::path::PathTemplate;

/// Values of one rule; the longest known has five.
const STEPS_MAX: usize = 64;

impl Section for Program {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut names = Names::default();
        let doc = "ids that are called secrets but may be seen, such as the name of a key";
        names.public = fields.optional("public", doc).unwrap_or_default();
        let doc = "fresh values: unix_s, unix_ms, unix_us, iso8601_ms_z, uuid4, random_hex_16, monotonic_ms, monotonic_us";
        let vars = fields.optional_with("vars", doc, vars_schema, |node, faults| {
            read_vars(node, faults, &mut names)
        });
        let doc = "which requests are signed; others are sent without a key";
        let when = read_when(fields, doc);
        let doc = "parameters that are put in first";
        let inject = fields.section("inject", doc, |fields| read_inject(fields, &mut names));
        let doc = "values that are worked out, one after the other";
        let steps = fields.required_with("steps", doc, steps_schema, |node, faults| {
            read_steps(node, faults, &mut names)
        });
        let to = inject.as_ref().map(|inject| inject.to);
        let doc = "the parameter that carries the signature; it comes last";
        let append = fields.section("append", doc, |fields| read_append(fields, &mut names, to));
        let doc = "headers that are set";
        let headers = fields.optional_with("headers", doc, map_schema, |node, faults| {
            read_headers(node, faults, &mut names)
        });
        let doc =
            "requests whose signatures are known: the rule is refused if one comes out otherwise";
        let vectors = fields.list_of("vectors", doc, vectors::read);
        let complete = !["vars", "inject", "append", "headers", "vectors"]
            .iter()
            .zip([
                vars.is_some(),
                inject.is_some(),
                append.is_some(),
                headers.is_some(),
                vectors.is_some(),
            ])
            .any(|(key, read)| fields.has(key) && !read);
        let program = Self(Arc::new(Rule {
            secrets: names.secrets,
            keys: names.keys,
            vars: vars.unwrap_or_default(),
            inject,
            steps: steps?,
            append,
            headers: headers.unwrap_or_default(),
            when,
        }));
        complete.then(|| vectors::tried(fields, program, vectors.unwrap_or_default()))?
    }
}

/// Reads a template behind `key`.
pub(super) fn template(
    fields: &mut Fields<'_>,
    key: &'static str,
    doc: &'static str,
    names: &mut Names,
    allow: Allow,
) -> Option<Template> {
    fields.optional_with(key, doc, text_schema, |node, faults| {
        names.template(node, faults, allow)
    })
}

/// Reads one of the words of a table.
pub(super) fn words<T: Copy>(
    fields: &mut Fields<'_>,
    key: &'static str,
    doc: &'static str,
    table: &'static [(&'static str, T)],
) -> Option<T> {
    fields.optional_with(
        key,
        doc,
        || words_schema(table),
        |node, faults| one_of(node, faults, table),
    )
}

/// Reads `when`.
pub(super) fn read_when(fields: &mut Fields<'_>, doc: &'static str) -> Option<When> {
    fields.section("when", doc, |fields| {
        let doc = "methods, in upper case; all if there are none";
        let methods: Option<Vec<Verb>> = fields.optional("methods", doc);
        let doc = "paths such as /private/**; all if there are none";
        let paths: Option<Vec<PathTemplate>> = fields.optional("paths", doc);
        let doc = "paths that are not meant, whatever `paths` says";
        let except: Option<Vec<PathTemplate>> = fields.optional("except", doc);
        Some(When {
            methods: methods
                .unwrap_or_default()
                .into_iter()
                .map(|Verb(method)| method)
                .collect(),
            paths: paths.unwrap_or_default(),
            except: except.unwrap_or_default(),
        })
    })
}

pub(super) fn text_schema() -> Json {
    json!({"type": "string"})
}

fn map_schema() -> Json {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

fn vars_schema() -> Json {
    json!({"type": "object", "additionalProperties": words_schema(VARS)})
}

fn steps_schema() -> Json {
    json!({"type": "array", "minItems": 1, "maxItems": STEPS_MAX, "items": super::step::schema()})
}

fn words_schema<T>(table: &[(&str, T)]) -> Json {
    let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    json!({"enum": names})
}

fn read_vars(node: &Node, faults: &mut Faults, names: &mut Names) -> Option<Vec<Var>> {
    let Value::Map(entries) = &node.value else {
        faults.error(
            &node.place,
            format!("expected names, found {}", node.kind()),
        );
        return None;
    };
    let mut vars = Vec::new();
    let mut sound = true;
    for entry in entries {
        sound &= names
            .declare(&entry.key, &entry.key_place, faults)
            .is_some();
        match one_of(&entry.value, faults, VARS) {
            Some(var) => vars.push(var),
            None => sound = false,
        }
    }
    let random = |var: &&Var| matches!(var, Var::Uuid4 | Var::RandomHex16);
    let counted = |var: &&Var| matches!(var, Var::Monotonic(_));
    if vars.iter().filter(random).count() > 2 || vars.iter().filter(counted).count() > 1 {
        let message = "a request has random bytes for two values and one number that only grows";
        faults.error(&node.place, message);
        sound = false;
    }
    sound.then_some(vars)
}

fn read_inject(fields: &mut Fields<'_>, names: &mut Names) -> Option<Inject> {
    let doc = "where they are put";
    let schema = || words_schema(PLACES);
    let to = fields.required_with("to", doc, schema, |node, faults| {
        one_of(node, faults, PLACES)
    });
    let doc = "names and values; values are percent-encoded";
    let params = fields.required_with("params", doc, map_schema, |node, faults| {
        read_params(node, faults, names)
    });
    let doc = "leave a parameter alone that the client sent";
    let unless_present = fields.or("unless_present", doc, "false", false);
    let when = read_when(fields, "which requests they are put into");
    Some(Inject {
        to: to?,
        params: params?,
        unless_present,
        when,
    })
}

fn read_append(fields: &mut Fields<'_>, names: &mut Names, inject: Option<To>) -> Option<Append> {
    const SAME: &str = "same_as_inject";
    let doc = "where it is put; same_as_inject is where the others were put";
    let schema = || {
        let names: Vec<&str> = PLACES.iter().map(|(name, _)| *name).chain([SAME]).collect();
        json!({"enum": names})
    };
    let to = fields.required_with("to", doc, schema, |node, faults| {
        if scalar(node, "a place", faults)? != SAME {
            return one_of(node, faults, PLACES);
        }
        if inject.is_none() {
            faults.error(&node.place, "there is no `inject` that says where");
        }
        inject
    });
    let doc = "its name";
    let param = fields.required_with("param", doc, text_schema, |node, faults| {
        decode_scalar(node, "a name", faults, param_name)
    });
    let doc = "its value; it is percent-encoded";
    let value = fields.required_with("value", doc, text_schema, |node, faults| {
        names.template(node, faults, Allow::Public)
    });
    let when = read_when(fields, "which requests it is put into");
    Some(Append {
        to: to?,
        param: param?,
        value: value?,
        when,
    })
}

fn read_params(
    node: &Node,
    faults: &mut Faults,
    names: &mut Names,
) -> Option<Vec<(String, Template)>> {
    read_map(node, faults, |key, place, value, faults| {
        let name = param_name(key)
            .map_err(|message| faults.error(place, message))
            .ok();
        let value = names.template(value, faults, Allow::Public);
        Some((name?, value?))
    })
}

fn read_headers(
    node: &Node,
    faults: &mut Faults,
    names: &mut Names,
) -> Option<Vec<(HeaderName, Template)>> {
    let mut seen = Vec::new();
    read_map(node, faults, |key, place, value, faults| {
        let name = header_name(key)
            .map_err(|message| faults.error(place, message))
            .ok();
        if name.as_ref().is_some_and(|name| seen.contains(name)) {
            faults.error(place, format!("`{key}` is set twice"));
            return None;
        }
        seen.extend(name.clone());
        let value = names.template(value, faults, Allow::Secrets);
        Some((name?, value?))
    })
}

fn read_map<T>(
    node: &Node,
    faults: &mut Faults,
    mut read: impl FnMut(&str, &crate::model::node::Place, &Node, &mut Faults) -> Option<T>,
) -> Option<Vec<T>> {
    let Value::Map(entries) = &node.value else {
        let message = format!("expected `key: value` pairs, found {}", node.kind());
        faults.error(&node.place, message);
        return None;
    };
    let read: Vec<Option<T>> = entries
        .iter()
        .map(|entry| read(&entry.key, &entry.key_place, &entry.value, faults))
        .collect();
    read.into_iter().collect()
}

fn read_steps(node: &Node, faults: &mut Faults, names: &mut Names) -> Option<Vec<Step>> {
    if let Value::List(items) = &node.value
        && !(1..=STEPS_MAX).contains(&items.len())
    {
        faults.error(&node.place, format!("a rule has 1 to {STEPS_MAX} steps"));
        return None;
    }
    decode_list(node, faults, |item, faults| read_step(item, faults, names))
}

/// Names of parameters need no escapes, so that each has one spelling.
fn param_name(name: &str) -> Result<String, String> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!("`{name}` is no name for a parameter"));
    }
    Ok(name.to_owned())
}

/// Headers that say where a message goes and where it ends are not a signer's.
fn header_name(name: &str) -> Result<HeaderName, String> {
    const NEVER: &[&str] = &[
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "expect",
    ];
    let read: HeaderName = name
        .parse()
        .map_err(|_| format!("`{name}` is no name of a header"))?;
    if NEVER.contains(&read.as_str()) {
        return Err(format!("`{name}` is not for a signer to set"));
    }
    Ok(read)
}

/// A method as rules name it.
pub(super) struct Verb(pub(super) Method);

impl Decode for Verb {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a method", faults, |text| {
            let upper = text.bytes().all(|byte| byte.is_ascii_uppercase());
            let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| upper);
            method
                .map(Self)
                .ok_or_else(|| format!("`{text}` is no method in upper case"))
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[A-Z]+$"})
    }
}
