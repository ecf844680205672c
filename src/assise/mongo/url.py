"""URLs of MongoDB, as people may see them."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

_URL = re.compile(r"mongodb(\+srv)?://", re.IGNORECASE)
_USERINFO = re.compile(r"^([a-z+]+://[^/?:]*?):(.*)@(?=[^@]*$)", re.IGNORECASE | re.DOTALL)
_SECRETS = {"authmechanismproperties", "tlscertificatekeyfilepassword", "sslpem_passphrase"}
_WITHOUT_PASSWORD = {"MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "GSSAPI"}


def is_mongodb_url(text: str) -> bool:
    """Return whether a text names a server of MongoDB."""
    return bool(_URL.match(text))


def hide_secrets(url: str) -> str:
    """Return a URL without its password and without options that may hold one.

    >>> hide_secrets("mongodb://anna:s3@cret@db1,db2:27018/shop?replicaSet=rs0")
    'mongodb://anna@db1,db2:27018/shop?replicaSet=rs0'
    """
    head, _, options = url.partition("?")
    if "@" in options:
        # A ? that should be written %3F in a password: what looks like options is not.
        head, options = url, ""
    head = _USERINFO.sub(r"\1@", head)
    kept = [each for each in options.split("&") if each and _name_of(each) not in _SECRETS]
    return f"{head}?{'&'.join(kept)}" if kept else head


def lacks_password(url: str) -> bool:
    """Return whether a URL names a user without the password that he needs."""
    head, _, options = url.partition("?")
    user = re.match(r"[a-z+]+://([^/@:]+)@", head, re.IGNORECASE)
    mechanisms = [
        each.partition("=")[2].upper()
        for each in options.split("&")
        if _name_of(each) == "authmechanism"
    ]
    return bool(user) and not _WITHOUT_PASSWORD.intersection(mechanisms)


def list_secrets(url: str) -> set[str]:
    """Return the password of a URL as it is written there, and as it is meant."""
    found = _USERINFO.match(url)
    written = {found.group(2)} if found else set()
    written |= {
        each.partition("=")[2]
        for each in url.partition("?")[2].split("&")
        if _name_of(each) in _SECRETS
    }
    return {form for each in written if each for form in (each, unquote_plus(each))}


def _name_of(option: str) -> str:
    return option.partition("=")[0].lower()
