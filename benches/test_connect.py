"""How long does it take until a connection can be used?"""

import pytest

from pytest_netbench import KB, connect, handshakes, idle, ms


@pytest.mark.connect
@pytest.mark.netbench(scenario=connect(connections=500))
def test_one_after_another(netbench):
    """Five hundred connections, each carrying one byte each way."""
    result = netbench.run()
    assert result["connect.p50"].value < 20 * ms


@pytest.mark.connect
@pytest.mark.netbench(scenario=handshakes(seconds=0.5))
def test_again_and_again(netbench):
    """Handshakes for half a second, each carrying one byte each way."""
    result = netbench.run()
    assert result["connect.rate"].value > 200


@pytest.mark.connect
@pytest.mark.netbench(scenario=idle(connections=1000))
def test_a_thousand_idle(netbench):
    """A thousand connections, all open: what one costs a server that has nothing to do for it."""
    result = netbench.run()
    assert result["server.memory_per_connection"].value < 64 * KB
