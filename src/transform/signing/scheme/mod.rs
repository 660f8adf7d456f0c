//! Signing rules as data: fresh values, parameters that are put in, steps that work values out, headers. A rule is read
//! and judged once, with every name resolved; what runs on a request's path looks up no name. No loops, no conditions but
//! `when`. Never lets a secret into anything but a key, a MAC's input or a header.

mod jwt;
mod names;
mod read;
mod run;
mod step;
mod template;
mod vectors;

use std::sync::Arc;

use http::{HeaderName, Method};

use super::encoding::Encoding;
use super::key::{Algorithm, KeyEncoding};
use super::{Needs, TimeUnit};
use crate::model::path::PathTemplate;
use crate::transform::signers::Own;

pub(in super::super) use run::Bound;

use jwt::Jwt;
use template::Template;

/// A signing rule that was read, and whose vectors came out right. It holds no keys.
#[derive(Clone, Debug)]
pub struct Program(Arc<Rule>);

/// What a rule says, with names resolved to numbers.
#[derive(Debug)]
struct Rule {
    secrets: Vec<SecretUse>,
    keys: Vec<KeyUse>,
    vars: Vec<Var>,
    inject: Option<Inject>,
    steps: Vec<Step>,
    append: Option<Append>,
    headers: Vec<(HeaderName, Template)>,
    when: Option<When>,
}

/// A secret that the rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SecretUse {
    name: String,
    /// Whether its characters are written somewhere; else it is only a key, and nothing but the key is kept.
    text: bool,
}

/// A key that is made of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyUse {
    secret: usize,
    password: Option<usize>,
    algorithm: Algorithm,
    encoding: KeyEncoding,
}

/// A value that is fresh in each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Var {
    UnixSeconds,
    Unix(TimeUnit),
    /// `2024-04-24T23:06:40.123Z`
    Iso8601,
    Uuid4,
    RandomHex16,
    Monotonic(TimeUnit),
}

/// The fresh values by name.
const VARS: &[(&str, Var)] = &[
    ("unix_s", Var::UnixSeconds),
    ("unix_ms", Var::Unix(TimeUnit::Milliseconds)),
    ("unix_us", Var::Unix(TimeUnit::Microseconds)),
    ("iso8601_ms_z", Var::Iso8601),
    ("uuid4", Var::Uuid4),
    ("random_hex_16", Var::RandomHex16),
    ("monotonic_ms", Var::Monotonic(TimeUnit::Milliseconds)),
    ("monotonic_us", Var::Monotonic(TimeUnit::Microseconds)),
];

/// Parameters that are put in before anything is worked out.
#[derive(Debug)]
struct Inject {
    to: To,
    params: Vec<(String, Template)>,
    unless_present: bool,
    when: Option<When>,
}

/// The parameter that carries the signature.
#[derive(Debug)]
struct Append {
    to: To,
    param: String,
    value: Template,
    when: Option<When>,
}

/// Where parameters are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Query {
        first: bool,
    },
    Form {
        first: bool,
    },
    /// The query of a GET or DELETE, the form body of everything else.
    ByMethod,
}

/// The places for parameters by name.
const PLACES: &[(&str, To)] = &[
    ("query", To::Query { first: false }),
    ("query_first", To::Query { first: true }),
    ("body_form", To::Form { first: false }),
    ("body_form_first", To::Form { first: true }),
    ("query_if_get_or_delete_else_body", To::ByMethod),
];

/// One value that is worked out.
#[derive(Debug)]
struct Step {
    name: String,
    how: How,
    /// Where it does not hold, the value is empty.
    when: Option<When>,
}

#[derive(Debug)]
enum How {
    Text(Template),
    Hash {
        algorithm: Hash,
        input: Template,
        out: Encoding,
    },
    /// A MAC or a signature, as the key is.
    Sign {
        key: usize,
        input: Template,
        out: Encoding,
    },
    Jwt(Jwt),
    Params(ParamsOf),
}

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// Parameters as one text `k=v&k=v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParamsOf {
    /// The query, or else the JSON body, flattened.
    QueryOrJson {
        /// Whether the query's escapes are undone.
        decoded: bool,
    },
}

/// The kinds of parameters by name.
const PARAMS_OF: &[(&str, ParamsOf)] = &[
    (
        "query_or_json_body",
        ParamsOf::QueryOrJson { decoded: false },
    ),
    (
        "decoded_query_or_json_body",
        ParamsOf::QueryOrJson { decoded: true },
    ),
];

/// Which requests something is for; what is not said is any.
#[derive(Debug, Default)]
struct When {
    methods: Vec<Method>,
    paths: Vec<PathTemplate>,
    except: Vec<PathTemplate>,
}

impl Program {
    /// The secrets that the rule names.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.secrets.iter().map(|secret| secret.name.as_str())
    }

    /// Whether the rule signs such a call at all.
    #[must_use]
    pub fn signs(&self, method: &Method, path: &str) -> bool {
        When::holds(self.0.when.as_ref(), method, path)
    }

    pub(in super::super) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for var in &self.0.vars {
            match var {
                Var::Monotonic(unit) => needs.nonce = Some(*unit),
                Var::Uuid4 | Var::RandomHex16 => needs.random = true,
                Var::UnixSeconds | Var::Unix(_) | Var::Iso8601 => {}
            }
        }
        needs
    }

    pub(in super::super) fn own(&self) -> Own {
        let injected = self.0.inject.iter().filter(|inject| !inject.unless_present);
        let injected = injected.flat_map(|inject| inject.params.iter().map(|(name, _)| name));
        let appended = self.0.append.iter().map(|append| &append.param);
        Own {
            headers: self
                .0
                .headers
                .iter()
                .map(|(name, _)| name.clone())
                .collect(),
            params: injected.chain(appended).cloned().collect(),
            members: Vec::new(),
        }
    }
}

impl When {
    fn holds(when: Option<&Self>, method: &Method, path: &str) -> bool {
        let any = |list: &[PathTemplate]| list.iter().any(|template| template.matches(path));
        when.is_none_or(|when| {
            (when.methods.is_empty() || when.methods.contains(method))
                && (when.paths.is_empty() || any(&when.paths))
                && !any(&when.except)
        })
    }
}
