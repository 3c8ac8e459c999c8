"""The tools of tau2-bench's domains, which its records call but don't describe (notebook 01).

Airline and retail are those of tau-bench without `think`; the airline can also look up a flight, and telecom is new.
Descriptions are ours. `TAU2_DOMAINS[2].name` -> "telecom".
"""

from __future__ import annotations

from xlam_lib.data.sources.catalogs.tau_bench_tools import DOMAINS, SHARED, Domain, tool

FLIGHT = tool(
    "get_flight_status",
    "Look up whether a flight is available, delayed, landed, ...",
    flight_number=("str", "Flight number, like HAT001."),
    date=("str", "YYYY-MM-DD."),
)
CUSTOMER = ("str", "Customer id, like C1001.")
LINE = {"customer_id": CUSTOMER, "line_id": ("str", "Line id, like L1001.")}
TELECOM = (
    tool("get_customer_by_phone", "Find a customer by phone number.", phone_number=("str", "Phone number.")),
    tool("get_customer_by_id", "Look up a customer.", customer_id=CUSTOMER),
    tool(
        "get_customer_by_name",
        "Find customers by name and date of birth.",
        full_name=("str", "First and last name."),
        dob=("str", "YYYY-MM-DD."),
    ),
    tool(
        "get_details_by_id", "Look up anything that has an id.", id=("str", "Of a customer, line, device, bill, plan.")
    ),
    tool("suspend_line", "Suspend an active line.", **LINE, reason=("str", "Why.")),
    tool("resume_line", "Take a suspended line into service again.", **LINE),
    tool(
        "get_bills_for_customer",
        "List a customer's bills, the newest first.",
        optional=("limit",),
        customer_id=CUSTOMER,
        limit=("int", "How many at most; 12 if left out."),
    ),
    tool(
        "send_payment_request",
        "Ask a customer to pay a bill.",
        customer_id=CUSTOMER,
        bill_id=("str", "Bill id, like B1001."),
    ),
    tool("get_data_usage", "Look up how much data a line has used in this billing cycle.", **LINE),
    tool("enable_roaming", "Switch roaming on for a line.", **LINE),
    tool("disable_roaming", "Switch roaming off for a line.", **LINE),
    tool("refuel_data", "Add data to a line, at a charge.", **LINE, gb_amount=("float", "Gigabytes.")),
)

ENDING = ("transfer_to_human_agents",)


def _without_think(domain: Domain) -> tuple:
    return tuple(each for each in domain.tools if each.name != "think")


TAU2_DOMAINS = (
    Domain("airline", (*_without_think(DOMAINS[0]), FLIGHT), ENDING),
    Domain("retail", _without_think(DOMAINS[1]), ENDING),
    Domain("telecom", (*TELECOM, *(each for each in SHARED if each.name in ENDING)), ENDING),
)
