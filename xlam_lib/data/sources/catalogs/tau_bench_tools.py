"""The tools of tau-bench's two domains, which its records call but don't describe (notebook 01).

Names, arguments and types are those that the calls show; descriptions are ours, so prompts made from these records are
not those the recorded agents saw. `{t.name for t in DOMAINS[0].tools}` lists the airline's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xlam_lib.data.formats.schemas import parse_annotation
from xlam_lib.trajectory import Tool


@dataclass(frozen=True)
class Domain:
    """A domain: its tools, and which of them end the conversation."""

    name: str  # a word of the policy's heading
    tools: tuple[Tool, ...]
    ending: tuple[str, ...]


def tool(name: str, description: str, optional: tuple[str, ...] = (), **parameters: Any) -> Tool:
    """A tool of a domain; each parameter is (type or schema, description), and required unless named as optional."""
    properties = {
        key: {**(parse_annotation(kind).schema if isinstance(kind, str) else kind), "description": text}
        for key, (kind, text) in parameters.items()
    }
    required = [key for key in properties if key not in optional]
    return Tool(name, description, {"type": "object", "properties": properties, "required": required})


def _rows(**columns: str) -> dict[str, Any]:
    """A list of small objects."""
    properties = {key: parse_annotation(kind).schema for key, kind in columns.items()}
    return {"type": "array", "items": {"type": "object", "properties": properties, "required": list(properties)}}


USER = ("str", "User id, like sara_doe_496.")
SHARED = (
    tool("calculate", "Work out an arithmetic expression.", expression=("str", "Digits, + - * / and brackets.")),
    tool("think", "Write down a thought. It changes nothing and finds out nothing.", thought=("str", "The thought.")),
    tool("transfer_to_human_agents", "Hand the user over to a human agent.", summary=("str", "The user's issue.")),
)
RESERVATION = ("str", "Reservation id, like 8JX2WO.")
CABIN = ("Literal['basic_economy', 'economy', 'business']", "Cabin class of the whole reservation.")
FLIGHTS = (_rows(flight_number="str", date="str"), "Every flight of the reservation, also those that stay as they are.")
PEOPLE = (_rows(first_name="str", last_name="str", dob="str"), "Every passenger; dob is YYYY-MM-DD.")
BAGS = {"total_baggages": ("int", "Number of bags."), "nonfree_baggages": ("int", "How many of them are paid for.")}
PAYMENT = ("str", "Payment method stored in the user's profile, like gift_card_7815826.")
ROUTE = {
    "origin": ("str", "Airport code, like JFK."),
    "destination": ("str", "Airport code, like SEA."),
    "date": ("str", "YYYY-MM-DD."),
}
AIRLINE = (
    tool(
        "book_reservation",
        "Book flights for one or more passengers.",
        user_id=USER,
        origin=ROUTE["origin"],
        destination=ROUTE["destination"],
        flight_type=("Literal['one_way', 'round_trip']", "Kind of trip."),
        cabin=CABIN,
        flights=FLIGHTS,
        passengers=PEOPLE,
        payment_methods=(_rows(payment_id="str", amount="float"), "How the price is split."),
        **BAGS,
        insurance=("Literal['yes', 'no']", "Travel insurance."),
    ),
    tool("cancel_reservation", "Cancel a whole reservation.", reservation_id=RESERVATION),
    tool("get_reservation_details", "Look up a reservation.", reservation_id=RESERVATION),
    tool("get_user_details", "Look up a user's profile and reservations.", user_id=USER),
    tool("list_all_airports", "List all airports with their cities."),
    tool("search_direct_flight", "Find direct flights on a date.", **ROUTE),
    tool("search_onestop_flight", "Find flights with one stop on a date.", **ROUTE),
    tool("send_certificate", "Give a user a travel certificate.", user_id=USER, amount=("float", "Dollars.")),
    tool(
        "update_reservation_baggages",
        "Change the bags of a reservation.",
        reservation_id=RESERVATION,
        **BAGS,
        payment_id=PAYMENT,
    ),
    tool(
        "update_reservation_flights",
        "Change flights or cabin of a reservation.",
        reservation_id=RESERVATION,
        cabin=CABIN,
        flights=FLIGHTS,
        payment_id=PAYMENT,
    ),
    tool(
        "update_reservation_passengers",
        "Change the passengers of a reservation.",
        reservation_id=RESERVATION,
        passengers=PEOPLE,
    ),
)
ORDER = ("str", "Order id, like #W0000000.")
ITEMS = ("List[str]", "Item ids; an item bought twice is listed twice.")
NEW_ITEMS = ("List[str]", "Ids of the items to have instead, in the same order.")
METHOD = ("str", "Payment method for the difference, like paypal_0000000.")
ADDRESS = {
    key: ("str", text)
    for key, text in {
        "address1": "Street and number.",
        "address2": "Flat or suite, may be empty.",
        "city": "City.",
        "state": "State.",
        "country": "Country.",
        "zip": "Postal code.",
    }.items()
}
RETAIL = (
    tool(
        "cancel_pending_order",
        "Cancel an order that isn't processed yet.",
        order_id=ORDER,
        reason=("Literal['no longer needed', 'ordered by mistake']", "Why."),
    ),
    tool(
        "exchange_delivered_order_items",
        "Exchange items of a delivered order for others of the same product.",
        order_id=ORDER,
        item_ids=ITEMS,
        new_item_ids=NEW_ITEMS,
        payment_method_id=METHOD,
    ),
    tool("find_user_id_by_email", "Find a user by e-mail address.", email=("str", "E-mail address.")),
    tool(
        "find_user_id_by_name_zip",
        "Find a user by name and postal code.",
        first_name=("str", "First name."),
        last_name=("str", "Last name."),
        zip=ADDRESS["zip"],
    ),
    tool("get_order_details", "Look up an order.", order_id=ORDER),
    tool("get_product_details", "Look up a product and its items in stock.", product_id=("str", "Product id.")),
    tool("get_user_details", "Look up a user's profile and orders.", user_id=USER),
    tool("list_all_product_types", "List all products with their ids."),
    tool("modify_pending_order_address", "Change where a pending order goes.", order_id=ORDER, **ADDRESS),
    tool(
        "modify_pending_order_items",
        "Change items of a pending order to others of the same product.",
        order_id=ORDER,
        item_ids=ITEMS,
        new_item_ids=NEW_ITEMS,
        payment_method_id=METHOD,
    ),
    tool(
        "modify_pending_order_payment", "Change how a pending order is paid.", order_id=ORDER, payment_method_id=METHOD
    ),
    tool("modify_user_address", "Change a user's default address.", user_id=USER, **ADDRESS),
    tool(
        "return_delivered_order_items",
        "Send back items of a delivered order.",
        order_id=ORDER,
        item_ids=ITEMS,
        payment_method_id=METHOD,
    ),
)
DOMAINS = (
    Domain("airline", (*AIRLINE, *SHARED), ("transfer_to_human_agents",)),
    Domain("retail", (*RETAIL, *SHARED), ("transfer_to_human_agents",)),
)
