"""How does a baseline stand in its file? To and from text that people review and git merges: sorted, a value a line."""

from __future__ import annotations

import json
from typing import Any

from pytest_netbench.errors import ResultsError
from pytest_netbench.gate.baseline import Baseline, Calibrated, Entry, Gated, Origin
from pytest_netbench.result import reading
from pytest_netbench.result.model import Better, Summary
from pytest_netbench.result.reading import Element

SCHEMA = 1


def to_text(one: Baseline) -> str:
    """The baseline as text.

    :raises ResultsError: for a number that isn't finite.
    """
    whole = {
        "schema": SCHEMA,
        "environments": {key: dict(facts) for key, facts in one.environments.items()},
        "spread": one.spread,
        "tests": {nodeid: _entry(entry) for nodeid, entry in one.tests.items()},
    }
    try:
        return json.dumps(whole, indent=2, sort_keys=True, allow_nan=False, default=str) + "\n"
    except ValueError as error:
        raise ResultsError(f"a baseline needs finite numbers: {error}") from error


def _entry(entry: Entry) -> dict[str, Any]:
    origin = entry.origin
    return {
        "commit": origin.commit + "+" * (not origin.clean),  # all that earlier versions know
        "ref": {
            "git_sha": origin.commit,
            "clean": origin.clean,
            "artifact_sha256": dict(origin.programs),
            "cmd": origin.command,
        },
        "updated_by": origin.by,
        "environment": entry.environment,
        "reason": entry.reason,
        "run": entry.run,
        "metrics": {
            name: {
                "unit": one.unit,
                "better": one.better.value,
                "n": one.n,
                "median": one.median,
                "ci": None if one.ci is None else [one.ci.low, one.ci.high],
                **_gated(entry.gates.get(name)),
            }
            for name, one in entry.metrics.items()
        },
    }


def _gated(one: Gated | None) -> dict[str, Any]:
    if one is None:
        return {}
    made: dict[str, Any] = {"fail_above": one.fail_above, "must_detect": one.must_detect}
    if one.noise is not None:
        made["s_w"] = one.noise
    if one.required is not None:
        made["n_req"] = one.required
    if (known := one.calibrated) is not None:
        power = {} if known.power is None else {"power_5pct": known.power}
        made["calibration"] = {"aa_runs": known.runs, "aa_alarms": known.alarms, "sigma_aa": known.sigma, **power}
    return made


def from_text(text: str | bytes, name: str) -> Baseline:
    """A baseline from its text; ``name`` is what errors call it. Files of earlier versions lack what is newer.

    :raises ResultsError: if it is cut, of another schema, has NaN or no rounds; names the element.
    """
    return reading.parse(text, name, SCHEMA, _read)


def _read(whole: Element) -> Baseline:
    return Baseline(
        tests=whole.get("tests", lambda one: one.members(_read_entry)),
        environments=whole.get("environments", lambda one: one.members(reading.plain_object)),
        spread=whole.get("spread", reading.number, 0.0),
    )


def _read_entry(one: Element) -> Entry:
    return Entry(
        environment=one.get("environment", reading.text),
        origin=_read_origin(one),
        reason=one.get("reason", reading.text),
        run=one.get("run", reading.text),
        metrics=one.get("metrics", lambda each: each.members(_read_summary)),
        gates=one.get("metrics", _read_gates),
    )


def _read_origin(one: Element) -> Origin:
    commit, by = one.get("commit", reading.text), one.get("updated_by", reading.text, "")
    if "ref" not in one:
        return Origin(commit.rstrip("+"), not commit.endswith("+"), by=by)
    ref = one.get("ref", lambda each: each)
    return Origin(
        commit=ref.get("git_sha", reading.text),
        clean=ref.get("clean", reading.flag),
        programs=ref.get("artifact_sha256", lambda each: each.members(reading.text)),
        command=ref.get("cmd", reading.text),
        by=by,
    )


def _read_summary(one: Element) -> Summary:
    n = one.get("n", reading.whole_number)
    if n < 1:
        raise reading.Wrong(f"{one.path}.n", "at least 1 round", n)
    return Summary(
        unit=one.get("unit", reading.text),
        better=one.get("better", lambda each: reading.enum(Better, each)),
        n=n,
        median=one.get("median", reading.number),
        ci=one.get("ci", reading.interval),
    )


def _read_gates(metrics: Element) -> dict[str, Gated]:
    gated = metrics.members(lambda one: _read_gated(one) if "fail_above" in one else None)
    return {name: one for name, one in gated.items() if one is not None}


def _read_gated(one: Element) -> Gated:
    return Gated(
        fail_above=one.get("fail_above", reading.number),
        must_detect=one.get("must_detect", reading.number),
        noise=one.get("s_w", reading.optional_number) if "s_w" in one else None,
        required=one.get("n_req", reading.whole_number) if "n_req" in one else None,
        calibrated=one.get("calibration", _read_calibrated) if "calibration" in one else None,
    )


def _read_calibrated(one: Element) -> Calibrated:
    return Calibrated(
        runs=one.get("aa_runs", reading.whole_number),
        alarms=one.get("aa_alarms", reading.whole_number),
        sigma=one.get("sigma_aa", reading.number),
        power=one.get("power_5pct", reading.number) if "power_5pct" in one else None,
    )
