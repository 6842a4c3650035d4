"""How do verdicts stand in results.json? Those of metrics, and how the arms were compared, to and from JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pytest_netbench.result import reading
from pytest_netbench.result.model import Comparison, Evidence, MetricVerdict, Profile, Verdict
from pytest_netbench.result.reading import Element


def verdicts_to_json(verdicts: Mapping[str, MetricVerdict]) -> dict[str, Any]:
    """Each metric's verdict; what isn't known is null, what doesn't apply is left out."""
    return {name: _verdict(one) for name, one in verdicts.items()}


def _verdict(one: MetricVerdict) -> dict[str, Any]:
    made: dict[str, Any] = {
        "state": one.state.value,
        "against": one.against,
        "gated": one.gated,
        "fail_above": one.fail_above,
        "must_detect": one.must_detect,
        "effect": one.effect,
        "ci": None if one.interval is None else [one.interval.low, one.interval.high],
        "n": one.n,
        "p": one.p,
        "hodges_lehmann": one.check,
        "detectable": one.detectable,
        "required": one.required,
        "looks": list(one.looks),
        "fresh": one.fresh,
        "e_value": one.evidence,
        "reason": one.reason,
    }
    return made | ({"accepted": one.accepted} if one.accepted else {})


def read_verdict(one: Element) -> MetricVerdict:
    """One metric's verdict."""
    required = one.get("required", reading.optional_number)
    return MetricVerdict(
        state=one.get("state", lambda each: reading.enum(Verdict, each)),
        against=one.get("against", reading.text),
        gated=one.get("gated", reading.flag),
        fail_above=one.get("fail_above", reading.number),
        must_detect=one.get("must_detect", reading.number),
        effect=one.get("effect", reading.optional_number),
        interval=one.get("ci", reading.interval),
        n=one.get("n", reading.whole_number),
        p=one.get("p", reading.optional_number),
        check=one.get("hodges_lehmann", reading.optional_number),
        detectable=one.get("detectable", reading.optional_number),
        required=None if required is None else int(required),
        looks=one.get("looks", lambda each: each.each(reading.whole_number)),
        fresh=one.get("fresh", reading.whole_number),
        evidence=one.get("e_value", reading.optional_number) if "e_value" in one else None,
        reason=one.get("reason", reading.text),
        accepted=one.get("accepted", reading.text, ""),
    )


def comparison_to_json(one: Comparison) -> dict[str, Any]:
    """How the arms were compared."""
    made: dict[str, Any] = {
        "ref": one.ref,
        "cand": one.cand,
        "seed": one.seed,
        "pairs": one.pairs,
        "screened": one.screened,
        "excluded": one.excluded,
        "entries": one.entries,
        "attempt": one.attempt,
        "repeat": one.repeat,
        "note": one.note,
        "scale": one.scale,
        "length": one.length,
        "ref_commit": one.ref_commit,
        "cand_commit": one.cand_commit,
    }
    return made if one.evidence == Evidence() else made | {"evidence": asdict(one.evidence)}


def read_comparison(one: Element) -> Comparison:
    """How the arms were compared."""
    return Comparison(
        ref=one.get("ref", reading.text),
        cand=one.get("cand", reading.text),
        seed=one.get("seed", reading.whole_number),
        pairs=one.get("pairs", reading.whole_number),
        screened=one.get("screened", reading.whole_number, 0),
        excluded=one.get("excluded", reading.whole_number),
        entries=one.get("entries", reading.whole_number),
        attempt=one.get("attempt", reading.whole_number),
        repeat=one.get("repeat", reading.text),
        note=one.get("note", reading.text),
        scale=one.get("scale", reading.number, 1.0),
        length=one.get("length", reading.text, ""),
        evidence=one.get("evidence", _read_evidence, Evidence()),
        ref_commit=one.get("ref_commit", reading.text, ""),
        cand_commit=one.get("cand_commit", reading.text, ""),
    )


def _read_evidence(one: Element) -> Evidence:
    return Evidence(
        profiles=one.get("profiles", lambda each: each.each(_read_profile), ()),
        qlogs=one.get("qlogs", lambda each: each.each(reading.text), ()),
        notes=one.get("notes", lambda each: each.each(reading.text), ()),
    )


def _read_profile(one: Element) -> Profile:
    return Profile(
        arm=one.get("arm", reading.text),
        role=one.get("role", reading.text),
        by=one.get("by", reading.text),
        samples=one.get("samples", reading.whole_number),
        folder=one.get("folder", reading.text),
    )
