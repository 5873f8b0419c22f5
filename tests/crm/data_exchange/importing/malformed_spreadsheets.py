"""Spreadsheets that are broken, odd, or made to exhaust memory. Each is made at random; see `malformed_files`."""

import io
import random
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Final
from xml.sax.saxutils import escape

from tests.crm.data_exchange.importing.spreadsheet_files import (
    MAIN,
    OFFICE,
    archive,
    ods,
    text_row,
    xlsx,
)

SHEET: Final = "xl/worksheets/sheet1.xml"
LEADS: Final = text_row(1, "Name", "E-mail", "date", "number")
MB: Final = 2**20
NUMBERS: Final = (
    "0", "60", "61", "-1", "0.5", "-0.0", "2958465", "2958466", "1e10", "1e300", "-1e300", "1e-300", "NaN", "inf",
    "-inf", "abc", "", "44000.999999999", "9" * 400, "0x1F", "1,5", " 7 ", "1e999999999", "\u0663",
)  # fmt: skip
DATES: Final = (
    "2027-01-31", "2027-13-45", "99999-01-01T00:00:00", "", "T12", "0000-01-01", "-2027-01-01", "P1Y", "PT99999999999H",
    "24:00:00", "2027-01-31T25:61:61", "1899-12-30", "x" * 5_000,
)  # fmt: skip
CELLS: Final = (
    '<c r="A2" t="s"><v>5</v></c>', '<c r="A2" t="s"><v>-1</v></c>', '<c r="A2" t="e"><v>#REF!</v></c>',
    '<c r="A2" t="e"><v>bad</v></c>', '<c r="A2" t="zz"><v>1</v></c>', '<c r="ZZZZ9"><v>1</v></c>',
    '<c r="A0"><v>1</v></c>', '<c r="A99999999999999"><v>1</v></c>', '<c r="2A"><v>1</v></c>', '<c r=""><v>1</v></c>',
    "<c><v>1</v></c>", '<c r="A2" t="b"><v>7</v></c>', '<c r="A2" t="inlineStr"><is><t>a&#0;b</t></is></c>',
    '<c r="A2"><v><![CDATA[1]]></v></c>', '<c r="A2" t="inlineStr"><is><t>a&bad;b</t></is></c>',
    '<c r="A2" t="inlineStr"><is><t>_x0000_b_xD800_</t></is></c>', '<c r="A2" t="str"><f>1+</f><v></v></c>',
    '<c r="A2"><f>1+1</f></c>', '<c r="A2" s="999"><v>1</v></c>', '<c r="A2" t="n"/>',
    '<c r="A2" t="inlineStr"><is><r><t>A</t></r><r><t>da</t></r></is></c>', '<c r="XFE2"><v>1</v></c>',
    '<c r="B2"/><c r="A2"/>',
)  # fmt: skip
FORMULAS: Final = (
    '<c r="A2" t="str"><f>"A"&amp;"da"</f><v>Ada</v></c>', '<c r="A2"><f>SUM(A1:A9)</f><v>7</v></c>',
    '<c r="A2"><f>1+1</f></c>', '<c r="A2" t="str"><f>WEBSERVICE("http://x.example")</f><v>=1+1</v></c>',
    '<c r="A2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', '<c r="A2"><f t="array" ref="A2:B9">ROW()</f><v>1</v></c>',
    '<c r="A2" t="b"><f>TRUE()</f><v>1</v></c>', '<c r="A2"><f t="shared" si="0"/><v>3</v></c>',
    '<c r="A2" t="inlineStr"><is><t>=1+1</t></is></c>',
)  # fmt: skip

Dice = random.Random
Parts = dict[str, bytes]


def good_xlsx(rows: Sequence[Sequence[str]]) -> bytes:
    return xlsx(
        "".join(
            text_row(number, *map(escape, row))
            for number, row in enumerate(rows, start=1)
        )
    )


def good_ods(rows: Sequence[Sequence[str]]) -> bytes:
    return ods(*(tuple(map(escape, row)) for row in rows))


def parts_of(content: bytes) -> Parts:
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def workbook(second_row: str, *, is_1904: bool = False) -> bytes:
    """A sheet of leads with this row, and with dates in style 1, durations in style 2."""
    parts = parts_of(xlsx(LEADS + second_row))
    formats = '<xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="46"/>'
    parts["xl/styles.xml"] = (
        f'<styleSheet {MAIN}><cellXfs count="3">{formats}</cellXfs></styleSheet>'.encode()
    )
    tie = f'<Relationship Id="rId99" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>'
    rels = parts["xl/_rels/workbook.xml.rels"].replace(
        b"</Relationships>", tie.encode()
    )
    parts["xl/_rels/workbook.xml.rels"] = rels
    if is_1904:
        parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(
            b"<sheets>", b'<workbookPr date1904="1"/><sheets>'
        )
    return archive(parts)


# --- odd cells ---


