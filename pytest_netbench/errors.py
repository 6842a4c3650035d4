"""What can go wrong in this package? One class a situation, each with what to do about it in its text."""

from __future__ import annotations


class NetbenchError(Exception):
    """Base of all errors that a user of this package may want to catch."""


class UsageError(NetbenchError):
    """A marker, option, configuration key or argument is wrong; names what was given and what is known."""


class ScenarioError(NetbenchError):
    """A scenario is malformed; names the path of the element and what was expected."""


class Unsupported(NetbenchError):
    """A driver or provider can't do what is asked; the test is skipped with this reason, never run differently."""


class DriverMissing(NetbenchError):
    """A driver isn't on this machine; the text ends with the line that installs it."""


class BuildError(NetbenchError):
    """A driver could not be built; the text has the last lines that its build printed."""


class HostError(NetbenchError):
    """A host could not be made, or was lost."""


class RunError(NetbenchError):
    """A round could not be carried out; names host, state and what the driver last said."""


class ResultsError(NetbenchError):
    """A file of results can't be written or read; names the file, the element, and what was expected."""


class TooFewSamples(NetbenchError):
    """A percentile or an interval was asked for that so few samples can't carry."""


class UnknownMetric(NetbenchError, KeyError):
    """There is no metric of that name; names those that exist."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NetbenchWarning(UserWarning):
    """Something that a user should know though the test passes, as a verdict that could not be reached."""


def nearest(name: str, known: object) -> str:
    """The end of a message about an unknown name: the nearest known one, and all of them."""
    from difflib import get_close_matches

    names = sorted(str(one) for one in known)  # type: ignore[attr-defined]
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names) or 'none'}"
