"""Has this machine's loopback IPv6? Containers often haven't: a test that needs it says so, and is skipped there."""

from __future__ import annotations

import pytest

from pytest_netbench.drivers.builtin.tcp import has_ipv6

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine's loopback")
