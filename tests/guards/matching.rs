//! Which route a request goes by: whole segments, the first that matches, methods and hosts, and what its route does
//! not take.

use outrider::model::denial::{Advice, Cause};
use outrider::pipeline::Snapshot;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{ask, policy, refusable};

fn open(routes: &[(&str, &str)]) -> Snapshot {
    let routes = routes.iter().map(|(name, matching)| {
        format!("- {{ name: {name}, match: {{ {matching} }}, anonymous: true }}\n")
    });
    policy("", &routes.collect::<String>())
}

#[test]
fn templates_match_whole_segments() {
    for (template, path, matches) in [
        ("/", "/", true),
        ("/", "/a", false),
        ("/orders", "/orders", true),
        ("/orders", "/orders/", false),
        ("/orders", "/ordersx", false),
        ("/orders", "/order", false),
        ("/orders", "/Orders", false),
        ("/orders", "/orders?id=1", true),
        ("/orders/", "/orders/", true),
        ("/orders/", "/orders", false),
        ("/orders/{id}", "/orders/7", true),
        ("/orders/{id}", "/orders/", false),
        ("/orders/{id}", "/orders", false),
        ("/orders/{id}", "/orders/7/", false),
        ("/orders/{id}", "/orders/7/fills", false),
        ("/orders/{id}/fills", "/orders/7/fills", true),
        ("/orders/{id}/fills", "/orders/7/8/fills", false),
        ("/{a}/{b}", "/x/y", true),
        ("/{a}/{b}", "/x", false),
        ("/market/**", "/market", true),
        ("/market/**", "/market/", true),
        ("/market/**", "/market/a/b/c", true),
        ("/market/**", "/markets", false),
        ("/market/{id}/**", "/market/", false),
        ("/market/{id}/**", "/market/x", true),
        ("/**", "/", true),
        ("/**", "/anything/at/all", true),
        ("/a:b", "/a%3Ab", true),
        ("/a%20b", "/a%20b", true),
    ] {
        let snapshot = open(&[("here", &format!("path: \"{template}\""))]);
        let refusal = ask("GET", path).refusal(&snapshot);
        let expected = (!matches).then_some(Cause::RouteNone);
        assert_eq!(refusal, expected, "{path} by {template}");
    }
}

#[test]
fn the_first_route_that_matches_is_taken() {
    let snapshot = open(&[
        ("exact", "path: /orders/all"),
        ("posting", "path: \"/orders/{id}\", method: POST"),
        ("hosted", "path: \"/orders/{id}\", host: a.example"),
        ("one", "path: \"/orders/{id}\", method: GET"),
        ("rest", "path: /orders/**"),
    ]);
    for (method, host, path, route) in [
        ("GET", "orders.example", "/orders/all", "exact"),
        ("DELETE", "orders.example", "/orders/all", "exact"),
        ("POST", "orders.example", "/orders/7", "posting"),
        ("POST", "a.example", "/orders/7", "posting"),
        ("GET", "a.example", "/orders/7", "hosted"),
        ("GET", "orders.example", "/orders/7", "one"),
        ("HEAD", "orders.example", "/orders/7", "one"),
        ("DELETE", "orders.example", "/orders/7", "rest"),
        ("GET", "orders.example", "/orders", "rest"),
        ("GET", "orders.example", "/orders/7/fills", "rest"),
    ] {
        let request = ask(method, path).with("host", host);
        let passed = request.live(&snapshot).unwrap();
        assert_eq!(passed.route, route, "{method} {host}{path}");
        let found = request.explained(&snapshot);
        let index = found.route.unwrap();
        assert_eq!(&*snapshot.policy.routes[index].name, route);
    }
}

