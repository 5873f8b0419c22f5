"""`manage.py sandbox`: the stand-in for LinkedIn, in the foreground until Ctrl-C."""

import gc
import threading
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from capi.delivery import own_sandbox
from capi.linkedin.sandbox import scenarios
from capi.linkedin.sandbox.server import SandboxServer


class Command(BaseCommand):
    help = "Run the stand-in for LinkedIn until Ctrl-C."
    requires_system_checks = []  # it needs neither the database nor the rest of the settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
        parser.add_argument("--port", type=int, default=settings.LINKEDIN_SANDBOX_PORT, help="0 takes any free one")
        parser.add_argument("--ledger", type=Path, default=settings.LINKEDIN_SANDBOX_LEDGER, help="the file to fill")

    def handle(self, *args: Any, host: str, port: int, ledger: Path, **options: Any) -> None:
        if not (settings.DEBUG or settings.LINKEDIN_SANDBOX):
            raise CommandError(
                "The sandbox is not for production. Set LINKEDIN_SANDBOX=on to run it all the same, or DEBUG=on."
            )
        server = own_sandbox.make(host=host, port=port, ledger=ledger)
        try:
            server.start()
        except OSError as error:
            raise CommandError(f"Can't listen on {host}:{port} ({error}). Choose another port with --port.") from error
        gc.freeze()  # what stays is looked through for nothing: 15 ms of each batch of 5,000
        try:
            self._tell(server)
            threading.Event().wait()
        except KeyboardInterrupt:
            self.stdout.write("Sandbox stopped.")
        finally:
            server.stop()

    def _tell(self, server: SandboxServer) -> None:
        self.stdout.write(f"LinkedIn sandbox at {server.url}, writing to {server.ledger.path}")
        self._list("Rule ids that choose an answer (every other one is good):", scenarios.RULES)
        self._list("Words in the token that choose an answer (a token without them is good):", scenarios.TOKENS)
        self._list("Ad accounts that choose an answer when their rules are read:", scenarios.ACCOUNTS)
        self.stdout.flush()

    def _list(self, title: str, table: Sequence[scenarios.Choice]) -> None:
        self.stdout.write(title)
        for choice in table:
            self.stdout.write(f"  {choice.sign:12} {choice.status or '-'}  {choice.meaning}")
