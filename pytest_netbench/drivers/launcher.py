"""How does a driver that can't wait begin at an agreed instant? This program waits in its place, then becomes it.

``python -I -S launcher.py READFD,WRITEFD PROGRAM ARGUMENTS...``: writes ``armed`` and a newline, reads the instant
(decimal nanoseconds of the monotonic clock, a newline), sleeps to it, writes when that really was (the same form), and
executes the program, which doesn't inherit the pipes. End of file instead of an instant: it ends.
Standard library only, and little of it: its start delays every round.
"""

import os
import sys
import time

STATUS_NOT_EXECUTED = 126
STATUS_NO_INSTANT = 125


def main(arguments: list[str]) -> int:
    """Wait and execute; returns a status only where that could not be done."""
    reader, writer = (int(one) for one in arguments[0].split(","))
    program = arguments[1:]
    os.set_inheritable(reader, False)  # noqa: FBT003 - the standard library's own signature
    os.set_inheritable(writer, False)  # noqa: FBT003
    os.write(writer, b"armed\n")
    instant = read_instant(reader)
    if instant is None:
        return STATUS_NO_INSTANT
    sleep_to(instant)
    os.write(writer, b"%d\n" % time.monotonic_ns())
    try:
        os.execv(program[0], program)  # noqa: S606 - there is no shell here
    except OSError as error:
        print(f"{program[0]} can't be executed: {error.strerror}", file=sys.stderr)  # noqa: T201
        return STATUS_NOT_EXECUTED


def read_instant(reader: int) -> int | None:
    """The instant that comes on a pipe, or None if its other end was closed."""
    text = b""
    while not text.endswith(b"\n"):
        more = os.read(reader, 64)
        if not more:
            return None
        text += more
    return int(text)


def sleep_to(instant_ns: int) -> None:
    """Sleep until the monotonic clock shows that instant; not at all if it is over."""
    while (rest := instant_ns - time.monotonic_ns()) > 0:
        time.sleep(rest / 1e9)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
