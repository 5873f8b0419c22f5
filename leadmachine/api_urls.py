"""URLs of the REST API, version 1: the viewsets of crm and capi, the schema and the documentation page."""

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from capi.api.views import ConversionEventViewSet, ConversionRuleViewSet
from crm.api.schema import SchemaView
from crm.api.views import ApiNotFoundView, DealViewSet, IndexView, LeadViewSet
from crm.views.api_docs import docs

router = SimpleRouter()
router.register("leads", LeadViewSet, basename="api-lead")
router.register("deals", DealViewSet, basename="api-deal")
router.register("conversion-rules", ConversionRuleViewSet, basename="api-conversion-rule")
router.register("conversion-events", ConversionEventViewSet, basename="api-conversion-event")
lists = {prefix: f"{basename}-list" for prefix, _, basename in router.registry}

urlpatterns = [
    path("", IndexView.as_view(lists=lists), name="api-index"),
    path("", include(router.urls)),
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", docs, name="api-docs"),
    # Matches with a trailing slash only: CommonMiddleware redirects the rest, as everywhere.
    re_path("^(?P<address>.*)/$", ApiNotFoundView.as_view(), name="api-nowhere"),
]
