"""The documents of Devora's six collections, one user at a time.

The same seed and user give the same documents.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import cast
from unicodedata import normalize

from bson import ObjectId

from texts import (
    CODE,
    ENTITIES,
    FAILURES,
    FIRST_NAMES,
    LANGUAGES,
    LAST_NAMES,
    LOGS,
    MAIL_HOSTS,
    PATHS,
    Language,
)

Document = dict[str, object]

BEGIN = dt.datetime(2023, 9, 4, 8, tzinfo=dt.UTC)
END = dt.datetime(2025, 6, 30, 22, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)

PROJECTS, CONVERSATIONS, MESSAGES = 342 / 150, 89 / 150, 1247 / 89
"""Projects and conversations for each user, messages for each conversation."""
LEAST_MESSAGES = 2
TEMPLATES = 60
DEPLOYED_DAYS = 90
HUGE_BYTES = 12_000_000

USER, PROJECT, CONVERSATION, INVOICE, TEMPLATE, DEPLOYMENT = range(1, 7)

PLANS: dict[str, dict[str, float]] = {
    "eur": {"free": 0, "starter": 9.99, "pro": 29, "team": 99.5},
    "usd": {"free": 0, "starter": 10.99, "pro": 32, "team": 109.5},
}
"""What a month costs, by currency and plan."""
PAID = ("starter", "pro", "team")
DOLLARS = (0.93, 0.92, 0.94, 0.91, 0.95, 0.96)
"""Euros for one dollar, by month in turn."""
TEMPLATE_PRICES = (0, 4.99, 9, 9.99, 19, 24.5)
STATUSES = {"active": 80, "past_due": 8, "canceled": 12}
MODELS = {"gpt-4o": 45, "gpt-4o-mini": 35, "mistral-large-latest": 12, "codestral-latest": 8}


@dataclass(frozen=True)
class Scale:
    """How many users there are, and with them everything else; the seed."""

    users: int
    seed: int

    @property
    def projects(self) -> int:
        """All projects."""
        return round(self.users * PROJECTS)

    @property
    def conversations(self) -> int:
        """All conversations."""
        return round(self.users * CONVERSATIONS)

    def random(self, what: str, n: int) -> Random:
        """The chances of one thing, whatever was made before it."""
        return Random(f"{self.seed} {what} {n}")

    def birth(self, n: int) -> dt.datetime:
        """When user n came; the last ones ten days before the end."""
        return BEGIN + (END - 10 * DAY - BEGIN) * (
            (n + self.random("birth", n).random()) / self.users
        )


def share(total: int, n: int, parts: int) -> range:
    """Which of `total` things belong to part n: the first parts have many of them, the last few."""
    bounds = [1 - (1 - i / parts) ** 3 for i in (n, n + 1)]
    first, last = (round(total * bound) for bound in bounds)
    return range(first, last)


def choose(chances: Random, weights: dict[str, int]) -> str:
    """One of the keys, by weight."""
    return chances.choices([*weights], [*weights.values()])[0]


def moment(chances: Random, since: dt.datetime, until: dt.datetime = END) -> dt.datetime:
    """A moment between two others."""
    return since + (until - since) * chances.random()


def object_id(at: dt.datetime, family: int, n: int) -> ObjectId:
    """An ObjectId of the moment, with a number that no other of its family has."""
    seconds = int(at.timestamp())
    return ObjectId(f"{seconds:08x}{family:02x}{n:014x}")


def number(value: float) -> float:
    """A number as JavaScript drivers write it: an int32 if whole, else a double of two decimals."""
    return int(value) if value == int(value) else round(value, 2)


def name_person(n: int) -> tuple[str, str]:
    """First and last name of user n."""
    return FIRST_NAMES[n % len(FIRST_NAMES)], LAST_NAMES[n * 5 % len(LAST_NAMES)]


def email_of(n: int) -> str:
    """The address of user n, in lower case."""
    name = normalize("NFKD", ".".join(name_person(n)))
    name = name.encode("ascii", "ignore").decode().lower()
    host = MAIL_HOSTS[n % len(MAIL_HOSTS)]
    return f"{name}{n}@{host}"


def make_user(scale: Scale, n: int) -> Document:
    """A user with Stripe's fields and the usage of some days."""
    chances, created = scale.random("user", n), scale.birth(n)
    plan = choose(chances, {"free": 45, "starter": 25, "pro": 22, "team": 8})
    status = "none" if plan == "free" else choose(chances, STATUSES)
    seen = moment(chances, max(created, END - 360 * DAY))
    return {
        "_id": object_id(created, USER, n),
        "email": email_of(n),
        "full_name": " ".join(name_person(n)),
        "locale": choose(chances, {"fr": 60, "en": 40}),
        "phone": f"06{chances.randrange(10**8):08}",
        "plan": plan,
        "subscription_status": status,
        "billing": make_billing(chances, plan, status, created) | price_plan(scale, n, plan),
        "preferences": {
            "theme": chances.choice(("light", "dark")),
            "newsletter": chances.random() < 0.4,
        },
        "usage": make_usage(chances, created, seen),
        "created_at": created,
        "updated_at": moment(chances, created, seen),
        "last_login": seen,
    }


