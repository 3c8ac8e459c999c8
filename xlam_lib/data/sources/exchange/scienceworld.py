"""The words of ScienceWorld: "pick up thermometer", "pour cup into sink". No source itself (notebook 01).

SCIENCEWORLD.parse("pour cup into sink")   # ("pour", {"object": "cup", "receptacle": "sink"})
"""

from __future__ import annotations

from xlam_lib.data.formats.actions import Action, Grammar

SHORT = r".*?"
PAIRS = (  # template, name, what it does; the first slot takes as little as possible
    ("connect {object} to {target}", "connect", "Connect two parts of a circuit."),
    ("use {object} on {target}", "use_on", "Use a tool on something."),
    ("move {object} to {receptacle}", "move", "Put something into a place or container."),
    ("pour {object} into {receptacle}", "pour", "Pour a liquid into a container."),
    ("dunk {object} into {receptacle}", "dunk", "Dip a container into a liquid."),
)
SINGLES = (
    ("look at {object}", "look_at", "Describe an object."),
    ("look in {object}", "look_in", "Describe what a container holds."),
    ("go to {location}", "go_to", "Go to a room next to this one."),
    ("teleport to {location}", "teleport_to", "Be in any room at once."),
    ("focus on {object}", "focus_on", "Say that this object is what the task is about."),
    ("pick up {object}", "pick_up", "Put an object into the inventory."),
    ("put down {object}", "put_down", "Take an object out of the inventory."),
    ("disconnect {object}", "disconnect", "Take a part out of a circuit."),
    ("deactivate {object}", "deactivate", "Switch a device off."),
    ("activate {object}", "activate", "Switch a device on."),
    ("examine {object}", "examine", "Describe an object closely."),
    ("close {object}", "close", "Close a door or container."),
    ("flush {object}", "flush", "Flush a toilet."),
    ("open {object}", "open", "Open a door or container."),
    ("read {object}", "read", "Read what is written."),
    ("mix {object}", "mix", "Mix what a container holds."),
    ("eat {object}", "eat", "Eat food."),
    ("use {object}", "use", "Use a tool."),
)
ALONE = (
    ("look around", "look_around", "Describe the room."),
    ("inventory", "inventory", "List what you carry."),
    ("task", "task", "Say the task again."),
    ("wait1", "wait_one", "Let one step pass."),
    ("wait", "wait", "Let ten steps pass."),
)
SCIENCEWORLD = Grammar(
    (
        *(Action(template, name, what) for template, name, what in ALONE),
        *(Action(template, name, what, narrow={"object": SHORT}) for template, name, what in PAIRS),
        *(Action(template, name, what) for template, name, what in SINGLES),
        Action(
            "{choice}",
            "choose",
            "Answer the environment's question which of several was meant.",
            {"choice": "its number"},
            {"choice": "integer"},
        ),
    )
)
