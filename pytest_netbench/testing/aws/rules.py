"""What can be made to go wrong in the emulated cloud? Frozen rules, as JSON on their way to it; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from typing import Any

DROP, HANG = "DROP", "HANG"
"""Codes of an ``ApiFault`` that are no error of AWS: the connection ends, or stays silent."""
FOR_EVER = 1 << 30
"""Times that a rule applies, for one that doesn't wear out."""


class Kind(Enum):
    """What emulated hosts are."""

    LOOPBACK = "loopback"
    """Processes, each group on a loopback address of its own, which is its public one as well."""
    NAMESPACES = "namespaces"
    """Namespaces on a bridge; public addresses lead to them, for who is outside alone."""
    SIMULATED = "simulated"
    """Nothing: workers of all hosts share one process."""
    PLAIN = "plain"
    """Nothing: moto as it is, whose SSM runs no command."""


class Fate(Enum):
    """What becomes of a host."""

    NO_AGENT = "no-agent"
    """It runs, and SSM never hears of it."""
    BOOT_FAILS = "boot-fails"
    """RunInstances said yes, then there was no room: it is terminated by the server."""
    NEVER_BOOTS = "never-boots"
    """It stays pending."""


class Cause(Enum):
    """Why a host's plug is pulled."""

    CRASH = "crash"
    """EC2 goes on saying ``running``; SSM says ``ConnectionLost``."""
    SPOT = "spot"
    """The market took it: terminated, ``Server.SpotInstanceTermination``."""
    SHUTDOWN = "shutdown"
    """It ended by itself, as by ``poweroff``."""


@dataclass(frozen=True, slots=True)
class ApiFault:
    """An API call that goes wrong.

    ``service`` and ``action`` as AWS names them (``ec2``, ``RunInstances``; for S3 the HTTP method), any where empty.
    ``contains``: only requests whose body has this text. ``code``, ``status``, ``message``: the error; ``DROP`` and
    ``HANG`` as codes end the connection, or never answer. The first ``skip`` calls pass, the next ``times`` are hit.
    ``after``: the call is carried out, and its answer lost.
    """

    code: str
    service: str = ""
    action: str = ""
    contains: str = ""
    status: int = 400
    message: str = "injected"
    skip: int = 0
    times: int = 1
    after: bool = False

    def meets(self, service: str, action: str, body: str) -> bool:
        """Whether the rule speaks of such a call."""
        return self.service in {"", service} and self.action in {"", action} and self.contains in body


@dataclass(frozen=True, slots=True)
class HostFault:
    """A host that isn't well: those whose tags contain ``tag``, the first ``times`` of them."""

    fate: Fate
    tag: str = ""
    times: int = FOR_EVER


def to_json(rule: ApiFault | HostFault) -> dict[str, Any]:
    """The rule on its way."""
    return {name: value.value if isinstance(value, Enum) else value for name, value in asdict(rule).items()}


def from_json(text: Mapping[str, Any]) -> ApiFault | HostFault:
    """The rule again.

    :raises ValueError: if it is none.
    """
    kind: type[ApiFault | HostFault] = HostFault if "fate" in text else ApiFault
    unknown = set(text) - {one.name for one in fields(kind)}
    if unknown:
        raise ValueError(f"a {kind.__name__} has no {', '.join(sorted(unknown))}")
    if kind is HostFault:
        return HostFault(**{**text, "fate": Fate(text["fate"])})
    return ApiFault(**text)


SKEW = 300.0
"""Seconds that a signature's date may be away from the cloud's own clock."""
_TOO_LATE: Mapping[str, tuple[str, int, str]] = {
    "ec2": ("RequestExpired", 400, "Request has expired."),
    "s3": ("RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large."),
    "ssm": ("InvalidSignatureException", 400, "Signature expired: it is now later than 5 min. after it"),
}


def skewed(service: str, seconds: float) -> ApiFault | None:
    """What a service says to a request from a clock that is so far away from its own; None if that is near enough."""
    if abs(seconds) <= SKEW:
        return None
    other = ("SignatureDoesNotMatch", 403, "Signature expired: it is now later than 5 min. after it")
    code, status, message = _TOO_LATE.get(service, other)
    return ApiFault(code, status=status, message=message)


def met(
    rules: Iterable[ApiFault], service: str, action: str, body: str
) -> tuple[ApiFault | None, tuple[ApiFault, ...]]:
    """The rule that hits this call, and the rules that are left for the next."""
    hit, left = None, []
    for rule in rules:
        if hit is None and rule.meets(service, action, body):
            if rule.skip:
                left.append(replace(rule, skip=rule.skip - 1))
                continue
            hit, rule = rule, replace(rule, times=rule.times - 1)  # noqa: PLW2901  the worn rule stays in its place
        if rule.times > 0:
            left.append(rule)
    return hit, tuple(left)


def error_body(service: str, fault: ApiFault) -> tuple[str, str]:
    """An error as this service writes it: content type, and text."""
    code, message = fault.code, fault.message
    inner = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    if service == "ec2":
        return "text/xml", f"<Response><Errors>{inner}</Errors><RequestID>emulated</RequestID></Response>"
    if service == "s3":
        return "application/xml", inner
    if service in {"iam", "sts", "cloudformation"}:
        return "text/xml", f"<ErrorResponse>{inner}<RequestId>emulated</RequestId></ErrorResponse>"
    return "application/x-amz-json-1.1", f'{{"__type": "{code}", "message": "{message}"}}'
