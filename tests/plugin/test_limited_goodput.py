"""Is it seen in real rounds whether the application or the transport limited them?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugin.conftest import results

ONE = """
import pytest
from pytest_netbench import KB, MB, download, request_response

@pytest.mark.netbench(scenario={scenario}, drivers=["{driver}"], rounds=1)
def test_one(netbench):
    netbench.run()
"""

DOWNLOAD, RATED = "download(4 * MB)", "request_response(response=40 * KB, server_send_rate=(10 * KB, 0.1))"


def sending(project: pytest.Pytester, scenario: str, driver: str) -> dict[str, Any]:
    """What a round's senders did, as results.json says."""
    project.makepyfile(test_one=ONE.format(scenario=scenario, driver=driver))
    project.runpytest_subprocess("test_one.py").assert_outcomes(passed=1)
    (test,) = results(project)["tests"]
    found: dict[str, Any] = test["rounds"][0]["sending"]
    return found


@pytest.mark.parametrize("driver", ["tcp", "tls"])
def test_a_rate_is_asked_for_and_leaves_senders_asleep(project: pytest.Pytester, driver: str) -> None:
    """Ten times as much time between the sends as in them."""
    found = sending(project, RATED, driver)
    assert found["asked"] > 0.5
    assert found["idle"] > 0.2


@pytest.mark.parametrize("driver", ["tcp", "tls"])
def test_a_download_asks_for_no_time(project: pytest.Pytester, driver: str) -> None:
    """Its senders tell what they did."""
    found = sending(project, DOWNLOAD, driver)
    assert found["asked"] == 0
    assert 0 <= found["idle"] <= 1
