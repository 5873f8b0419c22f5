"""The REST API, version 1: one router over crm and capi, and its schema."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
