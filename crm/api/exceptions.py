"""API responses to errors from the models, with the same messages as the pages."""

from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException, NotFound
from rest_framework.response import Response
from rest_framework.views import exception_handler

from crm.models.lead import PersonErased
from crm.models.tracking import DeletedMeanwhile


class Conflict(APIException):
    """409: the request conflicts with the current state."""

    status_code = status.HTTP_409_CONFLICT


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """The response to an exception in a view; None for an unexpected one, which is then raised."""
    if isinstance(error, PersonErased):
        error = Conflict(str(error))
    if isinstance(error, DeletedMeanwhile):
        error = NotFound()
    return exception_handler(error, context)
