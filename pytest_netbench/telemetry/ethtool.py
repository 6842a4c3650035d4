"""How is the driver of a network card asked? One request of ethtool's, by the kernel's old way.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946


def ask(sock: socket.socket, interface: str, head: bytes, more: int) -> bytes:
    """One request: its head, and room for so many bytes of answer behind it; both, as the kernel leaves them.

    :raises OSError: if there is no such interface, or its driver doesn't answer that.
    """
    room = array.array("B", head + bytes(more))
    address, _ = room.buffer_info()
    fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP", interface.encode()[:15], address) + bytes(16))
    return room.tobytes()
