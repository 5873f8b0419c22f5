"""Files that are no list of leads, or only nearly one, each made from a seed.

A seed always makes the same file. Seeds of files that broke something are kept in failed_files.txt.
"""

import codecs
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.crm.data_exchange.importing.malformed_spreadsheets import (
    SPREADSHEETS,
    good_ods,
    good_xlsx,
)

KEPT: Final = Path(__file__).with_name("failed_files.txt")
SEED: Final = 20_261_128
HEADER: Final = "First name,Last name,E-mail,Phone,Company,Status,Type,Tags,Consent,Notes,number,date,money,choice"
ROWS: Final = (
    'Inès,Moreau,ines@a.example,+31 6 1111 1111,Harbour,New,customer,VIP,yes,"met, in Ghent",1.5,2027-01-31,12,emea',
    "Jörg,Müller,j.muller@fjord.example,,Fjord Foods,Qualified,,,no,,,,,",
    "Ада,Лавлейс,,020 155 0142,Мрамор,,,VIP,,,,,,EMEA",
    "王,小明,wang@bücher.example,,北京,,,,,\"two\nlines\",,,,",
    "Ada,Lovelace,ada@example.com,,Engines,,,,,,,,,",
)  # fmt: skip
ENDINGS: Final = (
    "\n",
    "\r\n",
    "\r",
    "\n\r",
    "\r\r\n",
    "\x0b",
    "\x0c",
    "\x85",
    "\u2028",
    "\u2029",
    "\n\n",
)
ODD_CELLS: Final = (
    "=1+1", "'=1+1", '=HYPERLINK("http://x.example")', "@SUM(A1)", "-1", "+", "\u202egpj.exe", "\ufeff", "\u200b",
    "a\u0301", "\U0001f984", "\U0001f1f3\U0001f1f1", "İi̇", "ß", "ﬃ", "\x00", "\x07\x1b[31m", "\x7f", "\ufffe",
    "\U0010ffff", "\u0000a", "a@b", "@", "a@b.c d", "a@" + "." * 250 + "@", "1e400", "-1e400", "NaN", "Infinity",
    "0x10", "9" * 400, "1,5", "٣", "½", "2027-02-30", "31.12.9999", "0000-00-00", "1/2/03", "12:00",
    "javascript:alert(1)", "http://[::1", "null", "None", "true", "{}", "[]", "\\", "\\N", "''",
    "<script>alert(1)</script>", "{{ x }}", "%s%n", "x" * 19_999, "é" * 20_001, "\ufdfa" * 160,
)  # fmt: skip
# The beginnings of files of other types; some have an ending of their own, none of which is CSV, XLSX or ODS.
OTHERS: Final = (
    b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"GIF89a\1\0", b"\x1f\x8b\x08\0", b"BZh91AY&SY", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\0",
    b"PK\x05\x06" + bytes(18), b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), b"MZ\x90\0\3\0",
    b"\x7fELF\2\1\1", b"ID3\3\0", b"SQLite format 3\0", b"<!DOCTYPE html><table><tr><td>Ada</td></tr></table>\n",
    b'{"leads": [{"name": "Ada"}]}\n', b"{\\rtf1\\ansi Ada}\n", b"BEGIN:VCARD\nFN:Ada\nEND:VCARD\n",
    b"From: ada@example.com\n\nHello\n", b'<?xml version="1.0"?><Workbook/>\n', b"dn: cn=Ada\nmail: ada@example.com\n",
    b"#!/bin/sh\necho Ada\n", b"sep=;\nName;E-mail\n", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd",
)  # fmt: skip
NAMES: Final = (
    "leads.csv", "leads.xlsx", "leads.ods", "leads.CSV", "leads.txt", "leads.pdf", "leads", ".csv", "x" * 300 + ".csv",
    "a\u202evsc.exe", "<b>.csv", "leads.csv\x07", "Größe 王.csv", "..csv", "CON.csv", "leads.csv.exe",
)  # fmt: skip
KINDS_OF_CONTENT: Final = (
    "text/csv", "application/octet-stream", "image/png", "", "application/zip", "text/csv; charset=utf-16", "x",
    "application/vnd.ms-excel", "multipart/form-data",
)  # fmt: skip

Dice = random.Random


@dataclass(frozen=True, slots=True)
class MalformedFile:
    """`kind` has the names of the functions that made it."""

    seed: int
    kind: str
    name: str
    content: bytes
    content_type: str

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.kind}, {len(self.content):,} bytes: {self.content[:60]!r}"


