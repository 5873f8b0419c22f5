"""A strict stand-in for LinkedIn's Conversions API, on a real socket.

    server ─▶ faults (what a test has scripted) ─▶ judge ─▶ gate · schema · rulebook · choices ─▶ ledger ─▶ the answer

It shares no code with `capi.linkedin` but the table of API versions, so that a mistake in the client can't hide in
something that both use.
"""