def make_billing(chances: Random, plan: str, status: str, created: dt.datetime) -> Document:
    """What Stripe knows: the customer, and the subscription unless it is free."""
    billing: Document = {"customer_id": f"cus_{chances.getrandbits(70):014x}"}
    if plan == "free":
        return billing
    end = (
        moment(chances, created, END)
        if status == "canceled"
        else moment(chances, END, END + 30 * DAY)
    )
    return {
        **billing,
        "subscription_id": f"sub_{chances.getrandbits(96):024x}",
        "current_period_end": end,
    }


def price_plan(scale: Scale, n: int, plan: str) -> Document:
    """In which currency user n pays, and what for the plan."""
    currency = choose(scale.random("currency", n), {"eur": 80, "usd": 20})
    price = {} if plan == "free" else {"price": number(PLANS[currency][plan])}
    return {"currency": currency, **price}


def choose_plans(scale: Scale, n: int, plan: str, count: int) -> list[str]:
    """The plan of each invoice of user n: the one of now, and for some another one before."""
    chances = scale.random("plans", n)
    if count < 3 or chances.random() < 0.6:
        return [plan] * count
    changed = chances.randrange(1, count)
    return [chances.choice(PAID)] * changed + [plan] * (count - changed)


def make_usage(chances: Random, created: dt.datetime, seen: dt.datetime) -> Document:
    """Messages and tokens by day."""
    lifetime = (seen - created).days + 1
    days = chances.sample(range(min(120, lifetime)), k=min(12, lifetime))
    return {
        f"{seen - day * DAY:%Y-%m-%d}": {
            "messages": chances.randint(1, 40),
            "tokens": chances.randint(200, 90_000),
        }
        for day in sorted(days)[::-1]
    }


def make_invoices(scale: Scale, n: int, user: Document) -> Iterator[Document]:
    """The invoices of a subscription, one each 30 days: the plan, and sometimes bought tokens."""
    billing = cast("Document", user["billing"])
    if "price" not in billing:
        return
    chances, created = scale.random("invoices", n), scale.birth(n)
    until = min(END, cast("dt.datetime", billing["current_period_end"]))
    count = (until - created) // (30 * DAY) + 1
    refunds = scale.random("refunds", n)
    for i, plan in enumerate(choose_plans(scale, n, str(user["plan"]), count)):
        at = created + i * 30 * DAY
        invoice = make_invoice(chances, user, n << 10 | i, plan=plan, at=at)
        is_refunded = refunds.random() < 0.04
        if is_refunded and invoice["status"] == "paid":
            invoice |= make_refund(refunds, invoice)
        yield invoice


def make_invoice(
    chances: Random, user: Document, n: int, *, plan: str, at: dt.datetime
) -> Document:
    """One invoice, its amount the sum of its lines; `plan_amount` is what comes again each month."""
    words = LANGUAGES[str(user["locale"])]
    currency = str(cast("Document", user["billing"])["currency"])
    price = PLANS[currency][plan]
    lines = [(words.subscription.format(plan=plan.title()), 1, price)]
    if chances.random() < 0.3:
        lines.append((words.tokens, chances.randint(1, 40), 0.45))
    status = "open"
    if END - at >= 5 * DAY:
        status = choose(chances, {"paid": 95, "void": 2, "uncollectible": 3})
    rate = {} if currency == "eur" else {"exchange_rate": DOLLARS[at.month % len(DOLLARS)]}
    return {
        "_id": object_id(at, INVOICE, n),
        "user_id": user["_id"],
        "number": f"DEV-{at:%Y%m}-{n:06}",
        "stripe_id": f"in_{chances.getrandbits(96):024x}",
        "status": status,
        "currency": currency,
        **rate,
        "tax_percent": 20,
        "amount": number(sum(quantity * unit for _, quantity, unit in lines)),
        "plan_amount": number(price),
        "lines": [
            {"description": text, "quantity": quantity, "unit_price": number(unit)}
            for text, quantity, unit in lines
        ],
        "created_at": at,
        **({"paid_at": at + DAY * chances.random()} if status == "paid" else {}),
    }


