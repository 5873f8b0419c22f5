"""S51: whatever a provider sends, of whatever type, is refused with a sentence, or it is what it should be."""

import json
import time
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from crm.services.openid import (
    Code,
    OpenIdError,
    Provider,
    discover,
    redeem,
    userinfo,
    verify_id_token,
)
from crm.services.openid_claims import Doubt, vouched_address
from crm.services.outbound import Answer

pytestmark = pytest.mark.covers("S51")

ISSUER = "https://id.example.com"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PROVIDER = Provider(
    ISSUER,
    f"{ISSUER}/authorize",
    f"{ISSUER}/token",
    f"{ISSUER}/keys",
    takes_secret_in_header=False,
)
WITH_USERINFO = replace(PROVIDER, userinfo_endpoint=f"{ISSUER}/userinfo")
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
    "token_endpoint_auth_methods_supported": ["client_secret_post"],
}
PUBLIC = {
    **json.loads(RSAAlgorithm.to_jwk(KEY.public_key())),
    "kid": "key-1",
    "use": "sig",
    "alg": "RS256",
}
ODD = [
    5, -1, 1.5, 10**400, True, None, [], [5], [None], [[]], ["x"], {}, {"a": [{}]}, {"keys": 5}, "", "x", "x" * 300_000,
    "https://" + "x" * 300_000, "\x00", "\ud800", "https://id.example.com\n", "https://id.example.com/\x00", "é",
    "https://id.example.com/////", "https://[", "https://id.example.com:99999999/", "https://user:pw@id.example.com/",
]  # fmt: skip


def outcome(work, *args, **options):
    """What it returns, or the sentence of the error that is to be expected. Any other error fails the test."""
    try:
        return work(*args, **options)
    except OpenIdError as error:
        return f"{error} {error.reason}"


class Outbound:
    """Gives every request the same answer, as JSON carries it."""

    def __init__(self, answer, status=200):
        self.answer = Answer(status, json.dumps(answer).encode())

    def get_json(self, url, token=""):
        return self.answer.json_object()

    def post_form(self, url, fields, headers):
        return self.answer


@pytest.mark.parametrize("name", [*DOCUMENT, "unknown"])
def test_an_odd_discovery_document_is_refused_or_read(name):
    for odd in ODD:
        found = outcome(discover, ISSUER, outbound=Outbound({**DOCUMENT, name: odd}))

        if isinstance(found, str):
            assert found.endswith(".")
            assert len(found) < 200
        else:
            assert found.issuer.rstrip("/") == ISSUER
            assert all(
                len(address) <= 2000
                for address in (found.authorization_endpoint, found.token_endpoint)
            )


def test_the_method_of_the_standard_is_used_where_none_is_named():
    without = {
        name: value
        for name, value in DOCUMENT.items()
        if not name.startswith("token_endpoint_auth")
    }

    assert discover(ISSUER, outbound=Outbound(without)).takes_secret_in_header
    assert not discover(ISSUER, outbound=Outbound(DOCUMENT)).takes_secret_in_header


@pytest.mark.parametrize("name", ["id_token", "access_token", "error", "token_type"])
@pytest.mark.parametrize("status", [200, 302, 400, 500])
def test_an_odd_answer_to_a_code_is_refused_or_read(name, status):
    for odd in ODD:
        code = Code("a", "b", "https://crm.example.com/")
        outbound = Outbound({name: odd}, status)

        found = outcome(
            redeem,
            code,
            provider=PROVIDER,
            client_id="leadmachine",
            secret="é:",
            outbound=outbound,
        )

        assert isinstance(found, str) == (status != 200)
        if isinstance(found, str):
            assert len(found) < 200
        else:
            assert "The provider" in outcome(verify, found.get("id_token"))


def test_the_reason_of_a_refused_code_is_for_the_log():
    with pytest.raises(OpenIdError) as error:
        redeem(
            Code("a", "b", "https://crm.example.com/"),
            provider=PROVIDER,
            client_id="leadmachine",
            secret="wrong",
            outbound=Outbound({"error": "invalid_client"}, 401),
        )

    assert error.value.reason == "The provider refused the code: 401, invalid_client."