def malformed_file(seed: int) -> MalformedFile:
    """The file of this seed. As many consecutive seeds as there are KINDS make a file of each; the first are plain."""
    dice = Dice(seed)
    round_, at = divmod(seed - SEED, len(MAKERS))
    make, twist = MAKERS[at], TWISTS[round_ % len(TWISTS)]
    name, content_type = dice.choice(NAMES), dice.choice(KINDS_OF_CONTENT)
    kind = f"{make.__name__}, {twist.__name__}"
    return MalformedFile(seed, kind, name, twist(make(dice), dice), content_type)


def kept_seeds() -> list[int]:
    return [int(line) for line in KEPT.read_text().split()]


def keep_seeds(failed: Sequence[int]) -> None:
    """Add these to the seeds that are run first."""
    KEPT.write_text(
        "".join(f"{seed}\n" for seed in dict.fromkeys([*kept_seeds(), *failed]))
    )


# --- no table at all ---


def another_type(dice: Dice) -> bytes:
    return dice.choice(OTHERS) + dice.choice(
        [b"", dice.randbytes(dice.randrange(3_000)), b"Ada,Lovelace\n" * 50]
    )


def random_bytes(dice: Dice) -> bytes:
    return dice.randbytes(dice.choice([1, 2, 3, 7, 100, 5_000]))


def nothing(dice: Dice) -> bytes:
    return dice.choice(
        [
            b"",
            b"\0",
            b" ",
            b"\n",
            b"\r\n \t\r\n",
            b",,,\n,,\n",
            b'""\n',
            b";",
            b"\xc2\xa0\n",
            b"'",
            b'"',
        ]
    )


def only_a_bom(dice: Dice) -> bytes:
    marks = (
        codecs.BOM_UTF8,
        codecs.BOM_UTF16_LE,
        codecs.BOM_UTF16_BE,
        codecs.BOM_UTF32_LE,
        codecs.BOM_UTF32_BE,
    )
    mark = dice.choice(marks)
    return dice.choice([mark, mark[:-1], mark * 2, mark + b"\n", mark + mark[:1]])


# --- tables of odd shapes ---


def many_columns(dice: Dice) -> bytes:
    count = dice.choice([100, 101, 1_000, 1_000, 30_000])
    names = (
        [f"c{number}" for number in range(count)]
        if dice.random() < 0.8
        else [""] * count
    )
    return table([names, ["Ada"] * count, ["x"]])


def one_column(dice: Dice) -> bytes:
    return table(
        [
            [dice.choice(["Name", "E-mail", "?", "Ada"])],
            *([dice.choice(ODD_CELLS)] for _ in range(9)),
        ]
    )


def no_header(dice: Dice) -> bytes:
    return "\n".join(dice.sample(ROWS, k=dice.randint(1, len(ROWS)))).encode()


def only_a_header(dice: Dice) -> bytes:
    return (HEADER + dice.choice(["", "\n", "\n\n,,,\n", "\n" * 5_000])).encode()


def twice_the_same_header(dice: Dice) -> bytes:
    names = [
        "name",
        "name (2)",
        "name (3)",
        "",
        "Column 2",
        "Column 3",
        "E-mail",
        "email",
        "Reason",
        "x" * 200,
        "x" * 300,
    ]
    header = dice.choices(names, k=dice.randint(2, 12))
    return table(
        [
            header,
            *(
                [f"v{row}-{column}" for column in range(len(header))]
                for row in range(4)
            ),
        ]
    )


def odd_header(dice: Dice) -> bytes:
    return table(
        [
            dice.choices(ODD_CELLS, k=6),
            ["Ada", "Lovelace", "ada@example.com", "", "", ""],
        ]
    )


def ragged_rows(dice: Dice) -> bytes:
    rows = [
        ["Ada"] * dice.choice([0, 1, 5, 14, 15, 40, 25_000])
        for _ in range(dice.randint(1, 20))
    ]
    return HEADER.encode() + b"\n" + table(rows)


def too_many_rows(dice: Dice) -> bytes:
    return b"Name\n" + b"Ada\n" * dice.choice([399, 400, 401, 5_000])


def mixed_delimiters(dice: Dice) -> bytes:
    rows = [HEADER, *ROWS]
    return "\n".join(row.replace(",", dice.choice(",;\t|: ")) for row in rows).encode()


