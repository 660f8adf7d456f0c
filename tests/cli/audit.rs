//! `outrider audit tail` on what a real sidecar wrote.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::folder::Folder;

/// The address in the line that says that the inbound listener is there.
fn listening(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).unwrap();
    let text = event.to_string();
    let inbound = text.contains("listening") && text.contains("inbound");
    let at = text.find("127.0.0.1:").filter(|_| inbound)?;
    let address = text.get(at..)?.split('"').next()?;
    Some(address.to_owned())
}

#[test]
fn what_a_sidecar_recorded_can_be_read_after_it() {
    let folder = Folder::new();
    let mut sidecar = folder.start("proxy -c sidecar.yaml");
    let out = BufReader::new(sidecar.0.stdout.take().unwrap());
    let mut lines = out.lines().map(Result::unwrap);
    let address = lines.find_map(|line| listening(&line)).unwrap();
    for path in ["/nowhere", "/positions/7"] {
        let mut connection = TcpStream::connect(&address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    }
    sidecar.stop();
    let told = folder.run("audit tail audit --format json", &[]);
    assert_eq!(told.code, 0, "{}", told.err);
    let events = told
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let events: Vec<Value> = events.collect();
    let codes = events
        .iter()
        .filter_map(|event| event.pointer("/reason/code")?.as_str());
    let codes: Vec<&str> = codes.collect();
    assert_eq!(codes, ["route.none", "authn.required"], "{}", told.out);
    let text = folder.run("audit tail audit -n 1", &[]);
    assert_eq!(text.code, 0);
    assert_eq!(text.out.lines().count(), 1, "{}", text.out);
}

#[test]
fn a_spool_that_is_not_there_cannot_be_read() {
    let folder = Folder::new();
    let ran = folder.run("audit tail nowhere", &[]);
    assert_eq!((ran.code, ran.out.as_str()), (74, ""));
    assert!(
        ran.err.contains("cannot read the audit spool nowhere"),
        "{}",
        ran.err
    );
    assert_eq!(folder.run("audit", &[]).code, 2);
    assert_eq!(folder.run("audit tail", &[]).code, 2);
}
