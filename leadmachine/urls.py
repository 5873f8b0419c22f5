"""The root URLs. Pages link to each other by name; `docs/guide` mentions the paths."""

from django.contrib import admin
from django.urls import include, path

from leadmachine.help import pages as help_pages

urlpatterns = [
    path("", include("crm.urls")),
    path("", include("capi.urls")),
    path("help/", help_pages.index, name="help"),
    path("help/<slug:slug>/", help_pages.page, name="help_page"),
    path("api/v1/", include("leadmachine.api_urls")),
    path("admin/", admin.site.urls),
]

handler403 = "crm.views.errors.forbidden"
handler404 = "crm.views.errors.not_found"
handler500 = "crm.views.errors.server_error"
