"""The OpenAPI schema of the API, for authenticated callers only."""

from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

from crm.api.permissions import AnyCaller

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"
ERROR_CODES: Final = (400, 401, 403, 429, 503)
WRITE_ERROR_CODES: Final = (409, 413, 415)
DETAIL: Final = {"$ref": "#/components/schemas/Error"}
REASONS: Final = {"$ref": "#/components/schemas/Problems"}
ERRORS: Final = {
    "Error": {
        "type": "object",
        "properties": {"detail": {"type": "string"}},
        "required": ["detail"],
    },
    "Problems": {
        "type": "object",
        "description": "Messages by the name of the field, or one `detail`.",
        "additionalProperties": True,
    },
}


class SchemaView(SpectacularAPIView):
    """`/api/v1/schema/`, as YAML or (`?format=json`) JSON."""

    permission_classes = [AnyCaller]
    http_method_names = ["get", "head"]

    def _get_version_parameter(self, request: Request) -> None:
        """The API has one version. `?version=` would only be repeated in a header of the response."""


def complete_schema(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add what serializers can't describe: errors, what every answer has, and that unknown fields are rejected."""
    schemas = result["components"]["schemas"]
    for name, component in schemas.items():
        if name.endswith("Request"):
            component["additionalProperties"] = False
        elif component.get("properties"):
            # A serializer leaves no field out.
            component["required"] = list(component["properties"])
    schemas |= ERRORS
    tags: set[str] = set()
    for path, item in result["paths"].items():
        for method, operation in item.items():
            codes = _error_codes(path, method, operation)
            operation["responses"] |= {
                str(code): _error_response(code) for code in codes
            }
            if IF_NONE_MATCH in _parameters(operation):
                operation["responses"]["304"] = {"description": "Not Modified"}
            tags.update(operation["tags"])
    return result | {"tags": [{"name": tag} for tag in sorted(tags)]}


def _error_codes(path: str, method: str, operation: dict[str, Any]) -> list[int]:
    codes = [*ERROR_CODES]
    if "requestBody" in operation:
        codes += WRITE_ERROR_CODES
    if method == "get" or "{" in path:
        codes.append(404)
    if IF_MATCH in _parameters(operation):
        codes.append(412)
    return sorted(codes)


def _parameters(operation: dict[str, Any]) -> set[str]:
    return {each["name"] for each in operation.get("parameters", ())}


def _error_response(code: int) -> dict[str, Any]:
    schema = REASONS if code == HTTPStatus.BAD_REQUEST else DETAIL
    return {
        "description": HTTPStatus(code).phrase,
        "content": {"application/json": {"schema": schema}},
    }


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "crm.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of your company; it starts with lm_.",
        }


class MemberSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]
    target_class = "crm.api.authentication.MemberSessionAuthentication"
    name = "session"
