"""Files as programs save them: text files, and workbooks with the parts that each program writes."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from typing import Final

from tests.crm.data_exchange.importing.spreadsheet_files import (
    MAIN,
    OFFICE,
    PACKAGE,
    archive,
)

Value = str | float | bool | date

STRICT_MAIN: Final = 'xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main"'
STRICT_OFFICE: Final = "http://purl.oclc.org/ooxml/officeDocument/relationships"
NUMBERS_SUMMARY: Final = "This document was exported from Numbers. Each table was converted to an Excel worksheet."
# Days from the first day of a date system to the next: Excel for the Mac counted from 1904 for years.
FIRST_DAY: Final = date(1899, 12, 30)
DAYS_TO_1904: Final = 1_462


@dataclass(frozen=True, slots=True)
class TextFile:
    """How a program saves a table as text. `above`: lines that it writes before the names of the columns."""

    encoding: str = "utf-8"
    delimiter: str = ","
    line_end: str = "\r\n"
    quotes: str = "as needed"
    above: str = ""
    # At the end of each row.
    trailing: str = ""

    def content(self, rows: Sequence[Sequence[str]]) -> bytes:
        file = io.StringIO()
        writer = csv.writer(file, lineterminator=self.line_end, **self._dialect())
        # An old Mac ends lines in cells as it ends rows.
        inner = "\r" if self.line_end == "\r" else "\n"
        writer.writerows([cell.replace("\n", inner) for cell in row] for row in rows)
        text = file.getvalue()
        if self.trailing:
            text = text.replace(self.line_end, f"{self.trailing}{self.line_end}")
        return (self.above + text).encode(self.encoding, "replace")

    def _dialect(self) -> dict[str, object]:
        quoting = csv.QUOTE_MINIMAL if self.quotes == "as needed" else csv.QUOTE_ALL
        dialect: dict[str, object] = {"delimiter": self.delimiter, "quoting": quoting}
        if self.quotes == "escaped":
            return {**dialect, "doublequote": False, "escapechar": "\\"}
        return dialect


@dataclass(frozen=True, slots=True)
class Workbook:
    """How a program saves a table as XLSX.

    `texts`: "shared", "inline", "rich" with phonetic marks, or "formula". `dates`: "serial", "1904", "ISO" as in the
    strict format of Excel, or "text". `left` and `above` are empty columns and rows.
    """

    texts: str = "shared"
    dates: str = "serial"
    date_format: str = "m/d/yyyy"
    number_format: str = "General"
    title: str = ""
    # Sheets before the one with the table, by name; hidden ones begin with a full stop.
    before: Sequence[str] = ()
    left: int = 0
    above: int = 0

    def content(self, rows: Sequence[Sequence[Value]]) -> bytes:
        strings: list[str] = []
        table = [[self.title]] if self.title else []
        sheets = [
            *(self._sheet([[NUMBERS_SUMMARY], ["Sheet 1", "Table 1"]], strings) for _ in self.before),
            self._sheet([*table, *rows], strings),
        ]  # fmt: skip
        return archive({**self._parts(strings), **self._sheets(sheets)})

    @property
    def _main(self) -> str:
        return STRICT_MAIN if self.dates == "ISO" else MAIN

    @property
    def _office(self) -> str:
        return STRICT_OFFICE if self.dates == "ISO" else OFFICE

    def _sheets(self, sheets: Sequence[str]) -> dict[str, str]:
        return {
            f"xl/worksheets/sheet{number}.xml": f"<worksheet {self._main}><sheetData>{sheet}</sheetData></worksheet>"
            for number, sheet in enumerate(sheets, start=1)
        }

    def _parts(self, strings: Sequence[str]) -> dict[str, str]:
        names = [*self.before, "Leads"]
        sheets = "".join(
            f'<sheet name="{name.removeprefix(".")}" sheetId="{number}" r:id="rId{number}"'
            f' state="{"hidden" if name.startswith(".") else "visible"}"/>'
            for number, name in enumerate(names, start=1)
        )
        ties = "".join(
            f'<Relationship Id="rId{number}" Type="{self._office}/worksheet" Target="worksheets/sheet{number}.xml"/>'
            for number in range(1, len(names) + 1)
        )
        for part in ("sharedStrings", "styles"):
            ties += f'<Relationship Id="{part}" Type="{self._office}/{part}" Target="{part}.xml"/>'
        system = ' date1904="1"' if self.dates == "1904" else ""
        formats = "".join(
            f'<numFmt numFmtId="{number}" formatCode="{escape(code)}"/>'
            for number, code in ((164, self.number_format), (165, self.date_format))
        )
        styles = '<xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="165"/>'
        return {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "_rels/.rels": f'<Relationships {PACKAGE}><Relationship Id="rId1" Type="{self._office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook {self._main} xmlns:r="{self._office}"><workbookPr{system}/>'
            f"<sheets>{sheets}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f"<Relationships {PACKAGE}>{ties}</Relationships>",
            "xl/styles.xml": f"<styleSheet {self._main}><numFmts>{formats}</numFmts><cellXfs>{styles}</cellXfs>"
            "</styleSheet>",
            "xl/sharedStrings.xml": f"<sst {self._main}>{''.join(strings)}</sst>",
        }

    def _sheet(self, rows: Sequence[Sequence[Value]], strings: list[str]) -> str:
        return "".join(
            f'<row r="{number}">{self._cells(number, row, strings)}</row>'
            for number, row in enumerate(rows, start=1 + self.above)
        )

    def _cells(self, number: int, row: Sequence[Value], strings: list[str]) -> str:
        return "".join(
            self._cell(f"{chr(65 + self.left + index)}{number}", value, strings)
            for index, value in enumerate(row)
        )

    def _cell(self, place: str, value: Value, strings: list[str]) -> str:
        match value:
            case bool():
                return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
            case float():
                return f'<c r="{place}" s="1"><v>{value}</v></c>'
            case date():
                return self._date(place, value, strings)
        return self._text(place, str(value), strings)

    def _date(self, place: str, day: date, strings: list[str]) -> str:
        if self.dates == "text":
            return self._text(place, f"{day:%d.%m.%Y}", strings)
        if self.dates == "ISO":
            return f'<c r="{place}" s="2" t="d"><v>{day.isoformat()}</v></c>'
        serial = (day - FIRST_DAY) // timedelta(days=1)
        if self.dates == "1904":
            serial -= DAYS_TO_1904
        return f'<c r="{place}" s="2"><v>{serial}.75</v></c>'

    def _text(self, place: str, text: str, strings: list[str]) -> str:
        shown = escape(text, quote=False)
        if self.texts == "inline":
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{shown}</t></is></c>'
        if self.texts == "formula":
            return f'<c r="{place}" t="str"><f>T("x")</f><v>{shown}</v></c>'
        strings.append(self._shared(text))
        return f'<c r="{place}" t="s"><v>{len(strings) - 1}</v></c>'

    def _shared(self, text: str) -> str:
        if self.texts != "rich":
            return f'<si><t xml:space="preserve">{escape(text, quote=False)}</t></si>'
        parts = (escape(part, quote=False) for part in (text[:2], text[2:]))
        runs = "".join(
            f'<r><rPr><b/></rPr><t xml:space="preserve">{each}</t></r>'
            for each in parts
        )
        return f'<si>{runs}<rPh sb="0" eb="1"><t>ナ</t></rPh></si>'


NAMESPACES: Final = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text")
)


def open_document(rows: Sequence[Sequence[Value]]) -> bytes:
    """The table as LibreOffice saves it: with types, comments on cells, and empty cells to the edge of the sheet."""
    body = "".join(
        f"<table:table-row>{''.join(map(_open_cell, row))}"
        '<table:table-cell table:number-columns-repeated="16300"/></table:table-row>'
        for row in rows
    )
    rest = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    content = (
        f'<office:document-content {NAMESPACES} office:version="1.3"><office:body><office:spreadsheet>'
        f'<table:table table:name="Leads">{body}{rest}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    return archive(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
            "content.xml": content,
        }
    )


def _open_cell(value: Value) -> str:
    match value:
        case bool():
            attributes, shown = (
                f'boolean" office:boolean-value="{str(value).lower()}',
                "WAHR",
            )
        case float():
            attributes, shown = f'float" office:value="{value}', f"{value:,}"
        case date():
            attributes, shown = (
                f'date" office:date-value="{value.isoformat()}',
                f"{value:%d.%m.%y}",
            )
        case _:
            attributes, shown = "string", value
    note = "<office:annotation><text:p>A comment</text:p></office:annotation>"
    lines = "".join(
        f"<text:p>{escape(line, quote=False)}</text:p>" for line in shown.split("\n")
    )
    return f'<table:table-cell office:value-type="{attributes}">{note}{lines}</table:table-cell>'


Writer = Callable[[Sequence[Sequence[Value]]], bytes]
