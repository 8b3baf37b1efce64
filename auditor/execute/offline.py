"""Offline: while it holds, Python code of this process reaches no other machine and asks for no name of one."""

import ipaddress
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from auditor.errors import RefusedError

_ADDRESSED = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_NAMING = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_IP = frozenset({socket.AF_INET, socket.AF_INET6})
_holding = 0
_is_hooked = False


@contextmanager
def offline() -> Iterator[None]:
    """Refuse every connection and look-up that leaves this machine, in all threads, until the end of the block.

    It watches the audit events of Python's own sockets, on which the libraries of Python's network clients rest. It
    does not see native code that opens sockets of its own, nor other processes that the code may start.
    Raises RefusedError where the code tries.
    """
    global _holding, _is_hooked
    if not _is_hooked:  # a hook cannot be taken off again, so there is one, and it asks whether it holds
        sys.addaudithook(_watch)
        _is_hooked = True
    _holding += 1
    try:
        yield
    finally:
        _holding -= 1


def _watch(event: str, details: tuple[Any, ...]) -> None:
    if _holding and event.startswith("socket."):
        host = _host(event, details)
        if host is not None and not _is_here(host):
            raise RefusedError(
                f"refused to reach {host}: the audit runs offline",
                hint="give it what it needs as files, or run without --offline",
            )


def _host(event: str, details: tuple[Any, ...]) -> str | None:
    """The host that an event asks for; None if it asks for none."""
    if event in _NAMING:
        return _text(details[0])
    if event in _ADDRESSED and details[0].family in _IP and isinstance(details[1], tuple):
        return _text(details[1][0])
    return None


def _text(host: object) -> str:
    return host.decode(errors="replace") if isinstance(host, bytes | bytearray) else "" if host is None else str(host)


def _is_here(host: str) -> bool:
    if host in {"", "localhost", socket.gethostname()}:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
