"""Inbound work side by side: verify an RS256 token, ask a limit, set security headers, forward to a service.

Every peer runs alone on CPU 0, load generator and service together on CPU 1. The measure is the CPU time of the proxy for
each answered request (schedstat), because the second core caps requests per second. Peers are interleaved over rounds,
each a fresh process, and the ratios are of medians. Differences under 20 % are noise.

The work is alike, not equal: Envoy has one global bucket and a cache of verified tokens; HAProxy a stick table by subject
and no cache; Outrider a bucket for each user, a cache, and, unlike both, an audit record of every request.
"""

import argparse
import base64
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import peers

PATH = "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.015&price=43250.1"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


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
        claims = {"iss": peers.ISSUER, "aud": peers.AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600,
                  "roles": ["trader"]}
        message = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        return f"{message}.{b64(self.key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    """Time on a CPU of all threads, in seconds (schedstat counts nanoseconds)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def memory(pid, key):
    line = re.search(rf"{key}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(line.group(1)) / 1024


def ask(port, token):
    auth = f"Authorization: Bearer {token}\r\n" if token else ""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as stream:
            stream.sendall(f"GET {PATH} HTTP/1.1\r\nHost: bench\r\n{auth}Connection: close\r\n\r\n".encode())
            return int(stream.recv(4096).split(b" ")[1])
    except (OSError, IndexError, ValueError):
        return 0


def does_the_work(port, token, patience=10):
    """Waits until the peer answers 200 with the token, and demands 401 without."""
    until = time.monotonic() + patience
    while ask(port, token) != 200:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return ask(port, None) == 401


def load(port, script, seconds):
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}s", "-s", str(script),
               f"http://127.0.0.1:{port}{PATH}"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return int(re.search(r"(\d+) requests in", out).group(1)), int(failed.group(1)) if failed else 0


def measure(name, configure, work, service, issuer, script, token):
    folder = work / f"{name}-{time.monotonic_ns()}"
    folder.mkdir()
    port = free_port()
    command = ["taskset", "-c", "0"] + configure(folder, port, service, issuer)
    with open(folder / "stderr", "w") as stderr:
        peer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        if not does_the_work(port, token):
            sys.exit(f"{name} does not do the work: {(folder / 'stderr').read_text()[-800:]}")
        idle = memory(peer.pid, "VmRSS")
        load(port, script, 1)
        before, began = cpu_seconds(peer.pid), time.monotonic()
        count, failed = load(port, script, ARGS.seconds)
        spent, took = cpu_seconds(peer.pid) - before, time.monotonic() - began
        if failed:
            sys.exit(f"{name}: {failed} requests failed")
        return {"us": spent / count * 1e6, "rps": count / took, "idle": idle, "peak": memory(peer.pid, "VmHWM")}
    finally:
        peer.send_signal(signal.SIGTERM)
        try:
            peer.wait(10)
        except subprocess.TimeoutExpired:
            peer.kill()
            peer.wait()


def write_script(work, tokens):
    (work / "tokens").write_text("\n".join(tokens))
    script = work / "tokens.lua"
    script.write_text(f"""
local requests, at = {{}}, 0
function init()
  for line in io.lines("{work}/tokens") do
    requests[#requests + 1] = wrk.format("GET", wrk.path, {{ ["Authorization"] = "Bearer " .. line, ["Host"] = "bench" }})
  end
end
function request() at = at % #requests + 1; return requests[at] end
""")
    return script


def main():
    issuer = Issuer()
    contenders = {"outrider": peers.outrider(ARGS.outrider), "envoy": peers.envoy, "haproxy": peers.haproxy}
    results = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        tokens = [issuer.token(f"user-{number}") for number in range(ARGS.tokens)]
        script = write_script(work, tokens)
        service = free_port()
        backend = subprocess.Popen(["taskset", "-c", "1"] + peers.service(work, service))
        try:
            for number in range(ARGS.rounds):
                for name, configure in contenders.items():
                    row = measure(name, configure, work, service, issuer, script, tokens[0])
                    results[name].append(row)
                    print(f"round {number + 1}  {name:9} {row['us']:6.1f} us", file=sys.stderr, flush=True)
        finally:
            backend.terminate()
            backend.wait()
    report(results)


def report(results):
    middle = lambda name, key: statistics.median(row[key] for row in results[name])
    print("\n| peer | CPU us/request | requests/s | MiB idle | MiB peak | requests per CPU second, outrider = 1 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, rows in results.items():
        low, high = min(row["us"] for row in rows), max(row["us"] for row in rows)
        ratio = middle("outrider", "us") / middle(name, "us")
        print(f"| {name} | {middle(name, 'us'):.1f} ({low:.1f}-{high:.1f}) | {middle(name, 'rps'):.0f} "
              f"| {middle(name, 'idle'):.1f} | {middle(name, 'peak'):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrider", required=True, help="the program, built with --profile dist")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=100, help="distinct tokens that take turns")
    ARGS = parser.parse_args()
    main()