def verify(token, keys=None):
    keys = {"keys": [PUBLIC]} if keys is None else keys
    return verify_id_token(
        token,
        provider=PROVIDER,
        client_id="leadmachine",
        nonce="n" * 32,
        outbound=Outbound(keys),
    )


def signed(headers=None, **claims):
    now = int(time.time())
    usual = {
        "iss": ISSUER,
        "aud": "leadmachine",
        "sub": "1001",
        "iat": now,
        "exp": now + 300,
        "nonce": "n" * 32,
    }
    return jwt.api_jws.encode(
        json.dumps({**usual, **claims}).encode(),
        KEY,
        algorithm="RS256",
        headers={"kid": "key-1", **(headers or {})},
    )


def test_a_good_token_is_read():
    assert verify(signed())["sub"] == "1001"


CLAIMS = [
    "iss",
    "aud",
    "sub",
    "iat",
    "exp",
    "nbf",
    "nonce",
    "azp",
    "jti",
    "email",
    "email_verified",
    "hd",
    "xms_edov",
]


@pytest.mark.parametrize("name", CLAIMS)
def test_an_odd_claim_is_refused_or_read(name):
    for odd in ODD:
        claims = outcome(verify, signed(**{name: odd}))

        if isinstance(claims, str):
            assert claims.endswith(".")
            assert len(claims) < 200
        else:
            assert 0 < len(claims["sub"]) <= 191
            assert claims["sub"].isprintable()
            for issuer in (
                ISSUER,
                "https://accounts.google.com",
                "https://login.microsoftonline.com/x/v2.0",
            ):
                assert isinstance(vouched_address(claims, issuer=issuer), Doubt)


def test_an_endless_number_is_no_time():
    claims = {
        "iss": ISSUER,
        "aud": "leadmachine",
        "sub": "1",
        "iat": 1,
        "nonce": "n" * 32,
    }
    payload = json.dumps(claims)[:-1] + ', "exp": 1e400}'
    token = jwt.api_jws.encode(
        payload.encode(), KEY, algorithm="RS256", headers={"kid": "key-1"}
    )

    assert "is not valid" in outcome(verify, token)


@pytest.mark.parametrize("name", ["kid", "typ", "jku", "crit", "x5c"])
def test_an_odd_header_is_refused_or_read(name):
    for odd in ODD:
        head = json.dumps({"alg": "RS256", "kid": "key-1", name: odd}).encode()
        payload = signed().split(".")[1]
        signing_input = b".".join([jwt.utils.base64url_encode(head), payload.encode()])
        signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(signing_input, KEY)
        token = b".".join(
            [signing_input, jwt.utils.base64url_encode(signature)]
        ).decode()

        found = outcome(verify, token)

        assert found.endswith(".") if isinstance(found, str) else found["sub"] == "1001"


@pytest.mark.parametrize("name", [*PUBLIC, "keys", "key"])
def test_odd_keys_are_refused_or_read(name):
    for odd in ODD:
        if name == "keys":
            keys = {"keys": odd}
        elif name == "key":
            keys = {"keys": [odd, PUBLIC]}
        else:
            keys = {"keys": [{**PUBLIC, name: odd}]}

        found = outcome(verify, signed(), keys)

        assert found.endswith(".") if isinstance(found, str) else found["sub"] == "1001"


@pytest.mark.parametrize("name", ["sub", "email", "email_verified", "hd"])
def test_odd_userinfo_is_refused_or_read(name):
    for odd in ODD:
        answer = {"sub": "1001", name: odd}

        claims = outcome(
            userinfo,
            "token",
            provider=WITH_USERINFO,
            subject="1001",
            outbound=Outbound(answer),
        )

        if isinstance(claims, str):
            assert "is about someone else" in claims
        else:
            assert isinstance(vouched_address(claims, issuer=ISSUER), Doubt)


@pytest.mark.parametrize(
    "token", [token for token in ODD if not isinstance(token, str)]
)
def test_an_odd_access_token_is_not_used(token):
    assert (
        userinfo(
            token,
            provider=WITH_USERINFO,
            subject="1001",
            outbound=Outbound({"sub": "1001"}),
        )
        == {}
    )
