"""All lists by key. An app registers its own when it starts (`crm/apps.py`)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from crm.lists.definition import List
from crm.models.data_export import WHOLE_COMPANY

_LISTS: Final[dict[str, List]] = {}
LISTS: Final[Mapping[str, List]] = MappingProxyType(_LISTS)


def register(*lists: List) -> None:
    """Add these lists. Raises ValueError if a key is taken."""
    for each in lists:
        if each.key in _LISTS or each.key == WHOLE_COMPANY:
            raise ValueError(f"There is a list called {each.key} already.")
        _LISTS[each.key] = each
