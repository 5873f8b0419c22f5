"""Odd values: what a browser, a script or an attacker may send where a word, a number, a date or a header is read."""

import random
import string
from typing import Any

TEXTS = (
    "", " ", "abc", "/", "//", "\\", ".", "..", "../", "?", "#", "-", "--name", "pk", "-pk", "name,password", "'", "\"",
    "1 OR 1=1", "'; DROP TABLE crm_lead; --", "owner__password", "-owner__password", "company__name",
    "status__company__linkedin_connection__sealed_token", "\x00", "a\x00b", "%00", "%", "%s%n", "{0}", "{", "[]", "{}",
    "[", "null", "None", "true", "on", "<script>", "${7*7}", "{{7*7}}", "💥", "\ud83d", "\ufeff", "\u202e", "a\r\nX: y",
    "\u017fteve@example.com", "\u0131da@example.com", "x@xn--", "@", "a" * 160 + "@x.nl", "a@" + "b" * 250 + ".nl",
    "a" * 5_000, "[" * 5_000, "💥" * 300, "javascript:alert(1)", "https://evil.example/", "http://[::1", "//[",
    "/leads/?page=2",
)  # fmt: skip
NUMBERS = (
    "0", "-1", "1", "+1", " 1 ", "1_000", "1.5", "1,5", "1e5", "1e999", "NaN", "inf", "-inf", "0x10", "²", "½", "٣",
    "2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 18, "9" * 40,
    "1" * 4_000, "1" * 5_000,
)  # fmt: skip
DATES = (
    "2026-02-30", "0000-00-00", "0001-01-01", "9999-12-31", "10000-01-01", "-0001-01-01", "2026-11-27T99:99",
    "9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00-14:00", "2026-W01", "24:00", "Europe/Nowhere", "../etc/passwd",
)  # fmt: skip
BYTES = (b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\x80abc")  # no UTF-8
WORDS: tuple[str | bytes, ...] = (*TEXTS, *NUMBERS, *DATES, *BYTES)
NASTY = (
    "\x00\t\r\n '\"\\/<>%&=+;|{}[]()#?@,.:-_0123456789eE"
    + string.ascii_letters
    + "éſıß٣²💥\ufeff\u202e\ud800"
)

HEADERS = {
    "Content-Type": (
        "", "text/plain", "application/json", "application/json; charset=nonsense", "multipart/form-data",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=é", "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-16", "application/x-www-form-urlencoded; charset=nonsense",
        ";;;=", "a/b/c",
    ),
    "Accept": ("", "*/*;q=x", "text/html;version=\x00", "application/json; version=%00", "a/b/c", ",,,"),
    "Cookie": ("", "=", ";;;", "sessionid", "theme=\x00", "csrftoken=" + "x" * 5_000, "messages=W10"),
    "Authorization": ("", "Bearer", "Bearer ", "Basic ", "Basic YQ==", "Bearer a b", "Bearer \x00", "Bearer é"),
    "X-Forwarded-For": ("", ",", "::ffff:10.0.0.1", "fe80::1%eth0", "1.2.3.4:80", "unknown", "[::1]:9", "10.0.0.1, x"),
    "X-Forwarded-Proto": ("", "https", "http,https"),
    "If-Modified-Since": ("0", "Thu, 99 Nov 2026 99:99:99 GMT"),
    "Idempotency-Key": ("", "é", "a" * 201, "\x00"),
    "HX-Current-URL": ("http://[::1", "//["),
    "HX-Trigger": ("rows", "%"),
}  # fmt: skip
JSON: tuple[Any, ...] = (
    None, True, False, [], {}, [[]], [None], {"": None}, 0, -1, 1.5, 1e308, 2**31, 2**63, -(2**63) - 1, 10**40, 10**400,
    *TEXTS, *NUMBERS, *DATES,
)  # fmt: skip
BODIES = (
    "", "{", "null", "7", '"x"', "[]", "[{}]", "NaN", "[" * 100_000, '{"a":' * 50_000, "9" * 5_000, "1e999",
    "[" * 500 + "]" * 500, '{"first_name": "\\ud800"}', '{"first_name": "\\u0000"}', '{"amount": 1e999}',
    '{"a": 1, "a": 2}', "\ufeff{}",
)  # fmt: skip


def odd(rng: random.Random) -> str | bytes:
    """One of the words, two of them in a row, or characters at random."""
    kind = rng.random()
    if kind < 0.7:
        return rng.choice(WORDS)
    if kind < 0.8:
        return "".join(map(str, rng.choices(TEXTS + NUMBERS, k=2)))
    return "".join(rng.choices(NASTY, k=rng.randint(1, 40)))
