#!/usr/bin/env bash
# typer 0.29.2 carries a copy of click under typer._click and no longer uses the installed one. Its
# classes are others than click 8.5.1's: a click.ClickException raised in a command of typer is not
# printed as an error but leaves the program as a traceback, click.get_current_context() knows no
# context there, typer.Exit is no click Exit, and what get_command() gives is no click.Command, so
# that it cannot be added to a click.Group. Names imported from click go on working without a word.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install typer==0.29.2 click==8.5.1
cat > "$folder/program.py" <<'PYTHON'
import click
import typer

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def context() -> None:
    print(click.get_current_context(silent=True))


@app.command()
def fail(own: bool = False) -> None:
    raise typer.BadParameter("not like this") if own else click.ClickException("not like this")


if __name__ == "__main__":
    app()
PYTHON
run() { "$folder/venv/bin/python" "$folder/program.py" "$@" 2>&1 || echo "exit $?"; }
echo "context: $(run context)"
echo "typer's error: $(run fail --own | tail -n 1)"
echo "click's error: $(run fail | tail -n 2 | head -n 1)"
[ "$(run context)" = None ]
[ "$(run fail --own | tail -n 1)" = "exit 2" ]
run fail | grep '^Traceback' >/dev/null
[ "$(run fail | tail -n 1)" = "exit 1" ]
"$folder/venv/bin/python" - <<'PYTHON'
import click, typer

app = typer.Typer()
app.command()(lambda: None)
command = typer.main.get_command(app)
facts = {
    "get_command gives a click.Command": isinstance(command, click.Command),
    "typer.Exit is click's": issubclass(typer.Exit, click.exceptions.Exit),
    "typer.BadParameter is click's": issubclass(typer.BadParameter, click.ClickException),
    "TyperGroup is a click.Group": issubclass(typer.core.TyperGroup, click.Group),
}
for name, fact in facts.items():
    print(f"{name}: {fact}")
assert not any(facts.values()), facts
print("as described")
PYTHON
