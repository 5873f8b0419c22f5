"""What every part of the API has in common: one company's rows, one role's rights, bounded bodies."""

from typing import Any, ClassVar, Final, TypeVar, cast

from django.db.models import Model, QuerySet
from rest_framework import viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.settings import api_settings

from crm.api.authentication import Caller
from crm.api.pagination import KeysetPagination
from crm.api.parsers import BoundedJSONParser
from crm.api.scoping import ByCompany
from crm.models import ApiKey
from crm.models.recording import act_as
from crm.roles import Action

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
