"""The same work, told to each peer in its own language. Writes configurations into a folder; starts nothing."""

import json
import shutil
import sys
from pathlib import Path

ISSUER, AUDIENCE = "https://issuer.bench", "bench"
REPLY = '{"symbol":"BTCUSDT","orderId":28457193,"price":"43250.10","status":"NEW","side":"BUY"}'
SECURITY = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("content-security-policy", "default-src 'none'"),
    ("referrer-policy", "no-referrer"),
]


def outrider(program):
    def configure(folder, port, service, issuer):
        (folder / "keys.json").write_text(issuer.jwks())
        (folder / "sidecar.yaml").write_text(f"""
service: bench
inbound:
  listen: 127.0.0.1:{port}
  forward_to: http://127.0.0.1:{service}
  tokens: {{ issuer: "{ISSUER}", audience: {AUDIENCE}, keys: {{ file: keys.json }} }}
  roles: {{ trader: [orders:place] }}
  routes:
    - name: order
      match: {{ method: GET, path: /api/v3/order }}
      require: {{ permissions: [orders:place] }}
      limits: [{{ name: order, per: user, rate: 1000000/s, burst: 1000000 }}]
audit: {{ spool: spool }}
health: {{ listen: "127.0.0.1:0" }}
workers: 1
""")
        return [program, "proxy", "-c", str(folder / "sidecar.yaml")]

    return configure


def haproxy(folder, port, service, issuer):
    (folder / "key.pem").write_text(issuer.pem())
    headers = "".join(f'    http-response set-header {name} "{value}"\n' for name, value in SECURITY)
    return start_haproxy(folder / "haproxy.cfg", f"""
frontend f
    bind 127.0.0.1:{port}
    http-request set-var(txn.bearer) http_auth_bearer
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_header_query('$.alg') -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify("RS256","{folder}/key.pem") 1 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {ISSUER} }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.aud') -m str {AUDIENCE} }}
    http-request set-var(txn.now) date()
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
    stick-table type string len 64 size 100k expire 30s store http_req_rate(1s)
    http-request track-sc0 var(txn.bearer),jwt_payload_query('$.sub')
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 10000000 }}
{headers}    default_backend b
backend b
    server s 127.0.0.1:{service}
""")


def service(folder, port):
    """The service behind every peer: HAProxy again, answering by itself."""
    return start_haproxy(folder / "service.cfg", f"""
frontend f
    bind 127.0.0.1:{port}
    http-request return status 200 content-type application/json string '{REPLY}'
""")


def start_haproxy(path, text):
    path.write_text(f"""global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option http-keep-alive
    http-reuse always
{text}""")
    return ["haproxy", "-db", "-f", str(path)]


def envoy(folder, port, service, issuer):
    kind = "type.googleapis.com/envoy.extensions.filters"
    provider = {"issuer": ISSUER, "audiences": [AUDIENCE], "forward": True,
                "local_jwks": {"inline_string": issuer.jwks()},
                "jwt_cache_config": {"jwt_cache_size": 20000, "jwt_max_token_size": 4096}}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    bucket = {"max_tokens": 100000000, "tokens_per_fill": 100000000, "fill_interval": "1s"}
    filters = [
        {"name": "envoy.filters.http.jwt_authn", "typed_config": {
            "@type": f"{kind}.http.jwt_authn.v3.JwtAuthentication", "providers": {"p": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}]}},
        {"name": "envoy.filters.http.local_ratelimit", "typed_config": {
            "@type": f"{kind}.http.local_ratelimit.v3.LocalRateLimit", "stat_prefix": "rl",
            "token_bucket": bucket, "filter_enabled": always, "filter_enforced": always}},
        {"name": "envoy.filters.http.router", "typed_config": {
            "@type": f"{kind}.http.router.v3.Router", "dynamic_stats": False, "suppress_envoy_headers": True}},
    ]
    host = {"name": "v", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "b"}}],
            "response_headers_to_add": [{"header": {"key": key, "value": value}} for key, value in SECURITY]}
    manager = {"@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
               "stat_prefix": "h", "codec_type": "HTTP1", "generate_request_id": False,
               "http_filters": filters, "route_config": {"name": "r", "virtual_hosts": [host]}}
    at = lambda number: {"socket_address": {"address": "127.0.0.1", "port_value": number}}
    cluster = {"name": "b", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": "b", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(service)}}]}]}}
    chain = [{"filters": [{"name": "hcm", "typed_config": manager}]}]
    config = {"stats_config": {"stats_matcher": {"reject_all": True}}, "static_resources": {
        "listeners": [{"name": "l", "address": at(port), "filter_chains": chain}], "clusters": [cluster]}}
    (folder / "envoy.json").write_text(json.dumps(config))
    program = shutil.which("envoy", path=str(Path(sys.executable).parent)) or sys.exit("there is no envoy in bench/.venv")
    return [program, "-c", str(folder / "envoy.json"), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
