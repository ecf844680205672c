"""The events that an application has, each with its properties and their types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from uuid import UUID


class EventType(StrEnum):
    """What happened. An application's own events stand in the manifest."""

    # users
    USER_SIGNED_UP = "signup"
    USER_LOGGED_IN = "login"
    USER_LOGGED_OUT = "logout"
    USER_VERIFIED_EMAIL = "email_verified"
    USER_UPDATED_PROFILE = "profile_updated"
    USER_CHANGED_PASSWORD = "password_changed"  # noqa: S105
    USER_INVITED = "user_invited"
    USER_ONBOARDED = "onboarding_completed"
    USER_CHURNED = "user_churned"
    USER_REACTIVATED = "user_reactivated"
    USER_DELETED = "account_deleted"
    # projects
    PROJECT_CREATED = "project_created"
    PROJECT_OPENED = "project_opened"
    PROJECT_UPDATED = "project_updated"
    PROJECT_DELETED = "project_deleted"
    PROJECT_SHARED = "project_shared"
    PROJECT_EXPORTED = "project_exported"
    FILE_CREATED = "file_created"
    FILE_UPDATED = "file_updated"
    TEMPLATE_USED = "template_used"
    # code generation
    CODE_GENERATION_STARTED = "code_generation_started"
    CODE_GENERATED = "code_generated"
    CODE_GENERATION_FAILED = "code_generation_failed"
    CODE_ACCEPTED = "code_accepted"
    CODE_REJECTED = "code_rejected"
    # conversations
    CONVERSATION_STARTED = "conversation_started"
    CONVERSATION_ENDED = "conversation_ended"
    MESSAGE_SENT = "message_sent"
    MESSAGE_RATED = "message_rated"
    SEARCHED = "search_performed"
    # deployments
    DEPLOYMENT_STARTED = "deployment_started"
    DEPLOYED = "deployed"
    DEPLOYMENT_FAILED = "deployment_failed"
    DEPLOYMENT_ROLLED_BACK = "deployment_rolled_back"
    DOMAIN_ADDED = "domain_added"
    # subscriptions
    TRIAL_STARTED = "trial_started"
    TRIAL_ENDED = "trial_ended"
    SUBSCRIPTION_STARTED = "subscription_started"
    SUBSCRIPTION_UPGRADED = "subscription_upgraded"
    SUBSCRIPTION_DOWNGRADED = "subscription_downgraded"
    SUBSCRIPTION_RENEWED = "subscription_renewed"
    SUBSCRIPTION_CANCELED = "subscription_canceled"
    SUBSCRIPTION_REACTIVATED = "subscription_reactivated"
    PAYMENT_SUCCEEDED = "payment_succeeded"
    PAYMENT_FAILED = "payment_failed"
    # errors and performance
    ERROR_OCCURRED = "error_occurred"
    API_FAILED = "api_failed"
    LIMIT_REACHED = "limit_reached"
    PAGE_LOADED = "page_loaded"
    QUERY_WAS_SLOW = "slow_query"


_USER = "plan:text source:text referrer:text method:text reason:text"
_PROJECT = "project_id:uuid project_name:text project_type:text template_id:uuid path:text size:int"
_CODE = f"{_PROJECT} model:text tokens_used:int generation_time_ms:number language:text error:text"
_TALK = (
    f"{_PROJECT} conversation_id:uuid message_id:uuid role:text length:int rating:int query:text"
)
_DEPLOY = f"{_PROJECT} deployment_id:uuid provider:text domain:text duration_ms:number error:text"
_PAY = "subscription_id:text plan:text previous_plan:text amount:number currency:text interval:text"
_FAULT = "error:text message:text path:text status:int duration_ms:number limit:text query:text"
_COMMON = "environment:text release:text request_id:text ip:text"

_PROPERTIES = {
    **dict.fromkeys([*EventType][:11], _USER),
    **dict.fromkeys([*EventType][11:20], _PROJECT),
    **dict.fromkeys([*EventType][20:25], _CODE),
    **dict.fromkeys([*EventType][25:30], _TALK),
    **dict.fromkeys([*EventType][30:35], _DEPLOY),
    **dict.fromkeys([*EventType][35:45], f"{_PAY} reason:text"),
    **dict.fromkeys([*EventType][45:], _FAULT),
}


def _parse(text: str) -> dict[str, str]:
    pairs = (each.partition(":") for each in f"{text} {_COMMON}".split())
    return {name: kind for name, _, kind in pairs}


PROPERTIES: Mapping[str, Mapping[str, str]] = {
    event.value: _parse(text) for event, text in _PROPERTIES.items()
}
"""The properties of each event, with their types: text, int, number, bool, uuid, timestamp, json."""


def list_misfits(
    event: str, properties: Mapping[str, object], own: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """What is not as declared; such an event is kept all the same.

    >>> list(list_misfits("deployed", {"duration_ms": "9", "x": 1}, {}))
    ['duration_ms is no number', 'x is not declared']
    """
    declared = own.get(event) or PROPERTIES.get(event)
    if declared is None:
        if not event.startswith("$"):
            yield "the event is not declared"
        return
    for name, value in properties.items():
        if name.startswith("$") or (event in own and name in _parse("")):
            continue
        if name not in declared:
            yield f"{name} is not declared"
        elif value is not None and not _FITS[declared[name]](value):
            yield f"{name} is no {declared[name]}"


def _is_uuid(value: object) -> bool:
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_FITS: Mapping[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str),
    "int": lambda value: _is_number(value) and float(str(value)).is_integer(),
    "number": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "uuid": _is_uuid,
    "timestamp": lambda value: isinstance(value, str),
    "json": lambda _: True,
}