def make_refund(chances: Random, invoice: Document) -> Document:
    """What was paid back of an invoice, all or half of it, within ten days."""
    amount = cast("float", invoice["amount"]) * chances.choice((1, 0.5))
    at = cast("dt.datetime", invoice["paid_at"]) + 10 * DAY * chances.random()
    return {"refunded_amount": number(round(amount, 2)), "refunded_at": at}


def describe(chances: Random, words: Language) -> tuple[str, str]:
    """Name and description of an application."""
    name, purpose = chances.choice(words.subjects)
    parts = (
        chances.choice(words.openings),
        purpose,
        f"{chances.choice(words.features)}.",
        chances.choice(words.endings),
    )
    return f"{name} {chances.choice(words.suffixes)}", " ".join(parts)


def make_template(scale: Scale, n: int) -> Document:
    """A template that projects begin with; it is as old as the service."""
    chances, locale = scale.random("template", n), ("fr", "en")[n % 2]
    name, description = describe(chances, LANGUAGES[locale])
    created = BEGIN - DAY * (TEMPLATES - n)
    return {
        "_id": object_id(created, TEMPLATE, n),
        "name": name,
        "description": description,
        "locale": locale,
        "category": chances.choice(("landing", "shop", "dashboard", "blog", "api")),
        "tags": chances.sample(LANGUAGES[locale].tags, k=3),
        "price": TEMPLATE_PRICES[n % len(TEMPLATE_PRICES)],
        "usage_count": 0,
        "is_featured": chances.random() < 0.2,
        "created_at": created,
        "updated_at": moment(chances, created),
    }


def make_project(scale: Scale, k: int, user: Document, templates: list[ObjectId]) -> Document:
    """A project with its files; the first one has a huge file."""
    chances, locale = scale.random("project", k), str(user["locale"])
    name, description = describe(chances, LANGUAGES[locale])
    created = moment(chances, cast("dt.datetime", user["created_at"]))
    updated = moment(chances, created)
    files = make_files(
        chances, {"name": name, "description": description, "locale": locale}, created, updated
    )
    if k == 0:
        files[-1] |= make_huge(chances)
    return {
        "_id": object_id(created, PROJECT, k),
        "user_id": user["_id"],
        "name": name,
        "description": description,
        "locale": locale,
        "type": chances.choice(("web_app", "landing_page", "api", "dashboard", "mobile")),
        "tags": chances.sample(LANGUAGES[locale].tags, k=2),
        **({"template_id": chances.choice(templates)} if chances.random() < 0.4 else {}),
        "settings": {
            "framework": chances.choice(("react", "vue", "svelte")),
            "is_public": chances.random() < 0.25,
        },
        "files": files,
        "stars": int(chances.expovariate(0.3)),
        "created_at": created,
        "updated_at": updated,
        **({"deleted_at": updated} if chances.random() < 0.06 else {}),
    }


def make_files(
    chances: Random, names: dict[str, str], since: dt.datetime, until: dt.datetime
) -> list[Document]:
    """3 to 10 files of code."""
    files: list[Document] = []
    for path, language in sorted(chances.sample(PATHS, k=chances.randint(3, 10))):
        content = write_code(chances, language, names)
        changed = moment(chances, since, until)
        files.append(
            {
                "path": path,
                "language": language,
                "content": content,
                "size_bytes": len(content.encode()),
                "updated_at": changed,
            }
        )
    return files


def write_code(chances: Random, language: str, names: dict[str, str]) -> str:
    """Code about one thing to five."""
    entities = chances.sample(ENTITIES, k=chances.randint(1, 5))
    return "\n".join(
        block.format(Entity=entity, entity=entity.lower(), **names)
        for entity in entities
        for block in CODE[language]
    )


