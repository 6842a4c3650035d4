"""What can go wrong? One class a situation."""

from __future__ import annotations


class RussulaError(Exception):
    """Base of all."""


class ProtocolError(RussulaError):
    """A rule of the conversation was broken."""


class LocalProtocolError(ProtocolError):
    """This side asked for what the tables don't allow."""


class RemoteProtocolError(ProtocolError):
    """The other side sent what it may not."""


class WorkerFailed(RussulaError):
    """A worker announced FAILED: in which state it was, why, and its driver's last lines."""

    def __init__(self, worker: str, state: str, reason: str, detail: str = "", tail: str = "") -> None:
        self.worker, self.state, self.reason, self.detail, self.tail = worker, state, reason, detail, tail
        text = f"{worker} failed in {state}: {reason}" + (f": {detail}" if detail else "")
        super().__init__(text + (f"\n{tail}" if tail else ""))


class WorkerLost(RussulaError):
    """The connection to a worker ended early."""

    def __init__(self, worker: str, detail: str) -> None:
        self.worker = worker
        super().__init__(f"{worker} was lost: {detail}")


class DeadlineExceeded(RussulaError):
    """Somebody didn't get there in time."""


class ActionFailed(Exception):
    """An action's own word for what went wrong: a reason in one word, a sentence, the last lines of its driver."""

    def __init__(self, reason: str, detail: str = "", tail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail, self.tail = reason, detail, tail


class CredentialsError(RussulaError):
    """Credentials are missing, malformed, or don't belong together; names the file or the side."""


class AddressError(RussulaError):
    """An address can't be used; says what was expected."""
