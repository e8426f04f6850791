"""The port of a server, opened once before anything else is made or shown."""

from __future__ import annotations

import socket

from suffrage.errors import InputError

# Connections that may wait to be answered.
WAITING = 2048


def open_port(host: str, port: int) -> socket.socket:
    """Open a port and listen at it. Connections wait until somebody answers.

    Parameters
    ----------
    host : str
        The address to listen at.
    port : int
        0 for one that is free.

    Returns
    -------
    socket
        `address_of` says which port it has.

    Raises
    ------
    InputError
        Another program listens there, or nobody may.

    Examples
    --------
    >>> with open_port("127.0.0.1", 0) as listening:
    ...     address_of(listening).startswith("http://127.0.0.1:")
    True
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(WAITING)
    except OSError as error:
        listening.close()
        raise InputError(
            f"{host}, port {port}: {error.strerror}; choose another port with --port (0 for any "
            "that is free), or stop the program that uses it."
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """The address of an open port, as a browser wants it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