def odd_numbers_and_dates(dice: Dice) -> bytes:
    cells = "".join(
        f'<c r="{at}2" s="{dice.randrange(3)}"><v>{dice.choice(NUMBERS)}</v></c>'
        for at in "CD"
    )
    iso = f'<c r="E2" t="d"><v>{dice.choice(DATES)}</v></c>'
    name = '<c r="A2" t="inlineStr"><is><t>Ada</t></is></c>'
    return workbook(f'<row r="2">{name}{cells}{iso}</row>', is_1904=dice.random() < 0.3)


def odd_spreadsheet_cells(dice: Dice) -> bytes:
    return workbook(
        f'<row r="2">{"".join(dice.choices(CELLS, k=dice.choice([1, 1, 3])))}</row>'
    )


def formula_cells(dice: Dice) -> bytes:
    return workbook(
        f'<row r="2">{dice.choice(FORMULAS)}</row>{text_row(3, "Ada", "ada@example.com")}'
    )


def odd_ods_cells(dice: Dice) -> bytes:
    kind = dice.choice(
        ["float", "date", "time", "boolean", "percentage", "currency", "nonsense", ""]
    )
    value = dice.choice([*NUMBERS, *DATES, "true"])
    attributes = " ".join(
        f'office:{name}="{value}"'
        for name in ("value", "date-value", "time-value", "boolean-value")
    )
    return changed_ods(
        b'office:value-type="string"',
        f'office:value-type="{kind}" {attributes}'.encode(),
        times=2,
    )


def odd_sheets(dice: Dice) -> bytes:
    names = [
        "",
        "\u202ex",
        "x" * 500,
        "She_x0000_et",
        "Sheet 2",
        "a&#10;b",
        "&lt;b&gt;",
        "'",
        "History",
    ]
    parts = parts_of(
        xlsx(
            *dice.choices(
                ["", LEADS, LEADS + text_row(2, "Ada", "ada@example.com")],
                k=dice.choice([0, 1, 2, 40]),
            )
        )
    )
    changed = parts["xl/workbook.xml"].replace(b"Sheet 1", dice.choice(names).encode())
    parts["xl/workbook.xml"] = changed.replace(
        b'sheetId="1"', b'sheetId="1" state="hidden"'
    )
    if dice.random() < 0.3:
        rels = parts["xl/_rels/workbook.xml.rels"].replace(
            b"/worksheet", b"/chartsheet", 1
        )
        parts["xl/_rels/workbook.xml.rels"] = rels
    return archive(parts)


# --- broken archives and XML ---


