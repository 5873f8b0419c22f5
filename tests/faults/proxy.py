"""A TCP proxy that goes wrong on request, in front of LinkedIn's stand-in, PostgreSQL or Valkey.

down · refuse · reset     nothing listens · accepted and reset at once · what is open now is reset
black_hole                everything is accepted and nothing passed on
silence                   what is open now never says another word, while new connections work
latency · slice · drip    each piece late · in pieces of so many bytes · one byte at a time
cut_after                 so many bytes of the answers of a connection, then the end
slow_close                the end of a connection is passed on late
"""

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass

Address = tuple[str, int] | str  # host and port, or the path of a unix socket


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong for now. Times in seconds."""

    refuse: bool = False
    black_hole: bool = False
    latency: float = 0.0
    slice: int = 65_536
    cut_after: int | None = None
    slow_close: float = 0.0


NONE = Trouble()
REFUSE = Trouble(refuse=True)
BLACK_HOLE = Trouble(black_hole=True)


def drip(seconds: float) -> Trouble:
    """One byte every so many seconds."""
    return Trouble(slice=1, latency=seconds)


class Proxy:
    """Listens on `port` of this machine, from `up` to `down`, and passes all on to `target`."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.trouble = NONE
        self.taken = 0  # connections
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._silent: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.up()

    def up(self) -> None:
        """Listen, on the same port as before, and pass everything on."""
        self.trouble = NONE
        if self._listener is None:
            self._listener = self._listen()
            self.port = self._listener.getsockname()[1]
            threading.Thread(
                target=self._serve, args=(self._listener,), daemon=True
            ).start()

    def down(self) -> None:
        """Close the port, and what is open with it: from now on connections are refused."""
        if self._listener is not None:
            # Without the shutdown, the thread that waits in accept would accept one more connection.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.reset()

    def reset(self) -> None:
        """Reset every connection that is open now."""
        for pair in list(self._pairs):
            _abort(*pair)

    def silence(self) -> int:
        """Pass nothing more on for what is open now, and close none of it: no FIN, no RST. Returns how many there were.

        A connection dies like this if its host is gone or its NAT has forgotten it. New connections work.
        """
        pairs = list(self._pairs)
        self._silent.update(socket_ for pair in pairs for socket_ in pair)
        return len(pairs)

    def _listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", self.port), backlog=128)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._take, args=(client,), daemon=True).start()

    def _take(self, client: socket.socket) -> None:
        if self.trouble.refuse:
            return _abort(client)
        try:
            server = _connect(self.target)
        except OSError:
            return _abort(client)
        pair = (client, server)
        self._pairs.add(pair)
        back = threading.Thread(
            target=self._pump, args=(server, client, True), daemon=True
        )
        back.start()
        self._pump(client, server, False)
        back.join()
        self._pairs.discard(pair)
        self._silent.difference_update(pair)
        client.close()
        server.close()

    def _pump(
        self, source: socket.socket, target: socket.socket, is_answer: bool
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                while data:
                    piece, data = self._next_piece(
                        source, data, passed if is_answer else None
                    )
                    if source in self._silent:
                        # Keep reading, and drop it: polling would cost more than the
                        # load.
                        break
                    target.sendall(piece)
                    passed += len(piece)
                    if (
                        is_answer
                        and self.trouble.cut_after is not None
                        and passed >= self.trouble.cut_after
                    ):
                        source.shutdown(socket.SHUT_RDWR)
                        target.shutdown(socket.SHUT_RDWR)
                        return
        if source in self._silent:
            return  # the other side seems gone, so it is not told of the end
        time.sleep(self.trouble.slow_close)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _next_piece(
        self, source: socket.socket, data: bytes, passed: int | None
    ) -> tuple[bytes, bytes]:
        while self.trouble.black_hole and source not in self._silent:
            if source.fileno() == -1:
                raise OSError("closed meanwhile")
            time.sleep(0.02)
        trouble = self.trouble
        time.sleep(trouble.latency)
        size = trouble.slice
        if passed is not None and trouble.cut_after is not None:
            size = min(size, max(0, trouble.cut_after - passed))
        return data[:size], data[size:]


class RecordingProxy(Proxy):
    """Keeps in `asked` every byte that was sent to the target."""

    def __init__(self, target: Address) -> None:
        self.asked = bytearray()
        super().__init__(target)

    def _next_piece(
        self, source: socket.socket, data: bytes, passed: int | None
    ) -> tuple[bytes, bytes]:
        piece, rest = super()._next_piece(source, data, passed)
        if passed is None:
            self.asked += piece
        return piece, rest


def _connect(target: Address) -> socket.socket:
    if isinstance(target, tuple):
        return socket.create_connection(target, timeout=None)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(target)
    except OSError:
        server.close()
        raise
    return server


def _abort(*sockets: socket.socket) -> None:
    """Close with RST instead of FIN."""
    for each in sockets:
        with contextlib.suppress(OSError):
            each.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            # Ends the read that a thread of ours waits in.
            each.shutdown(socket.SHUT_RD)
        each.close()
