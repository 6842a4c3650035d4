"""What happens when many talk to one at once?"""

import pytest

from pytest_netbench import KB, MB, fan_in, fan_out


@pytest.mark.incast
@pytest.mark.netbench(scenario=fan_out(servers=5, request=1 * KB, response=10 * MB))
def test_many_servers_answer_one_client(netbench):
    """Five servers answer the same client at the same moment."""
    result = netbench.run()
    assert result["goodput"].value > 25 * MB
    assert result["response.max"].value < 5


@pytest.mark.incast
@pytest.mark.netbench(scenario=fan_in(clients=4, upload=10 * MB))
def test_many_clients_send_to_one_server(netbench):
    """Four clients begin at one agreed instant, and none of them starves."""
    result = netbench.run()
    assert result["goodput"].value > 25 * MB
    assert result["goodput.fairness"].value > 0.5
