//! A rule at work with the keys of one account. Never looks up a name, never reads a clock.

use aws_lc_rs::digest;
use bytes::Bytes;
use http::Method;
use zeroize::Zeroizing;

use super::super::encoding::Encoding;
use super::super::explain::{Explained, Line, Mask};
use super::super::key::SigningKey;
use super::super::{Fresh, SignFault, SignInput, Signed, sensitive};
use super::{Append, Hash, How, Inject, ParamsOf, Program, Rule, Step, To, Var, When};
use crate::model::decode::suggest;
use crate::model::exchange::Security;
use crate::model::form::{has, push_encoded, push_param};
use crate::model::frame::{members, unquoted};
use crate::model::path::decoded;
use crate::model::secret::Secret;
use crate::transform::signers::Secrets;

/// A rule with the keys of one account.
pub(in super::super::super) struct Bound {
    program: Program,
    /// By number; none where a secret is only a key.
    texts: Vec<Option<Secret<Vec<u8>>>>,
    keys: Vec<SigningKey>,
}

/// A request that is being signed.
pub(super) struct Work<'a> {
    pub(super) input: &'a SignInput<'a>,
    pub(super) bound: &'a Bound,
    pub(super) query: String,
    pub(super) body: Bytes,
    values: Vec<Vec<u8>>,
}

// === impl Bound ===

impl Bound {
    /// Takes the secrets that the rule names; one that is missing, left over or no key is a fault.
    pub(in super::super::super) fn new(
        program: &Program,
        mut secrets: Secrets,
    ) -> Result<Self, String> {
        let rule = &program.0;
        let mut taken = Vec::new();
        for used in &rule.secrets {
            let secret = secrets.take(&used.name);
            taken.push(secret.ok_or_else(|| format!("the secret `{}` is missing", used.name))?);
        }
        if let Some(strange) = secrets.names().next() {
            let known: Vec<&str> = program.secrets().collect();
            let help = suggest(strange, &known);
            return Err(format!("the signer has no secret `{strange}`; {help}"));
        }
        let keys = rule.keys.iter().map(|used| {
            let name = rule
                .secrets
                .get(used.secret)
                .map_or("", |secret| secret.name.as_str());
            let secret = taken.get(used.secret).ok_or("the secret is missing")?;
            let password = used.password.and_then(|at| taken.get(at));
            SigningKey::load(used.algorithm, used.encoding, secret, password)
                .map_err(|fault| format!("the secret `{name}`: {fault}"))
        });
        let keys = keys.collect::<Result<Vec<SigningKey>, String>>()?;
        let texts = taken.into_iter().zip(&rule.secrets);
        let texts = texts.map(|(secret, used)| used.text.then(|| trimmed(&secret)));
        Ok(Self {
            program: program.clone(),
            texts: texts.collect(),
            keys,
        })
    }

    pub(in super::super::super) const fn program(&self) -> &Program {
        &self.program
    }

    pub(in super::super::super) fn sign(
        &self,
        input: &SignInput<'_>,
        fresh: &Fresh,
    ) -> Result<Signed, SignFault> {
        if !self.signs(input) {
            return Ok(Signed {
                query: input.query.to_owned(),
                body: input.body.clone(),
                headers: Vec::new(),
            });
        }
        self.work(input, fresh)?.finish()
    }

    pub(in super::super::super) fn explain(
        &self,
        input: &SignInput<'_>,
        fresh: &Fresh,
    ) -> Result<Explained, SignFault> {
        if !self.signs(input) {
            return Ok(Mask::default().explained(Vec::new(), &self.sign(input, fresh)?));
        }
        let work = self.work(input, fresh)?;
        let mask = self.mask(&work);
        let steps = work.lines()?.into_iter().map(|(name, bytes)| Line {
            name,
            text: mask.shown(&bytes),
        });
        let steps = steps.collect();
        Ok(mask.explained(steps, &work.finish()?))
    }

