"""`/api/v1/`: what there is, and where."""

from typing import Any

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm.api.permissions import AnyCaller


class IndexView(APIView):
    """The addresses of the API's lists (`lists` holds the names of their routes), of its description and its schema."""

    permission_classes = [AnyCaller]
    schema = None
    http_method_names = ["get", "head"]
    lists: dict[str, str] = {}

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        names = {**self.lists, "schema": "api-schema", "docs": "api-docs"}
        return Response({title: request.build_absolute_uri(reverse(name)) for title, name in names.items()})
