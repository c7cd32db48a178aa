"""Run a program in a network of its own, which ends at the loopback device.

    python unplugged.py PROGRAM [ARGUMENT ...]

Where the system does not allow it (a container without the right), it says so and the program keeps
the network. Needs nothing but Python: it runs in the environments that are checked.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

NEW_NETWORK, NEW_USER = 0x40000000, 0x10000000
"""Flags of unshare(2)."""

SET_FLAGS, UP = 0x8914, 0x1
"""ioctl SIOCSIFFLAGS, and IFF_UP; netdevice(7)."""


def unplug() -> None:
    """Leave the network; only 127.0.0.1 is reached then.

    Raises:
        OSError: if the system does not allow it.
    """
    library = ctypes.CDLL(None, use_errno=True)
    flags = NEW_NETWORK if os.geteuid() == 0 else NEW_NETWORK | NEW_USER
    if library.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))


if __name__ == "__main__":
    try:
        unplug()
    except OSError as error:
        print(f"the network stays plugged in: {error}", file=sys.stderr)
    os.execvp(sys.argv[1], sys.argv[1:])