    /// Works every value out.
    pub(super) fn work<'a>(
        &'a self,
        input: &'a SignInput<'a>,
        fresh: &Fresh,
    ) -> Result<Work<'a>, SignFault> {
        let rule = self.rule();
        let mut work = Work {
            input,
            bound: self,
            query: input.query.to_owned(),
            body: input.body.clone(),
            values: Vec::with_capacity(rule.vars.len().saturating_add(rule.steps.len())),
        };
        let mut random = fresh.random.as_chunks::<16>().0.iter();
        for var in &rule.vars {
            work.values.push(var.value(fresh, &mut random)?);
        }
        if let Some(inject) = &rule.inject {
            work.inject(inject)?;
        }
        for step in &rule.steps {
            let value = work.step(step)?;
            work.values.push(value);
        }
        Ok(work)
    }

    /// Hides every secret and every signature of this request.
    pub(super) fn mask(&self, work: &Work<'_>) -> Mask {
        let mut mask = Mask::default();
        let rule = self.rule();
        for (used, text) in rule.secrets.iter().zip(&self.texts) {
            if let Some(text) = text {
                mask.secret(&format!("secret.{}", used.name), text.expose_secret());
            }
        }
        let values = work.values.iter().skip(rule.vars.len());
        for (step, value) in rule.steps.iter().zip(values) {
            if matches!(step.how, How::Sign { .. } | How::Jwt(_)) {
                mask.signature(&step.name, value);
            }
        }
        mask
    }

    /// The characters of a secret.
    pub(super) fn secret(&self, at: usize) -> &[u8] {
        let text = self.texts.get(at).and_then(Option::as_ref);
        text.map_or(&[], |text| text.expose_secret().as_slice())
    }

    pub(super) fn key(&self, at: usize) -> Result<&SigningKey, SignFault> {
        self.keys.get(at).ok_or(SignFault::Crypto)
    }

    fn rule(&self) -> &Rule {
        &self.program.0
    }

    fn signs(&self, input: &SignInput<'_>) -> bool {
        input.security != Security::None && self.program.signs(input.method, input.path)
    }
}

// === impl Work ===

impl Work<'_> {
    /// The result of a step, or a fresh value, by number.
    pub(super) fn value(&self, at: usize) -> &[u8] {
        self.values.get(at).map_or(&[], Vec::as_slice)
    }

    /// Every value with its name, and what each hash, MAC, signature and token was made of.
    pub(super) fn lines(&self) -> Result<Vec<(String, Vec<u8>)>, SignFault> {
        let rule = self.bound.rule();
        let mut lines = Vec::new();
        for (step, value) in rule
            .steps
            .iter()
            .zip(self.values.iter().skip(rule.vars.len()))
        {
            match &step.how {
                How::Hash { input, .. } | How::Sign { input, .. } => {
                    lines.push((format!("{}.input", step.name), input.render(self)));
                }
                How::Jwt(jwt) => {
                    let header = jwt.header_text(self)?.into_bytes();
                    let claims = jwt.claims_text(self)?.into_bytes();
                    lines.push((format!("{}.header", step.name), header));
                    lines.push((format!("{}.claims", step.name), claims));
                }
                How::Text(_) | How::Params(_) => {}
            }
            lines.push((step.name.clone(), value.clone()));
        }
        Ok(lines)
    }

    /// The signed request.
    pub(super) fn finish(mut self) -> Result<Signed, SignFault> {
        let rule = self.bound.rule();
        if let Some(append) = &rule.append {
            self.append(append)?;
        }
        let mut headers = Vec::with_capacity(rule.headers.len());
        for (name, template) in &rule.headers {
            let value = Zeroizing::new(template.render(&self));
            headers.push((name.clone(), sensitive(name, &value)?));
        }
        Ok(Signed {
            query: self.query,
            body: self.body,
            headers,
        })
    }

    fn step(&self, step: &Step) -> Result<Vec<u8>, SignFault> {
        if !self.meant(step.when.as_ref()) {
            return Ok(Vec::new());
        }
        match &step.how {
            How::Text(template) => Ok(template.render(self)),
            How::Hash {
                algorithm,
                input,
                out,
            } => Ok(algorithm.digest(*out, &input.render(self))),
            How::Sign { key, input, out } => {
                let input = Zeroizing::new(input.render(self));
                Ok(out.encode(&self.bound.key(*key)?.sign(&input)?))
            }
            How::Jwt(jwt) => jwt.token(self),
            How::Params(ParamsOf::QueryOrJson { decoded }) => self.params(*decoded),
        }
    }

    fn params(&self, decode: bool) -> Result<Vec<u8>, SignFault> {
        match (self.query.is_empty(), self.body.is_empty()) {
            (false, true) if decode => Ok(decoded(self.query.as_bytes()).collect()),
            (false, true) => Ok(self.query.clone().into_bytes()),
            (true, false) => flattened(&self.body),
            (true, true) => Ok(Vec::new()),
            // Only one of them would be covered by the signature.
            (false, false) => Err(SignFault::Body("empty, and there is a query")),
        }
    }

    fn inject(&mut self, inject: &Inject) -> Result<(), SignFault> {
        if !self.meant(inject.when.as_ref()) {
            return Ok(());
        }
        let mut block = String::new();
        for (name, template) in &inject.params {
            if self.has(name) {
                if inject.unless_present {
                    continue;
                }
                return Err(SignFault::NotCleaned);
            }
            push_value(&mut block, name, &template.render(self));
        }
        self.put(inject.to, &block)
    }

    fn append(&mut self, append: &Append) -> Result<(), SignFault> {
        if !self.meant(append.when.as_ref()) {
            return Ok(());
        }
        if self.has(&append.param) {
            return Err(SignFault::NotCleaned);
        }
        let mut block = String::new();
        push_value(&mut block, &append.param, &append.value.render(self));
        self.put(append.to, &block)
    }

    /// Puts parameters, already joined, where they belong.
    fn put(&mut self, to: To, block: &str) -> Result<(), SignFault> {
        if block.is_empty() {
            return Ok(());
        }
        let to_query = match to {
            To::Query { .. } => true,
            To::Form { .. } => false,
            To::ByMethod => matches!(*self.input.method, Method::GET | Method::DELETE),
        };
        let first = matches!(to, To::Query { first: true } | To::Form { first: true });
        if to_query {
            self.query = joined(&self.query, block, first);
            return Ok(());
        }
        if *self.input.method == Method::GET {
            return Err(SignFault::BodyOnGet);
        }
        let body = self.form()?;
        self.body = Bytes::from(joined(body, block, first));
        Ok(())
    }

    /// The body, if it is a form or empty.
    fn form(&self) -> Result<&str, SignFault> {
        let text = std::str::from_utf8(&self.body).ok();
        text.filter(|text| !text.trim_start().starts_with(['{', '[', '"', '<']))
            .ok_or(SignFault::Body("a form"))
    }

    fn has(&self, name: &str) -> bool {
        has(&self.query, name) || self.form().is_ok_and(|body| has(body, name))
    }

    fn meant(&self, when: Option<&When>) -> bool {
        When::holds(when, self.input.method, self.input.path)
    }
}

