"""The description of the API in OpenAPI's words, for callers only: it tells a stranger nothing."""

from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView

from crm.api.permissions import AnyCaller

REFUSALS: Final = (400, 401, 403, 429)
WRITE_REFUSALS: Final = (409, 415)
DETAIL: Final = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
REASONS: Final = {"type": "object"}  # sentences by the name of what was wrong, or one `detail`


class SchemaView(SpectacularAPIView):
    """`/api/v1/schema/`, as YAML or (`?format=json`) JSON."""

    permission_classes = [AnyCaller]
    http_method_names = ["get", "head"]


def tell_refusals(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add to the schema what no serializer tells: every answer that is a refusal, and that unknown keys are refused."""
    for path, item in result["paths"].items():
        for method, operation in item.items():
            codes = REFUSALS + WRITE_REFUSALS * ("requestBody" in operation) + (404,) * (method == "get" or "{" in path)
            operation["responses"] |= {str(code): _refusal(code) for code in sorted(codes)}
    for name, component in result["components"]["schemas"].items():
        if name.endswith("Request"):
            component["additionalProperties"] = False
    return result


def _refusal(code: int) -> dict[str, Any]:
    schema = REASONS if code == HTTPStatus.BAD_REQUEST else DETAIL
    return {"description": HTTPStatus(code).phrase, "content": {"application/json": {"schema": schema}}}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "crm.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A key of your company; it starts with lm_."}


class MemberSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]
    target_class = "crm.api.authentication.MemberSessionAuthentication"
    name = "session"
