"""Outrider beside Envoy and HAProxy, on the way in and on the way out (what the work is: `way_in.py`, `way_out.py`).

Every peer runs alone on CPU 0, load generator and service together on CPU 1. The measure is the CPU time of the proxy for
each answered request (schedstat), because the second core caps requests per second. Peers are interleaved over rounds,
each a fresh process, and the ratios are of medians. Differences under 20 % are noise, and so is any run on a machine with
other work to do: the time that processes of others had on CPU 0 is told with the results.
"""

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
from way_in import WayIn
from way_out import WayOut

PATIENCE = 15


def cpu_seconds(pid):
    """Time on a CPU of all threads, in seconds (schedstat counts nanoseconds)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def busy_seconds():
    """Time that CPU 0 was not idle, in seconds."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[1].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / 100


def memory(pid, key):
    line = re.search(rf"{key}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(line.group(1)) / 1024


def load(port, script, seconds):
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return int(re.search(r"(\d+) requests in", out).group(1)), int(failed.group(1)) if failed else 0


def write_script(folder, requests):
    """JSON's escapes are Lua's, too."""
    texts = ",\n".join(json.dumps(request.decode()) for request in requests)
    script = folder / "requests.lua"
    script.write_text(f"local requests, at = {{{texts}}}, 0\n"
                      "function request() at = at % #requests + 1; return requests[at] end\n")
    return script


def measure(way, name, work, service):
    folder = work / f"{name}-{time.monotonic_ns()}"
    folder.mkdir()
    port = common.free_port()
    script = write_script(folder, way.requests(port))
    command = ["taskset", "-c", "0"] + way.peers[name](folder, port, service)
    with open(folder / "stderr", "w") as stderr:
        peer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        if not common.wait_for(lambda: way.is_done(name, port), PATIENCE):
            sys.exit(f"{name} does not do the work: {(folder / 'stderr').read_text()[-800:]}")
        idle = memory(peer.pid, "VmRSS")
        load(port, script, 1)
        before, busy, began = cpu_seconds(peer.pid), busy_seconds(), time.monotonic()
        count, failed = load(port, script, ARGS.seconds)
        spent, busy, took = cpu_seconds(peer.pid) - before, busy_seconds() - busy, time.monotonic() - began
        if failed:
            sys.exit(f"{name}: {failed} requests failed")
        return {"us": spent / count * 1e6, "rps": count / took, "idle": idle, "peak": memory(peer.pid, "VmHWM"),
                "others": max(0, busy - spent) / took}
    finally:
        peer.send_signal(signal.SIGTERM)
        try:
            peer.wait(10)
        except subprocess.TimeoutExpired:
            peer.kill()
            peer.wait()


def rounds(way, work):
    results = {name: [] for name in way.peers}
    (work / "service").mkdir(parents=True)
    port = common.free_port()
    service = common.serving(["taskset", "-c", "1"] + way.service(work / "service", port), port)
    try:
        for number in range(ARGS.rounds):
            for name in way.peers:
                row = measure(way, name, work, port)
                results[name].append(row)
                print(f"{way.title}, round {number + 1}  {name:9} {row['us']:6.1f} us", file=sys.stderr, flush=True)
    finally:
        service.terminate()
        service.wait()
    return results


def report(title, results):
    middle = lambda name, key: statistics.median(row[key] for row in results[name])
    print(f"\n{title}\n\n| peer | CPU us/request | requests/s | MiB idle | MiB peak | requests per CPU second, outrider = 1 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, rows in results.items():
        low, high = min(row["us"] for row in rows), max(row["us"] for row in rows)
        ratio = middle("outrider", "us") / middle(name, "us")
        print(f"| {name} | {middle(name, 'us'):.1f} ({low:.1f}-{high:.1f}) | {middle(name, 'rps'):.0f} "
              f"| {middle(name, 'idle'):.1f} | {middle(name, 'peak'):.1f} | {ratio:.2f} |")
    others = [row["others"] for rows in results.values() for row in rows]
    print(f"\nOthers had {statistics.median(others):.0%} of CPU 0 (at most {max(others):.0%}).")


def main():
    with tempfile.TemporaryDirectory() as work:
        for way in (WayIn(ARGS.outrider), WayOut(ARGS.outrider)):
            report(way.title, rounds(way, Path(work) / type(way).__name__))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrider", required=True, help="the program, built with --profile dist")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    ARGS = parser.parse_args()
    main()
