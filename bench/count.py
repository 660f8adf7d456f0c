"""What one request costs in numbers that do not depend on how busy the machine is: instructions, allocations, system calls.

The program runs in callgrind (instructions, calls of the allocator) and then beside strace; 16 connections that are kept
alive ask at once and wait for all answers. Counted is the thread that serves requests, between two moments while it is under
load: not the start, not the writer of the audit spool. Valgrind's processor has no SHA or AES-512 instructions, so
cryptography counts for more there than it costs; the sum is also told without it.
"""

import argparse
import collections
import contextlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import common
from way_in import WayIn
from way_out import WayOut

CONNECTIONS, WARM_UP, COUNTED = 16, 20, 125
PATIENCE = 120
# The C library's, and Rust's, which lead to them.
ALLOCATORS = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"} | {
    f"__rustc::__{layer}_{kind}" for layer in ("rust", "rdl") for kind in ("alloc", "alloc_zeroed", "realloc")}


class Load:
    """Connections on which one request each is asked at a time."""

    def __init__(self, port, requests):
        self.streams = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(CONNECTIONS)]
        self.requests, self.at = requests, 0

    def rounds(self, count):
        for _ in range(count):
            for stream in self.streams:
                stream.sendall(self.requests[self.at % len(self.requests)])
                self.at += 1
            for stream in self.streams:
                answer(stream)


def answer(stream):
    held = b""
    while b"\r\n\r\n" not in held:
        held += stream.recv(65536) or sys.exit("the connection was closed")
    head, body = held.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head).group(1))
    while len(body) < length:
        body += stream.recv(65536) or sys.exit("the connection was closed")
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(f"refused: {head.decode()}")


@contextlib.contextmanager
def running(way, folder, before):
    """The program with `before` in front of its command, once it does its work; and its port."""
    folder.mkdir()
    behind, port = common.free_port(), common.free_port()
    service = common.serving(way.service(folder, behind), behind)
    with open(folder / "stderr", "w") as stderr:
        command = before + way.peers["outrider"](folder, port, behind)
        program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, cwd=folder)
    try:
        if not common.wait_for(lambda: way.is_done("outrider", port), PATIENCE):
            sys.exit((folder / "stderr").read_text()[-2000:])
        yield program.pid, Load(port, way.requests(port))
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
        service.terminate()
        service.wait()


def instructions(way, folder):
    tool = ["valgrind", "--tool=callgrind", "--separate-threads=yes", "--callgrind-out-file=out"]
    with running(way, folder, tool) as (pid, load):
        control = lambda order: subprocess.run(["callgrind_control", order, str(pid)], check=True, capture_output=True)
        load.rounds(WARM_UP)
        control("-z")
        load.rounds(COUNTED)
        control("-d")
        profiles = [Profile(path) for path in folder.glob("out.1-*")]
    return max(profiles, key=lambda profile: sum(profile.own.values()))


class Profile:
    """What callgrind wrote of one thread: what each function costs itself and with all that it calls, and calls."""

    def __init__(self, path):
        self.own, self.inside, self.calls = (collections.Counter() for _ in range(3))
        names, function, called = {}, None, None
        for line in path.read_text().splitlines():
            if found := re.match(r"(c?)fn=\((\d+)\)(?: (.*))?", line):
                callee, number, name = found.groups()
                if name:
                    names[number] = name
                if callee:
                    called = names[number]
                else:
                    function = names[number]
            elif line.startswith("calls="):
                count = int(line[6:].split()[0])
            elif line[:1] in tuple("0123456789+-*"):
                cost = int((line.split() + ["0"])[1])
                self.inside[function] += cost
                if called is None:
                    self.own[function] += cost
                else:
                    self.calls[function, called] += count
                    called = None

    def allocations(self):
        """How often each function asks for memory."""
        made = collections.Counter()
        for (caller, called), count in self.calls.items():
            if called in ALLOCATORS and caller not in ALLOCATORS:
                made[caller] += count
        return made


def system_calls(way, folder):
    with running(way, folder, []) as (pid, load):
        load.rounds(WARM_UP)
        tasks = lambda: {task.name: int((task / "schedstat").read_text().split()[0])
                         for task in Path(f"/proc/{pid}/task").iterdir()}
        before = tasks()
        load.rounds(COUNTED)
        busiest = max(tasks().items(), key=lambda task: task[1] - before.get(task[0], 0))[0]
        strace = subprocess.Popen(["strace", "-c", "-U", "calls,name", "-o", folder / "strace", "-p", busiest],
                                  stderr=subprocess.PIPE)
        strace.stderr.readline()
        load.rounds(COUNTED)
        strace.send_signal(signal.SIGINT)
        strace.wait()
    rows = re.findall(r"^\s*(\d+) (\w+)$", (folder / "strace").read_text(), re.M)
    return {name: int(count) for count, name in rows if name != "total"}


def table(title, counts, requests, rows):
    print(f"\n{title}")
    for name, count in counts.most_common(rows):
        print(f"{count / requests:12.1f}  {name[:170]}")


def main():
    requests = CONNECTIONS * COUNTED
    with tempfile.TemporaryDirectory() as work:
        for way in (WayIn(ARGS.outrider), WayOut(ARGS.outrider)):
            if ARGS.only and ARGS.only not in way.title.split():
                continue
            folder = Path(work) / type(way).__name__
            folder.mkdir()
            profile = instructions(way, folder / "callgrind")
            allocations = profile.allocations()
            calls = system_calls(way, folder / "strace")
            every = sum(profile.own.values())
            cipher = sum(count for name, count in profile.own.items() if "aws_lc" in name)
            print(f"\n{way.title}: {every / requests:.0f} instructions ({(every - cipher) / requests:.0f} without "
                  "cryptography), "
                  f"{sum(allocations.values()) / requests:.1f} allocations, "
                  f"{sum(calls.values()) / requests:.2f} system calls for each request", flush=True)
            table("system calls", collections.Counter(calls), requests, ARGS.rows)
            table("allocations, by who asks", allocations, requests, ARGS.rows)
            table("instructions of a function itself", profile.own, requests, ARGS.rows)
            table("instructions with all that it calls", profile.inside, requests, ARGS.rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrider", required=True, help="the program, with its symbols")
    parser.add_argument("--only", help="in or out")
    parser.add_argument("--rows", type=int, default=40)
    ARGS = parser.parse_args()
    main()
