"""A password for one server, and what the server stores of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets


def new_password() -> str:
    """24 random bytes as URL-safe text: other users of this machine reach the port, too."""
    return secrets.token_urlsafe(24)


def scram_verifier(password: str) -> str:
    """The SCRAM-SHA-256 verifier of an ASCII password, with a single iteration.

    Iterations are there to slow down who guesses weak passwords. Random ones need none, and 4096 (the server's default)
    cost 8 ms in every connect.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, 1)
    stored = hashlib.sha256(_mac(salted, b"Client Key")).digest()
    return f"SCRAM-SHA-256$1:{_text(salt)}${_text(stored)}:{_text(_mac(salted, b'Server Key'))}"


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, "sha256").digest()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