#[test]
fn a_path_without_the_method_is_405_and_names_what_would_do() {
    let snapshot = open(&[
        ("place", "path: /orders, method: POST"),
        ("list", "path: /orders, methods: [GET, HEAD]"),
        ("again", "path: /**, methods: [GET, PUT], host: a.example"),
    ]);
    for (method, host, allowed) in [
        ("DELETE", "orders.example", Some("GET, HEAD, POST")),
        ("DELETE", "a.example", Some("GET, HEAD, POST, PUT")),
        ("OPTIONS", "orders.example", Some("GET, HEAD, POST")),
        ("GETS", "orders.example", Some("GET, HEAD, POST")),
        ("PUT", "a.example", None),
        ("HEAD", "orders.example", None),
    ] {
        let request = ask(method, "/orders").with("host", host);
        let expected = allowed.map(|_| Cause::RouteMethod);
        assert_eq!(request.refusal(&snapshot), expected, "{method} {host}");
        if let (Err(denial), Some(allowed)) = (request.live(&snapshot), allowed) {
            assert_eq!(denial.advice, Advice::Methods(allowed.to_owned()));
            assert_eq!(denial.cause.status(), 405);
        }
    }
    for (host, path) in [
        ("orders.example", "/nothing"),
        ("b.example", "/nothing/either"),
    ] {
        let denial = ask("GET", path)
            .with("host", host)
            .live(&snapshot)
            .unwrap_err();
        assert_eq!(denial.cause, Cause::RouteNone);
        assert_eq!(denial.cause.status(), 404);
        assert_eq!(denial.advice, Advice::None);
    }
}

#[test]
fn a_method_has_one_spelling() {
    let snapshot = open(&[
        ("strict", "path: /orders, method: DELETE"),
        ("rest", "path: /**"),
    ]);
    for method in ["delete", "Delete", "DELETe", "get", "Options", "xYZ"] {
        let refusal = ask(method, "/orders").refusal(&snapshot);
        assert_eq!(refusal, Some(Cause::MethodRefused), "{method}");
    }
}

#[test]
fn a_route_that_names_no_methods_takes_the_usual_ones() {
    let snapshot = open(&[
        ("copying", "path: /files, methods: [COPY, X-MOVE]"),
        ("usual", "path: /**"),
    ]);
    for (method, path, route) in [
        ("GET", "/files", Some("usual")),
        ("HEAD", "/files", Some("usual")),
        ("POST", "/files", Some("usual")),
        ("PUT", "/files", Some("usual")),
        ("PATCH", "/files", Some("usual")),
        ("DELETE", "/files", Some("usual")),
        ("OPTIONS", "/files", Some("usual")),
        ("COPY", "/files", Some("copying")),
        ("X-MOVE", "/files", Some("copying")),
        ("COPY", "/", None),
        ("PURGE", "/files", None),
    ] {
        let found = ask(method, path).live(&snapshot).map(|passed| passed.route);
        let found = found.map_err(|denial| denial.cause);
        let expected = route.map(str::to_owned).ok_or(Cause::RouteMethod);
        assert_eq!(found, expected, "{method} {path}");
    }
}

#[test]
fn head_goes_by_the_rules_of_get() {
    let snapshot = open(&[
        ("read", "path: /orders, method: GET"),
        ("rest", "path: /**"),
    ]);
    let passed = ask("HEAD", "/orders").live(&snapshot).unwrap();
    assert_eq!(passed.route, "read");
    let hidden = "- { name: get, match: { path: /a, method: GET }, anonymous: true }\n\
                  - { name: head, match: { path: /a, method: HEAD }, anonymous: true }";
    let report = refusable("", hidden).err().unwrap();
    assert!(report.contains("route `head` can never match"), "{report}");
}

