"""A list that a stranger adds, as docs/architecture.md says: the notes of a company, here called memos."""

from operator import attrgetter
from typing import Any

import django_filters
from django.http import HttpResponse
from django.template import engines
from django.urls import include, path
from rest_framework import serializers
from rest_framework.routers import SimpleRouter

from crm.accounts.decorators import MemberRequest, member
from crm.api.pagination import ListPagination
from crm.api.views import EDITED_WITH_LEADS, CreatableViewSet
from crm.lists.columns import DAY_CELL, Column, by
from crm.lists.definition import List
from crm.lists.filter_choices import colleagues
from crm.lists.filter_types import OptionalRowFilter, SinceFilter
from crm.lists.filters import ListFilter
from crm.models import Note, NoteKind
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.views import data_exports
from crm.views.filtering import filtered_list, list_context, to_filtered_list
from leadmachine.urls import urlpatterns as own_urls

# crm/lists/memos.py


class MemoFilter(ListFilter):
    """The filters of memos."""

    is_searchable = False
    api_only = frozenset({"since"})

    kind = django_filters.ChoiceFilter(
        label="Kind", choices=NoteKind.choices, empty_label="Any kind"
    )
    author = OptionalRowFilter(
        label="Author", queryset=colleagues, empty_label="Any author"
    )
    since = SinceFilter("created_at", "Written from")


MEMOS = List(
    noun="memo",
    page="memos",
    rows=Note.objects.for_company,
    filters=MemoFilter,
    columns=[
        Column("text", "Text", read=attrgetter("text")),
        Column("kind", "Kind", read=lambda memo: memo.get_kind_display()),
        Column(
            "written",
            "Written",
            by("created_at"),
            attrgetter("created_at"),
            cell=DAY_CELL,
        ),
    ],
    also_in_file="nothing",
)

# crm/views/memos.py, and its template

TEMPLATE = """
{% include "_parts/filters.html" with target="#memos" %}
<table id="memos">{% for cells in rows %}
  <tr>{% for column, value in cells %}{% include column.cell %}{% endfor %}</tr>
{% empty %}{% if broken %}{% include "_parts/broken_filters.html" with noun="memos" %}{% endif %}{% endfor %}</table>
"""


@member(Action.SEE_LEADS)
def memos(request: MemberRequest) -> HttpResponse:
    if request.method == "POST":
        return to_filtered_list(request, MEMOS)
    found = filtered_list(request, MEMOS)
    page = MEMOS.page_of(
        found.qs, request.membership.company, request.GET.get("sort", "")
    )
    rows = [[(column, column.read(memo)) for column in MEMOS.columns] for memo in page]
    context = {
        **list_context(request, found, unfolding=["author"], kept={}),
        "rows": rows,
    }
    return HttpResponse(
        engines["django"].from_string(TEMPLATE).render(context, request)
    )


# crm/api/memos.py


class MemoSerializer(serializers.ModelSerializer[Note]):
    class Meta:
        model = Note
        fields = ("id", "text")


class MemoViewSet(CreatableViewSet[Note]):
    queryset: Any = Note.objects.all()
    serializer_class = MemoSerializer
    listed = MEMOS
    pagination_class = ListPagination
    nouns = (Noun.NOTES,)
    actions = EDITED_WITH_LEADS


# crm/urls.py and leadmachine/urls.py

router = SimpleRouter()
router.register("memos", MemoViewSet, basename="api-memo")
urlpatterns = [
    path("memos/", memos, name="memos"),
    path(
        "memos/export/", data_exports.list_export, {"key": "memos"}, name="memo_export"
    ),
    path("api/v1/", include(router.urls)),
    *own_urls,
]
