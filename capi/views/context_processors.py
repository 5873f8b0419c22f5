"""What the banners above every page know of the company's connection to LinkedIn."""

from typing import Any

from django.http import HttpRequest

from capi.selectors.connection import connection_status


def connection_state(request: HttpRequest) -> dict[str, Any]:
    return {"line": connection_status(request)}
