"""What both ways have in common: requests, ports, and how HAProxy and Envoy are told things. Measures nothing."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

QUERY = "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.015&price=43250.1"
REPLY = '{"symbol":"BTCUSDT","orderId":28457193,"price":"43250.10","status":"NEW","side":"BUY"}'


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# What a usual client says beside what the work needs.
USUAL = ["User-Agent: python-requests/2.32.5", "Accept-Encoding: gzip, deflate", "Accept: */*", "Connection: keep-alive"]


def serving(command, port, patience=10):
    """The process that this command starts, once it takes connections."""
    process = subprocess.Popen(command)
    if not wait_for(lambda: connects(port), patience):
        process.kill()
        sys.exit(f"{command[0]} does not listen")
    return process


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def request(method, host, *headers):
    """One request as its bytes."""
    lines = [f"{method} {QUERY} HTTP/1.1", f"Host: {host}", *USUAL, *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def ask(port, asked):
    """The head of one answer, or nothing."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as stream:
            stream.sendall(asked)
            return stream.recv(4096).decode("latin-1")
    except OSError:
        return ""


def status(head):
    found = re.match(r"HTTP/1\.1 (\d+)", head)
    return int(found.group(1)) if found else 0


def wait_for(what, patience):
    """Asks again until `what` is so, or says that it never was."""
    until = time.monotonic() + patience
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def haproxy(folder, text):
    """The command that runs HAProxy, one thread, with these sections."""
    path = Path(folder) / "haproxy.cfg"
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


def envoy(folder, port, service, filters=(), host=None, cluster=None):
    """The command that runs Envoy, one worker, with these filters before its router."""
    kind = "type.googleapis.com/envoy.extensions.filters"
    router = {"name": "envoy.filters.http.router", "typed_config": {
        "@type": f"{kind}.http.router.v3.Router", "dynamic_stats": False, "suppress_envoy_headers": True}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "b"}}
    hosts = [{"name": "v", "domains": ["*"], "routes": [route], **(host or {})}]
    manager = {"@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
               "stat_prefix": "h", "codec_type": "HTTP1", "generate_request_id": False,
               "http_filters": [*filters, router], "route_config": {"name": "r", "virtual_hosts": hosts}}
    at = lambda number: {"socket_address": {"address": "127.0.0.1", "port_value": number}}
    behind = {"name": "b", "type": "STATIC", "connect_timeout": "1s", **(cluster or {}), "load_assignment": {
        "cluster_name": "b", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(service)}}]}]}}
    chain = [{"filters": [{"name": "hcm", "typed_config": manager}]}]
    config = {"stats_config": {"stats_matcher": {"reject_all": True}}, "static_resources": {
        "listeners": [{"name": "l", "address": at(port), "filter_chains": chain}], "clusters": [behind]}}
    path = Path(folder) / "envoy.json"
    path.write_text(json.dumps(config))
    program = shutil.which("envoy", path=str(Path(sys.executable).parent)) or sys.exit("there is no envoy in bench/.venv")
    return [program, "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
