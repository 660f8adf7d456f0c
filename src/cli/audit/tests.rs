//! What `audit tail` shows.

use super::*;

fn folder(events: &[&str], tail: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let header = Header {
        epoch: uuid::Uuid::from_u128(7),
        first_seq: 0,
    };
    let mut bytes = header.encode();
    let mut frames = Vec::new();
    for event in events {
        segment::push_frame(&mut frames, [event.as_bytes(), b"", b""]);
    }
    segment::seal(&mut frames);
    bytes.extend_from_slice(&frames);
    bytes.extend_from_slice(tail);
    std::fs::write(folder.path().join(header.file_name()), bytes).unwrap();
    folder
}

fn tail(folder: &Path, lines: usize, format: Format) -> (String, String) {
    let args = AuditArgs {
        command: AuditCommand::Tail(TailArgs {
            spool: folder.to_owned(),
            follow: false,
            lines,
            format,
        }),
    };
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    run(&args, &mut out, &mut errors);
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(errors).unwrap(),
    )
}

#[test]
fn shows_the_last_events_and_stops_at_the_zeros() {
    let folder = folder(&["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"], &[0; 500]);
    let (out, errors) = tail(folder.path(), 2, Format::Json);
    assert_eq!(
        (out.as_str(), errors.as_str()),
        ("{\"a\":2}\n{\"a\":3}\n", "")
    );
}

#[test]
fn half_an_event_at_the_end_is_not_shown() {
    let folder = folder(&["{\"a\":1}"], &[9, 0, 0, 0, 1, 2]);
    assert_eq!(tail(folder.path(), 9, Format::Json).0, "{\"a\":1}\n");
}

#[test]
fn a_line_of_text_says_which_order_an_operator_gave() {
    let event = r#"{"action":{"type":"admin.resume"},"admin":{"argument":"binance?halted=banned","peer":"127.0.0.1:9"},
        "outcome":"success","ts":"2026-11-22T10:00:00Z"}"#;
    let folder = folder(&[event], &[]);
    assert_eq!(
        tail(folder.path(), 1, Format::Text).0,
        "2026-11-22T10:00:00Z success admin.resume order=binance?halted=banned by=127.0.0.1:9\n"
    );
}

#[test]
fn a_line_of_text_says_who_what_and_why() {
    let event = r#"{"action":{"type":"http.request"},"actor":{"id":"tr\u001b[31m","ip":"192.0.2.1"},
        "outcome":"denied","reason":{"code":"authz.insufficient_scope","rule":"orders/require"},
        "request":{"method":"POST","path":"/o","route":"orders"},
        "response":{"duration_us":1234,"status":403},"ts":"T"}"#;
    let folder = folder(&[event], &[]);
    assert_eq!(
        tail(folder.path(), 9, Format::Text).0,
        "T denied 403 POST /o route=orders who=tr\\u001b[31m ip=192.0.2.1 \
         code=authz.insufficient_scope rule=orders/require 1.234ms\n"
    );
}

