"""How does a session stand in results.json? Records to and from the text of schema 1; no file is touched here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NoReturn, TypeVar

from pytest_netbench.errors import ResultsError
from pytest_netbench.result.model import Better, Interval, Round, SessionRecord, Summary, TestRecord, Verdict
from pytest_netbench.result.summary import REFERENCE, shown

SCHEMA = 1
"""Raised when a meaning changes; additions keep it, and readers pass over what they don't know."""

_Object = dict[str, Any]
T = TypeVar("T")
E = TypeVar("E", bound=Enum)
_ABSENT = object()
_LONGEST = 60  # characters of an element that an error quotes


# --- to JSON -----------------------------------------------------------------------------------


def session_to_json(session: SessionRecord) -> str:
    """A session as text of schema 1, a test a line, with a newline at the end.

    :raises ResultsError: for a number that JSON doesn't have (NaN, infinity), naming test and metric.
    """
    head = {
        "id": session.id,
        "started": session.started,
        "provider": session.provider,
        "versions": dict(session.versions),
        "environment": dict(session.environment),
    }
    tests = ",\n".join(_dump(_test(test), f"test {test.nodeid}") for test in session.tests)
    body = f"\n{tests}\n" if tests else ""
    return f'{{"schema": {SCHEMA}, "session": {_dump(head, "session")},\n"tests": [{body}]}}\n'


def _dump(value: _Object, where: str) -> str:
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError) as error:
        bad = _not_finite(value)
        reason = f"{bad} isn't a finite number" if bad else str(error)
        raise ResultsError(f"results of {where} can't be written as JSON: {reason}") from error


def _not_finite(value: object, path: str = "") -> str:
    """Path of the first number that JSON can't have, or nothing."""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{path}={value}"
    children: list[tuple[object, object]] = []
    if isinstance(value, Mapping):
        children = list(value.items())
    elif isinstance(value, (list, tuple)):
        children = list(enumerate(value))
    return next((bad for key, one in children if (bad := _not_finite(one, f"{path}.{key}".lstrip(".")))), "")


def _test(test: TestRecord) -> _Object:
    arms = {True: test.summary_ref, False: test.summary}
    made: _Object = {
        "nodeid": test.nodeid,
        "scenario": {"id": test.scenario_id, "name": test.scenario_name},
        "driver": test.driver,
        "provider": test.provider,
        "hosts": [dict(host) for host in test.hosts],
        "outcome": test.outcome,
        "rounds": [_round(one, arms[one.arm == REFERENCE]) for one in test.rounds],
        "summary": {name: _summary(one) for name, one in test.summary.items()},
    }
    if test.summary_ref:
        made["summary_ref"] = {name: _summary(one) for name, one in test.summary_ref.items()}
    made["verdict"] = {"state": test.verdict.value, "metrics": {}}
    return made | {name: text for name, text in (("note", test.note), ("reason", test.reason)) if text}


def _round(one: Round, summary: Mapping[str, Summary]) -> _Object:
    metrics = shown(one.metrics, summary)
    made: _Object = {
        "index": one.index,
        "arm": one.arm,
        "started": one.started,
        "duration_s": one.duration_s,
        "metrics": metrics,
        "start_skew_s": one.start_skew_s,
        "armed": one.armed,
        "control_bytes_in_run": one.control_bytes_in_run,
        "validity": list(one.validity),
    }
    if one.whole_process:
        made["whole_process"] = sorted(one.whole_process)
    if one.slopes:
        made["slopes"] = sorted(one.slopes)
    if one.untold:
        made["untold"] = list(one.untold)
    if one.logs:
        made["logs"] = one.logs
    return made


def _summary(one: Summary) -> _Object:
    made: _Object = {
        "unit": one.unit,
        "better": one.better.value,
        "n": one.n,
        "median": one.median,
        "ci": None if one.ci is None else [one.ci.low, one.ci.high],
    }
    return made | ({"note": one.note} if one.note else {})


# --- from JSON ---------------------------------------------------------------------------------


class _Wrong(Exception):
    """What is wrong with an element, and where."""

    def __init__(self, path: str, expected: str, found: object) -> None:
        super().__init__(f"{path or 'the top'}: expected {expected}, found {_brief(found)}")


def from_json(text: str | bytes, name: str = "results") -> SessionRecord:
    """Read a session from text of schema 1; ``name`` is what errors call it.

    Samples aren't in the text, so rounds come without. Keys that this version doesn't know are passed over.

    :raises ResultsError: if the text isn't JSON (truncated, NaN), is of another schema, or an element is missing or of
        another kind; names the element's path and what was expected.
    """
    try:
        top = json.loads(text.decode() if isinstance(text, bytes) else text, parse_constant=_no_constant)
        whole = _Element("", top)
        schema = whole.get("schema", _whole_number)
        if schema != SCHEMA:
            raise ResultsError(
                f"{name} has schema {schema}, this version reads schema {SCHEMA}: "
                + ("use a newer pytest-netbench" if schema > SCHEMA else "write it again with this version")
            )
        return _read_session(whole)
    except UnicodeDecodeError as error:
        raise ResultsError(f"{name} isn't UTF-8 text: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        cut = ", where the text ends: was it truncated?" if error.pos >= len(error.doc.rstrip()) else ""
        place = f"line {error.lineno}, column {error.colno}"
        raise ResultsError(f"{name} isn't JSON: {error.msg} in {place}{cut}") from error
    except RecursionError as error:
        raise ResultsError(f"{name} is nested too deeply for results") from error
    except _Wrong as error:
        raise ResultsError(f"{name}: {error}") from error


def _no_constant(word: str) -> NoReturn:
    raise _Wrong("", "finite numbers only", word)


def _brief(value: object) -> str:
    if value is _ABSENT:
        return "nothing"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value) if not isinstance(value, float) or math.isfinite(value) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


