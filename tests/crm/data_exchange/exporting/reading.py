"""Exports as a browser asks for them, and their files as other programs read them."""

import csv
import io
from typing import Any

from django.test import Client
from django.urls import reverse

from crm.models import DataExport


def ask(
    client: Client, page: str = "lead_export", query: str = "", **fields: str
) -> DataExport:
    """The export that was asked for last."""
    client.post(
        f"{reverse(page)}{query}", {"format": "csv", "columns": "shown", **fields}
    )
    return DataExport.objects.latest("pk")


def content(client: Client, data_export: DataExport) -> bytes:
    answer: Any = client.get(reverse("data_export_download", args=[data_export.pk]))
    return b"".join(answer.streaming_content)


def rows(client: Client, data_export: DataExport) -> list[list[str]]:
    return list(
        csv.reader(io.StringIO(content(client, data_export).decode(), newline=""))
    )