def make_huge(chances: Random) -> Document:
    """A table that somebody has put into a project as a file."""
    rows = []
    for i in range(2_000):
        entity, amount = chances.choice(ENTITIES), chances.random() * 100
        rows.append(f"{i};{entity};{amount:.2f}\n")
    block = "".join(rows)
    content = (block * (HUGE_BYTES // len(block) + 1))[:HUGE_BYTES]
    return {
        "path": "data/export.csv",
        "language": "csv",
        "content": content,
        "size_bytes": len(content),
    }


def make_deployments(scale: Scale, k: int, project: Document) -> Iterator[Document]:
    """The deployments of a project that its collection still holds."""
    chances = scale.random("deployments", k)
    since = max(cast("dt.datetime", project["created_at"]), END - DEPLOYED_DAYS * DAY)
    until = cast("dt.datetime", project.get("deleted_at", END))
    count = chances.randrange(4) if since < until else 0
    moments = [moment(chances, since, until) for _ in range(count)]
    for i, at in enumerate(sorted(moments)):
        yield make_deployment(chances, project, k << 3 | i, at)


def make_deployment(chances: Random, project: Document, n: int, at: dt.datetime) -> Document:
    """One deployment, its duration as `performance.now()` gives it."""
    status = choose(chances, {"success": 80, "failed": 16, "building": 4})
    region = chances.choice(("eu-west-3", "eu-central-1"))
    duration = number(chances.randint(4_000, 180_000) / chances.choice((1, 8)))
    code, message = chances.choice(FAILURES) if status == "failed" else ("", "")
    return {
        "_id": object_id(at, DEPLOYMENT, n),
        "project_id": project["_id"],
        "user_id": project["user_id"],
        "status": status,
        "region": region,
        "url": f"https://{n:06x}.devora.example",
        "commit": f"{chances.getrandbits(160):040x}",
        "commit_message": chances.choice(LANGUAGES[str(project["locale"])].commits),
        "duration_ms": duration,
        "log": chances.choice(LOGS).format(region=region, end=message or status),
        **({"error": {"code": code, "message": message}} if code else {}),
        "created_at": at,
        **(
            {}
            if status == "building"
            else {"finished_at": at + dt.timedelta(milliseconds=duration)}
        ),
    }


def make_conversation(scale: Scale, c: int, user: Document, projects: list[Document]) -> Document:
    """A conversation with its messages, about a project of the user if there is one."""
    chances, words = scale.random("conversation", c), LANGUAGES[str(user["locale"])]
    project = chances.choice(projects) if projects else None
    about = cast("dt.datetime", (project or user)["created_at"])
    created = moment(chances, about, END - DAY) if about < END - DAY else about
    extra = share(
        round(scale.users * CONVERSATIONS * (MESSAGES - LEAST_MESSAGES)), c, scale.conversations
    )
    messages = list(make_messages(chances, words, created, LEAST_MESSAGES + len(extra)))
    tokens = [cast("int", each["tokens"]) for each in messages]
    return {
        "_id": object_id(created, CONVERSATION, c),
        "user_id": user["_id"],
        **({"project_id": project["_id"]} if project else {}),
        "title": str(messages[0]["content"])[:60],
        "messages": messages,
        "total_tokens": sum(tokens),
        "created_at": created,
        "updated_at": messages[-1]["created_at"],
    }


def make_messages(
    chances: Random, words: Language, at: dt.datetime, count: int
) -> Iterator[Document]:
    """Question and answer in turn."""
    for i in range(count):
        at += dt.timedelta(seconds=chances.randint(2, 240))
        content = write_message(chances, words.answers if i % 2 else words.questions, words)
        model = {
            "model": choose(chances, MODELS),
            "generation_time_ms": number(chances.randint(300, 20_000) / chances.choice((1, 8))),
        }
        tokens = len(content) // 4 + chances.randint(1, 9)
        yield {
            "role": ("user", "assistant")[i % 2],
            "content": content,
            "tokens": tokens,
            **(model if i % 2 else {}),
            "created_at": at,
        }


def write_message(chances: Random, sentences: tuple[str, ...], words: Language) -> str:
    """A question or an answer, with code where there is room for it."""
    language = chances.choice(("typescript", "python", "sql", "css"))
    names = {"name": "Devora", "description": "Devora", "locale": "fr"}
    code = f"```{language}\n{write_code(chances, language, names)}```\n"
    return chances.choice(sentences).format(
        subject=chances.choice(words.subjects)[1], feature=chances.choice(words.features), code=code
    )
