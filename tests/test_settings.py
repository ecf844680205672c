"""Settings: defaults, the environment, bounds; and variables in texts."""

from __future__ import annotations

import pytest

from assise.errors import UsageError
from assise.settings import SETTINGS, escape_variables, expand, read_setting

VARIABLES = {"A": "one", "B": "", "C": "${A}", "D_1": "x y", "E": "p@ss:w0rd/}"}


def test_each_setting_has_one_spelling_and_a_default_within_its_bounds() -> None:
    assert {setting.name: setting.variable for setting in SETTINGS} == {
        "load.chunk_bytes": "ASSISE_LOAD_CHUNK_BYTES",
        "workers": "ASSISE_WORKERS",
        "infer.paths": "ASSISE_INFER_PATHS",
    }
    for setting in SETTINGS:
        assert setting.minimum <= setting.default <= setting.maximum
        assert setting.help
        assert read_setting(setting.name, environ={}) == setting.default


def test_what_is_given_wins_over_the_environment_and_that_over_the_default() -> None:
    environ = {"ASSISE_LOAD_CHUNK_BYTES": " 512 "}
    assert read_setting("load.chunk_bytes", environ=environ) == 512
    assert read_setting("load.chunk_bytes", 1024, environ=environ) == 1024
    assert read_setting("infer.paths", environ=environ) == 20_000


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_none(text: str) -> None:
    assert read_setting("load.chunk_bytes", environ={"ASSISE_LOAD_CHUNK_BYTES": text}) == 4 << 20


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISE_INFER_PATHS", "7")
    assert read_setting("infer.paths") == 7


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_bounds_belong_to_what_is_allowed(setting: object) -> None:
    found = next(s for s in SETTINGS if s is setting)
    assert read_setting(found.name, environ={found.variable: str(found.minimum)}) == found.minimum
    assert read_setting(found.name, environ={found.variable: str(found.maximum)}) == found.maximum
    for value in (found.minimum - 1, found.maximum + 1):
        with pytest.raises(UsageError) as error:
            read_setting(found.name, environ={found.variable: str(value)})
        assert f"{found.variable} is '{value}'" in error.value.message
        assert (
            error.value.remedy
            == f"Give a whole number from {found.minimum:,} to {found.maximum:,}."
        )
        assert error.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["x", "1.5", "1e3", "4MB", "0x10", "1_000", "٣", "+1", "9" * 19, "--1"]
)
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="ASSISE_LOAD_CHUNK_BYTES is "):
        read_setting("load.chunk_bytes", environ={"ASSISE_LOAD_CHUNK_BYTES": text})


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
    with pytest.raises(UsageError, match="this is no variable") as error:
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
