"""Reading a request's body. REST framework bounds its size; a body can also be too deep."""

from collections.abc import Mapping
from typing import IO, Any, ClassVar, Final, TypeVar, cast

from django.db.models import Model, QuerySet
from rest_framework import viewsets
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.settings import api_settings

from crm.api.authentication import Caller
from crm.api.filters import ByCompany
from crm.api.pagination import KeysetPagination
from crm.models import ApiKey
from crm.models.recorder import act_as
from crm.models.roles import Action


class BoundedJSONParser(JSONParser):
    """JSON. Raises ParseError (400) where it is none, or where it is nested deeper than Python can follow."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply.") from error


# --- What every part of the API has in common: one company's rows, one role's rights, bounded bodies.

M = TypeVar("M", bound=Model)

NO_PARAMETER: Final = "There is no such parameter."


class CompanyViewSet(viewsets.GenericViewSet[M]):
    """Rows of the caller's company; another company's id is a 404, like one that nobody has.

    `actions` names, for each operation of the view, what a role must be allowed to do.
    """

    queryset: QuerySet[M]
    actions: ClassVar[dict[str, Action]] = {}
    parser_classes = (BoundedJSONParser,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Name the key behind the changes of this request; whoever has a session is named already."""
        super().initial(request, *args, **kwargs)
        self._refuse_unknown_parameters(request)
        if isinstance(self.caller, ApiKey):
            act_as(self.caller)

    def _refuse_unknown_parameters(self, request: Request) -> None:
        # A filter that is mistyped would else answer with everything.
        known = {api_settings.URL_FORMAT_OVERRIDE}
        if self.action == "list":
            filters = getattr(getattr(self, "filterset_class", None), "base_filters", ())
            known |= {KeysetPagination.cursor_query_param, KeysetPagination.page_size_query_param, *filters}
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            raise ValidationError({name: [NO_PARAMETER] for name in unknown})

    @property
    def caller(self) -> Caller:
        return cast(Caller, self.request.auth)

    def get_queryset(self) -> QuerySet[M]:
        return cast(ByCompany, self.queryset).for_company(self.caller.company)
