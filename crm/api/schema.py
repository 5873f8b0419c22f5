"""The description of the API in OpenAPI's words, for callers only: it tells a stranger nothing."""

from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView

from crm.api.permissions import AnyCaller


class SchemaView(SpectacularAPIView):
    """`/api/v1/schema/`, as YAML or (`?format=json`) JSON."""

    permission_classes = [AnyCaller]
    http_method_names = ["get", "head"]


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "crm.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A key of your company; it starts with lm_."}


class MemberSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]
    target_class = "crm.api.authentication.MemberSessionAuthentication"
    name = "session"
