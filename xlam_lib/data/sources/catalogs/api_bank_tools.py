"""The APIs of API-Bank that its dialogues use, as its table and its prompts describe them (api_bank/all_apis.csv).

One tool a paragraph, one parameter a line, lines longer than the page are continued by six spaces. The descriptions are
API-Bank's own words (Apache-2.0, AlibabaResearch/DAMO-ConvAI). Used by `sources/calls/api_bank.py`:
`TOOLS["GetToday"]`.
"""

from __future__ import annotations

import re

from xlam_lib.data.formats.flat_tools import tool
from xlam_lib.trajectory import Tool

# fmt: off
TABLE = """
AddAgenda: The API for adding a agenda item includes content, time and location.
  token (str): User's token.
  content (str): The content of the agenda.
  time (str): The time for agenda. Format: %Y-%m-%d %H:%M:%S
  location (str): The location of the agenda.
AddAlarm: Add an alarm clock API that takes two parameters - 'token' and 'time'. The 'token' parameter authenticates
      the user and the 'time' parameter specifies the time at which the alarm should go off.
  token (str): Authentication token for the user.
  time (datetime): The time for the alarm clock in the format of "%Y-%m-%d %H:%M:%S".
AddMeeting: This API allows users to make a reservation for a meeting and store the meeting information (e.g., topic,
      time, location, attendees) in the database.
  token (str): User's token.
  meeting_topic (str): The title of the meeting, no more than 50 characters.
  start_time (str): The start time of the meeting, in the pattern of %Y-%m-%d %H:%M:%S
  end_time (str): The end time of the meeting, in the pattern of %Y-%m-%d %H:%M:%S
  location (str): The location where the meeting to be held, no more than 100 characters.
  attendees (list(str)): The attendees of the meeting, including names, positions and other information.
AddReminder: The API for adding a reminder item includes content and time.
  token (str): User's token.
  content (str): The content of the conference.
  time (str): The time for conference. Format: %Y-%m-%d %H:%M:%S
AddScene: Add a scene API that takes two parameters - 'scene_name' and 'device_list'. The 'scene_name' parameter
      refers to the name of the scene and the 'device_list' parameter specifies the list of devices that are included
      in the scene.
  scene_name (str): The name of the scene.
  device_list (List[str]): List of devices included in the scene.
AppointmentRegistration: This API registers an appointment of hospital.
  patient_name (str): The name of patient.
  date (str): The date of appointment. Format be like %Y-%m-%d
  doctor_name (str): The name of appointed doctor.
BookHotel: This API orders a hotel room. Two rooms are ordered if the number of adults is greater than 2. Only one
      order can be made at same time.
  hotel_name (str): The name of the hotel.
  check_in_time (str): The time to check in. Format: %Y-%m-%d
  check_out_time (str): The time to check out. Format: %Y-%m-%d
  room_count (int): The number of rooms to order.
  adult_count (int): The number of adults.
  child_count (int): The number of children.
Calculator: This API provides basic arithmetic operations: addition, subtraction, multiplication, and division.
  formula (str): The formula that needs to be calculated. Only integers are supported. Valid operators are +, -, *, /,
      and (, ). For example, '(1 + 2) * 3'.
CancelRegistration: This API cancels the registration of a patient given appointment ID.
  appointment_id (str): The ID of appointment.
CancelTimedSwitch: Cancels a timed switch for a smart device.
  name (str): The name of the smart device.
  time (str): The time to switch the device on or off. Format: %Y-%m-%d %H:%M:%S
DeleteAccount: Delete an account.
  token (str): The token of the user.
DeleteAgenda: The API for deleting a schedule item includes parameters for token, content, time, and location.
  token (str): User's token.
  content (str): The content of the agenda.
  time (str): The time for agenda. Format: %Y-%m-%d %H:%M:%S
  location (str): The location of the agenda.
DeleteAlarm: The API for removing an alarm includes a parameter for the time.
  token (str): User's token.
  time (str): The time for alarm. Format: %Y-%m-%d %H:%M:%S
DeleteMeeting: This API allows users to delete a reservation for a meeting and remove the meeting information in the
      database.Function: Delete user's reservation for a meeting.Exception Handling: 1. If the deletion is successful,
      return a success message.2. If the deletion fails, return a corresponding error message.
  token (str): User's token.
  meeting_topic (str): The title of the meeting, no more than 50 characters.
  start_time (str): The start time of the meeting, in the pattern of %Y-%m-%d %H:%M:%S
  end_time (str): The end time of the meeting, in the pattern of %Y-%m-%d %H:%M:%S
  location (str): The location where the meeting to be held, no more than 100 characters.
  attendees (list(str)): The attendees of the meeting, including names, positions and other information.
DeleteReminder: Delete a reminder API that takes two parameters - 'token' and 'reminder_id'. The 'token' parameter is
      a string that represents the user authorization token and the 'reminder_id' parameter represents the unique
      identifier of the reminder to be deleted.
  token (str): A string that represents the user authorization token.
  reminder_id (int): The unique identifier of the reminder to be deleted.
DeleteScene: Delete a scene API that takes one parameter - 'scene_name'. The 'scene_name' parameter refers to the name
      of the scene that needs to be deleted.
  scene_name (str): The name of the scene to be deleted.
Dictionary: API that takes a 'query' parameter as input and retrieves the definition of that word.
  query (str): The word to search the definition for.
DocumentQA: Document Question Answering (DocumentQA) API to provide answers for questions given a document content.
  document_content (str): The content of the document to be analyzed.
  question (str): The question to answer from the given document.
EmergencyKnowledge: This API searches for a given symptom for emergency knowledge.
  symptom (str): The symptom to search.
ForgotPassword: Sends an email to the user with a link to reset the password. Need call twice, first with 'Forgot
      Password' status to get the verification code, then call again with 'Verification Code' status to change the
      password. Must pass the name of the parameters when calling the API, like ForgotPassword(status='Forgot
      Password', username='username').
  status (str): 'Forgot Password' for first call, after get the verification code, call again with 'Verification Code'
      to change the password.
  username (str): The username of the user. Only needed for the first call.
  email (str): The email of the user. Only needed for the first call.
  verification_code (int): The verification code sent to the user. Only needed for the second call.
  new_password (str): The new password of the user. Only needed for the second call.
GetToday: This API gets the current date.
GetUserToken: Get the user token by username and password.
  username (str): The username of the user.
  password (str): The password of the user.
ModifyAgenda: The API for modifying a schedule item includes parameters for content, time, and location.
  token (str): User's token.
  content (str): The content of the agenda.
  time (str): The new time for agenda. Format: %Y-%m-%d %H:%M:%S
  location (str): The new location of the agenda.
ModifyAlarm: The API for modifying an alarm includes a parameter for the from_time to to_time.
  token (str): User's token.
  from_time (str): The time for alarm which changed from. Format: %Y-%m-%d %H:%M:%S
  to_time (str): The time for alarm which changed to. Format: %Y-%m-%d %H:%M:%S
ModifyMeeting: This API allows users to modify a reservation for a meeting
  token (str): User's token.
  meeting_topic (str): The title of the meeting, no more than 50 characters.
  start_time (str): The start time of the meeting, in the pattern of %Y-%m-%d %H:%M:%S
  end_time (str): The end time of the meeting, in the pattern of %Y-%m-%d %H:%M:%S
  location (str): The location where the meeting to be held, no more than 100 characters.
  attendees (list(str)): The attendees of the meeting, including names, positions and other information.
ModifyPassword: The API for modifying the password of the account.
  token (str): The token of the user.
  old_password (str): The old password of the user.
  new_password (str): The new password of the user.
ModifyRegistration: This API modifies the registration of a patient given appointment ID.
  appointment_id (str): The ID of appointment.
  new_appointment_date (str): The new appointment date. Format: %Y-%m-%d.
  new_appointment_doctor (str): The new appointment doctor.
ModifyReminder: The API for deleting a reminder item includes content and time.
  token (str): User's token.
  content (str): The content of the conference.
  time (str): The time for conference. Format: %Y-%m-%d %H:%M:%S
ModifyScene: ModifyScene API that takes two parameters - 'scene_name' and 'new_device_list'. The 'scene_name'
      parameter specifies the name of the scene which needs to be modified and the 'new_device_list' parameter is a
      list of strings containing the names of the new devices that will replace the old ones in the scene.
  scene_name (str): The name of the scene that needs to be modified.
  new_device_list (list): A list of strings containing the new device names to be added to the scene.
OpenBankAccount: This is an API for opening a bank account for a user, given the account, password and name.
  account (str): The account for the user.
  password (str): The password.
  name (str): account holder name.
PlayMusic: This API triggers a music player to play music.
  music_name (str): The name of the music to play.
QueryAgenda: The API for getting a schedule item includes parameters for token, content, time, and location.
  token (str): User's token.
  content (str): The content of the agenda.
  time (str): The time for agenda. Format: %Y-%m-%d %H:%M:%S
  location (str): The location of the agenda.
QueryAlarm: The API for querying alarm clock, help user to check the alarm clock they have set.
  token (str): User's token.
  time (str): The time for alarm. Format: %Y-%m-%d %H:%M:%S
QueryBalance: This API queries the balance of a given user.
  token (str): The token of the user.
QueryHealthData: This API queries the recorded health data in database of a given user and time span.
  user_id (str): The user id of the given user. Cases are ignored.
  start_time (str): The start time of the time span. Format: %Y-%m-%d %H:%M:%S
  end_time (str): The end time of the time span. Format: %Y-%m-%d %H:%M:%S
QueryHistoryToday: QueryHistoryToday API takes one parameter 'date'. The parameter 'date' refers to the date for which
      historical events are to be queried.
  date (str): The date for which historical events are to be queried. Format: %Y-%m-%d
QueryMeeting: This API allows users to query a reservation for a meeting.Function: Query infomation for a
      meeting.Exception Handling: 1. If the Query is successful, return a meeting infomation with json.2. If the Query
      fails, return a error message.
  token (str): User's token.
  meeting_topic (str): The title of the meeting, no more than 50 characters.
  start_time (str): The start time of the meeting, in the pattern of %Y-%m-%d %H:%M:%S
  end_time (str): The end time of the meeting, in the pattern of %Y-%m-%d %H:%M:%S
  location (str): The location where the meeting to be held, no more than 100 characters.
  attendees (list(str)): The attendees of the meeting, including names, positions and other information.
QueryRegistration: This API queries the registration of a patient, given patient ID.
  patient_name (str): The name of patient.
  date (str): The date of appointment. Format be like %Y-%m-%d
QueryReminder: The API for querying a reminder item includes content and time.
  token (str): User's token.
  content (str): The content of the reminder.
  time (str): The time for the reminder. Format: %Y-%m-%d %H:%M:%S
QueryScene: This API queries a scene of smart home system, given the scene name
  name (str): The name of the scene.
QueryStock: This API queries the stock price of a given stock code and date.
  stock_code (str): The stock code of the given stock.
  date (str): The date of the stock price. Format: %Y-%m-%d
RecordHealthData: This API records the health data of a user.
  user_id (str): The ID of user.
  time (str): The time of health data. Format: %Y-%m-%d %H:%M:%S
  health_data (list): The health data, with the format like [{'name': 'blood_pressure', 'value': '120/80'}, {'name':
      'heart_rate', 'value': '80'}]
RegisterUser: The API for registering a account, given the username, password and email.
  username (str): The username of the user.
  password (str): The password of the user.
  email (str): The email of the user.
SearchEngine: API for searching items based on keywords
  keyword (str): The keyword to search.
SendEmail: Send email to a recipient with specified subject and content.
  recipient (str): The email address of the recipient.
  subject (str): The subject of the email.
  content (str): The content or body of the email.
SpeechRecognition: An API that performs speech recognition on an audio file containing spoken words.
  voice_file (object): The audio file containing the spoken words.
SymptomSearch: This API searches for a given symptom.
  symptom (str): The symptom to search.
TimedSwitch: API for scheduling a timed switch. Sets a switch-time for the specified device-id and executes an on/off
      command at the specified time.
  device_id (str): ID of the device on which to schedule a timed switch
  switch_time (datetime): Time at which to execute the on/off command. Format: %Y-%m-%d %H:%M:%S
  on_off_command (str): The command to execute when the switch time is reached. Should be "on" or "off".
ToolSearcher: Searches for relevant tools in library based on the keywords.
  keywords (str): The keyword to search for.
Translate: Translate API that takes three parameters - 'text', 'source_language' and 'target_language'. The 'text'
      parameter is the string that needs to be translated, the 'source_language' parameter is the language in which
      the initial text is written and the 'target_language' parameter specifies the language to which the text is to
      be translated.
  text (str): The text to be translated.
  source_language (str): The language in which the initial text is written. Format: ISO 639 language code
  target_language (str): The language to which the text is to be translated. Format: ISO 639 language code
"""
# fmt: on
PARAMETER = re.compile(r"  (\w+) \(([^:]*)\): ?(.*)")
TOOL_SEARCHER = tool(
    "ToolSearcher",
    "Searches for relevant tools in library based on the keywords.",
    {"keywords": {"type": "str", "description": "The keyword to search for."}},
    [],
)


def _tools(table: str) -> dict[str, Tool]:
    """The tools of a table as above, by name."""
    found: dict[str, tuple[str, dict]] = {}
    for line in table.strip().replace("\n      ", " ").splitlines():
        if parameter := PARAMETER.fullmatch(line):
            name, kind, description = parameter.groups()
            found[list(found)[-1]][1][name] = {"type": kind, "description": description}
        else:
            name, _, description = line.partition(": ")
            found[name] = (description, {})
    return {name: tool(name, description, parameters, []) for name, (description, parameters) in found.items()}


TOOLS: dict[str, Tool] = {"ToolSearcher": TOOL_SEARCHER, **_tools(TABLE)}
