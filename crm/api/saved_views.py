"""`/api/v1/saved-views/`: the saved views of lists."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.authentication import Caller
from crm.api.fields import Text
from crm.api.filters import ListFiltersField, check_filters, list_filter
from crm.api.schema import DETAIL
from crm.api.serializers import StrictSerializer
from crm.api.views import EDITED_WITH_LEADS, WritableViewSet
from crm.api.viewsets import Conflict
from crm.lists.definition import COLUMNS_AT_MOST, List
from crm.lists.leads import LEADS
from crm.lists.registry import LISTS
from crm.models import Company, Membership, SavedView
from crm.models.saved_view import SOMEONE_ELSES, SavedViewQuerySet
from crm.models.scopes import Noun
from crm.services.saved_views import (
    ViewGone,
    ViewRefused,
    delete_view,
    query_of,
    save_view,
)

NOT_CHANGEABLE: Final = (
    "Only the person who made this view can change it, or an admin if it is shared."
)
NO_SORT: Final = "Choose one of: {}. A - in front of it sorts the other way round."
STAYS: Final = "A view stays one of its list."
WITH_VIEWS: Final = [key for key, listed in LISTS.items() if listed.has_views]
ONE_OF_THEM: Final[Any] = {"invalid_choice": f"Choose one of: {', '.join(WITH_VIEWS)}."}
FILTERS, SORT, COLUMNS = "filters", "sort", "column_keys"


class SavedViewSerializer(StrictSerializer[SavedView]):
    """A saved view. `owner` is a user, null for a view that an API key made; those are shared.

    `list` is the list that it is of, leads unless given; it stays. `filters` has the filters of the list's page by
    their names in its URL, `sort` the column that it is sorted by, and `columns` those that it shows next to
    the first two, which are always shown: none for the usual ones.
    """

    list = serializers.ChoiceField(
        choices=WITH_VIEWS, required=False, error_messages=ONE_OF_THEM
    )

    filters = ListFiltersField(required=False)
    sort = Text(required=False, allow_blank=True, max_length=20)
    columns = serializers.ListField(
        source=COLUMNS,
        child=Text(max_length=60),
        required=False,
        max_length=COLUMNS_AT_MOST,
    )

    class Meta:
        model = SavedView
        fields = (
            "id",
            "list",
            "name",
            "filters",
            "sort",
            "columns",
            "is_shared",
            "owner",
            "created_at",
        )
        read_only_fields = ("id", "owner", "created_at")

    @property
    def caller(self) -> Caller:
        caller: Caller = self.context["request"].auth
        return caller

    @property
    def listed(self) -> List:
        """The list that the view is of."""
        if isinstance(self.instance, SavedView):
            return LISTS[self.instance.list]
        key = self.initial_data.get("list")
        return LISTS[key] if key in WITH_VIEWS else LEADS  # another one is refused

    def validate_list(self, key: str) -> str:
        """Raise ValidationError if the view is of another list."""
        if isinstance(self.instance, SavedView) and key != self.instance.list:
            raise serializers.ValidationError(STAYS)
        return key

    def validate_filters(self, filters: dict[str, str]) -> dict[str, str]:
        """Raise ValidationError for a filter without which the view would have more leads, or that isn't kept."""
        check_filters(
            list_filter(self.listed, self.caller, filters), filters, keeps_texts=False
        )
        return filters

    def validate_is_shared(self, is_shared: bool) -> bool:
        """Raise ValidationError if the view is someone else's, and would no longer be seen by the caller."""
        view = self.instance
        if (
            not is_shared
            and isinstance(view, SavedView)
            and view.owner_id
            and view.stays_shared_for(self.caller)
        ):
            raise serializers.ValidationError(SOMEONE_ELSES)
        return is_shared

    def validate_sort(self, sort: str) -> str:
        """Raise ValidationError unless it is a column that can be sorted by."""
        if sort and not self.listed.is_sorted_by(sort):
            raise serializers.ValidationError(
                NO_SORT.format(", ".join(self.listed.sortable))
            )
        return sort

    def validate_columns(self, keys: Sequence[str]) -> Sequence[str]:
        """Raise ValidationError unless all of them can be chosen. Returns each once."""
        listed = self.listed
        offered = listed.offered(self.company, listed.custom_fields(self.company))
        choices = [column.key for column in offered if not column.is_fixed]
        if set(keys) - set(choices):
            raise serializers.ValidationError(f"Choose from: {', '.join(choices)}.")
        return list(dict.fromkeys(keys))

    def validate(self, attrs: Any) -> Any:
        """The attributes as columns of the row."""
        if {FILTERS, SORT} & attrs.keys():
            view = self.instance if isinstance(self.instance, SavedView) else self.new()
            filters, sort = attrs.pop(FILTERS, view.filters), attrs.pop(SORT, view.sort)
            try:
                attrs["query"] = query_of(filters.items(), sort)
            except ViewRefused as refusal:
                raise serializers.ValidationError(
                    {FILTERS: [str(refusal)]}
                ) from refusal
        if COLUMNS in attrs:
            attrs["columns"] = " ".join(attrs.pop(COLUMNS))
        return super().validate(attrs)

    def new(self) -> SavedView:
        """An empty view: of the member, or shared by the key."""
        if isinstance(self.caller, Membership):
            return SavedView(company=self.company, owner=self.caller.user)
        return SavedView(company=self.company, is_shared=True)

    def create(self, validated_data: Any) -> SavedView:
        return self._saved(self._candidate(validated_data))

    def update(self, instance: SavedView, validated_data: Any) -> SavedView:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        # Write only the fields given, so that concurrent changes to others stay.
        if validated_data:
            return self._saved(instance, fields=[*validated_data])
        return instance

    def _saved(
        self, view: SavedView, fields: Collection[str] | None = None
    ) -> SavedView:
        try:
            return save_view(view=view, fields=fields)
        except ViewGone as gone:
            raise NotFound from gone
        except ViewRefused as refusal:
            raise serializers.ValidationError({"name": [str(refusal)]}) from refusal


@extend_schema_view(destroy=extend_schema(responses={204: None, 409: DETAIL}))
class SavedViewViewSet(WritableViewSet[SavedView]):
    """The saved views of the lists of leads and deals, newest first: a member's own and all shared ones.

    Those of API keys are shared. A member can change their own, an API key those that keys made, and an admin all
    shared ones.
    """

    queryset = SavedView.objects.all()
    serializer_class = SavedViewSerializer
    nouns = (Noun.VIEWS,)
    actions = EDITED_WITH_LEADS

    def get_queryset(self) -> SavedViewQuerySet:
        return SavedView.objects.visible_to(self.caller)

    def get_object(self) -> SavedView:
        """The view in the URL. Raises Conflict if the caller is about to write, and may only read it."""
        view = super().get_object()
        if self.action != "retrieve" and not view.may_be_changed_by(self.caller):
            raise Conflict(NOT_CHANGEABLE)
        return view

    # So that between the check and the save, no one changes the row, and no erasure removes a source from it.
    @transaction.atomic
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        Company.objects.hold(self.caller.company_id)
        return super().update(request, *args, **kwargs)

    def perform_destroy(self, instance: Any) -> None:
        delete_view(view=instance)
