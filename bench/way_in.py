"""The way in: verify an RS256 token, ask a limit, set security headers, forward to a service.

The work is alike, not equal: Envoy has one global bucket and a cache of verified tokens; HAProxy a stick table by subject
and no cache; Outrider a bucket for each user, a cache, and, unlike both, an audit record of every request.
"""

import base64
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import common

ISSUER, AUDIENCE = "https://issuer.bench", "bench"
TOKENS = 100
SECURITY = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("content-security-policy", "default-src 'none'"),
    ("referrer-policy", "no-referrer"),
]


class WayIn:
    """Who does the work, for which requests, and how to see that it is done."""

    title = "The way in"

    def __init__(self, program):
        self.program = program
        self.issuer = Issuer()
        self.tokens = [self.issuer.token(f"user-{number}") for number in range(TOKENS)]
        self.peers = {"outrider": self.outrider, "envoy": self.envoy, "haproxy": self.haproxy}

    def requests(self, _port):
        return [asking(token) for token in self.tokens]

    def is_done(self, _name, port):
        """200 with a token, 401 without."""
        ask = lambda asked: common.status(common.ask(port, asked))
        return ask(asking(self.tokens[0])) == 200 and ask(asking(None)) == 401

    def service(self, folder, port):
        """The service behind every peer: HAProxy again, answering by itself."""
        return common.haproxy(folder, f"""
frontend f
    bind 127.0.0.1:{port}
    http-request return status 200 content-type application/json string '{common.REPLY}'
""")

    def outrider(self, folder, port, service):
        (folder / "keys.json").write_text(self.issuer.jwks())
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
        return [self.program, "proxy", "-c", str(folder / "sidecar.yaml")]

    def haproxy(self, folder, port, service):
        (folder / "key.pem").write_text(self.issuer.pem())
        headers = "".join(f'    http-response set-header {name} "{value}"\n' for name, value in SECURITY)
        return common.haproxy(folder, f"""
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

    def envoy(self, folder, port, service):
        kind = "type.googleapis.com/envoy.extensions.filters.http"
        provider = {"issuer": ISSUER, "audiences": [AUDIENCE], "forward": True,
                    "local_jwks": {"inline_string": self.issuer.jwks()},
                    "jwt_cache_config": {"jwt_cache_size": 20000, "jwt_max_token_size": 4096}}
        always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
        bucket = {"max_tokens": 100000000, "tokens_per_fill": 100000000, "fill_interval": "1s"}
        filters = [
            {"name": "envoy.filters.http.jwt_authn", "typed_config": {
                "@type": f"{kind}.jwt_authn.v3.JwtAuthentication", "providers": {"p": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}]}},
            {"name": "envoy.filters.http.local_ratelimit", "typed_config": {
                "@type": f"{kind}.local_ratelimit.v3.LocalRateLimit", "stat_prefix": "rl",
                "token_bucket": bucket, "filter_enabled": always, "filter_enforced": always}},
        ]
        added = [{"header": {"key": key, "value": value}} for key, value in SECURITY]
        return common.envoy(folder, port, service, filters=filters, host={"response_headers_to_add": added})


class Issuer:
    """Signs tokens with a key made now."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self):
        numbers = self.key.public_key().public_numbers()
        encode = lambda value: b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "bench",
               "n": encode(numbers.n), "e": encode(numbers.e)}
        return json.dumps({"keys": [key]})

    def pem(self):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def token(self, subject):
        now = int(time.time())
        header = {"alg": "RS256", "typ": "JWT", "kid": "bench"}
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600, "roles": ["trader"]}
        message = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        return f"{message}.{b64(self.key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def asking(token):
    return common.request("GET", "bench", *([f"Authorization: Bearer {token}"] if token else []))


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
