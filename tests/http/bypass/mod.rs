//! Requests that have got past other proxies (`cases/bypass.yaml` of the shared data), each variant as concrete bytes.
//! Every number of that file is either sent here or listed with the reason.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::support::oracle::Case;

pub(crate) use framing::anything;

mod body;
mod evidence;
mod framing;
mod headers;
mod ip;
mod keys;
mod limits;
mod path;
mod responses;
mod target;
mod tokens;

/// The numbers that the modules send.
const SENT: &[&[u32]] = &[
    framing::IDS,
    framing::SEQUENCES,
    responses::IDS,
    target::IDS,
    path::IDS,
    headers::IDS,
    tokens::IDS,
    tokens::TIMED,
    keys::IDS,
    ip::IDS,
    limits::IDS,
    body::IDS,
    evidence::IDS,
];

/// The numbers that wait, and for what.
const WAITING: &[(&[u32], &str)] = &[
    (
        &[31, 32, 94, 95, 97, 98, 100, 101],
        "HTTP/2 is not spoken yet",
    ),
    (
        &[43, 49],
        "no rule reads a header's value yet: attribute rules come with Cedar",
    ),
    (&[46], "no route rewrites its path"),
    (
        &[73, 79, 80],
        "keys and revocations from elsewhere, and reload, come later",
    ),
    (&[77, 82], "keys over the network come later"),
    (
        &[103, 104, 106, 107, 109, 110],
        "TLS to the outside comes with the outbound direction",
    ),
    (
        &[112, 113, 115, 116],
        "signers come with the outbound direction",
    ),
    (
        &[118, 119, 121, 122],
        "WebSocket comes later; what must hold without it stands in `responses` and `headers`",
    ),
    (&[125, 128], "the chain and the collector come later"),
    (&[130, 131, 133, 134], "the token authority comes later"),
    (&[136, 137], "the injector comes later"),
    (&[143], "there is no admin page yet"),
];

#[derive(Deserialize)]
struct File {
    cases: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: u32,
}

/// Demands that the cases' numbers are exactly those that the module says it sends.
fn demand_numbers(sent: &[u32], cases: &[Case]) {
    let number = |case: &Case| case.id.split(' ').next().and_then(|word| word.parse().ok());
    let numbers: BTreeSet<Option<u32>> = cases.iter().map(number).collect();
    let said: BTreeSet<Option<u32>> = sent.iter().copied().map(Some).collect();
    assert_eq!(
        numbers, said,
        "the numbers of the cases, and those that the module names"
    );
}

#[test]
fn every_case_of_the_shared_file_is_sent_or_listed() {
    let Some(text) = crate::world::shared("cases/bypass.yaml") else {
        return;
    };
    let file: File = serde_saphyr::from_str(&text).unwrap();
    let mut known = BTreeSet::new();
    let sent = SENT.iter().copied().flatten();
    for id in sent.chain(WAITING.iter().flat_map(|(ids, _)| *ids)) {
        assert!(known.insert(*id), "{id} is named twice");
    }
    let there: BTreeSet<u32> = file.cases.iter().map(|case| case.id).collect();
    assert_eq!(
        known, there,
        "what is sent or listed, and what the file holds"
    );
}
