"""Conditional requests: the ETag of one row, `If-None-Match` to read it, `If-Match` to change or delete it.

RFC 9110, section 13: https://www.rfc-editor.org/rfc/rfc9110#name-conditional-requests
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db import transaction
from django.db.models import Model
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.schema import IF_MATCH, IF_NONE_MATCH
from crm.api.viewsets import CompanyViewSet
from crm.services.deadlocks import tried_again

M = TypeVar("M", bound=Model)
V = TypeVar("V")
TAGGED: Final = ("retrieve", "update", "partial_update")  # their answers have one row


class PreconditionFailed(APIException):
    """412: the row has changed since the caller read it."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = (
        "Nothing was saved: this has changed since you read it. Read it again."
    )


def etag_of(data: Any) -> str:
    """The ETag of an answer. It changes with anything that the answer has."""
    return f'"{hashlib.sha256(JSONRenderer().render(data)).hexdigest()[:32]}"'


def matches(header: str, etag: str) -> bool:
    """True if a header with ETags names this one, or is "*".

    Also if it names it as weak: nginx makes an ETag weak when it compresses the answer.
    """
    named = [each.removeprefix("W/") for each in parse_etags(header)]
    return header.strip() == "*" or etag in named


def conditional(view: type[V]) -> type[V]:
    """Decorate a ConditionalViewSet: describes its headers in the schema."""
    if_match = _header(
        IF_MATCH,
        "An ETag that you have read. If the row has changed since, the answer is a 412, and nothing is changed.",
    )
    if_none_match = _header(
        IF_NONE_MATCH, "An ETag that you have read. If nothing has changed since: 304."
    )
    described = {
        name: extend_schema(parameters=[if_match])
        for name in ("update", "partial_update", "destroy")
        if hasattr(view, name)
    }
    described["retrieve"] = extend_schema(parameters=[if_none_match])
    return extend_schema_view(**described)(view)


def _header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)


class ConditionalViewSet(CompanyViewSet[M]):
    """Rows with an ETag. A subclass says which row to lock, and puts its writes through `if_unchanged`."""

    def lock_row(self) -> None:
        """Lock the row in the URL until the transaction ends, in the common lock order."""
        raise NotImplementedError

    def answer_of_row(self) -> Any:
        """What a GET of the row in the URL would answer now."""
        return self.get_serializer(self.get_object()).data

    def if_unchanged(self, write: Callable[[], Response]) -> Response:
        """The response of `write`. Raises PreconditionFailed if `If-Match` names another state of the row.

        The row is locked from the comparison on: of two writers who have read the same state, one succeeds.
        """
        wanted = self.request.headers.get(IF_MATCH)
        if wanted is None:
            return write()

        # A change of other people or tags may lock rows that come before this one in the common lock order.
        @tried_again
        @transaction.atomic
        def checked() -> Response:
            self.lock_row()
            if not matches(wanted, etag_of(self.answer_of_row())):
                raise PreconditionFailed
            return write()

        return checked()

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Add the ETag. A GET whose `If-None-Match` names it gets a 304, without a body."""
        if self.action in TAGGED and response.status_code == status.HTTP_200_OK:
            etag = etag_of(response.data)
            known = request.headers.get(IF_NONE_MATCH, "")
            if self.action == "retrieve" and matches(known, etag):
                response = Response(status=status.HTTP_304_NOT_MODIFIED)
            response["ETag"] = etag
        return super().finalize_response(request, response, *args, **kwargs)
