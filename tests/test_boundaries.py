"""Arrows point one way: the contracts of import-linter in pyproject.toml hold."""

import subprocess
import sys
from pathlib import Path

from django.conf import settings


def test_every_import_keeps_to_the_contracts(tmp_path) -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [lint_imports, "--cache-dir", tmp_path], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr
