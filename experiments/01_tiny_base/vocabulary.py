"""Words and values from which the pretraining corpus of the tiny base model is drawn (experiment 01_tiny_base).

Everything is random but for a seed: everyday words are combined freely, and pseudo-words, names, numbers,
dates and codes are made anew at each draw, so that nothing can be memorised and only the skill of reading is left.
Used by ``corpus.py``; nothing here runs by itself.
"""

from random import Random

VERBS = """add adjust answer apply arrange ask book bring build buy call cancel change charge check choose clean clear
close collect compare compute confirm convert cook copy count create cut deliver describe divide download draw drop
estimate exchange explain fetch file fill find fix follow get give guess help hire hold join keep launch lend list
load lock look make mark match measure mend merge mix move multiply name notify offer open order pack paint pay pick
plan plant play post prepare print produce publish pull push put quote rank rate read receive recommend record refill
register release remind remove rename rent repair replace reply report request reserve reset return ring run save
schedule search sell send serve set share ship show sign solve sort split start stop store study submit subtract sum
swap switch tell test track translate turn update upload use verify view visit wash watch weigh write""".split()

NOUNS = """account address alarm album animal answer apple area article author bag balance ball band bank basket battery
bed bicycle bike bill bird board boat book bottle box branch bread bridge budget bus cable cafe cake calendar call
camera capital car card cart case category chair channel chapter chart city class client clock cloud coat code coffee
coin color colour comment company contact copy cost country course cup currency customer date day deal degree
delivery department desk device dinner direction discount dish distance doctor document dog door drink driver drug
email engine episode error event exam exercise fee field file film fish flight flower folder food forecast form fruit
fuel game garage garden gate gift goal grade grass group guest guide hall heart height home hospital hotel hour house
humidity image index interest invoice island item job journey key keyword kitchen label lamp language laptop lawn
lecture length lesson letter level library light limit line link loan location lock lunch machine magazine mail map
market meal meeting member memo menu message meter mile minute mirror mode model money month mortgage mountain movie
music name neighbour network news note notice number office oil order owner package page paper parcel park part party
password patient payment pen person phone photo picture pill place plan plant plate player playlist podcast point
pool post postcode pot power price printer prize product profile project queue quiz quote radio rain rate reading
receipt recipe record refund region reminder rent report request reservation restaurant result review ride river
road robot role room route rule salary sale sample schedule school score screen sea seat section sensor series
service shape sheet shelf ship shirt shop signal size skill sky sleep snack snow soil song sound soup speed sport
square staff stage stamp star station stock stop store storm story street student subject subscription sugar suitcase
symbol table task tax taxi tea teacher team temperature tent term test text theater thermostat ticket tide time tip
title topic total tour town toy track train trail translation tree trip truck unit user vacuum value van video view
village visit visitor voice volume wall warehouse watch water weather web weight wheel wind window wine word work
worker workout year zone""".split()

ADJECTIVES = """able active available big black blue bright broken busy cheap clean clear closed cold common current
daily dark deep double dry early easy empty exact fair fast final fine first flat free fresh full general good green
half hard heavy high hot huge important indoor large last late latest light local long loose low main many medium
metric monthly narrow near new next nice normal old open outdoor past plain poor possible present private public
quick quiet rare ready real red rich right round safe second short silent simple single slow small soft special
square standard strong sweet tall thick thin third tiny top total upcoming urgent usual warm weak weekly wet white
whole wide wild yearly yellow young""".split()

GLUE = """a about after again all also an and another any are as at back be because been before below best between both
but by can could did do does done down each either else enough even ever every few for from given had has have he her
here him his how i if in into is it its just kind last least less like little long me more most much must my name near
need never next no none not nothing now of off on once one only or other our out over own part per please put rather
same see shall she should since so some soon such tell than that the their them then there these they thing this those
three through to together too two under until up upon us use used using very want was way we well were what when
where which while who whose why will with within without word would yes yet you your zero""".split()

FIRST = """Adam Alice Amir Anna Ben Carla Chen Clara Dana David Diego Elena Emma Eric Farah Felix Grace Hana Hugo Ines
Ivan Jack James Jane John Julia Karim Kate Kenji Laura Leo Lina Lucas Maria Mark Maya Mia Nadia Nina Noah Olga Omar
Oscar Paul Petra Priya Rosa Ruth Sam Sara Sofia Tara Tom Uma Vera Victor Wei Yara Yuki Zoe""".split()

