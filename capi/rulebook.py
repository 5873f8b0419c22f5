"""A company's conversion rules as LinkedIn has them."""

from typing import Final

from capi import vault
from capi.linkedin.rules import RulesRead, read_rules
from capi.models import Connection
from capi.pipeline.wire import client

READ_SECONDS: Final = 10.0  # a person waits for it


def ask_linkedin(connection: Connection, *, seconds: float = READ_SECONDS) -> RulesRead:
    """What LinkedIn says about the rules of the connection's ad account. Nothing is written.

    The connection must have a token and an ad account. Raises `vault.UnreadableToken`; a refusal, or no answer, is an
    outcome like any other. Never within a transaction: it may take `seconds`.
    """
    token = vault.unseal(company_id=connection.company_id, sealed=connection.sealed_token)
    return read_rules(client(), token=token, ad_account_id=connection.ad_account_id, seconds=seconds)
