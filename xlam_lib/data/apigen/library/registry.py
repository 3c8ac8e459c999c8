"""The library of executable tools: `TOOLS` has all, `UNSEEN` those kept out of training, `LINKS` what feeds what.

Used by notebook 01. `TOOLS` is the one place that knows every tool name of the embedded data. List them with `python -c
"from xlam_lib.data.apigen.library.registry import TOOLS; [print(t.domain, t.schema.to_dict()) for t in
TOOLS.values()]"`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xlam_lib.data.apigen.library import leisure, life, numbers, outdoors, table
from xlam_lib.data.apigen.library.spec import ToolSpec

DOMAINS = (
    outdoors.weather, outdoors.travel, outdoors.maps, table.food, table.shopping, table.library, life.calendar,
    life.messaging, life.health, life.home,
    numbers.arithmetic, numbers.units, numbers.finance, numbers.text_tools, leisure.music, leisure.sports,
    leisure.files, leisure.office,
)  # fmt: skip
TOOLS: dict[str, ToolSpec] = {spec.name: spec for domain in DOMAINS for spec in domain.specs}

UNSEEN = (
    "sunrise_time", "find_train_ride", "reserve_train_seat", "find_museum", "count_calories", "write_item_review",
    "set_task_reminder", "schedule_phone_call", "log_sleep", "find_vet", "lock_house_door", "greatest_divisor",
    "compute_bill_tip", "encode_cipher", "find_concert", "find_stadium", "compress_files", "open_support_ticket",
    "assign_ticket",
)  # fmt: skip


@dataclass(frozen=True)
class Link:
    """Field `result` of what tool `first` returns is argument `argument` of tool `second`; queries say `mention`.

    `nouns` before the mention are swallowed ("the train that train" -> "that train"); `given` and `fixed` set
    arguments of the first and second call.
    """

    first: str
    result: str
    second: str
    argument: str
    mention: str
    given: dict = field(default_factory=dict)
    fixed: dict = field(default_factory=dict)
    role: str = ""  # a noun before the value that is kept: "with owner that keeper" -> "with that keeper as owner"

    @property
    def nouns(self) -> tuple[str, ...]:
        """Nouns that may stand before the value."""
        return tuple(dict.fromkeys(noun for noun in (self.mention.split()[-1], self.argument) if noun != self.role))


LINKS = (
    Link("find_contact_details", "email", "send_email_message", "address", "that address"),
    Link("search_shop_product", "item", "add_to_cart", "item", "that item"),
    Link("find_book_by_title", "book", "borrow_book", "book", "that book"),
    Link("search_flights", "flight", "flight_status", "flight", "that flight"),
    Link(
        "find_nearby", "place", "book_restaurant_table", "restaurant", "that restaurant", given={"kind": "restaurant"}
    ),
    Link("find_manager", "manager", "send_text_message", "recipient", "that manager"),
    Link("find_manager", "manager", "transfer_money", "recipient", "that manager"),
    Link("find_player_team", "team", "get_match_result", "team", "that team"),
    Link(
        "get_stock_price", "price", "convert_currency_amount", "amount", "that price in", fixed={"from_currency": "USD"}
    ),
    Link(
        "measure_city_distance",
        "kilometers",
        "convert_length_unit",
        "amount",
        "that distance in",
        fixed={"from_unit": "kilometers"},
    ),
    Link("find_train_ride", "train", "reserve_train_seat", "train", "that train"),
    Link("find_vet", "phone", "schedule_phone_call", "phone", "that number"),
    Link("open_support_ticket", "ticket", "assign_ticket", "ticket", "that ticket"),
    Link("find_stadium", "city", "sunrise_time", "city", "that city"),
    Link("find_stadium", "city", "find_museum", "city", "that city"),
    Link("find_stadium", "city", "find_vet", "city", "that city"),
)


def tools_of(split: str) -> list[ToolSpec]:
    """The tools whose calls may be asked for: "train" and "test_seen" have the seen ones, "test_unseen" the others."""
    unseen = split == "test_unseen"
    return [spec for spec in TOOLS.values() if (spec.name in UNSEEN) == unseen]


def links_of(split: str) -> list[Link]:
    """The links between tools of the split."""
    names = {spec.name for spec in tools_of(split)}
    return [link for link in LINKS if link.first in names and link.second in names]
