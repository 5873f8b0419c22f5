"""A network of its own between our processes and a server, whose packets really get lost.

A pair of virtual interfaces, one end of which is in a network namespace where a proxy listens. Needs Linux, root and
`ip` (iproute2). Addresses are from 198.18.0.0/15, which RFC 2544 sets aside for tests; nothing leaves this machine.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

from tests.faults.proxy import Address, Proxy

CLONE_NEWNET = 0x40000000  # linux/sched.h
CUTS = 240  # as many as there are addresses for our end


class NoWire(Exception):
    """What this machine lacks for one."""


class Wire:
    """Used as a context. Raises NoWire where the machine does not allow it."""

    def __init__(self) -> None:
        self.name = f"leadmachine-{os.getpid()}"
        self._ours, self._theirs = f"lm{os.getpid()}a", f"lm{os.getpid()}b"
        self._network = f"198.18.{os.getpid() % 250}"
        self._cuts = 0
        self._proxies: list[Proxy] = []
        self.far = f"{self._network}.254"  # the address of what listens behind it

    def __enter__(self) -> "Wire":
        if shutil.which("ip") is None:
            raise NoWire("there is no `ip` (iproute2) here")
        _ip("netns", "add", self.name)
        try:
            _ip(
                "link",
                "add",
                self._ours,
                "type",
                "veth",
                "peer",
                "name",
                self._theirs,
                "netns",
                self.name,
            )
            _ip("link", "set", self._ours, "up")
            self._there("link", "set", self._theirs, "up")
            self._there("address", "add", f"{self.far}/24", "dev", self._theirs)
            self._move_to(self._near)
        except NoWire:
            _ip("netns", "delete", self.name)
            raise
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        for proxy in self._proxies:
            proxy.down()
        # The namespace itself ends with its last socket, which may take a while.
        _ip("link", "delete", self._ours)
        _ip("netns", "delete", self.name)

    def proxy(self, target: Address) -> Proxy:
        """A proxy that listens behind the wire, at `far`, and reaches its target from here."""
        proxy = _FarProxy(target, self)
        self._proxies.append(proxy)
        return proxy

    def drop(self) -> None:
        """From now on every packet of the current connections is lost, in both directions. New connections work.

        They have a new address at our end; in the namespace all traffic from or to the old one is dropped.
        """
        old = self._near
        self._cuts += 1
        assert self._cuts < CUTS
        self._there("rule", "add", "from", old, "blackhole")
        self._there("route", "add", "blackhole", old)
        self._move_to(self._near)

    def listen(self, port: int) -> socket.socket:
        """A socket that listens at `far`. It stays in the namespace in which it was made, whichever thread uses it."""
        made: list[socket.socket] = []

        def make() -> None:  # in a thread of its own, which alone enters the namespace
            with Path("/run/netns", self.name).open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(
                    namespace.fileno(), CLONE_NEWNET
                ):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server((self.far, port), backlog=128))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    @property
    def _near(self) -> str:
        return f"{self._network}.{self._cuts + 1}"

    def _move_to(self, near: str) -> None:
        _ip("address", "add", f"{near}/24", "dev", self._ours)
        _ip("route", "replace", self.far, "dev", self._ours, "src", near)

    def _there(self, *words: str) -> None:
        _ip("-n", self.name, *words)


class _FarProxy(Proxy):
    def __init__(self, target: Address, wire: Wire) -> None:
        self._wire = wire
        super().__init__(target)

    def _listen(self) -> socket.socket:
        return self._wire.listen(self.port)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoWire(f"`ip {' '.join(words)}` says: {done.stderr.strip()}")
