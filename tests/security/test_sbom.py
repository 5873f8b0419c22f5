"""S46: the bill of materials names every package that is installed to run, with its version and hashes."""

import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from typing import Any

import pytest
from django.conf import settings

from leadmachine.version import VERSION
from scripts import licences, sbom


def printed() -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "scripts.sbom"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    bill: dict[str, Any] = json.loads(run.stdout)
    return bill


@pytest.mark.covers("S46")
def test_every_pinned_package_is_in_it() -> None:
    lock = licences.locks()
    pinned = [
        line.split("==")[0].split("[")[0]
        for line in lock.splitlines()
        if re.match(r"\S+==", line)
    ]

    bill = printed()

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert [component["name"] for component in bill["components"]] == pinned
    assert sum(
        len(component["externalReferences"]) for component in bill["components"]
    ) == lock.count("--hash=sha256:")


@pytest.mark.covers("S46")
def test_its_versions_are_those_that_run() -> None:
    versions = {
        component["name"]: component["version"] for component in printed()["components"]
    }

    product = printed()["metadata"]["component"]
    assert (product["name"], product["version"]) == ("leadmachine", VERSION)
    assert versions["django"] == distribution("django").version
    assert versions["celery"] == distribution("celery").version


def test_every_component_has_its_licence() -> None:
    without = [
        component["name"]
        for component in printed()["components"]
        if not component.get("licenses")
    ]

    assert without == []


def test_an_entry_with_extras_and_a_marker_is_read() -> None:
    lock = f"My_Package[a]==1.2.post1 ; python_version < '3.12' \\\n    --hash=sha256:{'0' * 64}\n    # via other\n"

    assert sbom.bill_of(lock)["components"] == [
        {
            "type": "library",
            "bom-ref": "pkg:pypi/my-package@1.2.post1",
            "name": "My_Package",
            "version": "1.2.post1",
            "purl": "pkg:pypi/my-package@1.2.post1",
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": "pkg:pypi/my-package@1.2.post1",
                    "hashes": [{"alg": "SHA-256", "content": "0" * 64}],
                }
            ],
        }
    ]
