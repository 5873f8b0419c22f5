"""A device that keeps passkeys. It answers as a browser with one does, and can be told to lie."""

import json
import secrets
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_encode

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class Device:
    """Its one passkey, once made, belongs to the user in `handle`."""

    def __init__(self, origin="http://localhost"):
        self.origin = origin
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        self.handle = ""
        self.flags = PRESENT | VERIFIED
        self.attested = ATTESTED

    def create(self, options):
        """The credential for the form of a new passkey, as JSON."""
        options = options["publicKey"]
        self.handle = options["user"]["id"]
        public_key = ES256.from_cryptography_key(self.key.public_key())
        attested = (
            bytes(16)
            + len(self.id).to_bytes(2, "big")
            + self.id
            + cbor.encode(dict(public_key))
        )
        statement = {
            "fmt": "none",
            "attStmt": {},
            "authData": self._data(options["rp"]["id"], self.flags | self.attested)
            + attested,
        }
        response = {
            "clientDataJSON": websafe_encode(
                self._client_data("webauthn.create", options["challenge"])
            ),
            "attestationObject": websafe_encode(cbor.encode(statement)),
        }
        return self._credential(response, {"credProps": {"rk": True}})

    def get(self, options):
        """The credential for a form that uses a passkey, as JSON."""
        options = options["publicKey"]
        data = self._data(options["rpId"], self.flags)
        client_data = self._client_data("webauthn.get", options["challenge"])
        signature = self.key.sign(
            data + sha256(client_data).digest(), ec.ECDSA(hashes.SHA256())
        )
        response = {
            "clientDataJSON": websafe_encode(client_data),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(signature),
            "userHandle": self.handle,
        }
        return self._credential(response, {})

    def _credential(self, response, extensions):
        own = websafe_encode(self.id)
        return json.dumps(
            {
                "id": own,
                "rawId": own,
                "type": "public-key",
                "response": response,
                "clientExtensionResults": extensions,
            }
        )

    def _client_data(self, kind, challenge):
        return json.dumps(
            {"type": kind, "challenge": challenge, "origin": self.origin}
        ).encode()

    def _data(self, host, flags):
        return sha256(host.encode()).digest() + bytes([flags]) + bytes(4)
