"""A small OpenID Connect provider on a real socket, with signed tokens. It can be told to lie."""

import base64
import json
import secrets
import threading
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class OpenIdProvider:
    """`person` is who signs in there. `discovery`, `claims`, `jwks` and `token` override its normal responses.

    `userinfo` are the claims of its userinfo; None: it has none.
    """

    client_id, client_secret = "leadmachine", "the-client-secret"

    def __init__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.person = {
            "sub": "1001",
            "email": "sales@example.com",
            "email_verified": True,
        }
        self.discovery, self.claims, self.jwks, self.token = {}, {}, {}, {}
        self.userinfo = None
        self.key, self.algorithm = KEY, "RS256"
        self.requests, self.codes = [], {}
        threading.Thread(
            target=self.server.serve_forever,
            kwargs={"poll_interval": 0.02},
            daemon=True,
        ).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def authorize(self, url):
        """What happens in the browser: the person signs in there, and is sent back to this address."""
        asked = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
        code = secrets.token_hex(8)
        self.codes[code] = {**asked, "person": self.person}
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, form):
        """The response to a code, or None if the request doesn't match the one that the code was issued for."""
        asked = self.codes.pop(form.get("code"), None)
        verifier = form.get("code_verifier", "").encode()
        challenge = (
            base64.urlsafe_b64encode(sha256(verifier).digest()).rstrip(b"=").decode()
        )
        is_us = (form.get("client_id"), form.get("client_secret")) == (
            self.client_id,
            self.client_secret,
        )
        if not asked or not is_us or asked["code_challenge"] != challenge:
            return None
        if (
            asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge_method"] != "S256"
        ):
            return None
        return {
            "access_token": "opaque",
            "token_type": "Bearer",
            "id_token": self.id_token(asked["nonce"], asked["person"]),
        }

    def id_token(self, nonce, person):
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
        }
        claims = {**claims, **person, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(
            claims, self.key, algorithm=self.algorithm, headers={"kid": "key-1"}
        )

    def answer(self, path, form, authorization=None):
        """The status and JSON of the response to a request."""
        self.requests.append(path)
        if path == "/userinfo":
            return (
                (200, self.userinfo) if authorization == "Bearer opaque" else (401, {})
            )
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                **(
                    {}
                    if self.userinfo is None
                    else {"userinfo_endpoint": f"{self.issuer}/userinfo"}
                ),
            } | self.discovery
        if path.startswith("/authorize?"):
            return 302, {"redirect": self.authorize(path)}
        if path == "/keys":
            key = {
                **json.loads(RSAAlgorithm.to_jwk(KEY.public_key())),
                "kid": "key-1",
                "use": "sig",
                "alg": "RS256",
            }
            return 200, {"keys": [key]} | self.jwks
        if path == "/token":
            answer = self.exchange(form)
            return (
                (200, answer | self.token)
                if answer
                else (400, {"error": "invalid_grant"})
            )
        return 404, {}


def _handler(provider):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.respond({})

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.respond({name: value for name, [value] in parse_qs(body).items()})

        def respond(self, form):
            status, answer = provider.answer(
                self.path, form, self.headers["Authorization"]
            )
            body = json.dumps(answer).encode()
            self.send_response(status)
            if isinstance(answer, dict) and "redirect" in answer:
                self.send_header("Location", answer["redirect"])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    return Handler
