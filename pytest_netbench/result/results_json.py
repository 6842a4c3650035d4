"""How does a session stand in results.json? Records to and from the text of schema 1; no file is touched here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pytest_netbench.errors import ResultsError
from pytest_netbench.result.environment import environment_hash
from pytest_netbench.result.model import Better, Cost, Round, Sending, SessionRecord, Summary, TestRecord, Verdict
from pytest_netbench.result.reading import (
    Element,
    enum,
    flag,
    interval,
    number,
    optional_number,
    optional_text,
    parse,
    plain_object,
    text,
    whole_number,
)
from pytest_netbench.result.summary import REFERENCE, shown
from pytest_netbench.result.verdicts_json import comparison_to_json, read_comparison, read_verdict, verdicts_to_json

SCHEMA = 1
"""Raised when a meaning changes; additions keep it, and readers pass over what they don't know."""

_Object = dict[str, Any]


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
        **({"notes": list(session.notes)} if session.notes else {}),
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
    if test.gates:
        made["gate"] = {name: {"fail_above": low, "must_detect": high} for name, (low, high) in test.gates.items()}
    made["verdict"] = {"state": test.verdict.value, "metrics": verdicts_to_json(test.verdicts)}
    if test.comparison is not None:
        made["verdict"]["comparison"] = comparison_to_json(test.comparison)
    if test.cost is not None:
        made["cost"] = asdict(test.cost)
    if test.programs:
        made["programs"] = dict(test.programs)
    if environments := {_mark(facts): dict(facts) for one in test.rounds for facts in one.environment.values()}:
        made["environments"] = environments
    texts = {"note": test.note, "reason": test.reason, "command": test.command}
    return made | {name: words for name, words in texts.items() if words}


def _mark(facts: Mapping[str, str]) -> str:
    """What a round calls an environment: most rounds of a test have the same."""
    return environment_hash(facts)


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
    if one.exogenous:
        made["exogenous"] = list(one.exogenous)
    if one.foreign is not None:
        made["foreign_cpu"] = one.foreign
    if one.sending is not None:
        made["sending"] = asdict(one.sending)
    if one.environment:
        made["environment"] = {host: _mark(facts) for host, facts in one.environment.items()}
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


def from_json(source: str | bytes, name: str = "results") -> SessionRecord:
    """Read a session from text of schema 1; ``name`` is what errors call it.

    Samples aren't in the text, so rounds come without. Keys that this version doesn't know are passed over.

    :raises ResultsError: as :func:`~pytest_netbench.result.reading.parse` does.
    """
    return parse(source, name, SCHEMA, _read_session)


def _read_session(whole: Element) -> SessionRecord:
    head = whole.get("session", lambda one: one)
    return SessionRecord(
        id=head.get("id", text),
        started=head.get("started", text),
        provider=head.get("provider", text),
        versions=head.get("versions", lambda one: one.members(text)),
        environment=head.get("environment", plain_object),
        notes=head.get("notes", lambda one: one.each(text), ()),
        tests=whole.get("tests", lambda one: one.each(_read_test)),
    )


def _read_test(test: Element) -> TestRecord:
    scenario, verdict = test.get("scenario", lambda one: one), test.get("verdict", lambda one: one)
    environments: dict[str, dict[str, str]] = test.get("environments", _read_environments, {})
    return TestRecord(
        nodeid=test.get("nodeid", text),
        scenario_id=scenario.get("id", text),
        scenario_name=scenario.get("name", text),
        driver=test.get("driver", text),
        provider=test.get("provider", text),
        hosts=test.get("hosts", lambda one: one.each(plain_object)),
        outcome=test.get("outcome", text),
        rounds=test.get("rounds", lambda one: one.each(lambda each: _read_round(each, environments))),
        summary=test.get("summary", lambda one: one.members(_read_summary)),
        verdict=verdict.get("state", lambda state: enum(Verdict, state)),
        verdicts=verdict.get("metrics", lambda one: one.members(read_verdict), {}),
        comparison=verdict.get("comparison", read_comparison) if "comparison" in verdict else None,
        gates=test.get("gate", lambda one: one.members(_read_gate), {}),
        note=test.get("note", text, ""),
        reason=test.get("reason", text, ""),
        summary_ref=test.get("summary_ref", lambda one: one.members(_read_summary), {}),
        cost=test.get("cost", _read_cost) if "cost" in test else None,
        programs=test.get("programs", lambda one: one.members(text), {}),
        command=test.get("command", text, ""),
    )


def _read_environments(one: Element) -> dict[str, dict[str, str]]:
    return one.members(lambda facts: facts.members(text))


def _read_cost(one: Element) -> Cost:
    return Cost(one.get("host_seconds", number), one.get("dollars", number), one.get("prices_of", text))


def _read_round(one: Element, environments: Mapping[str, Mapping[str, str]]) -> Round:
    marks: Mapping[str, str] = one.get("environment", lambda each: each.members(text), {})
    return Round(
        index=one.get("index", whole_number),
        arm=one.get("arm", optional_text),
        started=one.get("started", text),
        duration_s=one.get("duration_s", number),
        metrics=one.get("metrics", lambda each: each.members(number)),
        start_skew_s=one.get("start_skew_s", number),
        armed=one.get("armed", flag),
        control_bytes_in_run=one.get("control_bytes_in_run", whole_number),
        validity=one.get("validity", lambda each: each.each(text)),
        whole_process=one.get("whole_process", lambda each: frozenset(each.each(text)), frozenset()),
        slopes=one.get("slopes", lambda each: frozenset(each.each(text)), frozenset()),
        untold=one.get("untold", lambda each: each.each(text), ()),
        logs=one.get("logs", text, ""),
        exogenous=one.get("exogenous", lambda each: each.each(text), ()),
        foreign=one.get("foreign_cpu", optional_number) if "foreign_cpu" in one else None,
        sending=one.get("sending", _read_sending) if "sending" in one else None,
        environment={host: environments[mark] for host, mark in marks.items() if mark in environments},
    )


def _read_sending(one: Element) -> Sending:
    return Sending(one.get("asked", number), one.get("idle", optional_number))


def _read_summary(one: Element) -> Summary:
    return Summary(
        unit=one.get("unit", text),
        better=one.get("better", lambda each: enum(Better, each)),
        n=one.get("n", whole_number),
        median=one.get("median", number),
        ci=one.get("ci", interval),
        note=one.get("note", text, ""),
    )


def _read_gate(one: Element) -> tuple[float, float]:
    return one.get("fail_above", number), one.get("must_detect", number)
