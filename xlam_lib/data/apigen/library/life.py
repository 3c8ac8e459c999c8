"""Executable tools for the calendar, messages, health and the home.

Each one runs, always with the same result for the same arguments. Notebook 01 shows some; `registry.py` lists all.
"""

from __future__ import annotations

from typing import Annotated, Literal

from xlam_lib.data.apigen.library import facts
from xlam_lib.data.apigen.library.spec import Domain
from xlam_lib.data.apigen.library.values import (
    POOLS,
    Chore,
    City,
    Date,
    Email,
    Meeting,
    Person,
    Phone,
    Sentence,
    Time,
    decimal,
    several,
    whole,
)

calendar, messaging, health, home = Domain("calendar"), Domain("messaging"), Domain("health"), Domain("home")
ROOMS = Literal["kitchen", "bedroom", "office", "garage", "hallway"]


@calendar.tool(
    '(create|add|schedule|plan) (an event|the event) called "{title}"< on {date}>< at {time}>',
    '(create|put|add) "{title}"< on {date}>< at {time}> as an event',
    'There is an event called "{title}"< on {date}>< at {time}>(, please create it.|, add it.)',
    answer="The event {title} is on {date}.",
)
def create_calendar_event(title: Meeting, date: Date, time: Time = "") -> dict:
    """Create an event in the calendar.

    title: title of the event
    date: date of the event
    time: time of the event
    """
    facts.day(date)
    return {"event": facts.code(title, date, time)}


@calendar.tool(
    "(count|compute|tell me) the days (between {start} and {end}|from {start} to {end})",
    "How many days are (there |)between {start} and {end}?",
    "(count|work out) how many days (lie|are) between {start} and {end}",
    answer="There are {days} days.",
)
def days_between(start: Date, end: Date) -> dict:
    """Count the days between two dates.

    start: first date
    end: last date
    """
    days = (facts.day(end) - facts.day(start)).days
    return {"days": int(facts.positive(days, "days between start and end"))}


@calendar.tool(
    "(list|show|read) (all |)(my |the |)meetings< on {date}>< with {person}>",
    "(Which|What) meetings (do I have|are there)< on {date}>< with {person}>?",
    answer="There are {count} meetings, the first one at {time}.",
)
def list_meetings(date: Date, person: Person = "") -> dict:
    """List the meetings on a date.

    date: date of the meetings
    person: name of the person
    """
    facts.day(date)
    return {"count": facts.number(2, 9, date, person), "time": facts.clock(date, person)}


@calendar.tool(
    "(set|create|add) a reminder< at {time}> to {task}",
    '(set|create|make) a reminder (saying|with the text) "{task}"< at {time}>',
    "(remind me|send me a reminder)< at {time}> to {task}",
    answer="The reminder rings at {time}.",
)
def set_task_reminder(task: Chore, time: Time) -> dict:
    """Set a reminder for a task.

    task: task to remember
    time: time of the reminder
    """
    return {"reminder": facts.code(task, time)}


@messaging.tool(
    "(find|look up|get) the contact (details |)of {person}",
    "(find|get|look up|show me) the (email address|phone number) of (my |the |)contact {person}",
    "(What is|Do you have) the (email address|phone number) of (my |the |)contact {person}?",
    answer="{person} has the address {email} and the phone number {phone}.",
)
def find_contact_details(person: Person) -> dict:
    """Find the contact details of a person.

    person: name of the person
    """
    last = person.split()[-1].lower()
    return {"email": f"{person.split()[0].lower()}@{last}.org", "phone": f"555-{facts.number(1000, 9999, person)}"}


@messaging.tool(
    '(send|write) an email< to {address}>< saying "{text}">< with the subject "{subject}">',
    '(email|send an email to) {address}, (saying|writing) "{text}"',
    'An email (must go|should go|has to go)< to {address}>< saying "{text}">, (please send it.|send it.)',
    answer="The email to {address} is sent.",
)
def send_email_message(address: Email, text: Sentence, subject: Meeting = "") -> dict:
    """Send an email to an address.

    address: email address
    text: text of the email
    subject: subject of the email
    """
    if "@" not in address:
        raise ValueError(f"no email address: {address!r}")
    return {"id": facts.code(address, text, subject)}


@messaging.tool(
    '(send|text|write) (a message|this message) to {recipient}: "{text}"',
    '(send|write) a message< to {recipient}> saying "{text}"',
    'I (want|need|would like) to send {recipient} a message saying "{text}".',
    answer="{recipient} has your message.",
)
def send_text_message(recipient: Person, text: Sentence) -> dict:
    """Send a message to a person.

    recipient: name of the recipient
    text: text of the message
    """
    return {"id": facts.code(recipient, text)}


@messaging.tool(
    "(schedule|plan|book|arrange) a call< to {phone}>< at {time}>< on {date}>",
    "(call|ring) {phone}< at {time}>< on {date}>",
    "I want to call {phone}< at {time}>(, please schedule it.|.)",
    answer="The call to {phone} is planned for {time}.",
)
def schedule_phone_call(phone: Phone, time: Time, date: Date = "") -> dict:
    """Schedule a call to a phone number.

    phone: phone number
    time: time of the call
    date: date of the call
    """
    return {"call": facts.code(phone, time, date)}


