"""Ports: free ones for our own servers, and a clear word when the wanted one is taken."""

import contextlib
import errno
import random
import socket
from pathlib import Path

import psutil

from local.failures import LocalError

OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, FIRST_OUTGOING = 10_000, 32_768
TRIES = 20


def free_port(preferred: int | None = None, host: str = "127.0.0.1") -> int:
    """A port nobody listens on: the preferred one if it is free.

    Rather one that no outgoing connection gets: those come and go before a server has taken its port.
    """
    if preferred and is_free(preferred, host):
        return preferred
    kept = range(LOWEST, max(_first_outgoing(), LOWEST + TRIES))
    for port in random.sample(kept, TRIES):  # several that look at once are not to find the same
        if is_free(port, host):
            return port
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there."""
    return _bind_error(host, port) is None


def require_port(host: str, port: int) -> None:
    """Raises LocalError if a server could not listen there, naming who does if that can be seen."""
    problem = _bind_error(host, port)
    if problem is None:
        return
    if problem.errno == errno.EADDRINUSE:
        raise LocalError(
            f"Port {port} is taken{_holder(port)}. Choose another one: PORT={port + 1} python3 dev up"
        )
    raise LocalError(f"Cannot listen on {host} port {port}: {problem.strerror}. Set HOST or PORT.")


def _first_outgoing() -> int:
    try:
        return int(OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return FIRST_OUTGOING


def _bind_error(host: str, port: int) -> OSError | None:
    try:
        with socket.socket(_family(host)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            # Linux lets two sockets with this option share an address until one of them listens.
            probe.listen(1)
    except OSError as problem:
        return problem
    return None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _holder(port: int) -> str:
    """' by NAME (pid N)' for the process that listens on a port; '' where we may not see it."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            listens = connection.status == psutil.CONN_LISTEN and address and address.port == port
            if listens and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""