def cut_archive(dice: Dice) -> bytes:
    content = dice.choice([good_xlsx, good_ods])([["Name"], ["Ada"]])
    return content[
        : dice.choice([4, 30, len(content) // 2, len(content) - 22, len(content) - 1])
    ]


def odd_archive(dice: Dice) -> bytes:
    content = good_xlsx([["Name"], ["Ada"]])
    match dice.randrange(6):
        case 0:
            return content + dice.randbytes(dice.choice([1, 300, 70_000]))
        case 1:
            # Methods of compression.
            return content.replace(b"\x08\x00", bytes([dice.randrange(100), 0]))
        case 2:
            # Encrypted.
            return content.replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\1\0")
        case 3:
            return archive({"leads.xlsx": content})
        case 4:
            return archive(
                {"../../xl/workbook.xml": b"", "/etc/passwd": b"x", **parts_of(content)}
            )
        case _:
            return b"PK\x03\x04" + content


def missing_part(dice: Dice) -> bytes:
    parts = parts_of(dice.choice([good_xlsx, good_ods])([["Name"], ["Ada"]]))
    name = dice.choice(sorted(parts))
    parts[name] = dice.choice([b"", b"\0", dice.randbytes(50), b"<", b"<x/>"])
    if dice.random() < 0.5:
        del parts[name]
    return archive(parts)


def broken_xml(dice: Dice) -> bytes:
    """A valid archive with one part that is no longer XML."""
    parts = parts_of(
        dice.choice([good_xlsx, good_ods])(
            [["Name", "E-mail"], ["Ada", "ada@example.com"]]
        )
    )
    name = dice.choice(sorted(parts))
    content, at = parts[name], dice.randrange(len(parts[name]))
    match dice.randrange(6):
        case 0:
            parts[name] = content[:at]
        case 1:
            parts[name] = (
                content[:at]
                + dice.choice(
                    [b"<", b">", b"&", b"&#xD800;", b"\0", b'"', b"<!--", b"]]>"]
                )
                + content[at:]
            )
        case 2:
            parts[name] = b'<?xml version="1.0" encoding="utf-16"?>' + content
        case 3:
            parts[name] = content.decode().encode("utf-16")
        case 4:
            parts[name] = content[:at] + b"<x>" * 20_000 + content[at:]
        case _:
            parts[name] = content[:at] + dice.randbytes(3) + content[at + 3 :]
    return archive(parts)


# --- bombs ---


def bomb(dice: Dice) -> bytes:
    """A sheet that unpacks to 65 to 600 MB, or says so."""
    block = dice.choice(
        [
            "<row><c><v>1</v></c></row>",
            "<c><v>1</v></c>",
            " ",
            '<c t="inlineStr"><is><t>x</t></is></c>',
        ]
    )
    return packed(
        block, megabytes=dice.choice([65, 300, 600]), is_honest=dice.random() < 0.7
    )


def bomb_of_repeats(dice: Dice) -> bytes:
    """A sheet that takes few bytes in the file, and very many cells in memory."""
    match dice.randrange(5):
        case 0:
            return xlsx(LEADS + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
        case 1:
            times = b'table:number-columns-repeated="16384" office:value-type="string"'
            return changed_ods(b'office:value-type="string"', times, times=2)
        case 2:
            return changed_ods(
                b"<table:table-row>",
                b'<table:table-row table:number-rows-repeated="1048576">',
                times=2,
            )
        case 3:
            return with_dimension("A1:XFD1048576")
        case _:
            return many_references()


def entity_bomb(dice: Dice) -> bytes:
    entities = "".join(
        f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10)
    )
    outside = (
        '<!ENTITY e0 SYSTEM "file:///etc/passwd">'
        if dice.random() < 0.5
        else '<!ENTITY e0 "lol">'
    )
    parts = parts_of(xlsx(LEADS + text_row(2, "&e9;")))
    parts[SHEET] = f"<!DOCTYPE worksheet [{outside}{entities}]>".encode() + parts[SHEET]
    return archive(parts)


def with_dimension(where: str) -> bytes:
    parts = parts_of(xlsx(LEADS + text_row(2, "Ada")))
    parts[SHEET] = parts[SHEET].replace(
        b"<sheetData>", f'<dimension ref="{where}"/><sheetData>'.encode()
    )
    return archive(parts)


def many_references() -> bytes:
    """Two million cells that refer to one text of 20,000 characters."""
    row = "<row>" + '<c t="s"><v>0</v></c>' * 100 + "</row>"
    parts = parts_of(xlsx(LEADS + row * 20_000))
    parts["xl/sharedStrings.xml"] = (
        f"<sst {MAIN}><si><t>{'x' * 20_000}</t></si></sst>".encode()
    )
    tie = f'<Relationship Id="rId98" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
    rels = parts["xl/_rels/workbook.xml.rels"].replace(
        b"</Relationships>", tie.encode()
    )
    parts["xl/_rels/workbook.xml.rels"] = rels
    return archive(parts)


def changed_ods(before: bytes, after: bytes, *, times: int = -1) -> bytes:
    parts = parts_of(good_ods([["Name", "date"], ["Ada", "x"]]))
    parts["content.xml"] = parts["content.xml"].replace(before, after, times)
    return archive(parts)


def packed(block: str, *, megabytes: int, is_honest: bool = True) -> bytes:
    """A workbook whose sheet repeats this XML. It is compressed only once, so the file is quickly made, and small.

    Unless `is_honest`, the archive claims that the sheet is short.
    """
    repeated = (block * (MB // len(block))).encode()
    parts = parts_of(xlsx("@@"))
    head, tail = parts.pop(SHEET).split(b"@@")
    if block.startswith("<c"):
        head, tail = head + b"<row>", b"</row>" + tail
    checksum = zlib.crc32(head)
    for _ in range(megabytes):
        checksum = zlib.crc32(repeated, checksum)
    data = (
        _flushed(head) + _flushed(repeated) * megabytes + _flushed(tail, zlib.Z_FINISH)
    )
    size = len(head) + len(repeated) * megabytes + len(tail)
    return _with_member(
        archive(parts),
        SHEET,
        data,
        zlib.crc32(tail, checksum),
        size if is_honest else 1_000,
    )


def claiming(megabytes: int) -> bytes:
    """A workbook whose archive claims a sheet of this many megabytes, and has no content for it."""
    parts = parts_of(xlsx(""))
    del parts[SHEET]
    return _with_member(archive(parts), SHEET, b"nothing", 0, megabytes * MB)


def _flushed(data: bytes, mode: int = zlib.Z_FULL_FLUSH) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(mode)


def _with_member(
    content: bytes, name: str, data: bytes, checksum: int, size: int
) -> bytes:
    """The archive with one more member, compressed already: `zipfile` would need it uncompressed."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as zipped:
        info = zipfile.ZipInfo(name)
        zipped.writestr(info, b"")
        at = info.header_offset
        assert zipped.fp is not None
        info.compress_type, info.CRC, info.compress_size, info.file_size = (
            zipfile.ZIP_DEFLATED,
            checksum,
            len(data),
            size,
        )
        zipped.fp.seek(at)
        zipped.fp.write(info.FileHeader() + data)
        zipped.start_dir = zipped.fp.tell()
    return buffer.getvalue()


SPREADSHEETS: Final[tuple[Callable[[Dice], bytes], ...]] = (
    odd_numbers_and_dates, odd_spreadsheet_cells, formula_cells, odd_ods_cells, odd_sheets, cut_archive, odd_archive,
    missing_part, broken_xml, bomb, bomb_of_repeats, entity_bomb,
)  # fmt: skip
