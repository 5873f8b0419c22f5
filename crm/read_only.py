"""Pages of the operator's admin where nothing is written: crm's and capi's alike."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class Unwritten(admin.ModelAdmin):  # type: ignore[type-arg]
    """To look at and to delete. Writing has its own way, with the checks and the record that go with it."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(Unwritten):
    """To look at only."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
