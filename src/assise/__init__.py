"""Assise: the data layer under an application, declared in one file.

>>> from assise import objectid_to_uuid
>>> str(objectid_to_uuid("507f1f77bcf86cd799439011"))
'507f1f77-bcf8-86cd-8799-439011000000'
"""

from importlib import import_module

__version__ = "0.1.0"

_PLACES = {
    "App": "assise.app",
    "EventType": "assise.analytics.kinds",
    "Project": "assise.project",
    "objectid_to_uuid": "assise.rows.keys",
    "uuid_to_objectid": "assise.rows.keys",
}


def __getattr__(name: str) -> object:
    """Import what is asked for on first use, so that `assise --version` stays quick."""
    if name not in _PLACES:
        raise AttributeError(f"module 'assise' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
