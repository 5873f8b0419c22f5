"""A strict stand-in for LinkedIn's Conversions API, on a real socket.

    server ─▶ faults (scripted by a test) ─▶ validation ─▶ schema · scenarios ─▶ request_log ─▶ the answer

It shares only the table of API versions with the rest of `capi.linkedin`, so that no shared code can hide a mistake in
the client.
"""
