"""What each sender signs, with signatures that OpenSSL has made: others get a 401, and nothing of them is kept."""

import base64
import json
import subprocess
import time

import pytest
from cryptography.fernet import Fernet

from capi.services import key_rotation
from crm.intake.signatures import Received, is_signed
from crm.models import Payload
from crm.models.crypto import KeyState

BODY = b'{"email": "ada@example.com", "google_key": "hush-hush"}'
SECRET = "hush-hush"
KEY = b"\x00a key of 24 random byte"
NOW = 1_700_000_000.0


def openssl(key: bytes, signed: bytes) -> bytes:
    """The HMAC with SHA-256, by another implementation than ours."""
    words = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt"]
    words += [f"hexkey:{key.hex()}", "-binary"]
    return subprocess.run(words, input=signed, capture_output=True, check=True).stdout


def in_base64(key: bytes, signed: bytes) -> str:
    return base64.b64encode(openssl(key, signed)).decode()


def standard(at: float) -> dict[str, str]:
    signature = in_base64(KEY, f"msg_1.{at:.0f}.".encode() + BODY)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": f"{at:.0f}",
        "webhook-signature": f"v1,{in_base64(b'old', BODY)} v1,{signature}",
    }


def webflow(at: float) -> dict[str, str]:
    moment = f"{at * 1000:.0f}"
    signature = openssl(SECRET.encode(), f"{moment}:".encode() + BODY).hex()
    return {"X-Webflow-Timestamp": moment, "X-Webflow-Signature": signature}


def signed_by(kind: str, at: float = NOW) -> tuple[str, dict[str, str]]:
    """The secret and the headers of a sender of this kind."""
    plain = in_base64(SECRET.encode(), BODY)
    senders = {
        "standard": (f"whsec_{base64.b64encode(KEY).decode()}", standard(at)),
        "shopify": (SECRET, {"X-Shopify-Hmac-Sha256": plain}),
        "typeform": (SECRET, {"Typeform-Signature": f"sha256={plain}"}),
        "tally": (SECRET, {"Tally-Signature": plain}),
        "webflow": (SECRET, webflow(at)),
        "google": (SECRET, {}),
        "header": (SECRET, {"X-Webhook-Secret": SECRET}),
    }
    return senders[kind]


KINDS = ["standard", "shopify", "typeform", "tally", "webflow", "google", "header"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_sender_can_sign(kind):
    secret, headers = signed_by(kind)
    other = BODY.replace(b"hush-hush", b"guess")

    assert is_signed(kind, secret, Received(headers, BODY, NOW))
    assert not is_signed(kind, f"{secret[:-4]}abc=", Received(headers, BODY, NOW))
    assert not is_signed(kind, secret, Received({}, other, NOW))
    if kind != "header":
        assert not is_signed(kind, secret, Received(headers, other, NOW))
    for name in headers:
        for wrong in ("", "é", headers[name][:-2]):
            changed = {**headers, name: wrong}
            assert not is_signed(kind, secret, Received(changed, BODY, NOW))


@pytest.mark.parametrize("kind", ["standard", "webflow"])
@pytest.mark.parametrize(("late", "is_taken"), [(299, True), (301, False), (-301, False)])  # fmt: skip
def test_an_old_one_is_refused(kind, late, is_taken):
    secret, headers = signed_by(kind)

    assert is_signed(kind, secret, Received(headers, BODY, NOW + late)) is is_taken


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"google_key": 1}', b"[" * 100_000])
def test_a_body_without_a_key(body):
    assert not is_signed("google", SECRET, Received({}, body, NOW))


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_signed_is_kept(sender, kind):
    secret, headers = signed_by(kind, at=time.time())
    sender.source.signed_by, sender.source.secret = kind, secret
    sender.source.save()

    refused = sender.send(json.dumps({"email": "eve@example.com"}))
    taken = sender.send(BODY, **headers)

    assert (refused.status_code, taken.status_code) == (401, 202)
    assert refused.json() == {"detail": "The signature is missing or wrong."}
    assert bytes(Payload.objects.get().body) == BODY
    sender.source.refresh_from_db()
    assert sender.source.unsigned_count == 1
    assert secret not in sender.source.sealed_secret


@pytest.mark.django_db
def test_a_secret_whose_key_is_lost_asks_to_send_again(sender, settings):
    sender.source.signed_by, sender.source.secret = "header", SECRET
    sender.source.save()
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]

    answer = sender.send(BODY, **{"X-Webhook-Secret": SECRET})

    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert not Payload.objects.exists()


@pytest.mark.django_db
def test_secrets_are_sealed_with_the_newest_key(sender, settings):
    sender.source.signed_by, sender.source.secret = "header", SECRET
    sender.source.save()
    newest = Fernet.generate_key().decode()
    settings.TOKEN_KEYS = [newest, *settings.TOKEN_KEYS]

    assert key_rotation.take_inventory().count(KeyState.OLDER) == 1
    assert key_rotation.rotate() == 1

    settings.TOKEN_KEYS = [newest]
    sender.source.refresh_from_db()
    assert sender.source.secret == SECRET
