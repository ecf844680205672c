"""Write a mongodump folder of Devora, which builds applications with AI.

python examples/devora/generate.py FOLDER --users 150 --seed 1
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import BinaryIO, TextIO, cast
from uuid import UUID

from bson import ObjectId, json_util

from dirt import DIRT, encode, find_habits, is_dirty, spoil
from documents import (
    TEMPLATES,
    Document,
    Scale,
    make_conversation,
    make_deployments,
    make_invoices,
    make_project,
    make_template,
    make_user,
    share,
)
from events import make_project_events, make_signup

Index = dict[str, object]


def index(*fields: str, **options: object) -> Index:
    """An index as mongodump lists it; a field that begins with - is descending."""
    key = {field.lstrip("-"): -1 if field.startswith("-") else 1 for field in fields}
    return {
        "v": 2,
        "key": key,
        "name": "_".join(f"{field}_{way}" for field, way in key.items()),
        **options,
    }


def text_index(*fields: str) -> Index:
    """A text index; the field `language` of other documents is no language of MongoDB's."""
    name = "_".join(f"{field}_text" for field in fields)
    options = {
        "default_language": "french",
        "language_override": "text_language",
        "textIndexVersion": 3,
    }
    return {
        "v": 2,
        "key": {"_fts": "text", "_ftsx": 1},
        "name": name,
        "weights": dict.fromkeys(sorted(fields), 1),
        **options,
    }


INDEXES: dict[str, list[Index]] = {
    "users": [
        index("email", unique=True),
        index("subscription_status", "-created_at"),
        index("last_login", expireAfterSeconds=365 * 86_400),
    ],
    "projects": [
        index("user_id"),
        index("user_id", "-updated_at"),
        text_index("name", "description"),
        index("user_id", "-created_at", "type"),
    ],
    "conversations": [index("user_id", "-created_at")],
    "invoices": [index("number", unique=True), index("user_id", "-created_at")],
    "templates": [
        index("-usage_count"),
        index("category"),
        index("category", "-usage_count"),
        text_index("name", "description", "tags"),
    ],
    "deployments": [
        index("project_id", "-created_at"),
        index("status"),
        index("created_at", expireAfterSeconds=90 * 86_400),
    ],
}

OPTIONS: dict[str, Document] = {
    "users": {
        "validator": {"$jsonSchema": {"bsonType": "object", "required": ["email", "created_at"]}},
        "validationLevel": "moderate",
        "validationAction": "warn",
    }
}


class Dump:
    """The files of a database, written document by document, and what dirt went into them."""

    def __init__(self, files: Mapping[str, BinaryIO], events: TextIO) -> None:
        self._files, self._events = files, events
        self.written: Counter[str] = Counter()
        self.dirt: dict[str, Counter[str]] = {name: Counter() for name in files}

    def write(self, collection: str, document: Document) -> None:
        """Append a document, with its dirt where it is its turn."""
        n = self.written[collection]
        if is_dirty(n):
            self.dirt[collection][spoil(document, collection, n)] += 1
        self.dirt[collection].update(find_habits(document))
        self._files[collection].write(encode(document))
        self.written[collection] += 1

    def track(self, event: Document) -> None:
        """Append an event."""
        self._events.write(json.dumps(event, ensure_ascii=False) + "\n")


def generate(folder: Path, scale: Scale) -> None:
    """Write `devora/*.bson` and their metadata, `events.jsonl` for PostHog's importers, and
    `dirt.json`, the dirt in each collection.
    """
    database = folder / "devora"
    database.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        events = files.enter_context((folder / "events.jsonl").open("w", encoding="utf-8"))
        dump = Dump(
            {name: files.enter_context((database / f"{name}.bson").open("wb")) for name in DIRT},
            events,
        )
        fill(dump, scale)
    for name in DIRT:
        (database / f"{name}.metadata.json").write_text(
            write_metadata(name, scale.seed), encoding="utf-8"
        )
    stated = {
        name: {"documents": dump.written[name], "dirt": dict(sorted(dump.dirt[name].items()))}
        for name in DIRT
    }
    (folder / "dirt.json").write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")


def fill(dump: Dump, scale: Scale) -> None:
    """Write the documents user by user; the templates come last, because they count their uses."""
    templates = {
        cast("ObjectId", each["_id"]): each
        for each in (make_template(scale, n) for n in range(TEMPLATES))
    }
    used: Counter[object] = Counter()
    for n in range(scale.users):
        used.update(write_user(dump, scale, n, [*templates]))
    for key, template in templates.items():
        dump.write("templates", {**template, "usage_count": used[key]})


def write_user(dump: Dump, scale: Scale, n: int, templates: list[ObjectId]) -> list[object]:
    """Write one user and what is theirs; the templates that were used."""
    user = make_user(scale, n)
    projects = {
        k: make_project(scale, k, user, templates) for k in share(scale.projects, n, scale.users)
    }
    used = [project["template_id"] for project in projects.values() if "template_id" in project]
    # Dirt changes a document when it is written: what refers to others is written before them.
    for c in share(scale.conversations, n, scale.users):
        dump.write("conversations", make_conversation(scale, c, user, [*projects.values()]))
    for invoice in make_invoices(scale, n, user):
        dump.write("invoices", invoice)
    dump.track(make_signup(scale, n, user))
    for k, project in projects.items():
        for event in make_project_events(scale, k, project):
            dump.track(event)
        for deployment in make_deployments(scale, k, project):
            dump.write("deployments", deployment)
        dump.write("projects", project)
    dump.write("users", user)
    return used


def write_metadata(name: str, seed: int) -> str:
    """What mongodump writes beside the data of a collection."""
    indexes = [{"v": 2, "key": {"_id": 1}, "name": "_id_"}, *INDEXES[name]]
    uuid = UUID(int=Random(f"{seed} {name}").getrandbits(128), version=4).hex
    options = {"options": OPTIONS[name]} if name in OPTIONS else {}
    content = {
        **options,
        "indexes": indexes,
        "uuid": uuid,
        "collectionName": name,
        "type": "collection",
    }
    return json_util.dumps(
        content, json_options=json_util.CANONICAL_JSON_OPTIONS, separators=(",", ":")
    )


def main() -> None:
    """Read the arguments and write the dump."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="gets devora/, events.jsonl and dirt.json")
    parser.add_argument(
        "--users", type=int, default=150, help="everything else grows with them (150)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed gives the same bytes (1)"
    )
    arguments = parser.parse_args()
    generate(arguments.folder, Scale(arguments.users, arguments.seed))


if __name__ == "__main__":
    main()
