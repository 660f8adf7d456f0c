//! A collector: takes OTLP over HTTP and reads the spans out of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use outrider::runtime::crypto;
use prost::Message as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::authority::Made;
use crate::support::origin::{Origin, send};
use crate::support::wire::PATIENCE;

/// A collector that runs.
pub struct Collector {
    pub origin: Origin,
}

/// A span with its attributes as text.
#[derive(Clone, Debug)]
pub struct Got {
    pub span: Span,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

impl Collector {
    /// Takes whatever comes.
    pub fn start() -> Self {
        Self::of(Origin::start())
    }

    /// The same behind TLS, with this certificate.
    pub fn start_secret(made: &Made) -> Self {
        let chain = CertificateDer::pem_slice_iter(made.certificate.as_bytes());
        let chain: Result<Vec<_>, _> = chain.collect();
        let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(crypto::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.unwrap(), key)
            .unwrap();
        Self::of(Origin::start_secret(Arc::new(config)))
    }

    fn of(origin: Origin) -> Self {
        origin.answer(|_| vec![send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]);
        Self { origin }
    }

    /// All spans, as soon as there are at least `count`.
    pub fn spans(&self, count: usize) -> Vec<Got> {
        let until = Instant::now() + PATIENCE;
        loop {
            let spans = self.so_far();
            if spans.len() >= count || Instant::now() > until {
                assert!(spans.len() >= count, "{} spans of {count}", spans.len());
                return spans;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All spans so far.
    pub fn so_far(&self) -> Vec<Got> {
        let posts = self.origin.since(0);
        let mut spans = Vec::new();
        for post in posts {
            assert_eq!(
                (post.method.as_str(), post.target.as_str()),
                ("POST", "/v1/traces")
            );
            assert_eq!(post.one("content-type"), Some("application/x-protobuf"));
            let request = ExportTraceServiceRequest::decode(post.body.as_slice()).unwrap();
            for of_resource in request.resource_spans {
                let resource = texts(&of_resource.resource.unwrap().attributes);
                for span in of_resource
                    .scope_spans
                    .into_iter()
                    .flat_map(|scope| scope.spans)
                {
                    spans.push(Got {
                        attributes: texts(&span.attributes),
                        span,
                        resource: resource.clone(),
                    });
                }
            }
        }
        spans
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |pair: &KeyValue| (pair.key.clone(), text(&pair.value));
    attributes.iter().map(pair).collect()
}

/// Hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
