"""`manage.py sandbox`: run the LinkedIn stand-in in the foreground until Ctrl-C."""

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
    help = "Run the LinkedIn stand-in until Ctrl-C."
    requires_system_checks = []  # it needs no database and few settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host",
            default="127.0.0.1",
            help="the address to listen on (default: 127.0.0.1)",
        )
        parser.add_argument(
            "--port",
            type=int,
            default=settings.LINKEDIN_SANDBOX_PORT,
            help="0 picks any free port",
        )
        parser.add_argument(
            "--ledger",
            type=Path,
            default=settings.LINKEDIN_SANDBOX_LEDGER,
            help="the file to write to",
        )

    def handle(
        self, *args: Any, host: str, port: int, ledger: Path, **options: Any
    ) -> None:
        if not (settings.DEBUG or settings.LINKEDIN_SANDBOX):
            raise CommandError(
                "The sandbox is not for production. Set LINKEDIN_SANDBOX=on or DEBUG=on to run it anyway."
            )
        server = own_sandbox.make(host=host, port=port, ledger=ledger)
        try:
            server.start()
        except OSError as error:
            raise CommandError(
                f"Can't listen on {host}:{port} ({error}). Choose another port with --port."
            ) from error
        gc.freeze()  # saves scanning long-lived objects: 15 ms per batch of 5,000
        try:
            self._print_info(server)
            threading.Event().wait()
        except KeyboardInterrupt:
            self.stdout.write("Sandbox stopped.")
        finally:
            server.stop()

    def _print_info(self, server: SandboxServer) -> None:
        self.stdout.write(
            f"LinkedIn sandbox at {server.url}, writing to {server.ledger.path}"
        )
        self._print_table(
            "Rule ids that select a response (all others are accepted):",
            scenarios.REFUSING_RULES,
        )
        self._print_table(
            "Words in the token that select a response (all others are accepted):",
            scenarios.TOKENS,
        )
        self._print_table(
            "Ad accounts that select a response when their rules are read:",
            scenarios.ACCOUNTS,
        )
        self.stdout.flush()

    def _print_table(self, title: str, table: Sequence[scenarios.Scenario]) -> None:
        self.stdout.write(title)
        for scenario in table:
            self.stdout.write(
                f"  {scenario.trigger:12} {scenario.status or '-'}  {scenario.meaning}"
            )
