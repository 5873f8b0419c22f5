"""What stands before an endpoint: version, token, address, method, kind of content (linkedin-capi.md, 1, 5 and 7)."""

from datetime import date

from capi.linkedin import versions
from capi.sandbox import choices
from capi.sandbox.wire import Received, Reply, coded_refusal, gateway_refusal, refusal

PATH = "/rest/conversionEvents"
RULES_PATH = "/rest/conversions"


def stop(request: Received, today: date) -> Reply | None:
    """The refusal that this request meets on its way in, None where it may pass."""
    return (
        _without_length(request)
        or _wrong_version(request.version, today)
        or _wrong_token(request)
        or _wrong_address(request)
        or _wrong_content(request)
    )


def is_about_rules(request: Received) -> bool:
    """True for the other endpoint: the list of an account's conversion rules."""
    return request.path.partition("?")[0] == RULES_PATH


def retired(version: str) -> Reply:
    """The answer to a version that is over, or never was."""
    day = "01" if versions.is_well_formed(version) else ""
    return gateway_refusal(426, "NONEXISTENT_VERSION", f"Requested version {version}{day} is not active")


def _without_length(request: Received) -> Reply | None:
    if request.method != "POST" or "content-length" in request.headers:
        return None
    return refusal(411, "Content-Length is required")


def _wrong_version(version: str, today: date) -> Reply | None:
    if not version:
        said = "A version must be present. Please specify a version by adding the LinkedIn-Version header."
        return gateway_refusal(400, "VERSION_MISSING", said)
    last_day = versions.sunset(version) if versions.is_known(version) else None
    return None if last_day and today < last_day else retired(version)


def _wrong_token(request: Received) -> Reply | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if not credentials.strip():
        return coded_refusal(401, "EMPTY_ACCESS_TOKEN", "Empty oauth2 access token")
    if scheme.lower() != "bearer" or not _is_token(request.token):
        return coded_refusal(401, "INVALID_ACCESS_TOKEN", "Invalid access token", 65600)
    is_reading = is_about_rules(request)
    choice = choices.for_token(request.token, is_reading=is_reading)
    return choices.reply(choice, is_reading=is_reading) if choice else None


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _wrong_address(request: Received) -> Reply | None:
    if request.path != PATH and not is_about_rules(request):
        return coded_refusal(404, "RESOURCE_NOT_FOUND", "No virtual resource found")
    if request.method != ("GET" if is_about_rules(request) else "POST"):
        return refusal(405, f"Method {request.method} is not allowed here")
    return None


def _wrong_content(request: Received) -> Reply | None:
    if is_about_rules(request):
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return refusal(415, f"Content type {kind or 'none'} is not supported")
    if request.headers.get("x-restli-method", "CREATE").upper() not in {"CREATE", "BATCH_CREATE"}:
        return refusal(400, "X-RestLi-Method is neither CREATE nor BATCH_CREATE")
    return None
