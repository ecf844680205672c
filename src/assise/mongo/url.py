"""URLs of MongoDB, as people may see them."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from pymongo.common import URI_OPTIONS_VALIDATOR_MAP

_USERINFO = re.compile(r"^([a-z+]+://[^/?:]*?)(?::|%3a)(.*)@(?=[^@]*$)", re.IGNORECASE | re.DOTALL)
_SECRETS = {"authmechanismproperties", "tlscertificatekeyfilepassword", "sslpem_passphrase"}
_OF_SETS = {"replicaset", "directconnection", "loadbalanced", "srvmaxhosts", "srvservicename"}
_SHOWN = URI_OPTIONS_VALIDATOR_MAP.keys() - _SECRETS
_WITHOUT_PASSWORD = {"MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "GSSAPI"}


def hide_secrets(url: str) -> str:
    """Return a URL without its password and without options that may hold one.

    Options that pymongo does not know are left out, too: they may be a misspelled password's.

    >>> hide_secrets("mongodb://anna:s3@cret@db1,db2:27018/shop?replicaSet=rs0")
    'mongodb://anna@db1,db2:27018/shop?replicaSet=rs0'
    """
    head, options = _split(url)
    head = _USERINFO.sub(r"\1@", head)
    kept = [each for each in options if _name_of(each) in _SHOWN]
    return f"{head}?{'&'.join(kept)}" if kept else head


def lacks_password(url: str) -> bool:
    """Return whether a URL names a user without the password that he needs."""
    head, options = _split(url)
    user = re.match(r"[a-z+]+://([^/@:]+)@", head, re.IGNORECASE)
    mechanisms = [
        each.partition("=")[2].upper() for each in options if _name_of(each) == "authmechanism"
    ]
    return bool(user) and not _WITHOUT_PASSWORD.intersection(mechanisms)


def list_secrets(url: str) -> set[str]:
    """Return the password of a URL as it is written there, and as it is meant."""
    head, options = _split(url)
    found = _USERINFO.match(head)
    written = {found.group(2)} if found else set()
    written |= {each.partition("=")[2] for each in options if _name_of(each) in _SECRETS}
    return {form for each in written if each for form in (each, unquote_plus(each))}


def point_at(url: str, member: str) -> str:
    """Return a URL that leads to one member of a replica set, with the same user and options.

    >>> point_at("mongodb+srv://anna:pw@db.example/shop?replicaSet=rs0", "db-1.example:27017")
    'mongodb://anna:pw@db-1.example:27017/shop?tls=true&authSource=admin&directConnection=true'
    """
    head, options = _split(url)
    scheme, _, rest = head.partition("://")
    user, at, place = rest.rpartition("@")
    database = place.partition("/")[2]
    names = {_name_of(each) for each in options}
    kept = [each for each in options if each and _name_of(each) not in _OF_SETS]
    if scheme.lower() == "mongodb+srv":
        kept += ["tls=true"] if not {"tls", "ssl"} & names else []
        kept += ["authSource=admin"] if at and "authsource" not in names else []
    joined = "&".join([*kept, "directConnection=true"])
    return f"mongodb://{user}{at}{member}/{database}?{joined}"


def _split(url: str) -> tuple[str, list[str]]:
    """Return what stands before the options of a URL, and the options."""
    head, _, rest = url.partition("?")
    options = re.split("[&;]", rest)
    if "@" in rest and not all(_name_of(each) in URI_OPTIONS_VALIDATOR_MAP for each in options):
        # A ? that should be written %3F in a password: what looks like options is not.
        head, _, rest = url.rpartition("@")
        host, _, rest = rest.partition("?")
        return f"{head}@{host}", re.split("[&;]", rest)
    return head, options


def _name_of(option: str) -> str:
    return option.partition("=")[0].lower()
