"""The way out: take an order in clear text, sign it (HMAC), send it over TLS 1.3 to a stand-in exchange.

Only Outrider does all of it: Envoy and HAProxy send the order as it came, over TLS 1.3 whose server they verify as Outrider
does. They judge nothing, count no limits of an exchange, sign nothing, and record nothing: they do much less.
"""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import common

NAME = "localhost"
# What an exchange counts, so high that a bench meets none of it.
LIMITS = ",".join(
    f'{{"rateLimitType":"{kind}","interval":"{interval}","intervalNum":{number},"limit":1000000000}}'
    for kind, interval, number in [
        ("REQUEST_WEIGHT", "MINUTE", 1), ("RAW_REQUESTS", "MINUTE", 5), ("ORDERS", "SECOND", 10), ("ORDERS", "DAY", 1)
    ])


class WayOut:
    """Who does the work, for which requests, and how to see that it is done."""

    title = "The way out"

    def __init__(self, program):
        self.program = program
        self.ca, self.certificate = authority()
        self.peers = {"outrider": self.outrider, "envoy": self.envoy, "haproxy": self.haproxy}

    def requests(self, port):
        return [common.request("POST", f"127.0.0.1:{port}", "X-MBX-APIKEY: none", "Content-Length: 0")]

    def is_done(self, name, port):
        """200, and where it is to be signed, a signature of 64 digits at the exchange."""
        head = common.ask(port, self.requests(port)[0])
        return common.status(head) == 200 and (name != "outrider" or "\r\nx-signed: 64\r\n" in head)

    def service(self, folder, port):
        """The exchange: HAProxy with TLS 1.3. It tells its time and limits, and how long a signature it got."""
        (folder / "server.pem").write_text(self.certificate)
        json = "content-type application/json"
        return common.haproxy(folder, f"""
frontend f
    bind 127.0.0.1:{port} ssl crt {folder}/server.pem ssl-min-ver TLSv1.3
    http-request return status 200 {json} lf-string '{{"serverTime":%[date(0,ms)]}}' if {{ path /api/v3/time }}
    http-request return status 200 {json} string '{{"rateLimits":[{LIMITS}]}}' if {{ path /api/v3/exchangeInfo }}
    http-request return status 200 {json} string '{common.REPLY}' hdr x-mbx-used-weight-1m 100 hdr x-mbx-order-count-10s 5 hdr x-signed "%[url_param(signature),length]"
""")

    def outrider(self, folder, port, service):
        (folder / "ca.pem").write_text(self.ca)
        secrets = folder / "secrets.env"
        secrets.touch(mode=0o600)
        secrets.write_text(f"API_KEY={'K' * 64}\nAPI_SECRET={'S' * 64}\n")
        (folder / "sidecar.yaml").write_text(f"""
service: bench
inbound:
  listen: 127.0.0.1:0
  forward_to: http://127.0.0.1:9
  routes: [{{ name: health, match: {{ method: GET, path: /health }}, anonymous: true }}]
outbound:
  - name: exchange
    listen: 127.0.0.1:{port}
    exchange: binance-spot
    endpoints: {{ rest: {{ url: "https://{NAME}:{service}", ca_file: ca.pem, stand_in: true }} }}
    sign: {{ key_id: "secret:API_KEY", key: "secret:API_SECRET" }}
    allow: ["POST /api/v3/order"]
secrets: [{{ dotenv: secrets.env }}]
audit: {{ spool: spool }}
health: {{ listen: "127.0.0.1:0" }}
workers: 1
""")
        return [self.program, "proxy", "-c", str(folder / "sidecar.yaml")]

    def haproxy(self, folder, port, service):
        (folder / "ca.pem").write_text(self.ca)
        return common.haproxy(folder, f"""
frontend f
    bind 127.0.0.1:{port}
    http-request set-header host {NAME}
    default_backend b
backend b
    server s 127.0.0.1:{service} ssl verify required ca-file {folder}/ca.pem verifyhost {NAME} sni str({NAME}) ssl-min-ver TLSv1.3
""")

    def envoy(self, folder, port, service):
        tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
        trust = {"trusted_ca": {"inline_string": self.ca},
                 "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": NAME}}]}
        context = {"@type": tls, "sni": NAME, "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "validation_context": trust}}
        socket = {"name": "envoy.transport_sockets.tls", "typed_config": context}
        return common.envoy(folder, port, service, cluster={"transport_socket": socket})


def authority():
    """A certificate authority, and a certificate with its key for the exchange."""
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate(issuer, issuer, ca_key.public_key()).add_extension(x509.BasicConstraints(True, None), critical=True)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    leaf = certificate(issuer, subject, key.public_key()).add_extension(names, critical=False)
    pem = lambda builder: builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return pem(ca), pem(leaf) + private


def certificate(issuer, subject, key):
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    return (x509.CertificateBuilder().issuer_name(issuer).subject_name(subject).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + 30 * day))
