"""S09: `docs/security.md` says what holds, and each test that it names is there."""

import re

from django.conf import settings

from crm.models.roles import MATRIX, Role

DOC = (settings.BASE_DIR / "docs" / "security.md").read_text()
HERE = settings.BASE_DIR / "tests" / "security"


def rows(head: str) -> list[list[str]]:
    """The cells of the table that begins with this head."""
    table = DOC.partition(head)[2].partition("\n\n")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()[2:]
    ]


def test_the_roles_are_those_of_the_code() -> None:
    code = [
        [
            action.value.replace("_", " "),
            *("yes" if role in allowed else "no" for role in Role),
        ]
        for action, allowed in MATRIX.items()
    ]

    assert rows("| action | admin | sales | ops |") == code


def test_every_number_has_its_row() -> None:
    assert [row[0] for row in rows("| number | what holds | shown by |")] == [
        f"S{number:02}" for number in range(1, 58)
    ]


def test_each_test_that_is_named_is_there_and_speaks_of_the_number_or_the_subject() -> (
    None
):
    named = re.findall(r"`((?:tests/[\w/]+/)?test_\w+\.py|tests/test_\w+\.py)`", DOC)

    missing = [
        name
        for name in named
        if not ((settings.BASE_DIR if "/" in name else HERE) / name).exists()
    ]
    assert missing == []
    assert len(named) > 50


def test_every_file_of_this_folder_is_named() -> None:
    assert [
        path.name for path in HERE.glob("test_*.py") if f"`{path.name}`" not in DOC
    ] == []
