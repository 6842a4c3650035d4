"""What does an error of AWS mean, and what is to be done about it? A table from codes to classes; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws import policy


class AwsError(HostError):
    """AWS said no. ``code`` is its word for it, ``operation`` what was asked, as ``ec2:RunInstances``."""

    hint = ""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.operation, self.code, self.said = operation, code, message
        hint = f"\n{self.hint}" if self.hint else ""
        super().__init__(f"{operation}: {code}: {message}{hint}")


class NoCapacity(AwsError):
    """There is no room for such a host there: another zone or type may have some."""

    hint = "name more types or zones: [providers.aws] types = [...], zones = [...]"


class QuotaReached(AwsError):
    """The account may not have more of these."""

    hint = "ask for more in the console, Service Quotas > EC2, or run fewer or smaller hosts"


class Throttled(AwsError):
    """Too many calls: again, later."""

    hint = "others in this account call the same API: run again later"


class CredentialsRefused(AwsError):
    """Credentials are expired, unknown, or not there."""

    hint = "sign in again (`aws sso login`, `aws configure`), or name a profile: [providers.aws] profile = ..."


class Expired(CredentialsRefused):
    """The request came too late: EC2 says the same of credentials that are expired and of a clock that is wrong."""

    hint = (
        "sign in again (`aws sso login`, `aws configure`); if that doesn't help, see that this machine's clock is "
        "right (`timedatectl`)"
    )


class ClockSkewed(AwsError):
    """Signatures don't hold: this machine's clock is wrong, or the secret is."""

    hint = "see that this machine's clock is right (`timedatectl`); else the secret key is wrong"


class RightsMissing(AwsError):
    """These credentials may not do that."""

    hint = "`netbench aws setup` prints the policy that a coordinator needs"


class NotThere(AwsError):
    """What was named doesn't exist, or can't be seen yet."""


class InUse(AwsError):
    """It can't go while something depends on it."""


class Exists(AwsError):
    """There is one of that name already."""


class Unreachable(AwsError):
    """Nobody answers at the endpoint, or not in time; the call may have been carried out."""

    hint = "see whether this machine has a network, and whether the region's name is right"


class NotAws(AwsError):
    """What answers isn't AWS, or doesn't know this call."""

    hint = (
        "see what is at [providers.aws] endpoint: an emulated AWS must run what SSM is told, which plain moto doesn't"
    )


class Terminated(AwsError):
    """A host ended before it could be used."""


_CLASSES: Mapping[type[AwsError], tuple[str, ...]] = {
    NoCapacity: (
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientCapacityOnHost",
        "InsufficientCapacity",
        "InsufficientReservedInstanceCapacity",
        "Server.InsufficientInstanceCapacity",
        "SpotMaxPriceTooLow",
        "Unsupported",
        "InvalidAvailabilityZone",
    ),
    QuotaReached: (
        "InstanceLimitExceeded",
        "VcpuLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "PlacementGroupLimitExceeded",
        "SecurityGroupLimitExceeded",
        "AddressLimitExceeded",
        "VolumeLimitExceeded",
        "Client.VolumeLimitExceeded",
        "ResourceLimitExceeded",
    ),
    Throttled: (
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "TooManyRequestsException",
        "SlowDown",
    ),
    CredentialsRefused: (
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "AuthFailure",
        "InvalidToken",
        "NoCredentials",
        "UnknownProfile",
        "SSOTokenLoad",
    ),
    Expired: ("RequestExpired",),
    ClockSkewed: ("SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed", "NotYetValid"),
    RightsMissing: ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthorizationError", "403"),
    NotThere: (
        "InvalidInstanceID.NotFound",
        "InvalidGroup.NotFound",
        "InvalidPlacementGroup.Unknown",
        "InvalidSubnetID.NotFound",
        "InvalidSnapshot.NotFound",
        "ParameterNotFound",
        "ResourceNotFoundException",
        "NoSuchBucket",
        "NoSuchKey",
        "404",
        "InvocationDoesNotExist",
    ),
    InUse: ("DependencyViolation", "InvalidPlacementGroup.InUse", "ResourceInUse"),
    Exists: (
        "InvalidGroup.Duplicate",
        "InvalidPermission.Duplicate",
        "InvalidPlacementGroup.Duplicate",
        "PreconditionFailed",
        "AlreadyExistsException",
        "ResourceAlreadyExistsException",
        "ConditionalRequestConflict",
    ),
    Unreachable: ("Unreachable",),
    NotAws: ("500", "501", "NotUnderstood"),
}
_CLASS = {code: kind for kind, codes in _CLASSES.items() for code in codes}
_ACTION = re.compile(r"not authorized to perform: ?([a-z0-9-]+:[A-Za-z]+)")


def failure(operation: str, code: str, message: str) -> AwsError:
    """The error that a code means; of a missing right, the action that it is about."""
    kind = _CLASS.get(code, AwsError)
    if kind is NotAws:
        return NotAws(operation, code, "the answer isn't one of AWS's own")
    if kind is RightsMissing:
        return RightsMissing(operation, code, f"these credentials may not {_missing(operation, message)}: {message}")
    return kind(operation, code, message)


def _missing(operation: str, message: str) -> str:
    """The action that a message names, or those that it may be about."""
    if named := _ACTION.search(message):
        return named[1]
    also = policy.ALSO_NEEDED.get(operation)
    return policy.right(operation) + (f" (or what that needs: {', '.join(also)})" if also else "")
