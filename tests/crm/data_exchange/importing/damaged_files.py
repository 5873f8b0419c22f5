"""Good files of each object and format, each damaged in one way, made from a seed.

A seed always makes the same file. Its row `n` has values that no other row has.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.crm.data_exchange.importing.malformed_files import TWISTS, table
from tests.crm.data_exchange.importing.malformed_spreadsheets import (
    archive,
    good_ods,
    good_xlsx,
    parts_of,
)

ROWS: Final = 12
# Of a lead that the company has: deals, tasks and notes are about it.
ADA: Final = "ada@example.com"

Dice = random.Random
Cells = tuple[str, ...]
Damage = Callable[[bytes, Dice], bytes]
DamageOfRows = Callable[[list[Cells], Dice], list[Cells]]


@dataclass(frozen=True, slots=True)
class GoodTable:
    """`row` has the cells of the row with this number, from 1 on."""

    header: Cells
    row: Callable[[int], Cells]

    @property
    def rows(self) -> list[Cells]:
        return [self.header, *map(self.row, range(1, ROWS + 1))]


@dataclass(frozen=True, slots=True)
class DamagedFile:
    seed: int
    subject: str
    damage: str
    name: str
    content: bytes

    @property
    def label(self) -> str:
        return f"seed {self.seed}, {self.subject}, {self.name}, {self.damage}"


GOOD_TABLES: Final[Mapping[str, GoodTable]] = {
    "lead": GoodTable(
        ("First name", "Last name", "E-mail", "Company", "Tags", "Notes"),
        lambda n: (f"Inès {n}", "Moreau", f"ines{n}@a.example", "Café", "VIP", "a, b"),
    ),
    "deal": GoodTable(
        ("Deal", "E-mail", "Amount", "Currency", "Expected close", "Tags"),
        lambda n: (f"Fleet {n}", ADA, f"{100 + n}", "EUR", f"2027-03-{9 + n}", "VIP"),
    ),
    "task": GoodTable(
        ("Task", "Due", "E-mail", "Type"),
        lambda n: (f"Call back {n}", f"2027-04-{9 + n}", ADA, "Call"),
    ),
    "note": GoodTable(
        ("Note text", "Kind", "Time", "E-mail"),
        lambda n: (f"Likes “{n}”,\nnot red", "Call", f"2026-07-{9 + n}T18:00:05Z", ADA),
    ),
}


def csv_of(rows: list[Cells]) -> bytes:
    return table(rows)


WRITERS: Final[Mapping[str, Callable[[list[Cells]], bytes]]] = {
    "csv": csv_of,
    "xlsx": good_xlsx,
    "ods": good_ods,
}


def damaged_file(seed: int) -> DamagedFile:
    """The file of this seed. As many consecutive seeds as there are KINDS make a file of each kind."""
    dice = Dice(seed)
    at, kind = divmod(seed, len(GOOD_TABLES) * len(WRITERS))
    subject, ending = divmod(kind, len(WRITERS))
    name, writer = list(WRITERS.items())[ending]
    rows = list(GOOD_TABLES.values())[subject].rows
    damage, content = _damaged(at % DAMAGE_COUNT, rows, writer, dice)
    return DamagedFile(
        seed, list(GOOD_TABLES)[subject], damage, f"file.{name}", content
    )


def _damaged(
    number: int, rows: list[Cells], write: Callable[[list[Cells]], bytes], dice: Dice
) -> tuple[str, bytes]:
    """The name of the damage with this number, and the damaged file."""
    if number < len(DAMAGES_OF_ROWS):
        change_rows = DAMAGES_OF_ROWS[number]
        return change_rows.__name__, write(change_rows(rows, dice))
    damage = DAMAGES[number - len(DAMAGES_OF_ROWS)]
    return damage.__name__, damage(write(rows), dice)


# --- tables with damaged cells ---


def huge_cells(rows: list[Cells], dice: Dice) -> list[Cells]:
    return _with_cells(rows, dice, ["x" * 20_000, "é" * 70_000, "1" * 20_001])


def control_characters(rows: list[Cells], dice: Dice) -> list[Cells]:
    return _with_cells(rows, dice, ["\x85", "\u202e", "\ufffe", "\U0010ffff", "\u200b"])


def cells_of_other_columns(rows: list[Cells], dice: Dice) -> list[Cells]:
    header, *others = rows
    return [header, *(tuple(dice.sample(row, k=len(row))) for row in others)]


def ragged_rows(rows: list[Cells], dice: Dice) -> list[Cells]:
    header, *others = rows
    return [header, *((row * 3)[: dice.randrange(3 * len(row))] for row in others)]


def repeated_rows(rows: list[Cells], dice: Dice) -> list[Cells]:
    return [rows[0], *dice.choices(rows, k=2 * ROWS)]


def shuffled_header(rows: list[Cells], dice: Dice) -> list[Cells]:
    header, *others = rows
    return [tuple(dice.sample(header, k=len(header))), *others]


def thousands_of_columns(rows: list[Cells], dice: Dice) -> list[Cells]:
    more = ("x",) * dice.choice([90, 200, 3_000, 20_000])
    return [row + more for row in rows]


def _with_cells(rows: list[Cells], dice: Dice, odd: list[str]) -> list[Cells]:
    """The rows with an odd cell in some of them."""
    header, *others = rows
    changed = [list(row) for row in others]
    for row in dice.sample(changed, k=ROWS // 3):
        row[dice.randrange(len(row))] = dice.choice(odd)
    return [header, *map(tuple, changed)]


# --- damaged files, and damaged parts of archives ---


def in_another_encoding(content: bytes, dice: Dice) -> bytes:
    encoding = dice.choice(["utf-16", "utf-32", "cp1252", "big5", "utf-7", "cp037"])
    return _each_part(
        content, lambda part: part.decode(errors="replace").encode(encoding, "replace")
    )


def an_odd_quote(content: bytes, dice: Dice) -> bytes:
    """One quote, or an angle bracket in XML, more than before."""

    def damage(part: bytes) -> bytes:
        at = dice.randrange(len(part) + 1)
        return part[:at] + dice.choice([b'"', b'"x', b"<", b"]]>"]) + part[at:]

    return _one_part(content, dice, damage)


def a_cut_part(content: bytes, dice: Dice) -> bytes:
    return _one_part(content, dice, lambda part: part[: dice.randrange(len(part) + 1)])


def flipped_bytes_in_a_part(content: bytes, dice: Dice) -> bytes:
    def damage(part: bytes) -> bytes:
        changed = bytearray(part)
        for _ in range(dice.choice([1, 3, 30])):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        return bytes(changed)

    return _one_part(content, dice, damage)


def without_a_part(content: bytes, dice: Dice) -> bytes:
    return _one_part(content, dice, lambda part: b"")


def with_entities(content: bytes, dice: Dice) -> bytes:
    """Entities that refer to each other, before each part of an archive or the text of a file."""
    entities = "".join(
        f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10)
    )
    start = f'<!DOCTYPE x [<!ENTITY e0 "lol">{entities}]>'.encode()
    return _each_part(content, lambda part: start + part.replace(b"VIP", b"&e9;"))


def _one_part(content: bytes, dice: Dice, damage: Callable[[bytes], bytes]) -> bytes:
    if not content.startswith(b"PK"):
        return damage(content)
    parts = parts_of(content)
    name = dice.choice(sorted(parts))
    return archive({**parts, name: damage(parts[name])})


def _each_part(content: bytes, damage: Callable[[bytes], bytes]) -> bytes:
    if not content.startswith(b"PK"):
        return damage(content)
    return archive({name: damage(part) for name, part in parts_of(content).items()})


DAMAGES_OF_ROWS: Final[tuple[DamageOfRows, ...]] = (
    huge_cells, control_characters, cells_of_other_columns, ragged_rows, repeated_rows, shuffled_header,
    thousands_of_columns,
)  # fmt: skip
DAMAGES: Final[tuple[Damage, ...]] = (
    in_another_encoding, an_odd_quote, a_cut_part, flipped_bytes_in_a_part, without_a_part, with_entities, *TWISTS,
)  # fmt: skip
DAMAGE_COUNT: Final = len(DAMAGES_OF_ROWS) + len(DAMAGES)
KINDS: Final = len(GOOD_TABLES) * len(WRITERS) * DAMAGE_COUNT
