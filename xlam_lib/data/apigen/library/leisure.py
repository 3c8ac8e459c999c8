"""Executable tools for music, sports, files, offices and news.

Each one runs, always with the same result for the same arguments. Notebook 01 shows some; `registry.py` lists all.
"""

from __future__ import annotations

from typing import Annotated, Literal

from xlam_lib.data.apigen.library import facts
from xlam_lib.data.apigen.library.spec import Domain
from xlam_lib.data.apigen.library.values import (
    POOLS,
    City,
    Code,
    Company,
    Date,
    File,
    Folder,
    Person,
    Sentence,
    Team,
    Title,
    Word,
    several,
    whole,
)

music, sports, files, office = Domain("music"), Domain("sports"), Domain("files"), Domain("office")


@music.tool(
    '(play|put on|start) (the |)song "{song}"< by {artist}>',
    '(I want to hear|Let me hear|I feel like hearing) the song "{song}"< by {artist}>(, play it.|, please play it.)',
    'play "{song}"< by {artist}> as the next song',
    answer="Now playing {song}.",
)
def play_song_title(song: Title, artist: Person = "") -> dict:
    """Play a song.

    song: title of the song
    artist: name of the artist
    """
    return {"seconds": facts.number(120, 400, song, artist)}


@music.tool(
    '(create|make|start) a playlist (called|named) "{name}"< with the songs {songs}>',
    '(make|create) a playlist< of the songs {songs}>< under the name "{name}">',
    'I (need|want|would like) a playlist< named "{name}">< with the songs {songs}>.',
    answer="The playlist {name} is ready.",
)
def create_song_playlist(name: Title, songs: Annotated[list, several(POOLS["title"], 2, 3)]) -> dict:
    """Create a playlist of songs.

    name: name of the playlist
    songs: titles of the songs
    """
    return {"playlist": facts.code(name, *songs), "songs": len(songs)}


@music.tool(
    "(set|turn|change) the volume< on the {speaker} speaker>< to {percent} percent>",
    "(The volume of the {speaker} speaker should|I want the volume of the {speaker} speaker to) be {percent} percent.",
    answer="The {speaker} speaker is at {percent} percent.",
)
def set_speaker_volume(
    speaker: Literal["kitchen", "bedroom", "garden", "office"], percent: Annotated[int, whole(5, 95)]
) -> dict:
    """Set the volume of a speaker.

    speaker: name of the speaker
    percent: volume in percent
    """
    return {"volume": percent}


@music.tool(
    "(find|show me|look up) (a concert|concerts) (of|by) {artist}< in {city}>",
    "(When|Where) is the next concert (of|by) {artist}< in {city}>?",
    "I would like to go to a concert of {artist}< in {city}>.",
    answer="The next concert is on {date}.",
)
def find_concert(artist: Person, city: City = "") -> dict:
    """Find a concert of an artist.

    artist: name of the artist
    city: name of the city
    """
    return {"date": facts.date(artist, city), "hall": facts.title(artist, city)}


@sports.tool(
    "(get|look up|show me|tell me) the (result|score) of the match of {team}< on {date}>",
    "(What was|What is) the result of the match of {team}< on {date}>?",
    "How did the match of {team} end< on {date}>, (what was the result?|what is the result?)",
    answer="{team} scored {goals} goals.",
)
def get_match_result(team: Team, date: Date) -> dict:
    """Get the result of a match.

    team: name of the team
    date: date of the match
    """
    facts.day(date)
    return {"goals": facts.number(0, 6, team, date), "against": facts.number(0, 6, date, team)}


@sports.tool(
    "(find|look up|tell me|get) the team of (the |)player {player}",
    "(Which|What) team does (the |)player {player} play for?",
    "(find out|look up) which team (the |)player {player} (plays for|belongs to)",
    answer="{player} plays for {team}.",
)
def find_player_team(player: Person) -> dict:
    """Find the team of a player.

    player: name of the player
    """
    return {"team": f"{facts.city(player)} {facts.pick(('Tigers', 'Hawks', 'Lions', 'Falcons', 'Waves'), player)}"}


@sports.tool(
    "(log|record|save|add) a workout of {minutes} minutes of {sport}",
    "I did a workout, {minutes} minutes of {sport}(, please log it.|, log it.)",
    "(log|record|note) {minutes} minutes of {sport} as a workout",
    answer="The {sport} workout burned {burned} units.",
)
def log_workout(
    sport: Literal["running", "cycling", "swimming", "yoga"], minutes: Annotated[int, whole(5, 180)]
) -> dict:
    """Log a workout of some minutes.

    sport: kind of sport
    minutes: number of minutes
    """
    return {"burned": minutes * facts.number(4, 12, sport)}


@sports.tool(
    "(find|look up|show me|locate) the stadium of (the team |){team}",
    "(Where is|In which city is) the stadium of (the team |){team}?",
    "(tell me|find out) in which stadium (the team |){team} plays",
    answer="{team} plays in {city}.",
)
def find_stadium(team: Team) -> dict:
    """Find the stadium of a team.

    team: name of the team
    """
    return {"stadium": facts.title(team), "city": facts.city(team)}


