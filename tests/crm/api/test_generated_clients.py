"""Clients that others' generators make of the schema: their types are checked, and they work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from crm.jobs import rounds
from crm.models import ApiKey, Company
from crm.models.roles import Role
from tests.conftest import make_lead
from tests.crm.api.calling import with_key
from tests.npm import install

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.processes,
    pytest.mark.timeout(400),
]

SCRIPTS = Path(__file__).parent / "clients"
LEADS = 200
NPM_PACKAGES = ["openapi-typescript@7", "typescript@5", "@stoplight/spectral-cli@6"]


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    call_command("spectacular", file=str(tmp_path / "schema.yaml"))
    return tmp_path / "schema.yaml"


@pytest.fixture
def key(company: Company) -> str:
    for number in range(LEADS):
        make_lead(company, first_name=f"Lead {number}", email="")
    return ApiKey.objects.issue(company=company, role=Role.SALES, name="Script")[1]


def run(words: list[str], folder: Path, **environment: str) -> str:
    """Run the command in the folder and return what it printed. Fails with its output."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        words, cwd=folder, env={"PATH": path, "HOME": str(folder), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.thorough
def test_a_generated_python_client_works_and_its_types_are_right(
    live_server: Any, tmp_path: Path, schema: Path, key: str
) -> None:
    asked = (
        with_key(key)
        .post("/api/v1/exports/", {"kind": "leads", "format": "csv"})
        .json()
    )
    rounds.work_through(lambda: True)
    run(
        [
            "openapi-python-client",
            "generate",
            "--path",
            str(schema),
            "--output-path",
            "client",
        ],
        tmp_path,
    )
    shutil.copy(SCRIPTS / "script.py", tmp_path / "client")

    run([sys.executable, "-m", "mypy", "--strict", "script.py"], tmp_path / "client")
    run(
        [sys.executable, "script.py", live_server.url, key, str(asked["id"])],
        tmp_path / "client",
    )


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the npm packages."""
    return install(tmp_path_factory.mktemp("npm"), *NPM_PACKAGES)


@pytest.mark.thorough
def test_generated_typescript_types_are_right(
    live_server: Any, npm: Path, schema: Path, key: str
) -> None:
    shutil.copy(SCRIPTS / "script.ts", npm)
    run(
        [
            "node_modules/.bin/openapi-typescript",
            str(schema),
            "--output",
            "schema.d.ts",
        ],
        npm,
    )

    run(
        [
            "node_modules/.bin/tsc",
            "--strict",
            "--target",
            "es2022",
            "--module",
            "commonjs",
            "script.ts",
        ],
        npm,
    )
    seen = run(["node", "script.js", live_server.url, key], npm)

    assert int(seen) == LEADS + 1


@pytest.mark.thorough
def test_spectral_finds_no_error(npm: Path, schema: Path) -> None:
    (npm / ".spectral.yaml").write_text('extends: ["spectral:oas"]\n')

    run(
        ["node_modules/.bin/spectral", "lint", str(schema), "--fail-severity", "error"],
        npm,
    )