#[test]
fn what_a_lenient_service_takes_for_an_earlier_route_does_not_pass_by_it() {
    let snapshot = open(&[
        ("keys", "path: /api/admin/keys, methods: [GET, POST]"),
        ("fills", "path: \"/api/orders/{id}/fills\", host: a.example"),
        ("spelt", "path: /api/Admin/keys/, method: GET"),
        ("below", "path: /api/audit/**"),
        ("rest", "path: /api/**"),
    ]);
    let taken = |route: &str| Ok(route.to_owned());
    for (method, target, host, expected) in [
        ("GET", "/api/admin/keys", "b.example", taken("keys")),
        ("GET", "/api/admin/Keys", "b.example", Err(Cause::Path)),
        ("HEAD", "/api/ADMIN/keys", "b.example", Err(Cause::Path)),
        ("POST", "/api/admin/keys/", "b.example", Err(Cause::Path)),
        ("POST", "/api/Admin/keys/", "b.example", Err(Cause::Path)),
        // Written out beside the other, so meant.
        ("GET", "/api/Admin/keys/", "b.example", taken("spelt")),
        // A method that the other does not take, whatever its spelling.
        ("DELETE", "/api/admin/keys", "b.example", taken("rest")),
        ("DELETE", "/api/Admin/keys", "b.example", taken("rest")),
        ("GET", "/api/admin/keys/7", "b.example", taken("rest")),
        ("GET", "/api/orders/7/Fills", "a.example", Err(Cause::Path)),
        (
            "GET",
            "/api/orders/7/fills/",
            "A.EXAMPLE:80",
            Err(Cause::Path),
        ),
        ("GET", "/api/orders/7/Fills", "b.example", taken("rest")),
        ("GET", "/api/audit/", "b.example", taken("below")),
        ("GET", "/api/Audit/x", "b.example", Err(Cause::Path)),
        ("GET", "/Api/admin/keys", "b.example", Err(Cause::RouteNone)),
    ] {
        let passed = ask(method, target).with("host", host).live(&snapshot);
        let found = passed.map(|passed| passed.route);
        let found = found.map_err(|denial| denial.cause);
        assert_eq!(found, expected, "{method} {host} {target}");
    }
    let denial = ask("GET", "/api/Admin/keys").live(&snapshot).unwrap_err();
    assert!(denial.detail.contains("route `keys`"), "{denial:?}");
}

#[test]
fn hosts_are_read_without_port_and_in_any_case() {
    let snapshot = open(&[("here", "path: /**, hosts: [orders.example, \"10.0.0.1\"]")]);
    for (host, matches) in [
        ("orders.example", true),
        ("ORDERS.Example", true),
        ("orders.example:8080", true),
        ("10.0.0.1", true),
        ("10.0.0.1:80", true),
        ("xorders.example", false),
        ("orders.example.com", false),
        ("example", false),
        ("orders", false),
    ] {
        let refusal = ask("GET", "/").with("host", host).refusal(&snapshot);
        let expected = (!matches).then_some(Cause::RouteNone);
        assert_eq!(refusal, expected, "{host}");
    }
}

#[test]
fn a_path_that_is_respelt_needs_a_route_that_says_so() {
    let routes = "- { name: strict, match: { path: /strict }, anonymous: true }\n\
                  - { name: lax, match: { path: /lax }, anonymous: true, normalise: true }";
    let snapshot = policy("", routes);
    for (path, refused) in [
        ("/strict", None),
        ("/stri%63t", Some(Cause::Path)),
        ("/lax", None),
        ("/l%61x", None),
        ("/%6cax", None),
        ("/l%2561x", Some(Cause::Path)),
        ("/x/%2e%2e/lax", Some(Cause::Path)),
        ("/x/../lax", Some(Cause::Path)),
        ("//lax", Some(Cause::Path)),
        ("/lax;v=1", Some(Cause::Path)),
        ("/l\\ax", Some(Cause::Path)),
        ("/lax%2f", Some(Cause::Path)),
        ("/lax%00", Some(Cause::Path)),
    ] {
        // What no URI holds is refused before there is a request.
        if path.parse::<http::Uri>().is_ok() {
            assert_eq!(ask("GET", path).refusal(&snapshot), refused, "{path}");
        }
    }
}

#[test]
fn a_body_on_get_needs_a_route_that_says_so() {
    let routes = "- { name: lax, match: { path: /lax }, anonymous: true, body: { allow_on_get: true } }\n\
                  - { name: strict, match: { path: /** }, anonymous: true }";
    let snapshot = policy("", routes);
    for (method, path, refused) in [
        ("GET", "/strict", true),
        ("HEAD", "/strict", true),
        ("POST", "/strict", false),
        ("DELETE", "/strict", false),
        ("OPTIONS", "/strict", false),
        ("GET", "/lax", false),
        ("HEAD", "/lax", false),
    ] {
        let expected = refused.then_some(Cause::BodyNotAllowed);
        let sized = ask(method, path).body("x").refusal(&snapshot);
        assert_eq!(sized, expected, "{method} {path}");
        let chunked = ask(method, path).chunked(b"").refusal(&snapshot);
        assert_eq!(chunked, expected, "{method} {path} in chunks");
        let empty = ask(method, path).with("content-length", "0");
        assert_eq!(empty.refusal(&snapshot), None, "{method} {path}");
    }
}

#[test]
fn a_route_that_could_never_match_is_refused_at_load() {
    for routes in [
        "- { name: all, match: { path: /** }, anonymous: true }\n- { name: one, match: { path: /a }, anonymous: true }",
        "- { name: a, match: { path: \"/{x}\" }, anonymous: true }\n- { name: b, match: { path: /b, method: GET }, anonymous: true }",
        "- { name: a, match: { path: /a }, anonymous: true }\n- { name: a, match: { path: /b }, anonymous: true }",
    ] {
        assert!(refusable("", routes).is_err(), "{routes}");
    }
}

/// A template as the naive matcher reads it.
#[derive(Clone, Debug)]
struct Written {
    segments: Vec<String>,
    open: bool,
}

impl Written {
    fn text(&self) -> String {
        let open = if self.open { "/**" } else { "" };
        let joined = self.segments.join("/");
        match (self.segments.is_empty(), self.open) {
            (true, true) => "/**".to_owned(),
            (true, false) => "/".to_owned(),
            (false, _) => format!("/{joined}{open}"),
        }
    }

    /// Segment by segment on plain lists, as one would on paper.
    fn takes(&self, path: &[String]) -> bool {
        let fits = |(own, sent): (&String, &String)| own == sent || own.starts_with('{');
        let long_enough = path.len() >= self.segments.len();
        let short_enough = self.open || path.len() == self.segments.len();
        long_enough && short_enough && self.segments.iter().zip(path).all(fits)
    }
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ab", "orders", "7"]).prop_map(str::to_owned)
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![3 => word(), 1 => Just("{id}".to_owned())]
}

fn template() -> impl Strategy<Value = Written> {
    (vec(segment(), 0..4), any::<bool>()).prop_map(|(segments, open)| Written { segments, open })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn routes_are_found_as_a_naive_search_finds_them(
        templates in vec((template(), 0usize..4), 1..6),
        paths in vec((vec(word(), 0..5), 0usize..3), 1..20),
    ) {
        const METHODS: [&str; 4] = ["GET", "POST", "DELETE", ""];
        let written: String = templates.iter().enumerate().map(|(n, (template, method))| {
            let method = match METHODS[*method] {
                "" => String::new(),
                method => format!(", method: {method}"),
            };
            let path = template.text();
            format!("- {{ name: r{n}, match: {{ path: \"{path}\"{method} }}, anonymous: true }}\n")
        }).collect();
        // A route that an earlier one hides is refused at load, which is another test's subject.
        let Ok(snapshot) = refusable("", &written) else { return Ok(()) };
        for (path, method) in paths {
            let method = METHODS[method];
            let target = format!("/{}", path.join("/"));
            let here = || templates.iter().enumerate().filter(|(_, (template, _))| template.takes(&path));
            let expected = here()
                .find(|(_, (_, own))| METHODS[*own].is_empty() || METHODS[*own] == method)
                .map(|(n, _)| format!("r{n}"));
            match ask(method, &target).live(&snapshot) {
                Ok(passed) => prop_assert_eq!(Some(passed.route), expected, "{} {}", method, target),
                Err(denial) => {
                    prop_assert_eq!(expected, None, "{} {}", method, target);
                    let cause = if here().next().is_some() { Cause::RouteMethod } else { Cause::RouteNone };
                    prop_assert_eq!(denial.cause, cause, "{} {}", method, target);
                }
            }
        }
    }
}