# --- odd encodings and line ends ---


def cut_in_mid_character(dice: Dice) -> bytes:
    content = good_csv(dice).encode(
        dice.choice(["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"])
    )
    beyond = [at for at, byte in enumerate(content) if byte >= 0x80]
    return content[: dice.choice(beyond) + dice.randint(0, 1)]


def mixed_encodings(dice: Dice) -> bytes:
    encodings = (
        "utf-8",
        "cp1252",
        "utf-16-le",
        "utf-16",
        "shift_jis",
        "utf-7",
        "utf-8-sig",
        "cp1251",
        "gb18030",
    )
    lines = [HEADER, *dice.choices(ROWS, k=8)]
    return b"\n".join(line.encode(dice.choice(encodings), "replace") for line in lines)


def another_encoding(dice: Dice) -> bytes:
    encodings = (
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-7",
        "cp037",
        "hz",
        "iso2022_jp",
        "big5",
        "koi8_r",
        "cp1250",
    )
    return good_csv(dice).encode(dice.choice(encodings), "replace")


def no_utf8(dice: Dice) -> bytes:
    odd = (
        b"\xed\xa0\x80",
        b"\xc0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"\x80",
        b"\xe2\x82",
        b"\xef\xbf\xbf",
        b"\xf0\x9f",
    )
    head = dice.choice([b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
    return (
        head
        + good_csv(dice).encode().replace(b"a", dice.choice(odd), dice.randint(1, 5))
        + dice.choice(odd)
    )


def mixed_line_ends(dice: Dice) -> bytes:
    return "".join(
        line + dice.choice(ENDINGS) for line in [HEADER, *dice.choices(ROWS, k=10)]
    ).encode()


def nul_bytes(dice: Dice) -> bytes:
    content = good_csv(dice).encode()
    at = dice.choice([0, 1, len(HEADER) + 3, 66_000, len(content)])
    if at == 66_000:
        content += b"\nAda,B" * 12_000
    return content[:at] + b"\0" * dice.choice([1, 2, 500]) + content[at:]


# --- odd quotes and cells ---


def unclosed_quotes(dice: Dice) -> bytes:
    content = good_csv(dice) + "\nAda,Lovelace" * dice.choice([1, 20, 13_000])
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(content))
        content = (
            content[:at]
            + dice.choice(['"', '""', '"""', ',"', '"x', '"\n'])
            + content[at:]
        )
    return content.encode()


def gigantic_cell(dice: Dice) -> bytes:
    length = dice.choice(
        [20_000, 20_001, 131_071, 131_073, 400_000, 600_000, 3_000_000]
    )
    cell = dice.choice(["x", "é", ".", "1", "a@b.c ", "x\n", "\U0001f984", '""', "x;"])
    column = dice.randrange(14)
    cells = ["Ada"] * 14
    cells[column] = (
        dice.choice(["", "a@"]) + (cell * length)[:length] + dice.choice(["", "@"])
    )
    return f"{HEADER}\n{quoted(cells)}\nAda,B\n".encode()


def addresses_that_take_long(dice: Dice) -> bytes:
    """Cells that a pattern for addresses could match in very many ways, and so tries for long."""
    cell = "a@" + dice.choice([".", "a.", "@", ". "]) * 9_000 + "@"
    return "\n".join(
        ["Wer,Wo,Was", *[f"Ada,{cell[:19_000]},x"] * dice.randint(1, 12)]
    ).encode()


def odd_cells(dice: Dice) -> bytes:
    names = HEADER.split(",")
    return f"{HEADER}\n".encode() + table(
        [dice.choices(ODD_CELLS, k=len(names)) for _ in range(12)]
    )


def formulas(dice: Dice) -> bytes:
    marks = [
        mark + dice.choice(["1+1", "cmd|' /C calc'!A0", ""]) for mark in "=+-@\t\r"
    ]
    return f"{HEADER}\n".encode() + table([dice.choices(marks, k=14) for _ in range(5)])


# --- valid files, damaged at random ---


def mutated_csv(dice: Dice) -> bytes:
    return mutated(
        good_csv(dice).encode(dice.choice(["utf-8", "utf-8-sig", "utf-16", "gb18030"])),
        dice,
    )


def mutated_xlsx(dice: Dice) -> bytes:
    return mutated(good_xlsx(rows_of_sheet()), dice)


def mutated_ods(dice: Dice) -> bytes:
    return mutated(good_ods(rows_of_sheet()), dice)


def mutated(content: bytes, dice: Dice) -> bytes:
    """The content with flipped bits, cuts, garbage and repeated parts."""
    changed = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 5, 30])):
        at = dice.randrange(len(changed) or 1)
        upto = at + dice.choice([1, 2, 10, 400])
        match dice.randrange(5):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << dice.randrange(8)
            case 1:
                changed[at:at] = dice.randbytes(dice.choice([1, 4, 300]))
            case 2:
                del changed[at:upto]
            case 3:
                changed[at:at] = changed[at:upto]
            case 4 if dice.random() < 0.3:
                del changed[at:]
    return bytes(changed)


