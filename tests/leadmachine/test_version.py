"""The version: in pyproject.toml alone, and shown everywhere people look for it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import django
import pytest
from django.conf import settings
from django.contrib import admin

from leadmachine import startup, version

ROOT: Path = settings.BASE_DIR
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("word", ["version", "--version"])
def test_manage_py_prints_our_version_and_needs_no_settings(word: str) -> None:
    run = subprocess.run(
        [sys.executable, "manage.py", word],
        cwd=ROOT,
        env={"SECRET_KEY": "", "DEBUG": "0"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.startswith(f"LeadMachine {VERSION}, Django {django.__version__}")
    assert run.stdout.count("\n") == 1


def test_the_settings_and_the_administration_have_it() -> None:
    assert (version.VERSION, settings.VERSION) == (VERSION, VERSION)
    assert admin.site.index_title == f"LeadMachine {VERSION}"


def test_no_other_file_repeats_it() -> None:
    written = re.compile(rf"(?:version|VERSION)\W+{re.escape(VERSION)}\b")
    files = [
        path
        for folder in ("leadmachine", "crm", "capi", "deploy", "scripts")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".sh", ".toml", ".yml", ".service")
    ]

    assert [path for path in files if written.search(path.read_text())] == []


def test_the_first_line_of_a_process_names_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    startup.log_version("worker")

    assert caplog.messages == [f"{version.in_full()}: the worker starts."]
