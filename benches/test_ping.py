"""How long does a small message take there and back on a connection that stands?"""

import pytest

from pytest_netbench import KB, ms, ping


@pytest.mark.ping
@pytest.mark.netbench(scenario=ping(time=400 * ms, size=[1 * KB, 100 * KB]))
def test_round_trips(netbench):
    """A message of 1 KB is back within a few milliseconds on one machine, and a larger one isn't faster."""
    result = netbench.run()
    assert result["ping_1KB.p50"].value < 5 * ms
    assert result["ping_1KB.p50"].value < result["ping_100KB.p50"].value