@health.tool(
    "(log|record|save|note) (my |a |)weight of {kilograms} kilograms< on {date}>",
    "My weight (is|was) {kilograms} kilograms< on {date}>(, please log it.|, log that.)",
    "(log|record|enter) {kilograms} kilograms as my weight< on {date}>",
    answer="Your weight of {kilograms} kilograms is saved.",
)
def log_weight(kilograms: Annotated[float, decimal(40, 140)], date: Date = "") -> dict:
    """Log the body weight of the user.

    kilograms: weight in kilograms
    date: date of the weighing
    """
    facts.positive(kilograms, "kilograms")
    return {"entry": facts.number(10, 900, kilograms, date)}


@health.tool(
    "(compute|calculate|work out) the body mass index< for {weight} kilograms>< at a height of {height} centimeters>",
    "What is (my|the) body mass index< for a weight of {weight} kilograms>< at a height of {height} centimeters>?",
    "(compute|calculate|get) (my|the) body mass index, weight {weight} and height {height}",
    answer="The body mass index is {index}.",
)
def body_mass_index(weight: Annotated[float, decimal(40, 140)], height: Annotated[int, whole(140, 210)]) -> dict:
    """Compute the body mass index.

    weight: weight in kilograms
    height: height in centimeters
    """
    return {"index": round(weight / (height / 100) ** 2, 1)}


@health.tool(
    "(book|make|arrange|get) (an appointment|a visit) with doctor {doctor}< on {date}>< at {time}>",
    "I (need|want|would like) to see doctor {doctor}< on {date}>< at {time}>(, please book it.|.)",
    answer="Doctor {doctor} sees you on {date}.",
)
def book_doctor_visit(doctor: Person, date: Date, time: Time = "") -> dict:
    """Book an appointment with a doctor.

    doctor: name of the doctor
    date: date of the appointment
    time: time of the appointment
    """
    facts.day(date)
    return {"appointment": facts.code(doctor, date, time)}


@health.tool(
    "(log|record|note|save) {hours} hours of sleep< on {date}>",
    "I (got|had) {hours} hours of sleep< on {date}>(, please log it.|, log that.)",
    "(log|record) (my |the |)sleep of {hours} hours< on {date}>",
    answer="{hours} hours of sleep are saved.",
)
def log_sleep(hours: Annotated[float, decimal(2, 14)], date: Date = "") -> dict:
    """Log the hours of sleep.

    hours: number of hours
    date: date of the night
    """
    facts.positive(hours, "hours")
    return {"entry": facts.number(10, 900, hours, date)}


@health.tool(
    "(find|look up|search for|get me) a vet< in {city}>< for a {animal}>",
    "(Is there|Do you know|Where is) a vet< in {city}>< for a {animal}>?",
    "My {animal} is ill and needs a vet< in {city}>(, please find one.|.)",
    answer="Call the vet {vet} at {phone}.",
)
def find_vet(city: City, animal: Literal["dog", "cat", "horse", "rabbit"] = "dog") -> dict:
    """Find a vet in a city.

    city: name of the city
    animal: kind of animal
    """
    return {"vet": facts.person(city, animal), "phone": f"555-{facts.number(1000, 9999, city, animal)}"}


@home.tool(
    "(set|turn|change) the thermostat< in the {room}>< to {degrees} degrees>",
    "(I want|I need|I would like) the thermostat< in the {room}> (set to|at) {degrees} degrees.",
    answer="The thermostat in the {room} is at {degrees} degrees.",
)
def set_room_thermostat(room: ROOMS, degrees: Annotated[float, decimal(10, 30)]) -> dict:
    """Set the thermostat of a room.

    room: name of the room
    degrees: temperature in degrees
    """
    return {"degrees": degrees}


@home.tool(
    "(switch|turn) {state} the (light|lights)< in the {room}>",
    "(switch|turn) the {room} (light|lights) {state}",
    "The (light|lights)< in the {room}> should be switched {state}.",
    answer="The light in the {room} is {state}.",
)
def switch_room_light(room: ROOMS, state: Literal["on", "off"]) -> dict:
    """Switch the light of a room.

    room: name of the room
    state: state of the light
    """
    return {"light": state}


@home.tool(
    "(start|run) the vacuum[ robot] in (these rooms: |the |){rooms}",
    "(let|make) the vacuum[ robot] clean (these rooms: |the |){rooms}",
    "(These rooms are dirty|Rooms to vacuum today): {rooms}(. Start the vacuum.|, please start the vacuum.)",
    answer="The vacuum needs {minutes} minutes.",
)
def start_room_vacuum(rooms: Annotated[list, several(POOLS["room"], 2, 3)]) -> dict:
    """Start the vacuum in some rooms.

    rooms: names of the rooms
    """
    return {"minutes": 10 * len(rooms)}


@home.tool(
    "(lock|bolt) the {door} door< with code {code}>",
    "(I left|They left|We left) the {door} door open, please lock it< with code {code}>.",
    "The {door} door must be locked< with code {code}>[ now].",
    answer="The {door} door is locked.",
)
def lock_house_door(
    door: Literal["front", "back", "garage", "cellar"], code: Annotated[int, whole(1000, 9999)] = 0
) -> dict:
    """Lock a door of the house.

    door: name of the door
    code: secret code
    """
    return {"locked": True}
