"""Settings: defaults, the environment, bounds; and variables in texts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from assise.errors import UsageError
from assise.settings import (
    BOOLEAN,
    CHUNK_BYTES,
    DURATION,
    INFER_PATHS,
    SETTINGS,
    TEXT,
    Setting,
    escape_variables,
    expand,
    parse_duration,
    read_setting,
    show_duration,
)

Query = Callable[..., list[tuple[object, ...]]]
VARIABLES = {"A": "one", "B": "", "C": "${A}", "D_1": "x y", "E": "p@ss:w0rd/}"}


def test_each_setting_has_one_spelling_and_a_default_within_its_bounds() -> None:
    assert {setting.name: setting.variable for setting in SETTINGS} == {
        "analytics.spool_bytes": "ASSISE_ANALYTICS_SPOOL_BYTES",
        "load.chunk_bytes": "ASSISE_LOAD_CHUNK_BYTES",
        "workers": "ASSISE_WORKERS",
        "infer.paths": "ASSISE_INFER_PATHS",
        "native": "ASSISE_NATIVE",
        "app.pool_size": "ASSISE_APP_POOL_SIZE",
        "app.pool_timeout_ms": "ASSISE_APP_POOL_TIMEOUT_MS",
        "app.statement_timeout_ms": "ASSISE_APP_STATEMENT_TIMEOUT_MS",
        "api.body_bytes": "ASSISE_API_BODY_BYTES",
        "api.timeout_ms": "ASSISE_API_TIMEOUT_MS",
        "api.concurrency": "ASSISE_API_CONCURRENCY",
        "api.stop_s": "ASSISE_API_STOP_S",
        "mongo.max_pool_size": "ASSISE_MONGO_MAX_POOL_SIZE",
        "mongo.min_pool_size": "ASSISE_MONGO_MIN_POOL_SIZE",
        "mongo.max_idle_ms": "ASSISE_MONGO_MAX_IDLE_MS",
        "mongo.wait_queue_ms": "ASSISE_MONGO_WAIT_QUEUE_MS",
        "mongo.selection_ms": "ASSISE_MONGO_SELECTION_MS",
        "mongo.heartbeat_ms": "ASSISE_MONGO_HEARTBEAT_MS",
        "mongo.timeout_ms": "ASSISE_MONGO_TIMEOUT_MS",
        "cache.off": "ASSISE_CACHE_OFF",
        "cache.timeout_ms": "ASSISE_CACHE_TIMEOUT_MS",
        "cache.pool_size": "ASSISE_CACHE_POOL_SIZE",
        "analytics.environment": "ASSISE_ANALYTICS_ENVIRONMENT",
        "analytics.release": "ASSISE_ANALYTICS_RELEASE",
    }
    for setting in SETTINGS:
        assert setting.help
        assert read_setting(setting, environ={}) == setting.default
        assert read_setting(setting, setting.default, environ={}) == setting.default


def test_what_is_given_wins_over_the_environment_and_that_over_the_default() -> None:
    environ = {"ASSISE_LOAD_CHUNK_BYTES": " 512 "}
    assert read_setting(CHUNK_BYTES, environ=environ) == 512
    assert read_setting(CHUNK_BYTES, 1024, environ=environ) == 1024
    assert read_setting(INFER_PATHS, environ=environ) == 20_000


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_none(text: str) -> None:
    assert read_setting(CHUNK_BYTES, environ={"ASSISE_LOAD_CHUNK_BYTES": text}) == 4 << 20


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISE_INFER_PATHS", "7")
    assert read_setting(INFER_PATHS) == 7


BOUNDED = [setting for setting in SETTINGS if setting.kind not in {BOOLEAN, TEXT}]


@pytest.mark.parametrize("setting", BOUNDED, ids=lambda setting: setting.name)
def test_the_bounds_belong_to_what_is_allowed(setting: Setting[int]) -> None:
    low, high = setting.minimum, setting.maximum
    assert low is not None
    assert high is not None
    for value in (low, high):
        assert read_setting(setting, environ={setting.variable: str(value)}) == value
    for value in (low - 1, high + 1):
        with pytest.raises(UsageError) as error:
            read_setting(setting, environ={setting.variable: str(value)})
        assert f"{setting.variable} is '{value}'" in error.value.message
        assert error.value.remedy == f"Give a whole number from {low:,} to {high:,}."
        assert error.value.exit_code == 2
        with pytest.raises(UsageError, match=f"^{setting.option} is '{value}': "):
            read_setting(setting, value, environ={})


QUIET = Setting("load.quiet", False, "whether lines are left out", BOOLEAN)
PATIENCE = Setting(
    "load.patience",
    timedelta(minutes=5),
    "how long a load waits",
    DURATION,
    timedelta(seconds=1),
    timedelta(days=1),
)
LABEL = Setting("load.label", "none", "a name for people", TEXT)


def test_settings_are_texts_durations_and_booleans_too() -> None:
    environ = {
        "ASSISE_LOAD_QUIET": "On",
        "ASSISE_LOAD_PATIENCE": "90 s",
        "ASSISE_LOAD_LABEL": " the first ",
    }
    assert read_setting(QUIET, environ={}) is False
    assert read_setting(QUIET, environ=environ) is True
    assert read_setting(QUIET, False, environ=environ) is False
    assert read_setting(PATIENCE, environ={}) == timedelta(minutes=5)
    assert read_setting(PATIENCE, environ=environ) == timedelta(seconds=90)
    assert read_setting(PATIENCE, timedelta(hours=2), environ=environ) == timedelta(hours=2)
    assert read_setting(LABEL, environ=environ) == "the first"


@pytest.mark.parametrize(
    ("setting", "text", "remedy"),
    [
        (QUIET, "2", "Give true or false."),
        (PATIENCE, "soon", "Give a duration such as 30s or 5 minutes from 1 s to 86400 s."),
        (PATIENCE, "0s", "Give a duration such as 30s or 5 minutes from 1 s to 86400 s."),
        (PATIENCE, "2 days", "Give a duration such as 30s or 5 minutes from 1 s to 86400 s."),
    ],
)
def test_a_value_of_another_kind_is_refused(
    setting: Setting[object], text: str, remedy: str
) -> None:
    with pytest.raises(UsageError, match=f"^{setting.variable} is '{text}'") as error:
        read_setting(setting, environ={setting.variable: text})
    assert error.value.remedy == remedy


DURATIONS = ["30s", "5 minutes", "1h 30m", "1.5 h", "2 days 3 hours", "10ms", "1 w", "0 sec"]


def test_a_duration_is_what_postgresql_takes_it_for(query: Query) -> None:
    for text in DURATIONS:
        duration = parse_duration(text)
        assert duration is not None
        assert query("SELECT %s::interval", (text,)) == [(duration,)]
        assert parse_duration(show_duration(duration)) == duration


@pytest.mark.parametrize("text", ["", "30", "s", "-1 s", "1 month", "1 s later", "P1D", "1:00"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    "text", ["x", "1.5", "1e3", "4MB", "0x10", "1_000", "٣", "+1", "9" * 19, "--1"]
)
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="ASSISE_LOAD_CHUNK_BYTES is "):
        read_setting(CHUNK_BYTES, environ={"ASSISE_LOAD_CHUNK_BYTES": text})


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("", ""),
        ("plain $A $ {A}", "plain $A $ {A}"),
        ("${A}", "one"),
        ("x${A}y${A}", "xoneyone"),
        ("${A:-x}", "one"),
        ("${MISSING:-x}", "x"),
        ("${MISSING:-}", ""),
        ("${B}", ""),
        ("${B:-x}", "x"),
        ("${C}", "${A}"),
        ("${E}", "p@ss:w0rd/}"),
        ("${D_1:-postgresql://u:p@h/d?a=b}", "x y"),
        ("${MISSING:-postgresql://u:p@h/d?a=b}", "postgresql://u:p@h/d?a=b"),
        ("${MISSING:-a$b}", "a$b"),
        ("$${A}", "${A}"),
        ("$${A", "${A"),
        ("$$${A}${A}", "$${A}one"),
        ("$${A}{", "${A}{"),
    ],
)
def test_variables_are_replaced_in_one_pass(text: str, expanded: str) -> None:
    assert expand(text, environ=VARIABLES) == expanded


@pytest.mark.parametrize("text", ["${MISSING}", "${A}${MISSING}", "${a}"])
def test_an_unset_variable_without_a_default_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"the environment variable (MISSING|a) is not set"
    ) as error:
        expand(text, environ=VARIABLES)
    assert error.value.remedy.startswith("Set ")


@pytest.mark.parametrize(
    "text",
    [
        "${A",
        "${",
        "${}",
        "${1A}",
        "${A-b}",
        "${A:b}",
        "${ A}",
        "x${A}${",
        "${A ${A}",
        "${MISSING:-x",
    ],
)
def test_what_does_not_close_or_is_no_variable_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="this is not a variable") as error:
        expand(text, environ=VARIABLES)
    assert error.value.remedy == "Write ${NAME} or ${NAME:-default}; a literal ${ is $${."


@pytest.mark.parametrize("text", ["", "${A}", "$${A}", "$$${", "${", "a$", "{$}", "${A}{"])
def test_a_text_that_is_escaped_comes_back(text: str) -> None:
    assert expand(escape_variables(text), environ={}) == text


def test_a_default_cannot_hold_another_variable() -> None:
    with pytest.raises(UsageError):
        expand("${MISSING:-${A}}", environ=VARIABLES)


def test_a_secret_before_a_broken_variable_stays_out_of_the_message() -> None:
    with pytest.raises(UsageError) as error:
        expand("postgresql://me:secret@host/${", environ={})
    assert "secret" not in str(error.value)
