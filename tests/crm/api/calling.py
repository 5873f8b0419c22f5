"""Calling the API with a company's key, and what every endpoint must answer to each role."""

from typing import Any

from rest_framework.test import APIClient

from crm.models import ApiKey, Company
from crm.models.roles import Role

ADMIN_ONLY = {"admin": True, "sales": False, "ops": False}
ADMIN_AND_SALES = {"admin": True, "sales": True, "ops": False}
ADMIN_AND_OPS = {"admin": True, "sales": False, "ops": True}
ALL = {"admin": True, "sales": True, "ops": True}


def caller(company: Company, role: str = Role.ADMIN) -> APIClient:
    """A script that holds a key of the company with this role."""
    _, text = ApiKey.objects.issue(company=company, role=role, name="Website form")
    return with_key(text)


def with_key(text: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def call(client: APIClient, method: str, path: str, data: Any = None) -> Any:
    return (
        client.generic(method, path)
        if data is None
        else getattr(client, method.lower())(path, data)
    )
