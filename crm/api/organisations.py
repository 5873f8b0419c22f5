"""`/api/v1/organisations/`: the organisations that leads name, with their leads and open deals, and their details."""

from collections.abc import Sequence
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.conditional import ConditionalViewSet, conditional
from crm.api.fields import OwnRowField
from crm.api.filters import ApiFilterRequest, check_filters, is_filter, list_parameters
from crm.api.pagination import KeysetPagination
from crm.api.serializers import NO_COLLEAGUE, StrictSerializer, one_of
from crm.lists.organisations import ORGANISATIONS, OrganisationFilter
from crm.models import Company, Lead, OrganisationDetails, OrganisationSize
from crm.models.organisation import OrganisationConverter
from crm.models.organisation_details import DETAILS, read_domain
from crm.models.organisation_figures import Organisation
from crm.models.people import company_people
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.selectors.organisations import (
    OrganisationPage,
    organisation_of,
    organisations_page,
)
from crm.services.organisation_details import OrganisationGone, save_details

KEY: Final = OpenApiParameter(
    "key",
    str,
    OpenApiParameter.PATH,
    description="The `key` of an organisation, from the list.",
)


class SumSerializer(serializers.Serializer[Any]):
    """The sum of open deals in one currency."""

    currency = serializers.CharField()
    amount = serializers.DecimalField(max_digits=20, decimal_places=2)


class OrganisationSerializer(serializers.Serializer[Organisation]):
    """An organisation: a name that leads have in common. `lead_count` stops at 1,000.

    If it has more, `is_counted` is false, and the open deals are those of its newest 1,000 leads.
    """

    key = serializers.SerializerMethodField()
    name = serializers.CharField(read_only=True)
    lead_count = serializers.IntegerField(read_only=True, source="counted_up_to")
    is_counted = serializers.BooleanField(read_only=True)
    open_deal_count = serializers.IntegerField(read_only=True, source="deal_count")
    open_deal_sums = serializers.SerializerMethodField()
    last_activity_at = serializers.DateTimeField(read_only=True)
    domain = serializers.CharField(read_only=True, source="details.domain")
    owner = serializers.IntegerField(
        read_only=True, allow_null=True, source="details.owner_id"
    )
    industry = serializers.CharField(read_only=True, source="details.industry")
    size = serializers.CharField(read_only=True, source="details.size")
    address = serializers.CharField(read_only=True, source="details.address")
    website = serializers.CharField(read_only=True, source="details.website")
    notes = serializers.CharField(read_only=True, source="details.notes")

    def get_key(self, organisation: Organisation) -> str:
        return OrganisationConverter().to_url(organisation.key)

    @extend_schema_field(SumSerializer(many=True))
    def get_open_deal_sums(self, organisation: Organisation) -> Any:
        sums = [
            {"currency": currency, "amount": total}
            for currency, total in organisation.sums
        ]
        return SumSerializer(sums, many=True).data


class OrganisationDetailsSerializer(StrictSerializer[OrganisationDetails]):
    """The details of an organisation. `domain` is what follows the @ in the addresses of its people."""

    owner = OwnRowField(
        rows=company_people, required=False, allow_null=True, otherwise=NO_COLLEAGUE
    )

    class Meta:
        model = OrganisationDetails
        fields = DETAILS
        extra_kwargs = {"size": one_of(OrganisationSize)}

    def validate_domain(self, domain: str) -> str:
        return read_domain(domain)


class OrganisationPagination(KeysetPagination):
    """By name: every page costs the same. Follow `next` and `previous`, and `?page_size=` as in other lists."""

    found: OrganisationPage
    base_url: str

    def page_of(
        self, found: OrganisationFilter, request: Request
    ) -> Sequence[Organisation]:
        """The page of the organisations that were found. Raises NotFound for an invalid cursor."""
        self.base_url = request.build_absolute_uri()
        cursor = self.decode_cursor(request)
        place = {}
        if cursor and cursor.position:
            place = {"before" if cursor.reverse else "after": str(cursor.position)}
        self.found = organisations_page(
            found.company,
            found.search,
            size=self.get_page_size(request) or 1,
            details=found.details,
            **place,
        )
        return self.found.rows

    def get_next_link(self) -> str | None:
        return self._link(self.found.next, is_reverse=False)

    def get_previous_link(self) -> str | None:
        return self._link(self.found.previous, is_reverse=True)

    def _link(self, place: int | None, *, is_reverse: bool) -> str | None:
        if place is None:
            return None
        return self.encode_cursor(Cursor(offset=0, reverse=is_reverse, position=place))


@conditional
class OrganisationViewSet(ConditionalViewSet[Lead]):
    """The organisations that the company's leads name, by name."""

    queryset = Lead.objects.current()
    listed = ORGANISATIONS
    serializer_class = OrganisationSerializer  # type: ignore[assignment]  # of organisations, which have no model
    pagination_class = OrganisationPagination
    lookup_field = "key"
    lookup_value_regex = "[A-Za-z0-9~-]+"
    nouns = (Noun.ORGANISATIONS,)
    actions = {
        "list": Action.SEE_LEADS,
        "retrieve": Action.SEE_LEADS,
        "partial_update": Action.EDIT_LEADS,
    }

    @extend_schema(parameters=list_parameters(ORGANISATIONS))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The organisations by name, with the numbers of their leads and the sums of their open deals."""
        self.record_reading_on("organisations")
        asked = {
            name: str(value)
            for name, value in request.query_params.items()
            if is_filter(self, name)
        }
        asked_by = ApiFilterRequest(self.caller)
        found = ORGANISATIONS.filtered(asked, request=asked_by, for_api=True)
        check_filters(found, asked)
        pagination = OrganisationPagination()
        rows = pagination.page_of(found, request)
        return pagination.get_paginated_response(
            self.get_serializer(rows, many=True).data
        )

    def lock_row(self) -> None:
        # As `save_details` does.
        Company.objects.hold(self.caller.company.pk)

    def answer_of_row(self) -> Any:
        return self.get_serializer(self._own_or_404(self.kwargs["key"])).data

    @extend_schema(parameters=[KEY])
    def retrieve(
        self, request: Request, key: str, *args: Any, **kwargs: Any
    ) -> Response:
        """The organisation with this key. 404 once no lead names it any more."""
        return Response(self.get_serializer(self._own_or_404(key)).data)

    @extend_schema(
        parameters=[KEY],
        request=OrganisationDetailsSerializer(partial=True),
        responses=OrganisationSerializer,
    )
    def partial_update(
        self, request: Request, key: str, *args: Any, **kwargs: Any
    ) -> Response:
        """Change the details of the organisation. Its name is that of its leads: rename it with theirs."""
        return self.if_unchanged(lambda: self._changed(request, key))

    def _changed(self, request: Request, key: str) -> Response:
        found = self._own_or_404(key)
        serializer = OrganisationDetailsSerializer(
            found.details,
            data=request.data,
            partial=True,
            context=self.get_serializer_context(),
        )
        serializer.is_valid(raise_exception=True)
        try:
            save_details(
                company=self.caller.company,
                key=found.key,
                values=serializer.validated_data,
            )
        except OrganisationGone as gone:
            raise NotFound from gone
        return Response(self.get_serializer(self._own_or_404(key)).data)

    def _own_or_404(self, key: str) -> Organisation:
        try:
            found = organisation_of(
                self.caller.company, OrganisationConverter().to_python(key)
            )
        except ValueError:
            found = None
        if found is None:
            raise NotFound
        return found
