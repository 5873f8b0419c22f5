"""What people choose for the values of a file, on the page of its check."""

import re
from typing import Any

from django.test import Client
from django.urls import reverse

from crm.data_exchange.importing.value_choices import value_key
from crm.models import LeadImport
from crm.selectors.import_values import slug


def column_fields(lead_import: LeadImport) -> dict[str, str]:
    """What the page sends of the columns."""
    return {f"column_{n}": name for n, name in enumerate(lead_import.columns)}


def choose(
    web: Client, lead_import: LeadImport, column: int, **tokens: str
) -> LeadImport:
    """Choose an option for each of these values of the column."""
    return choose_all(web, lead_import, {column: tokens})[0]


def choose_all(
    web: Client,
    lead_import: LeadImport,
    chosen: dict[int, dict[str, str]],
    **fields: str,
) -> tuple[LeadImport, str]:
    """The import once it is checked again, and the page that follows."""
    values = {
        f"value_{column}_{slug(value_key(text))}": token
        for column, tokens in chosen.items()
        for text, token in tokens.items()
    }
    address = reverse("lead_import_columns", args=[lead_import.pk])
    data: dict[str, Any] = {**column_fields(lead_import), **values, **fields}
    page = web.post(address, data, follow=True).content.decode()
    lead_import.refresh_from_db()
    return lead_import, page


def shown(web: Client, lead_import: LeadImport) -> list[tuple[str, str, str]]:
    """The values on the page, each with the selected option and what is said about it."""
    page = web.get(lead_import.get_absolute_url()).content.decode()
    rows = re.findall(
        r'<td role="cell" class="title"><bdi>(.*?)</bdi></td>(.*?)</tr>',
        page,
        re.DOTALL,
    )
    return [
        (
            text,
            "".join(re.findall(r"<option[^>]* selected>(.*?)</option>", row)),
            " ".join(
                re.sub("<[^>]*>", " ", row.split("import-value-mark")[1][2:]).split()
            ),
        )
        for text, row in rows
        if "import-value-mark" in row
    ]