class _Element:
    """An element of the text and its path; reading checks the kind."""

    __slots__ = ("path", "value")

    def __init__(self, path: str, value: object) -> None:
        self.path, self.value = path, value

    def get(self, key: str, read: Callable[[_Element], T], default: T | None = None) -> T:
        """A member of this object; without a default it has to be there."""
        if not isinstance(self.value, dict):
            raise _Wrong(self.path, "an object", self.value)
        path = f"{self.path}.{key}".lstrip(".")
        if key not in self.value:
            if default is not None:
                return default
            raise _Wrong(path, "it to be there", _ABSENT)
        return read(_Element(path, self.value[key]))

    def each(self, read: Callable[[_Element], T]) -> tuple[T, ...]:
        """The elements of this list."""
        if not isinstance(self.value, list):
            raise _Wrong(self.path, "a list", self.value)
        return tuple(read(_Element(f"{self.path}[{place}]", one)) for place, one in enumerate(self.value))

    def members(self, read: Callable[[_Element], T]) -> dict[str, T]:
        """The members of this object by name."""
        if not isinstance(self.value, dict):
            raise _Wrong(self.path, "an object", self.value)
        return {key: read(_Element(f"{self.path}.{key}", one)) for key, one in self.value.items()}


def _text(element: _Element) -> str:
    if not isinstance(element.value, str):
        raise _Wrong(element.path, "a text", element.value)
    return element.value


def _flag(element: _Element) -> bool:
    if not isinstance(element.value, bool):
        raise _Wrong(element.path, "true or false", element.value)
    return element.value


def _whole_number(element: _Element) -> int:
    if not isinstance(element.value, int) or isinstance(element.value, bool):
        raise _Wrong(element.path, "a whole number", element.value)
    return element.value


def _number(element: _Element) -> float:
    value = element.value
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Wrong(element.path, "a finite number", value)
    return number


def _anything(element: _Element) -> object:
    return element.value


def _object(element: _Element) -> dict[str, object]:
    return element.members(_anything)


def _optional_text(element: _Element) -> str | None:
    return None if element.value is None else _text(element)


def _enum(kind: type[E], element: _Element) -> E:
    words = [one.value for one in kind]
    if element.value not in words:
        raise _Wrong(element.path, f"one of {', '.join(words)}", element.value)
    return kind(element.value)


def _read_session(whole: _Element) -> SessionRecord:
    head = whole.get("session", lambda one: one)
    return SessionRecord(
        id=head.get("id", _text),
        started=head.get("started", _text),
        provider=head.get("provider", _text),
        versions=head.get("versions", lambda one: one.members(_text)),
        environment=head.get("environment", _object),
        tests=whole.get("tests", lambda one: one.each(_read_test)),
    )


def _read_test(test: _Element) -> TestRecord:
    scenario = test.get("scenario", lambda one: one)
    return TestRecord(
        nodeid=test.get("nodeid", _text),
        scenario_id=scenario.get("id", _text),
        scenario_name=scenario.get("name", _text),
        driver=test.get("driver", _text),
        provider=test.get("provider", _text),
        hosts=test.get("hosts", lambda one: one.each(_object)),
        outcome=test.get("outcome", _text),
        rounds=test.get("rounds", lambda one: one.each(_read_round)),
        summary=test.get("summary", lambda one: one.members(_read_summary)),
        verdict=test.get("verdict", lambda one: one.get("state", lambda state: _enum(Verdict, state))),
        note=test.get("note", _text, ""),
        reason=test.get("reason", _text, ""),
        summary_ref=test.get("summary_ref", lambda one: one.members(_read_summary), {}),
    )


def _read_round(one: _Element) -> Round:
    return Round(
        index=one.get("index", _whole_number),
        arm=one.get("arm", _optional_text),
        started=one.get("started", _text),
        duration_s=one.get("duration_s", _number),
        metrics=one.get("metrics", lambda each: each.members(_number)),
        start_skew_s=one.get("start_skew_s", _number),
        armed=one.get("armed", _flag),
        control_bytes_in_run=one.get("control_bytes_in_run", _whole_number),
        validity=one.get("validity", lambda each: each.each(_text)),
        whole_process=one.get("whole_process", lambda each: frozenset(each.each(_text)), frozenset()),
        slopes=one.get("slopes", lambda each: frozenset(each.each(_text)), frozenset()),
        untold=one.get("untold", lambda each: each.each(_text), ()),
        logs=one.get("logs", _text, ""),
    )


def _read_summary(one: _Element) -> Summary:
    return Summary(
        unit=one.get("unit", _text),
        better=one.get("better", lambda each: _enum(Better, each)),
        n=one.get("n", _whole_number),
        median=one.get("median", _number),
        ci=one.get("ci", _interval),
        note=one.get("note", _text, ""),
    )


def _interval(element: _Element) -> Interval | None:
    if element.value is None:
        return None
    match element.each(_number):
        case (low, high) if low <= high:
            return Interval(low, high)
    raise _Wrong(element.path, "null or [LOW, HIGH]", element.value)