#[test]
fn a_line_of_text_says_what_became_of_an_order() {
    let lost = r#"{"action":{"direction":"outbound","name":"POST /api/v3/order","type":"http.request"},
        "actor":{"ip":"127.0.0.1"},"exchange":{"attempts":1,"execution":"unknown","name":"binance",
        "preset":"binance-spot","signed":true},"outcome":"error","reason":{"code":"exchange.unknown"},
        "request":{"method":"POST","path":"/api/v3/order","route":"2"},
        "response":{"duration_us":5000,"status":502},"ts":"T"}"#;
    let frame = r#"{"action":{"name":"WS order.place","type":"ws.request"},"actor":{"ip":"127.0.0.1"},
        "exchange":{"attempts":1,"code":-2010,"execution":"answered","name":"binance","signed":true},
        "outcome":"failure","request":{"socket":"S"},"response":{"duration_us":700,"status":400},"ts":"T"}"#;
    let close = r#"{"action":{"type":"ws.close"},"exchange":{"interface":"streams","name":"binance"},
        "outcome":"error","socket":{"closed_by":"exchange","code":1006,"duration_us":2000,"id":"S",
        "received":{"bytes":9,"messages":3},"sent":{"bytes":1,"messages":2},"unanswered":1,"why":"cut"},"ts":"T"}"#;
    let late = r#"{"action":{"name":"WS order.place","type":"ws.late_answer"},"exchange":{"execution":"answered",
        "name":"binance"},"outcome":"success","request":{"id":"R","socket":"S"},
        "response":{"duration_us":61000000,"status":200},"ts":"T"}"#;
    let folder = folder(&[lost, frame, close, late], &[]);
    let (told, _) = tail(folder.path(), 9, Format::Text);
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "T error 502 POST /api/v3/order route=2 exchange=binance execution=unknown attempts=1 signed=true \
             ip=127.0.0.1 code=exchange.unknown 5.000ms",
            "T failure ws.request 400 WS order.place exchange=binance execution=answered attempts=1 signed=true \
             exchange_code=-2010 socket=S ip=127.0.0.1 0.700ms",
            "T error ws.close exchange=binance interface=streams socket=S closed_by=exchange close_code=1006 \
             close_why=cut sent=2 received=3 unanswered=1 2.000ms",
            "T success ws.late_answer 200 WS order.place exchange=binance execution=answered request=R socket=S \
             61000.000ms",
        ]
    );
}

#[test]
fn a_followed_segment_is_read_on_from_where_it_ended() {
    let folder = folder(&["{\"a\":1}"], &[0; 64]);
    let mut reader = Reader::new(folder.path(), 20).unwrap();
    let mut seen = Vec::new();
    let mut read = |reader: &mut Reader<'_>| {
        let mut errors = Vec::new();
        let keep = |event: &[u8]| {
            seen.push(String::from_utf8(event.to_vec()).unwrap());
            Ok(())
        };
        reader.read(&mut errors, keep).unwrap();
        assert!(errors.is_empty());
        seen.clone()
    };
    assert_eq!(read(&mut reader), ["{\"a\":1}"]);
    let (path, header) = list_segments(folder.path()).unwrap().remove(0);
    let mut bytes = header.encode();
    let mut frames = Vec::new();
    segment::push_frame(&mut frames, [b"{\"a\":1}", b"", b""]);
    segment::push_frame(&mut frames, [b"{\"a\":2}", b"", b""]);
    segment::seal(&mut frames);
    bytes.extend_from_slice(&frames);
    std::fs::write(path, bytes).unwrap();
    assert_eq!(read(&mut reader), ["{\"a\":1}", "{\"a\":2}"]);
    assert_eq!(read(&mut reader).len(), 2);
}

#[test]
fn early_segments_are_not_read_for_a_few_lines() {
    let folder = tempfile::tempdir().unwrap();
    for first_seq in [0, 2, 4] {
        let header = Header {
            epoch: uuid::Uuid::from_u128(7),
            first_seq,
        };
        let mut bytes = header.encode();
        let mut frames = Vec::new();
        for seq in first_seq..first_seq + 2 {
            segment::push_frame(&mut frames, [format!("{{{seq}}}").as_bytes(), b"", b""]);
        }
        segment::seal(&mut frames);
        bytes.extend_from_slice(&frames);
        std::fs::write(folder.path().join(header.file_name()), bytes).unwrap();
    }
    let begin = |lines| Reader::new(folder.path(), lines).unwrap().at.unwrap().2;
    assert_eq!(
        [begin(0), begin(1), begin(2), begin(3), begin(99)],
        [4, 2, 2, 0, 0]
    );
    assert_eq!(tail(folder.path(), 3, Format::Json).0, "{3}\n{4}\n{5}\n");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let (out, errors) = tail(Path::new("/nowhere/at/all"), 9, Format::Text);
    assert_eq!(out, "");
    assert!(errors.contains("cannot read the audit spool"), "{errors}");
}
