"""Executable tools for mathematics, units, money and text.

Each one runs, always with the same result for the same arguments. Notebook 01 shows some; `registry.py` lists all.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from xlam_lib.data.apigen.library import facts
from xlam_lib.data.apigen.library.spec import Domain
from xlam_lib.data.apigen.library.values import Person, Sentence, Symbol, Word, decimal, several, whole

arithmetic, units, finance, text_tools = Domain("math"), Domain("units"), Domain("finance"), Domain("text")
METERS = {"meters": 1.0, "feet": 0.3048, "miles": 1609.344, "kilometers": 1000.0}
DOLLARS = {"USD": 1.0, "EUR": 1.1, "GBP": 1.3, "JPY": 0.0065}
LENGTHS = Literal["meters", "feet", "miles", "kilometers"]
CURRENCIES = Literal["USD", "EUR", "GBP", "JPY"]
NUMBERS = several(decimal(2, 900), 3, 4)


@arithmetic.tool(
    "(add|add up|sum up) (the numbers |these numbers: |){numbers}",
    "(What is|How much is) the sum of (the numbers |){numbers}?",
    "(I need|I want) to add (the numbers |these numbers: |){numbers}.",
    answer="The sum is {sum}.",
)
def add_numbers(numbers: Annotated[list, NUMBERS]) -> dict:
    """Add numbers and return the sum.

    numbers: numbers to add
    """
    return {"sum": round(math.fsum(numbers), 4)}


@arithmetic.tool(
    "(check|test|find out|tell me) (if|whether) {number} is (a prime number|prime)",
    "Is {number} (a prime number|prime)?",
    "(check|test) the number {number} for being prime",
    answer="Prime: {prime}.",
)
def check_prime(number: Annotated[int, whole(10, 9999)]) -> dict:
    """Check if a number is prime.

    number: number to check
    """
    return {"prime": number > 1 and all(number % k for k in range(2, math.isqrt(number) + 1))}


@arithmetic.tool(
    "(compute|calculate|find|work out) the area of a rectangle (with length {length} and width {width}"
    "|with width {width} and length {length})",
    "(What is|How big is|How large is) the area of a rectangle< of length {length}>< if the width is {width}>?",
    "My rectangle has length {length} and width {width}, (what is its area?|compute the area.)",
    answer="The area is {area}.",
)
def rectangle_area(length: Annotated[float, decimal(2, 400)], width: Annotated[float, decimal(2, 400)]) -> dict:
    """Compute the area of a rectangle.

    length: length of the rectangle
    width: width of the rectangle
    """
    return {"area": round(facts.positive(length, "length") * facts.positive(width, "width"), 2)}


@arithmetic.tool(
    "(find|compute|get) the greatest common divisor of {first} and {second}",
    "(What is|Which number is) the greatest (common |)divisor of {first} and {second}?",
    "(find|work out) the greatest number that is a divisor of {first} and {second}",
    answer="The greatest common divisor is {divisor}.",
)
def greatest_divisor(first: Annotated[int, whole(10, 990)], second: Annotated[int, whole(10, 990)]) -> dict:
    """Find the greatest common divisor of two numbers.

    first: first number
    second: second number
    """
    facts.different(first, second, "numbers")
    return {"divisor": math.gcd(first, second)}


@arithmetic.tool(
    "(pick|draw|give me|choose) a random number between {low} and {high}",
    "(I need|Give me|I want) a random number (between {low} and {high}|from {low} to {high}).",
    answer="The random number is {number}.",
)
def random_number(low: Annotated[int, whole(2, 400)], high: Annotated[int, whole(20, 900)]) -> dict:
    """Pick a random number between two limits.

    low: lower limit
    high: upper limit
    """
    if low >= high:
        raise ValueError(f"low {low} is not below high {high}")
    return {"number": facts.number(low, high, low, high)}


@units.tool(
    "convert (the length of |the length |a length of |){amount} {from_unit}< to {to_unit}>",
    "(express|give me) a length of {amount} {from_unit}< in {to_unit}>",
    "(How long is|What is) a length of {amount} {from_unit}, converted to {to_unit}?",
    answer="That is {result} {to_unit}.",
)
def convert_length_unit(amount: Annotated[float, decimal(2, 900)], from_unit: LENGTHS, to_unit: LENGTHS) -> dict:
    """Convert a length from one unit to another.

    amount: length to convert
    from_unit: unit to convert from
    to_unit: unit to convert to
    """
    facts.different(from_unit, to_unit, "units")
    return {"result": round(amount * METERS[from_unit] / METERS[to_unit], 4)}


@units.tool(
    "convert (a temperature of |the temperature |){degrees} degrees (from |){scale} to {target}",
    "(What is|How much is) a temperature of {degrees} degrees {scale} converted to {target}?",
    "(convert|change) a temperature from {scale} to {target}, it is {degrees} degrees",
    answer="That is {result} degrees {target}.",
)
def convert_temperature_scale(
    degrees: Annotated[float, decimal(2, 300)],
    scale: Literal["celsius", "fahrenheit", "kelvin"],
    target: Literal["celsius", "fahrenheit", "kelvin"],
) -> dict:
    """Convert a temperature to another scale.

    degrees: degrees to convert
    scale: scale to convert from
    target: scale to convert to
    """
    facts.different(scale, target, "scales")
    kelvin = {"celsius": degrees + 273.15, "fahrenheit": (degrees + 459.67) * 5 / 9, "kelvin": degrees}[scale]
    result = {"celsius": kelvin - 273.15, "fahrenheit": kelvin * 9 / 5 - 459.67, "kelvin": kelvin}[target]
    return {"result": round(result, 2)}


@units.tool(
    "(convert {amount} liters of {ingredient} to|express {amount} liters of {ingredient} in) {unit}[ for me]",
    "How many {unit} are {amount} liters of {ingredient}, (can you convert it?|please convert.)",
    "I need to convert {amount} liters of {ingredient} to {unit}[ for a recipe].",
    answer="That is {result} {unit}.",
)
def convert_liquid_volume(
    amount: Annotated[int, whole(2, 90)],
    ingredient: Literal["milk", "water", "oil", "juice"],
    unit: Literal["cups", "gallons", "pints"],
) -> dict:
    """Convert liters of a liquid to another unit.

    amount: amount in liters
    ingredient: name of the liquid
    unit: unit to convert to
    """
    return {"result": round(amount * {"cups": 4.2268, "gallons": 0.26417, "pints": 2.1134}[unit], 2)}


@finance.tool(
    "(convert|change|exchange) {amount} {from_currency}< to {to_currency}>[ at the current rate]",
    "(How much is|What is) {amount} {from_currency} when converted to {to_currency}?",
    "I have {amount} {from_currency} and want to convert it to the currency {to_currency}.",
    answer="That is {result} {to_currency}.",
)
def convert_currency_amount(
    amount: Annotated[float, decimal(5, 990)], from_currency: CURRENCIES, to_currency: CURRENCIES
) -> dict:
    """Convert an amount to another currency.

    amount: amount of money
    from_currency: currency to convert from
    to_currency: currency to convert to
    """
    facts.different(from_currency, to_currency, "currencies")
    return {"result": round(facts.positive(amount, "amount") * DOLLARS[from_currency] / DOLLARS[to_currency], 2)}


@finance.tool(
    "(get|check|look up|show me) the [current ]stock price of {symbol}",
    "(What is|How high is) the stock price of {symbol}[ today]?",
    "(check|find out) (how much|what) the stock {symbol} costs[ today]",
    answer="{symbol} stands at {price} dollars.",
)
def get_stock_price(symbol: Symbol) -> dict:
    """Get the price of a stock.

    symbol: symbol of the stock
    """
    return {"price": facts.number(5, 900, symbol)}


@finance.tool(
    '(transfer|send|pay) {amount} dollars< to {recipient}>< with the note "{note}">',
    "(I owe|I must pay) {recipient} {amount} dollars, please (transfer the money|make the transfer).",
    '(make|do) a transfer of {amount} dollars< to {recipient}>< with the note "{note}">',
    answer="{recipient} receives {amount} dollars.",
)
def transfer_money(recipient: Person, amount: Annotated[float, decimal(5, 990)], note: Sentence = "") -> dict:
    """Transfer dollars to a person.

    recipient: name of the recipient
    amount: amount in dollars
    note: text of the note
    """
    return {"transfer": facts.code(recipient, facts.positive(amount, "amount"), note)}


@finance.tool(
    "(compute|calculate|work out|tell me) the tip of {percent} percent on a bill of {bill} dollars",
    "How (much|big) is the tip< for a bill of {bill} dollars>< at {percent} percent>?",
    "The bill (is|was) {bill} dollars, (compute a tip of {percent} percent.|how much is a tip of {percent} percent?)",
    answer="The tip is {tip} dollars.",
)
def compute_bill_tip(bill: Annotated[float, decimal(10, 400)], percent: Annotated[int, whole(5, 40)]) -> dict:
    """Compute the tip on a bill.

    bill: amount of the bill
    percent: percent of the tip
    """
    return {"tip": round(bill * percent / 100, 2)}


@finance.tool(
    "(compute|calculate|work out) the monthly payment< for a loan of {amount} dollars>< over {years} years>",
    "(What is|How high is) the monthly payment< of a loan of {amount} dollars>< over {years} years>?",
    "I want a loan of {amount} dollars< over {years} years>, (what is the payment?|compute the payment.)",
    answer="The loan costs {payment} dollars a month.",
)
def compute_loan_payment(amount: Annotated[int, whole(1000, 99000)], years: Annotated[int, whole(2, 40)]) -> dict:
    """Compute the payment of a loan.

    amount: amount of the loan
    years: number of years
    """
    return {"payment": round(amount * 1.04**years / (12 * years), 2)}


@text_tools.tool(
    '(count|tell me|find out) how many words (the text |the sentence |)"{text}" has',
    'How many words (are in|does) (the text |the sentence |)"{text}"( have|)?',
    'count the words in (the text |)"{text}"',
    answer="The text has {words} words.",
)
def count_words(text: Sentence) -> dict:
    """Count the words of a text.

    text: text to count
    """
    return {"words": len(text.split())}


@text_tools.tool(
    'translate (the text |the sentence |this: |)"{text}" into {language}',
    '(What is|How do you say) "{text}" in {language}, (please translate it.|can you translate it?)',
    'I need a translation of "{text}" into {language}.',
    answer="The translation is {translation}.",
)
def translate_into_language(text: Sentence, language: Literal["French", "German", "Spanish", "Polish"]) -> dict:
    """Translate a text into another language.

    text: text to translate
    language: language of the translation
    """
    return {"translation": f"{text} ({language})"}


@text_tools.tool(
    '(replace the word "{old}" by|swap the word "{old}" for) "{new}" in (the text |)"{text}"',
    'In (the text |)"{text}", replace "{old}" (by|with) "{new}".',
    '(replace|exchange) "{old}" with "{new}" in (the text |the sentence |)"{text}"',
    answer="The new text is {text}.",
)
def replace_text_word(text: Sentence, old: Word, new: Word) -> dict:
    """Replace a word of a text.

    text: text to change
    old: word to replace
    new: new word
    """
    facts.different(old, new, "words")
    return {"result": text.replace(old, new)}


@text_tools.tool(
    '(encode|encrypt|turn) "{text}" (with|using|into) a cipher< with a shift of {shift}>',
    '(write|encode) "{text}" as a cipher< with shift {shift}>',
    '(I need|Give me|I want) a cipher of "{text}"< with a shift of {shift}>.',
    answer="The cipher is {cipher}.",
)
def encode_cipher(text: Sentence, shift: Annotated[int, whole(2, 25)]) -> dict:
    """Encode a text with a shift cipher.

    text: text to encode
    shift: size of the shift
    """
    shifted = [chr((ord(c) - 97 + shift) % 26 + 97) if "a" <= c <= "z" else c for c in text]
    return {"cipher": "".join(shifted)}
