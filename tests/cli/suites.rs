//! `outrider test`: tables of cases as TAP and JUnit, their exit codes, and faults in the table itself.

use crate::folder::Folder;

const CASES: &str = "\
cases:
  - name: a trader places an order
    request: { method: POST, path: /orders, headers: { content-type: application/json }, body: '{}' }
    claims: { sub: trader-7, roles: [trader], amr: [otp], auth_time: 1795341600 }
    now: 2026-11-22T10:00:00Z
    expect: { decision: allow, route: place-order, shadow: [] }
  - name: from a denied address
    request: { path: /health }
    client_ip: 10.66.0.1
    expect: { decision: deny, status: 403, code: ip.denied, rule: inbound/deny_ips }
  - name: seen by a shadow
    request: { path: /positions/7 }
    claims: { sub: nobody-special }
    expect: { decision: allow, shadow: [positions/require.permissions] }
";

fn tested(cases: &str, options: &str) -> crate::folder::Ran {
    let folder = Folder::new();
    folder.write("cases.yaml", cases);
    folder.run(&format!("test -c sidecar.yaml cases.yaml {options}"), &[])
}

#[test]
fn tap_of_a_table_that_holds() {
    let ran = tested(CASES, "");
    let expected = "TAP version 14\n1..3\n\
                    ok 1 - a trader places an order\n\
                    ok 2 - from a denied address\n\
                    ok 3 - seen by a shadow\n";
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (0, expected, "")
    );
}

#[test]
fn tap_of_a_table_that_does_not_hold() {
    let wrong = "\
cases:
  - name: 'says #1 \\ <allow>'
    request: { path: /nowhere }
    expect: { decision: allow }
  - name: says deny
    request: { path: /health }
    expect: { decision: deny }
  - name: names another rule
    request: { path: /health }
    client_ip: 10.66.0.1
    expect: { decision: deny, status: 401, code: authn.required, rule: health/token, route: positions }
  - name: another shadow
    request: { path: /positions/7 }
    claims: { sub: a, permissions: [positions:view] }
    expect: { decision: allow, shadow: [positions/require.permissions] }
  - name: is no request
    request: { method: 'G T', path: / }
    expect: { decision: deny }
";
    let ran = tested(wrong, "");
    assert_eq!(ran.code, 1);
    let expected = "TAP version 14\n1..5\n\
        not ok 1 - says \\#1 \\\\ <allow>\n  \
          # decision: expected allow, found deny (404 route.none: no route has this path)\n\
        not ok 2 - says deny\n  \
          # decision: expected deny, found allow\n\
        not ok 3 - names another rule\n  \
          # status: expected 401, found 403\n  \
          # code: expected authn.required, found ip.denied\n  \
          # rule: expected health/token, found inbound/deny_ips\n  \
          # route: expected positions, found health\n\
        not ok 4 - another shadow\n  \
          # shadow: expected positions/require.permissions, found \n\
        not ok 5 - is no request\n  \
          # not a request: invalid HTTP method\n";
    assert_eq!(ran.out, expected);
}

#[test]
fn junit_says_the_same() {
    let ran = tested(CASES, "--format junit");
    assert_eq!(ran.code, 0);
    assert!(
        ran.out
            .contains("<testsuite name=\"outrider\" tests=\"3\" failures=\"0\">")
    );
    assert_eq!(
        ran.out
            .matches("<testcase classname=\"outrider\" name=\"")
            .count(),
        3
    );
    let one = "cases:\n  - { name: 'a & \"b\" <c>', request: { path: /nowhere }, expect: { decision: allow } }\n";
    let ran = tested(one, "--format junit");
    assert_eq!(ran.code, 1);
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <testsuite name=\"outrider\" tests=\"1\" failures=\"1\">\n  \
          <testcase classname=\"outrider\" name=\"a &amp; &quot;b&quot; &lt;c&gt;\">\n    \
            <failure message=\"decision: expected allow, found deny (404 route.none: no route has this path)\"/>\n  \
          </testcase>\n\
        </testsuite>\n";
    assert_eq!(ran.out, expected);
}

#[test]
fn faults_of_the_table_are_shown_like_those_of_a_configuration() {
    let broken = "\
cases:
  - name: much is wrong
    request: { method: GET }
    client_ip: 10.1
    now: yesterday
    claims: trader
    certificate: CN=trader
    expect: { decision: maybe, statuses: 403 }
  - name: contradicts itself
    request: { path: / }
    expect: { decision: allow, status: 403 }
";
    let ran = tested(broken, "");
    assert_eq!((ran.code, ran.out.as_str()), (78, ""));
    for said in [
        "cases.yaml:3",
        "`path`",
        "`10.1` is not an address",
        "`yesterday` is not a time",
        "expected a map of claims",
        "this listener speaks clear HTTP and asks for no certificate",
        "`statuses`",
        "`status`",
        "an allowed request has no status, code or rule of ours",
        "7 |     certificate: CN=trader",
        "^^^^^^^^^",
        "cases.yaml: refused, ",
    ] {
        assert!(ran.err.contains(said), "{said} is missing in\n{}", ran.err);
    }
}

#[test]
fn a_certificate_is_refused_and_never_silently_passed_over() {
    let ran = tested(
        &CASES.replace("    client_ip:", "    certificate: x\n    client_ip:"),
        "",
    );
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("leave `certificate` out"), "{}", ran.err);
    assert!(
        ran.err.contains("cases.yaml: refused, 1 error\n"),
        "{}",
        ran.err
    );
}

#[test]
fn what_cannot_be_run_has_its_own_code() {
    for (cases, code) in [
        ("", 78),
        ("cases: []\n", 78),
        ("cases: 7\n", 78),
        ("case:\n", 78),
        ("{", 78),
    ] {
        assert_eq!(tested(cases, "").code, code, "{cases:?}");
    }
    let folder = Folder::new();
    assert_eq!(folder.run("test -c sidecar.yaml none.yaml", &[]).code, 74);
    assert_eq!(folder.run("test -c sidecar.yaml", &[]).code, 2);
    folder.write("cases.yaml", CASES);
    assert_eq!(folder.run("test -c none.yaml cases.yaml", &[]).code, 78);
    assert_eq!(
        folder
            .run("test -c sidecar.yaml cases.yaml --format xml", &[])
            .code,
        2
    );
    folder.exchange("10.66.0.0/16", "10.66.0.0/8");
    let ran = folder.run("test -c sidecar.yaml cases.yaml", &[]);
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("sidecar.yaml:5:14"), "{}", ran.err);
}
