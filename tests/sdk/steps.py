"""Walks named steps and prints one JSON line for each. Never knows a key that an exchange would take."""

import inspect
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

# How many seconds a client waits for what must come, on a machine that is busy with other things.
PATIENCE = 20

# What the exchange calls a refusal of credentials that a client sends by itself, and what is said of it.
CODE = -1101
MESSAGE = "Send no key, time or signature of your own"


# What it calls a refusal of what moves money, and what is said of that.
RESERVED_CODE = -1002
RESERVED_MESSAGE = "This call is kept back unless it is opened by its exact name"


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
        """A step that is called; its value is the step's outcome."""
        try:
            value = call()
            self.tell(name, value)
            return value
        except Exception as error:  # whatever a client raises is the step's outcome
            self.fault(name, error)
            return None

    async def wait(self, name, awaitable):
        """The same for a step that is awaited."""
        try:
            value = await awaitable
            self.tell(name, value)
            return value
        except Exception as error:  # whatever a client raises is the step's outcome
            self.fault(name, error)
            return None

    async def refused(self, name, call, words, code=CODE, message=MESSAGE):
        """A step that must be refused; `words` gives what the client's error says, so that nothing is lost on its way."""
        try:
            value = call()
            value = await value if inspect.isawaitable(value) else value
            raise AssertionError(f"was not refused: {value!r}")
        except AssertionError as error:
            self.fault(name, error)
        except Exception as error:  # whatever a client raises is the step's outcome
            self.run(name, lambda: expect(said := f"{words(error)}", str(code) in said and message in said))

    async def reserved(self, name, call, words):
        """A step that must be refused because it would move money."""
        await self.refused(name, call, words, RESERVED_CODE, RESERVED_MESSAGE)

    def end(self):
        sys.exit(1 if self.failed else 0)


def expect(what, held):
    """Fails a step whose answer is not what it must be."""
    if not held:
        raise AssertionError(f"not as expected: {what!r}")
    return what


async def answer(awaitable):
    """The SDK returns a refusal as data; here it is raised."""
    response = await awaitable
    data = response.data()
    error = getattr(data, "error", None) or (data.get("error") if isinstance(data, dict) else None)
    if error:
        raise RuntimeError(f"{error}")
    return data


def part():
    """Which part of the program is to be run."""
    return sys.argv[1]