# --- what happens to a file on its way: each of these happens to a file of each kind ---


def plain(content: bytes, dice: Dice) -> bytes:
    return content


def cut_off(content: bytes, dice: Dice) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def without_its_beginning(content: bytes, dice: Dice) -> bytes:
    return content[dice.choice([1, 2, 3, 30, 600]) :]


def sent_twice(content: bytes, dice: Dice) -> bytes:
    return content + dice.choice([b"", b"\n"]) + content


def below_a_title(content: bytes, dice: Dice) -> bytes:
    return (
        dice.choice([b"Leads\n", b"sep=;\n", b"sep=,\r\n\r\n", b'"\n', b"\n" * 12])
        + content
    )


def above_another_file(content: bytes, dice: Dice) -> bytes:
    return content + b"\n" + dice.choice([good_csv(dice).encode(), *OTHERS])


def after_a_mark(content: bytes, dice: Dice) -> bytes:
    marks = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return dice.choice(marks) + content


def encoded_twice(content: bytes, dice: Dice) -> bytes:
    encodings = ("utf-8", "utf-16-le", "utf-16", "cp1252", "mac_roman")
    return content.decode("latin-1").encode(dice.choice(encodings), "replace")


def with_other_line_ends(content: bytes, dice: Dice) -> bytes:
    return content.replace(b"\n", dice.choice(ENDINGS).encode())


def with_other_separators(content: bytes, dice: Dice) -> bytes:
    return content.replace(
        b",", dice.choice([b";", b"\t", b"|", b",,", b" ", b'"', b"'"])
    )


def with_other_quotes(content: bytes, dice: Dice) -> bytes:
    return content.replace(
        b'"', dice.choice([b"'", b'\\"', b'""', b"", b"\xe2\x80\x9d"])
    )


def with_zeros(content: bytes, dice: Dice) -> bytes:
    at = dice.randrange(len(content) + 1)
    return content[:at] + b"\0" * dice.choice([1, 2, 900]) + content[at:]


def with_flipped_bits(content: bytes, dice: Dice) -> bytes:
    return mutated(content, dice)


# --- parts of files ---


def good_csv(dice: Dice) -> str:
    return "\n".join([HEADER, *dice.choices(ROWS, k=12)])


def rows_of_sheet() -> list[list[str]]:
    return [
        line.replace('"', "").replace("\n", " ").split(",")[:14]
        for line in (HEADER, *ROWS)
    ]


def table(rows: Sequence[Sequence[str]]) -> bytes:
    return "\n".join(map(quoted, rows)).encode("utf-8", "surrogatepass")


def quoted(cells: Sequence[str]) -> str:
    return ",".join(
        '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\r\n') else cell
        for cell in cells
    )


MAKERS: Final[tuple[Callable[[Dice], bytes], ...]] = (
    another_type, random_bytes, nothing, only_a_bom, many_columns, one_column, no_header, only_a_header,
    twice_the_same_header, odd_header, ragged_rows, too_many_rows, mixed_delimiters, cut_in_mid_character,
    mixed_encodings, another_encoding, no_utf8, mixed_line_ends, nul_bytes, unclosed_quotes, gigantic_cell,
    addresses_that_take_long, odd_cells, formulas, mutated_csv, mutated_csv, mutated_xlsx, mutated_ods, *SPREADSHEETS,
)  # fmt: skip
TWISTS: Final[tuple[Callable[[bytes, Dice], bytes], ...]] = (
    plain, cut_off, without_its_beginning, sent_twice, below_a_title, above_another_file, after_a_mark, encoded_twice,
    with_other_line_ends, with_other_separators, with_other_quotes, with_zeros, with_flipped_bits,
)  # fmt: skip
KINDS: Final = len(MAKERS) * len(TWISTS)
