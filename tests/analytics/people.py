"""Random events of people who sign in later, come late, or are not people at all; and brute force."""

from __future__ import annotations

import datetime as dt
import json
import random
from dataclasses import dataclass, field
from uuid import UUID
from zoneinfo import ZoneInfo

from assise.analytics.event import Event

KINDS = ("signup", "project_created", "deployed")
START = dt.datetime(2026, 3, 20, tzinfo=dt.UTC)


def draw_events(chance: random.Random, count: int = 120, days: int = 25) -> list[Event]:
    """Events of users u0 to u7 and visitors a0 to a9, some of whom sign in, in order of arrival."""
    made = []
    for n in range(count):
        at = START + dt.timedelta(seconds=chance.randrange(days * 86_400))
        person = chance.choice([f"u{chance.randrange(8)}", f"a{chance.randrange(10)}", "null"])
        name, properties = chance.choice(KINDS), dict[str, object]()
        if person[0] == "a" and chance.random() < 0.8:
            properties = {"$process_person_profile": False}
        match chance.randrange(20):
            case 0:
                name, person = "$identify", f"u{chance.randrange(8)}"
                properties = {"$anon_distinct_id": f"a{chance.randrange(10)}"}
            case 1:
                name, person = "$create_alias", f"a{chance.randrange(10)}"
                properties = {"alias": f"u{chance.randrange(8)}"}
            case 2:
                properties = {"$raw_user_agent": "Googlebot/2.1"}
            case 3:
                name = "$feature_flag_called"
            case 4 | 5:
                properties["$lib"] = "assise"
        text = json.dumps({**properties, "plan": chance.choice(["free", "pro"]), "n": n})
        made.append(Event(UUID(int=chance.getrandbits(128)), name, person, at, "", text))
    return made


@dataclass
class Model:
    """What the events amount to, one after the other, without a thought of speed."""

    zone: ZoneInfo
    groups: list[set[str]] = field(default_factory=list)
    identified: set[str] = field(default_factory=set)
    did: list[tuple[str, str, dt.date, dt.datetime, dict[str, object]]] = field(
        default_factory=list
    )
    users: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)

    def group(self, person: str) -> set[str]:
        """The ids that are one person with this one."""
        for found in self.groups:
            if person in found:
                return found
        self.groups.append({person})
        return self.groups[-1]

    def take(self, event: Event) -> None:
        """The next event."""
        properties = json.loads(event.properties)
        person = event.distinct_id
        if person in self.erased:
            return
        other = properties.get("$anon_distinct_id") or properties.get("alias")
        if other:
            one, two = self.group(person), self.group(other)
            known = [bool(each & self.identified) for each in (one, two)]
            is_refused = known[1] and (event.event == "$identify" or known[0])
            if one is not two and not is_refused:
                self.groups.remove(two)
                one |= two
            if event.event == "$identify":
                self.identified.add(person)
            return
        if person == "null" or event.event[0] == "$" or "$raw_user_agent" in properties:
            return
        self.group(person)
        day = event.at.astimezone(self.zone).date()
        self.did.append((event.event, person, day, event.at, properties))
        if "$process_person_profile" not in properties:
            self.users.add(person)
            if properties.get("$lib") == "assise":
                self.identified.add(person)

    def erase(self, person: str) -> None:
        """Erase somebody with all ids; events of before that come later are not taken."""
        ids = self.group(person)
        self.groups.remove(ids)
        self.erased |= ids
        self.identified -= ids
        self.users -= ids
        self.did = [each for each in self.did if each[1] not in ids]

    def who(self, event: str, first: dt.date, last: dt.date) -> set[int]:
        """The users who did an event on some days; the empty event is any."""
        found = {
            id(self.group(person))
            for name, person, day, _, _ in self.did
            if event in {name, ""} and first <= day <= last
        }
        known = self.users | self.identified
        return {id(each) for each in self.groups if each & known} & found
