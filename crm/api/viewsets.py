"""What every part of the API has in common: one company's rows, one role's rights, bounded bodies."""

from typing import ClassVar, TypeVar, cast

from django.db.models import Model, QuerySet
from rest_framework import viewsets

from crm.api.authentication import Caller
from crm.api.parsers import BoundedJSONParser
from crm.api.scoping import ByCompany
from crm.roles import Action

M = TypeVar("M", bound=Model)


class CompanyViewSet(viewsets.GenericViewSet[M]):
    """Rows of the caller's company; another company's id is a 404, like one that nobody has.

    `actions` names, for each operation of the view, what a role must be allowed to do.
    """

    queryset: QuerySet[M]
    actions: ClassVar[dict[str, Action]] = {}
    parser_classes = (BoundedJSONParser,)

    @property
    def caller(self) -> Caller:
        return cast(Caller, self.request.auth)

    def get_queryset(self) -> QuerySet[M]:
        return cast(ByCompany, self.queryset).for_company(self.caller.company)
