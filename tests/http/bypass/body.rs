//! Area P: bodies. What was judged is forwarded byte for byte; what merely looks like an attack is nobody's business here.

use super::demand_numbers;
use crate::support::oracle::{Case, Stage, demand};
use crate::world::{OPEN, post, request, shared};

pub(super) const IDS: &[u32] = &[139, 140];

const JSON: &str = "Content-Type: application/json\r\n";

fn policy() -> String {
    format!(
        "{OPEN}    - name: json
      match: {{ method: POST, path: /json }}
      anonymous: true
      body: {{ json: true, content_types: [application/json], bytes_max: 64KiB }}
"
    )
}

#[test]
fn json_has_one_reading_or_is_refused() {
    let mut cases = innocent();
    cases.extend(sound());
    cases.extend(ambiguous());
    cases.extend(large());
    cases.extend(typed());
    demand_numbers(IDS, &cases);
    let mut stage = Stage::start(&policy());
    for case in cases {
        stage.run(case);
    }
    stage.settle();
}

/// 139: every text of the corpus, as a JSON text, on one connection.
#[test]
fn innocent_texts_pass_unchanged() {
    let Some(corpus) = shared("corpora/libinjection/false_positives.txt") else {
        return;
    };
    let mut stage = Stage::start(&policy());
    let mut wire = stage.fresh(None);
    let lines = corpus
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let mut sent = 0;
    for line in lines {
        let before = stage.origin.mark();
        let body = serde_json::json!({"note": line}).to_string();
        let answer = wire.ask(post("/json", JSON, &body)).unwrap();
        let upstream = stage.origin.since(before);
        let same = upstream.len() == 1 && upstream[0].body == body.as_bytes();
        stage.expect(
            &format!("139 {line:?}"),
            demand(
                answer.status == 200 && same,
                format!("{answer}, forwarded {}", upstream.len()),
            ),
        );
        sent += 1;
    }
    stage.expect(
        "139",
        demand(sent >= 400, format!("only {sent} texts in the corpus")),
    );
    drop(wire);
    stage.settle();
}

fn same(id: impl Into<String>, body: &str) -> Case {
    let expected = body.as_bytes().to_vec();
    Case::forwarded(id, post("/json", JSON, body), move |got, _| {
        demand(
            got.body == expected,
            format!("forwarded {}", got.body.escape_ascii()),
        )?;
        demand(
            got.one("content-length") == Some(&expected.len().to_string()),
            "the length is not told once",
        )
    })
}

fn refused(id: &str, body: impl AsRef<[u8]>) -> Case {
    Case::denied(
        format!("140 {id}"),
        post("/json", JSON, body),
        400,
        "body.json",
    )
}

fn innocent() -> Vec<Case> {
    [
        "AND.L",
        "select-500-index",
        "UNION PACIFIC",
        "O'Reilly",
        "buy 100 OR 1=1 lots",
        "exec-id:8841;leg=2",
        "/* algo: TWAP */",
        "Moody's -- A1",
        "DELETE",
        "<script>",
        "../../x",
        "${jndi:x}",
        "%00",
    ]
    .map(|text| same(format!("139 {text}"), &format!("{{\"note\":\"{text}\"}}")))
    .into()
}

fn sound() -> Vec<Case> {
    vec![
        same("140 -0", "{\"x\":-0}"),
        same(
            "140 forty digits",
            "{\"x\":0.1000000000000000055511151231257827021181583404541015625}",
        ),
        same(
            "140 a large whole number",
            "{\"x\":123456789012345678901234567890}",
        ),
        same(
            "140 blanks and order",
            " { \"b\" : 1 ,\r\n\t\"a\" : [ ] } \n",
        ),
        same(
            "140 escapes",
            "{\"\\u0061b\":\"\\ud83d\\ude00 \\/ \u{e9}\"}",
        ),
        same(
            "140 depth at the limit",
            &format!("{}{}", "[".repeat(32), "]".repeat(32)),
        ),
        Case::forwarded("140 in chunks", chunked("{\"a\":\n1}"), |got, _| {
            demand(
                got.body == b"{\"a\":\n1}",
                format!("forwarded {}", got.body.escape_ascii()),
            )
        }),
    ]
}

