"""Offline in one process: refused in all its threads, allowed again afterwards."""

import socket
import threading

import fakes
import pytest

from auditor.errors import RefusedError
from auditor.execute.offline import offline


def test_other_machines_are_refused_only_inside() -> None:
    def numeric() -> None:
        socket.getaddrinfo("192.0.2.1", 80, flags=socket.AI_NUMERICHOST)  # asks nobody

    with offline(), pytest.raises(RefusedError, match=r"refused to reach 192\.0\.2\.1: the audit runs offline"):
        numeric()
    numeric()


def test_connections_are_refused() -> None:
    with offline(), socket.socket() as made, pytest.raises(RefusedError, match=r"192\.0\.2\.1"):
        made.connect_ex(("192.0.2.1", 80))


def test_it_nests_and_leaves_this_machine_alone() -> None:
    with offline():
        with offline():
            fakes.act("call_here")
        with pytest.raises(RefusedError):
            fakes.act("look_up")


def test_it_holds_in_threads() -> None:
    caught: list[BaseException] = []

    def reach() -> None:
        try:
            fakes.act("look_up")
        except RefusedError as error:
            caught.append(error)

    with offline():
        thread = threading.Thread(target=reach)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_datagrams_and_old_look_ups_are_seen_too() -> None:
    with offline(), socket.socket(type=socket.SOCK_DGRAM) as made:
        with pytest.raises(RefusedError, match=r"192\.0\.2\.1"):
            made.sendto(b"x", ("192.0.2.1", 53))
        with pytest.raises(RefusedError, match=r"example\.org"):
            socket.gethostbyname("example.org")
