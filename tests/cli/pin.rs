//! `pin`: what it says of servers and files, and that it sends no HTTP.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion, version};
use socket2::{Domain, Socket, Type};

use crate::folder::Folder;

const HOST: &str = "exchange.example";

/// A CA, one between, and a server's certificate.
struct Pki {
    root: rcgen::Certificate,
    between: rcgen::Certificate,
    leaf: rcgen::Certificate,
    leaf_key: KeyPair,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

impl Pki {
    fn new() -> Self {
        let (root_key, between_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (root, between) = (authority("Test Root"), authority("Test Between"));
        let root_certificate = root.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root, root_key);
        let between_certificate = between.signed_by(&between_key, &root_issuer).unwrap();
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &Issuer::new(between, between_key));
        Self {
            root: root_certificate,
            between: between_certificate,
            leaf: leaf.unwrap(),
            leaf_key,
        }
    }

    /// Takes one connection; what came behind the handshake, if there was one.
    fn serve(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> (u16, JoinHandle<Option<Vec<u8>>>) {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain: Vec<CertificateDer<'static>> =
            vec![self.leaf.der().clone(), self.between.der().clone()];
        let key = PrivateKeyDer::try_from(self.leaf_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            let session = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(session, socket);
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).ok().map(|_| heard)
        });
        (port, serving)
    }
}

/// The pin as others compute it: SHA-256 of the key in the certificate.
fn pin(spki: &[u8]) -> String {
    use base64::Engine as _;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, spki);
    let encoded = base64::engine::general_purpose::STANDARD.encode(digest.as_ref());
    format!("sha256/{encoded}")
}

fn pin_of(certificate: &rcgen::Certificate) -> String {
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let (_, read) = X509Certificate::from_der(certificate.der()).unwrap();
    pin(read.public_key().raw)
}

#[test]
fn a_verified_server_is_shown_with_the_keys_to_choose_and_gets_no_http() {
    let (folder, pki) = (Folder::new(), Pki::new());
    folder.write("ca.pem", pki.root.pem());
    let (port, serving) = pki.serve(&[&version::TLS13]);
    let target = format!("127.0.0.1:{port}");
    let ran = folder.run(
        &format!("pin --ca-file ca.pem --server-name {HOST}"),
        &[&target],
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert_eq!(serving.join().unwrap(), Some(Vec::new()));
    let first = format!("{target}: TLS 1.3, verified for {HOST} by ca.pem\n");
    assert!(ran.out.starts_with(&first), "{}", ran.out);
    let (root, between, leaf) = (pin_of(&pki.root), pin_of(&pki.between), pin_of(&pki.leaf));
    let yaml = format!(
        "\npins:\n  - \"{root}\"  # root, CN=Test Root\n  - \"{between}\"  # intermediate, CN=Test Between\n  - \"{leaf}\"  # leaf, CN=rcgen self signed cert\n"
    );
    assert!(ran.out.ends_with(&yaml), "{}", ran.out);
    for part in [
        "leaf          CN=rcgen self signed cert\n",
        "  issuer      CN=Test Between\n",
        "  key         ECDSA P-256\n",
        "root          CN=Test Root\n",
        "Pin your own CA",
    ] {
        assert!(ran.out.contains(part), "{part} is not in\n{}", ran.out);
    }
}

#[test]
fn a_server_that_is_not_believed_is_shown_but_none_of_its_keys_is_to_be_chosen() {
    let (folder, pki) = (Folder::new(), Pki::new());
    folder.write("ca.pem", pki.root.pem());
    let table = [
        (
            format!("pin --server-name {HOST}"),
            "its certificate does not lead to a trusted root",
        ),
        (
            "pin --ca-file ca.pem".to_owned(),
            "its certificate is for another host",
        ),
    ];
    for (line, why) in table {
        let (port, serving) = pki.serve(&[&version::TLS13]);
        let ran = folder.run(&line, &[&format!("127.0.0.1:{port}")]);
        assert_eq!(ran.code, 1, "{}", ran.out);
        assert_eq!(serving.join().unwrap(), None);
        let first = ran.out.lines().next().unwrap();
        assert!(
            first.contains("NOT VERIFIED") && first.ends_with(why),
            "{first}"
        );
        assert!(ran.out.contains(&pin_of(&pki.leaf)), "{}", ran.out);
        assert!(ran.out.contains("Pin none of these keys"), "{}", ran.out);
        assert!(!ran.out.contains("pins:"), "{}", ran.out);
    }
}

#[test]
fn a_server_of_yesterday_is_shown_with_a_word() {
    let (folder, pki) = (Folder::new(), Pki::new());
    folder.write("ca.pem", pki.root.pem());
    let (port, serving) = pki.serve(&[&version::TLS12]);
    let line = format!("pin --ca-file ca.pem --server-name {HOST}");
    let ran = folder.run(&line, &[&format!("127.0.0.1:{port}")]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert_eq!(serving.join().unwrap(), Some(Vec::new()));
    assert!(ran.out.contains("it does not speak TLS 1.3"), "{}", ran.out);
}

#[test]
fn nobody_there_is_a_failure() {
    let folder = Folder::new();
    // Taken, so that nobody else gets it, but nobody listens.
    let vacant = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    vacant.bind(&any.into()).unwrap();
    let address = vacant.local_addr().unwrap().as_socket().unwrap();
    let ran = folder.run("pin", &[&address.to_string()]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains(": no connection: "), "{}", ran.out);
    let ran = folder.run("pin https://exchange.example/", &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("no file and no host"), "{}", ran.err);
    assert_eq!(folder.run("pin", &[]).code, 2);
}

#[test]
fn files_of_every_kind_have_the_same_pin() {
    let (folder, pki) = (Folder::new(), Pki::new());
    let key = pki.leaf_key.subject_public_key_info();
    folder.write("chain.pem", pki.leaf.pem() + &pki.between.pem());
    folder.write("leaf.der", pki.leaf.der());
    folder.write("key.pem", pki.leaf_key.public_key_pem());
    folder.write("key.der", &key);
    for file in ["chain.pem", "leaf.der", "key.pem", "key.der"] {
        let ran = folder.run("pin", &[file]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{file}");
        let line = format!("  - \"{}\"", pin(&key));
        assert!(ran.out.contains(&line), "{file}: {}", ran.out);
        let enough = !ran.out.contains("two pins are the least");
        assert_eq!(enough, file == "chain.pem", "{}", ran.out);
    }
    let ran = folder.run("pin", &["chain.pem", "key.pem"]);
    assert!(
        ran.out.contains("authority     CN=Test Between\n"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("public key    a bare public key\n"),
        "{}",
        ran.out
    );
}

#[test]
fn files_without_a_public_key_are_refused() {
    let (folder, pki) = (Folder::new(), Pki::new());
    folder.write("private.pem", pki.leaf_key.serialize_pem());
    folder.write("empty.pem", "");
    for (file, why) in [
        ("private.pem", "holds a private key"),
        ("empty.pem", "holds no certificate and no public key"),
    ] {
        let ran = folder.run("pin", &[file]);
        assert_eq!(ran.code, 1);
        assert!(ran.out.contains(why), "{}", ran.out);
    }
    let body = pki.leaf_key.serialize_pem();
    let secret = body.lines().nth(1).unwrap();
    let ran = folder.run("pin", &["private.pem"]);
    assert!(!ran.out.contains(secret) && !ran.err.contains(secret));
    let ran = folder.run("pin --ca-file none.pem exchange.example", &[]);
    assert_eq!(ran.code, 74);
}