CITIES = (
    """Amsterdam Athens Berlin Boston Cairo Chicago Dallas Delhi Denver Dublin Geneva Hamburg Helsinki Houston
Istanbul Kyoto Lagos Lima Lisbon London Madrid Miami Milan Munich Nairobi Oslo Paris Prague Rome Seattle Seoul
Singapore Sydney Tokyo Toronto Vienna Warsaw Zurich""".split()
    + ["New York", "San Francisco", "Los Angeles", "Cape Town"]
)

SUFFIXES = ["ville", "ton", "burg", "ford", "berg", "field", "port", "dale", "wood", "stad", "mouth", "bridge", "haven"]
_ONSETS = "b br c ch cl d dr f fl g gr h j k kl l m n p pr qu r s sh sk sl sp st t th tr v w z".split()
_NUCLEI = "a e i o u a e i o ai ea ee oa ou".split()
_CODAS = ["", "", "", "l", "m", "n", "nd", "r", "rk", "s", "st", "t", "x", "ck", "sh"]


def pseudo(rng: Random, low: int = 1, high: int = 3) -> str:
    """A pronounceable word that means nothing, e.g. ``"brelond"``."""
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(rng.randint(low, high))
    )


def word(rng: Random) -> str:
    """An everyday noun or, now and then, an adjective, a verb or a pseudo-word."""
    draw = rng.random()
    if draw < 0.7:
        return rng.choice(NOUNS)
    return rng.choice(ADJECTIVES) if draw < 0.8 else rng.choice(VERBS) if draw < 0.9 else pseudo(rng)


def phrase(rng: Random, low: int = 2, high: int = 5) -> str:
    """A few everyday words, e.g. ``"the red lamp near garden"``."""
    pools = (NOUNS, NOUNS, ADJECTIVES, GLUE, VERBS)
    return " ".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(low, high)))


def person(rng: Random) -> str:
    first = rng.choice(FIRST) if rng.random() < 0.5 else pseudo(rng, 1, 2).capitalize()
    return first if rng.random() < 0.35 else f"{first} {pseudo(rng, 1, 3).capitalize()}"


def place(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.25:
        return rng.choice(CITIES)
    if draw < 0.5:
        return pseudo(rng, 1, 2).capitalize() + rng.choice(SUFFIXES)
    if draw < 0.6:
        return (
            f"{rng.choice(('New', 'Port', 'Saint', 'North', 'East', 'Lake', 'Old'))} {pseudo(rng, 1, 2).capitalize()}"
        )
    return pseudo(rng, 1, 3).capitalize()


def title(rng: Random) -> str:
    """A name of a thing, e.g. ``"Silent River"``."""
    parts = [rng.choice(rng.choice((NOUNS, ADJECTIVES))) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.4:
        parts[rng.randrange(len(parts))] = pseudo(rng)
    return " ".join(p.capitalize() for p in parts)


def integer(rng: Random) -> int:
    return rng.randint(0, 10 ** rng.randint(1, 4))


def decimal(rng: Random) -> float:
    return round(rng.uniform(0, 10 ** rng.randint(1, 3)), rng.choice((1, 1, 2)))


def date(rng: Random) -> str:
    return f"{rng.randint(1990, 2035)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def clock(rng: Random) -> str:
    return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"


def code(rng: Random) -> str:
    """A reference such as ``"KX-4821"``, ``"T731"`` or ``"mell_27"``."""
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.randint(1, 3)))
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(2, 5)))
    return rng.choice((f"{letters}-{digits}", f"{letters}{digits}", f"{pseudo(rng, 1, 1)}_{digits}", f"#{digits}"))


def email(rng: Random) -> str:
    name = rng.choice(FIRST).lower() if rng.random() < 0.5 else pseudo(rng)
    return f"{name}@{pseudo(rng, 1, 2)}.{rng.choice(('com', 'org', 'net'))}"


def identifier(rng: Random) -> str:
    """A name in the manner of program text: ``"open_gate"``, ``"brelond"``, ``"lampSize"``, ``"list_red_cups"``."""
    draw = rng.random()
    if draw < 0.5:
        return f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}"
    if draw < 0.65:
        return f"{rng.choice(NOUNS)}_{rng.choice(NOUNS)}"
    if draw < 0.75:
        return f"{rng.choice(VERBS)}_{rng.choice(ADJECTIVES)}_{rng.choice(NOUNS)}"
    if draw < 0.85:
        return rng.choice(VERBS) + rng.choice(NOUNS).capitalize()
    return pseudo(rng) if draw < 0.95 else f"{pseudo(rng, 1, 2)}_{rng.choice(NOUNS)}"
