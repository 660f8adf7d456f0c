"""Walks named steps and prints one JSON line for each. Never knows a key that an exchange would take."""

import json
import os
import sys
import traceback

# What users of a signing sidecar give their client so that it sends private calls at all.
DUMMY_KEY = "k" * 64
DUMMY_SECRET = "s" * 64

# Where the sidecar listens, as `http://127.0.0.1:PORT`.
SIDECAR = os.environ["OUTRIDER_SIDECAR"]
SOCKETS = SIDECAR.replace("http://", "ws://")


class Steps:
    """Each step is a name and what came of it; the caller reads the lines."""

    def __init__(self):
        self.failed = 0

    def tell(self, name, detail):
        print(json.dumps({"step": name, "ok": True, "detail": str(detail)[:300]}), flush=True)

    def fault(self, name, error):
        self.failed += 1
        where = traceback.format_exc(limit=-3)
        detail = f"{type(error).__name__}: {error}\n{where}"[:1500]
        print(json.dumps({"step": name, "ok": False, "detail": detail}), flush=True)

    def run(self, name, call):
        try:
            value = call()
            self.tell(name, value)
            return value
        except Exception as error:  # whatever a client raises is the step's outcome
            self.fault(name, error)
            return None

    async def wait(self, name, awaitable):
        try:
            value = await awaitable
            self.tell(name, value)
            return value
        except Exception as error:  # whatever a client raises is the step's outcome
            self.fault(name, error)
            return None

    def end(self):
        sys.exit(1 if self.failed else 0)


def expect(what, held):
    """Fails a step whose answer is not what it must be."""
    if not held:
        raise AssertionError(f"not as expected: {what!r}")
    return what
