"""The base viewset of the API: one company's rows, one role's permissions, bounded bodies, errors as responses."""

import uuid
from collections.abc import Iterator, Mapping
from typing import IO, Any, ClassVar, Final, Protocol, TypeVar, cast

from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError
from django.db.models import Model, QuerySet
from rest_framework import status, viewsets
from rest_framework.exceptions import (
    APIException,
    NotFound,
    ParseError,
    ValidationError,
)
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from crm.api.authentication import Caller
from crm.api.filters import is_filter
from crm.api.pagination import ORDERING, KeysetPagination, orders_of
from crm.lists.definition import List
from crm.models import ApiKey, Company, Membership
from crm.models.file_storage import StorageFailed
from crm.models.lead import PersonErased
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.models.tracking.origin import act_as, current_actor
from crm.models.tracking.tracked import DeletedMeanwhile
from crm.services.audit import record_reading_on

KEYS_AT_MOST: Final = 100  # per object: the response names each unknown key


class BoundedJSONParser(JSONParser):
    """Raises ParseError (400) for invalid JSON, too many keys or JSON nested too deeply for Python.

    `leadmachine.request_bodies` limits the size.
    """

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            parsed = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply.") from error
        if any(len(mapping) > KEYS_AT_MOST for mapping in _mappings(parsed)):
            raise ParseError(f"An object has more than {KEYS_AT_MOST} keys.")
        return parsed


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping inside. Without recursion, because JSON may be nested deeply."""
    left = [value]
    while left:
        inside = left.pop()
        if isinstance(inside, dict):
            yield inside
            left += inside.values()
        elif isinstance(inside, list):
            left += inside


M = TypeVar("M", bound=Model)

GRACE: Final = "grace"  # the parameter that asks for the company's grace period
WRITES: Final = ("create", "update", "partial_update")
NO_PARAMETER: Final = "There is no such parameter."


class ByCompany(Protocol):
    """A queryset that can be limited to one company. Used by crm and capi."""

    def for_company(self, company: Company) -> QuerySet[Any]: ...


class CompanyViewSet(viewsets.GenericViewSet[M]):
    """Rows of the caller's company. Another company's id is a 404, like an unknown one.

    `actions` has the action that the caller's role must allow for each operation, and `nouns` what an API key needs a
    scope for.
    """

    queryset: QuerySet[M]
    listed: ClassVar[List | None] = None  # its filters and orders
    actions: ClassVar[dict[str, Action]] = {}
    nouns: ClassVar[tuple[Noun, ...]] = ()
    parser_classes: tuple[type[BaseParser], ...] = (BoundedJSONParser,)
    takes_grace: ClassVar[bool] = False  # True where a write may cause a conversion
    # The operations that answer page by page.
    paged: ClassVar[tuple[str, ...]] = ("list",)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Set the API key as the actor of this request's changes. For a session, the middleware has set the user."""
        super().initial(request, *args, **kwargs)
        self._reject_unknown_parameters(request)
        actor = self.caller if isinstance(self.caller, ApiKey) else current_actor()
        act_as(actor, action=uuid.uuid4() if self._asks_for_grace(request) else None)

    def _asks_for_grace(self, request: Request) -> bool:
        asked = request.query_params.get(GRACE, "false")
        if asked not in ("true", "false"):
            raise ValidationError({GRACE: ["Enter true or false."]})
        return asked == "true"

    def _reject_unknown_parameters(self, request: Request) -> None:
        # Otherwise a mistyped filter would match everything.
        known = self._known_parameters()
        is_list = self.action == "list"
        unknown = [
            name
            for name in sorted(request.query_params)
            if name not in known and not (is_list and is_filter(self, name))
        ]
        if unknown:
            raise ValidationError({name: [NO_PARAMETER] for name in unknown})

    def _known_parameters(self) -> set[str]:
        """The parameters of this operation, without filters."""
        known = {api_settings.URL_FORMAT_OVERRIDE}
        if self.action in self.paged:
            known.add(KeysetPagination.cursor_query_param)
            known.add(KeysetPagination.page_size_query_param)
        if self.action == "list" and self.listed and orders_of(self.listed):
            known.add(ORDERING)
        if self.takes_grace and self.action in WRITES:
            known.add(GRACE)
        return known

    @property
    def caller(self) -> Caller:
        return cast(Caller, self.request.auth)

    def paginate_queryset(self, queryset: Any) -> Any:
        self.record_reading_on(str(self.queryset.model._meta.verbose_name_plural))
        return super().paginate_queryset(queryset)

    def record_reading_on(self, what: str) -> None:
        """Record that a session reads further pages of a list: that takes the list along, as an export does."""
        is_further = KeysetPagination.cursor_query_param in self.request.query_params
        if is_further and isinstance(self.caller, Membership):
            record_reading_on(membership=self.caller, what=what)

    def get_queryset(self) -> QuerySet[M]:
        return cast(ByCompany, self.queryset).for_company(self.caller.company)


# Errors from the models, with the same messages as on the pages.


GONE: Final = "Nothing was saved: something that it refers to has just been deleted. Read it again, and choose another."


class ServiceUnavailable(APIException):
    """503: something that this needs is unavailable. The message says what to do."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    wait: Final = 60  # seconds, for Retry-After


class Conflict(APIException):
    """409: the request conflicts with the current state."""

    status_code = status.HTTP_409_CONFLICT


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """The response to an exception in a view; None for an unexpected one, which is then raised."""
    if isinstance(error, PersonErased):
        error = Conflict(str(error))
    if isinstance(error, StorageFailed):
        error = ServiceUnavailable(str(error))
    # It was there when this request began.
    if isinstance(error, DeletedMeanwhile | ObjectDoesNotExist):
        error = NotFound()
    if isinstance(error, IntegrityError) and "foreign key" in str(error).lower():
        error = Conflict(GONE)
    return exception_handler(error, context)
