"""The licences of the packages that are installed to run: docs/licences.md, and whether we may ship them.

`make licences` writes the page. Without `--write`, prints a line for each finding and exits with 1 if there are any.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "licences.md"
LOCKS: Final = ("requirements.lock", "requirements-postgresql.lock")
TABLE: Final = "| package | licence |\n|---|---|\n"

# Licences under which a package may be installed next to our code, which is Apache-2.0. Those with a condition are
# explained in docs/licences.md. SPDX names: https://spdx.org/licenses/
COMPATIBLE: Final = frozenset({
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-3.0-only", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0",
    "ZPL-2.1",
})  # fmt: skip
SPDX: Final = {
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ZPL 2.1": "ZPL-2.1",
}
# Packages whose metadata don't say which, and those of other platforms, by the licence file of their release.
READ: Final = {
    "amqp": "BSD-3-Clause",
    "async-timeout": "Apache-2.0",
    "billiard": "BSD-3-Clause",
    "click-plugins": "BSD-3-Clause",
    "colorama": "BSD-3-Clause",
    "django-csp": "BSD-3-Clause",
    "django-filter": "BSD-3-Clause",
    "fido2": "BSD-2-Clause AND Apache-2.0 AND MPL-2.0",
    "prompt-toolkit": "BSD-3-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "qrcode": "BSD-3-Clause AND MIT",
    "sqlparse": "BSD-3-Clause",
    "vine": "BSD-3-Clause",
}


def main() -> int:
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page())
    found = [*findings()]
    print("\n".join(found) or f"{len(licences())} packages have compatible licences.")
    return 1 if found else 0


def findings() -> Iterator[str]:
    for package, licence in licences().items():
        if not is_compatible(licence):
            yield f"{package}: {licence or 'unknown'} is not among the compatible licences of scripts/licences.py"
    if PAGE.read_text() != page():
        yield "docs/licences.md is not what make licences writes"


def is_compatible(licence: str) -> bool:
    """Return True if all parts of this SPDX expression are compatible; of those joined by OR, one is enough."""
    return any(
        all(part in COMPATIBLE for part in choice.split(" AND "))
        for choice in licence.split(" OR ")
    )


def licences() -> dict[str, str]:
    """Return the licence of each package, as an SPDX expression; "" if neither its metadata nor READ has one."""
    return {package: licence_of(package) for package in sorted(packages())}


def locks() -> str:
    """Return the lock files of what is shipped."""
    return "\n".join((ROOT / lock).read_text() for lock in LOCKS)


def packages() -> set[str]:
    return {
        name.lower()
        for name in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==", locks(), re.MULTILINE)
    }


def licence_of(package: str) -> str:
    if package in READ:
        return READ[package]
    try:
        found = metadata(package)
    except PackageNotFoundError:
        return ""
    if expression := found.get("License-Expression"):
        return expression
    classifiers = found.get_all("Classifier") or []
    names = [
        found.get("License") or "",
        *(name.rpartition(" :: ")[2] for name in classifiers if "License ::" in name),
    ]
    known = [SPDX.get(name, name) for name in names]
    return next((name for name in known if is_compatible(name)), "")


def page() -> str:
    """Return the page with its table as of now. The text around it is written by people."""
    text = PAGE.read_text()
    rows = [f"| {package} | {licence} |" for package, licence in licences().items()]
    before, _, rest = text.partition(TABLE)
    _, _, after = rest.partition("\n\n")
    table = "\n".join(rows)
    return f"{before}{TABLE}{table}\n\n{after}"


if __name__ == "__main__":
    sys.exit(main())
