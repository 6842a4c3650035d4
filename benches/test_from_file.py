"""Does a file that the real netbench generator wrote run as it is?"""

from pathlib import Path

import pytest

from pytest_netbench import Scenario

INCAST = Path(__file__).with_name("scenarios") / "incast_5_servers.json"


@pytest.mark.incast
@pytest.mark.netbench(scenario=Scenario.read(INCAST))
def test_generated_incast(netbench):
    """Five servers, five megabytes from each."""
    result = netbench.run()
    assert result["response.p50"].value < 2