@files.tool(
    "rename (the |)file {file}< to {new_name}>",
    "(change|set) the name of (the |)file {file}< to {new_name}>",
    "(The|My) file {file} (should|must) be renamed< to {new_name}>.",
    answer="The file is now called {new_name}.",
)
def rename_file_to(file: File, new_name: File) -> dict:
    """Rename a file.

    file: name of the file
    new_name: new name of the file
    """
    facts.different(file, new_name, "names")
    return {"file": new_name}


@files.tool(
    "(delete|remove|erase) (the |)file {file}< from the folder {folder}>",
    "(I no longer need|Nobody needs) the file {file}< in the folder {folder}>(, delete it.|, please delete it.)",
    answer="The file {file} is deleted.",
)
def delete_file(file: File, folder: Folder = "") -> dict:
    """Delete a file.

    file: name of the file
    folder: name of the folder
    """
    return {"deleted": True}


@files.tool(
    "(create|make|add|open) a (new |)folder (called|named) {folder}",
    "(I need|I want|Give me) a (new |)folder (called|named) {folder}.",
    "create {folder} as a new folder",
    answer="The folder {folder} is there.",
)
def create_file_folder(folder: Folder) -> dict:
    """Create a new folder.

    folder: name of the folder
    """
    return {"created": True}


@files.tool(
    "(compress|zip|pack) the files {files}< into {archive}>",
    "(compress|put) the files {files} into (the |)archive {archive}",
    "The files {files} take too much space, compress them< into {archive}>.",
    answer="The archive {archive} is ready.",
)
def compress_files(files: Annotated[list, several(POOLS["file"], 2, 3)], archive: Folder) -> dict:
    """Compress files into an archive.

    files: names of the files
    archive: name of the archive
    """
    return {"size": facts.number(10, 900, archive, *files)}


@office.tool(
    '(open|create|file|submit) a ticket (about|saying) "{problem}"< with priority {priority}>',
    'I (need|want) a (support |)ticket (about|saying) "{problem}"< with priority {priority}>.',
    answer="Ticket {ticket} is open.",
)
def open_support_ticket(problem: Sentence, priority: Literal["low", "medium", "high", "urgent"] = "medium") -> dict:
    """Open a support ticket.

    problem: text of the problem
    priority: priority of the ticket
    """
    return {"ticket": facts.code(problem, priority)}


@office.tool(
    "(assign|give|hand) (the |)ticket {ticket}< to {person}>",
    "(The ticket|Ticket) {ticket} should (be assigned|go)< to {person}>.",
    "(let|have) {person} work on (the |)ticket {ticket}",
    answer="{person} works on ticket {ticket}.",
)
def assign_ticket(ticket: Code, person: Person) -> dict:
    """Assign a ticket to a person.

    ticket: number of the ticket
    person: name of the person
    """
    return {"assigned": True}


@office.tool(
    "(find|look up|tell me|get) the manager of (the |)employee {employee}",
    "Who is the manager of (the |)employee {employee}?",
    "(find out|look up) which manager (the |)employee {employee} has",
    answer="The manager is {manager}.",
)
def find_manager(employee: Person) -> dict:
    """Find the manager of an employee.

    employee: name of the employee
    """
    return {"manager": facts.person(employee)}


@office.tool(
    "(print|print out) {copies} copies of {document}< in {color}>",
    "(I need|We need|Give me) {copies} printed copies of {document}< in {color}>.",
    answer="{copies} copies of {document} are printed.",
)
def print_document_copies(
    document: File, copies: Annotated[int, whole(2, 90)], color: Literal["black", "blue", "red"] = "black"
) -> dict:
    """Print copies of a document.

    document: name of the document
    copies: number of copies
    color: color of the print
    """
    return {"pages": copies * facts.number(1, 20, document)}


@office.tool(
    "(send|write|issue) an invoice over {amount} dollars< to {company}>< due on {due}>",
    "(We must|I must|Please) invoice {company}< over {amount} dollars>< due on {due}>.",
    answer="The invoice to {company} is sent.",
)
def send_company_invoice(company: Company, amount: Annotated[int, whole(20, 9900)], due: Date = "") -> dict:
    """Send an invoice to a company.

    company: name of the company
    amount: amount in dollars
    due: date when it is due
    """
    return {"invoice": facts.code(company, amount, due)}


@office.tool(
    "(search|find|get|show me) (the |)news (about|on) (the topic |){topic}< since {date}>",
    "(What is the latest|Is there any|Is there) news (about|on) (the topic |){topic}< since {date}>?",
    answer="The headline is: {headline}.",
)
def search_news_topic(topic: Word, date: Date = "") -> dict:
    """Search the news on a topic.

    topic: topic of the news
    date: first date
    """
    return {"headline": facts.title(topic, date)}