fn chunked(body: &str) -> String {
    let (one, other) = body.split_at(3);
    let head = request(
        "POST",
        "/json",
        &format!("{JSON}Transfer-Encoding: chunked\r\n"),
    );
    format!(
        "{head}{:x}\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n",
        one.len(),
        other.len()
    )
}

fn ambiguous() -> Vec<Case> {
    let sixteen: Vec<u8> = "{\"a\":1}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [b"\xff\xfe".as_slice(), &sixteen].concat();
    vec![
        refused("a name twice", "{\"side\":\"buy\",\"side\":\"sell\"}"),
        refused("a name twice, respelt", "{\"side\":1,\"s\\u0069de\":2}"),
        refused("a name twice, deep", "{\"a\":[{\"b\":1,\"b\":2}]}"),
        refused("1e400", "{\"x\":1e400}"),
        refused("NaN", "{\"x\":NaN}"),
        refused("Infinity", "{\"x\":-Infinity}"),
        refused("a leading zero", "{\"x\":01}"),
        refused("a plus", "{\"x\":+1}"),
        refused("hexadecimal", "{\"x\":0x10}"),
        refused("depth 33", format!("{}{}", "[".repeat(33), "]".repeat(33))),
        refused("depth 10k", format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))),
        refused("a lone surrogate", "{\"x\":\"\\ud800\"}"),
        refused("a byte-order mark", "\u{feff}{}"),
        refused("UTF-16", sixteen),
        refused("UTF-16 with its mark", marked),
        refused("not UTF-8", b"{\"x\":\"\xff\"}"),
        refused("overlong UTF-8", b"{\"x\":\"\xc0\xaf\"}"),
        refused("trailing data", "{\"a\":1} x"),
        refused("two documents", "{\"a\":1}{\"a\":2}"),
        refused("a comment", "{\"a\":1} // x"),
        refused("a comment inside", "{/**/\"a\":1}"),
        refused("a trailing comma", "{\"a\":1,}"),
        refused("single quotes", "{'a':1}"),
        refused("no quotes", "{a:1}"),
        refused("a control character", "{\"a\":\"x\ny\"}"),
        refused("a zero byte", b"{\"a\":1}\0"),
        refused("half", "{\"a\":"),
        refused("a blank", " "),
        refused("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00"),
        Case::denied("140 chunks that are no JSON", chunked("{\"a\":1,}"), 400, "body.json"),
    ]
}

fn large() -> Vec<Case> {
    let elements = format!("[{}1]", "1,".repeat(40_000));
    let told = request(
        "POST",
        "/json",
        &format!("{JSON}Content-Length: 20000000\r\n"),
    );
    let head = request(
        "POST",
        "/json",
        &format!("{JSON}Transfer-Encoding: chunked\r\n"),
    );
    let chunk = "1,".repeat(8_192);
    let endless = format!("{head}{}", format!("4000\r\n{chunk}\r\n").repeat(6));
    vec![
        Case::refused(
            "140 many elements",
            post("/json", JSON, &elements),
            413,
            "body.too_large",
        ),
        Case::refused(
            "140 a length that is too large",
            told,
            413,
            "body.too_large",
        ),
        Case::refused("140 chunks without end", endless, 413, "body.too_large"),
    ]
}

fn typed() -> Vec<Case> {
    let sent = |id: &str, headers: &str| {
        Case::denied(
            format!("140 {id}"),
            post("/json", headers, "{}"),
            415,
            "body.content_type",
        )
    };
    vec![
        sent("no type", ""),
        sent("text", "Content-Type: text/plain\r\n"),
        sent(
            "another charset",
            "Content-Type: application/json; charset=utf-16\r\n",
        ),
        sent(
            "two types",
            "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
        ),
        sent(
            "two types in one line",
            "Content-Type: application/json, text/plain\r\n",
        ),
        sent(
            "a form",
            "Content-Type: application/x-www-form-urlencoded\r\n",
        ),
        sent("nearly", "Content-Type: application/jsonp\r\n"),
        Case::forwarded(
            "140 with a charset",
            post(
                "/json",
                "Content-Type: Application/JSON; charset=\"UTF-8\"\r\n",
                "{}",
            ),
            |got, _| demand(got.body == b"{}", "the body does not arrive"),
        ),
    ]
}
