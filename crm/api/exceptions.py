"""What the API answers to errors that are not its own: the same sentence as a page, in JSON."""

from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException, NotFound
from rest_framework.response import Response
from rest_framework.views import exception_handler

from crm.models.lead import PersonErased
from crm.models.tracking import DeletedMeanwhile


class Conflict(APIException):
    """409: what was asked for no longer fits what is there."""

    status_code = status.HTTP_409_CONFLICT


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an exception of a view; None for what nobody foresaw, which is then reported."""
    if isinstance(error, PersonErased):
        error = Conflict(str(error))
    if isinstance(error, DeletedMeanwhile):
        error = NotFound()
    return exception_handler(error, context)
