"""S46: what is installed to run, as a CycloneDX file: `python -m scripts.sbom > sbom.json`, or `make sbom`.

It is made from the lock files and the packages' licences alone, so it is the same whenever and wherever it is made.
Fields are those of CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/).
"""

import json
import re
from typing import Any

from leadmachine.version import VERSION
from scripts import licences

ENTRY = re.compile(r"^(?P<name>[\w.-]+)(?:\[[\w,-]+\])?==(?P<version>[^\s;\\]+)")
PRODUCT = {
    "type": "application",
    "name": "leadmachine",
    "version": VERSION,
    "licenses": [{"expression": "Apache-2.0"}],
}


def bill_of(lock: str) -> dict[str, Any]:
    """The bill of materials of lock files. The hashes are of the files that may be installed for a package."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": PRODUCT},
        "components": [
            _component(entry)
            for entry in re.split(r"\n(?=[\w.])", lock)
            if ENTRY.match(entry)
        ],
    }


def _component(entry: str) -> dict[str, Any]:
    name, version = _named(entry)
    purl = f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version}"
    references = [
        {
            "type": "distribution",
            "url": purl,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        for digest in re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)
    ]
    component = {
        "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
        "externalReferences": references,
    }  # fmt: skip
    if licence := licences.licence_of(name.lower()):
        component["licenses"] = [{"expression": licence}]
    return component


def _named(entry: str) -> tuple[str, str]:
    found = ENTRY.match(entry)
    assert found is not None
    return found["name"], found["version"]


if __name__ == "__main__":
    print(json.dumps(bill_of(licences.locks()), indent=2))
