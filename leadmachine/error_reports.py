"""What a report of a server error may tell: where and how it happened, and nothing that anybody entered (S26, S36)."""

import re
from types import FrameType
from typing import Any, Final

from django.http import HttpRequest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from capi.linkedin.masking import MASK
from leadmachine.logs import told

URL_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]*@")


class ReportFilter(SafeExceptionReporterFilter):
    """Django's filter, and what it leaves: values of variables, whatever was sent, passwords inside of URLs.

    Values of variables are left out altogether, rather than wherever somebody remembered to mark them as sensitive.
    """

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        return URL_PASSWORD.sub(f"{MASK}@", cleansed) if isinstance(cleansed, str) else cleansed

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> Any:
        return [] if self.is_active(request) else super().get_traceback_frame_variables(request, tb_frame)

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        if request is None or not self.is_active(request):
            return super().get_post_parameters(request)
        return dict.fromkeys(request.POST, MASK)

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        meta = super().get_safe_request_meta(request)
        return {**meta, **{name: MASK for name in ("QUERY_STRING", "HTTP_REFERER") if meta.get(name)}}


class Report(ExceptionReporter):
    """Django's report without the query string, and with every exception's words masked."""

    def get_traceback_data(self) -> dict[str, Any]:
        data: dict[str, Any] = super().get_traceback_data()
        if not self.filter.is_active(self.request):
            return data
        if self.request is not None:
            data["request_GET_items"] = [(name, MASK) for name in self.request.GET]
            data["request_insecure_uri"] = self.request.path
        for name in ("exception_value", "exception_notes", "user_str"):
            data[name] = told(str(data.get(name) or ""))
        data["unicode_hint"] = ""
        return data

    def get_traceback_frames(self) -> list[dict[str, Any]]:
        frames = super().get_traceback_frames()
        if self.filter.is_active(self.request):
            for frame in frames:
                frame["exc_cause"] = told(str(frame["exc_cause"] or ""))
        return frames