// === impl Var ===

impl Var {
    fn value<'r>(
        self,
        fresh: &Fresh,
        random: &mut impl Iterator<Item = &'r [u8; 16]>,
    ) -> Result<Vec<u8>, SignFault> {
        let text = match self {
            Self::UnixSeconds => fresh.unix_us.div_euclid(1_000_000).to_string(),
            Self::Unix(unit) => unit.of(fresh.unix_us).ok_or(SignFault::Time)?.to_string(),
            Self::Iso8601 => {
                let time = jiff::Timestamp::from_millisecond(fresh.unix_us.div_euclid(1_000));
                let time = time.map_err(|_| SignFault::Time)?;
                format!("{time:.3}")
            }
            Self::Uuid4 => {
                let bytes = random.next().ok_or(SignFault::NoNonce)?;
                uuid::Builder::from_random_bytes(*bytes)
                    .into_uuid()
                    .to_string()
            }
            Self::RandomHex16 => {
                let bytes = random.next().ok_or(SignFault::NoNonce)?;
                return Ok(Encoding::Hex.encode(bytes));
            }
            Self::Monotonic(_) if fresh.nonce == 0 => return Err(SignFault::NoNonce),
            Self::Monotonic(_) => fresh.nonce.to_string(),
        };
        Ok(text.into_bytes())
    }
}

// === impl Hash ===

impl Hash {
    fn digest(self, out: Encoding, input: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        out.encode(digest::digest(algorithm, input).as_ref())
    }
}

/// A JSON object as `k=v&k=v` in its own order; a list stands as `k[]=v&k[]=v`.
fn flattened(body: &[u8]) -> Result<Vec<u8>, SignFault> {
    const FAULT: SignFault = SignFault::Body("a JSON object of plain values");
    let text = std::str::from_utf8(body).map_err(|_| FAULT)?;
    let mut out = String::new();
    for member in members(text).map_err(|_| FAULT)? {
        if !member.value.starts_with('[') {
            push_plain(&mut out, &member.name, member.value)?;
            continue;
        }
        let items: Vec<&serde_json::value::RawValue> =
            serde_json::from_str(member.value).map_err(|_| FAULT)?;
        for item in items {
            push_plain(&mut out, &format!("{}[]", member.name), item.get())?;
        }
    }
    Ok(out.into_bytes())
}

fn push_plain(out: &mut String, name: &str, value: &str) -> Result<(), SignFault> {
    if value.starts_with(['{', '[']) {
        return Err(SignFault::Parameter(name.to_owned()));
    }
    let text = unquoted(value);
    push_param(out, name, text.as_deref().unwrap_or(value));
    Ok(())
}

/// Appends a parameter whose value may hold anything.
fn push_value(block: &mut String, name: &str, value: &[u8]) {
    let mut encoded = String::with_capacity(value.len());
    push_encoded(&mut encoded, value);
    push_param(block, name, &encoded);
}

fn joined(text: &str, block: &str, first: bool) -> String {
    let (one, other) = if first { (block, text) } else { (text, block) };
    let separator = if text.is_empty() { "" } else { "&" };
    [one, separator, other].concat()
}

/// Files end with a line end that is no part of the secret.
fn trimmed(secret: &Secret<Vec<u8>>) -> Secret<Vec<u8>> {
    Secret::new(secret.expose_secret().trim_ascii().to_vec())
}
