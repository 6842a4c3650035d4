"""Does the right call fail, and as often as it should?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.testing.aws.rules import ApiFault, Fate, HostFault, error_body, from_json, met, to_json

ONE = ApiFault("Throttling", "ec2", "RunInstances")


@given(st.integers(0, 3), st.integers(1, 3))
def test_so_many_calls_pass_and_so_many_are_hit(skip: int, times: int) -> None:
    """Then the rule is worn out."""
    rules: tuple[ApiFault, ...] = (ApiFault("Throttling", skip=skip, times=times),)
    seen = []
    for _ in range(skip + times + 2):
        hit, rules = met(rules, "ec2", "RunInstances", "")
        seen.append(hit is not None)
    assert seen == [False] * skip + [True] * times + [False] * 2
    assert rules == ()


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        (ONE, True),
        (ApiFault("x", "ssm"), False),
        (ApiFault("x", action="SendCommand"), False),
        (ApiFault("x", contains="subnet-2"), False),
        (ApiFault("x", contains="subnet-1"), True),
    ],
)
def test_a_rule_speaks_of_its_own_calls_only(rule: ApiFault, hits: bool) -> None:
    """By service, action, and what the request says."""
    hit, left = met((rule,), "ec2", "RunInstances", "SubnetId=subnet-1")
    assert (hit is not None) == hits
    assert (left == ()) == hits


@pytest.mark.parametrize("rule", [ONE, HostFault(Fate.NO_AGENT, "server-0", 2)])
def test_rules_survive_their_way(rule: ApiFault | HostFault) -> None:
    """As JSON and back."""
    assert from_json(to_json(rule)) == rule


def test_a_rule_with_an_unknown_key_is_refused() -> None:
    """A misspelt rule would be one that never hits."""
    with pytest.raises(ValueError, match="ApiFault has no tims"):
        from_json({"code": "x", "tims": 2})


@pytest.mark.parametrize("service", ["ec2", "s3", "sts", "ssm"])
def test_errors_are_written_as_each_service_does(service: str) -> None:
    """The code stands in it; only SSM's is JSON."""
    kind, text = error_body(service, ONE)
    assert "Throttling" in text
    assert kind.endswith("json-1.1") == (service == "ssm")
