"""Word parts that `values.py` composes into names, places, titles and sentences.

Used by notebook 01 (through `xlam_lib.data.apigen`). Nothing to run here: lists only. Every list is a tuple, so
drawing from it is deterministic.
"""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The words of a text, in order: `words("red green")` is `("red", "green")`."""
    return tuple(text.split())


FIRST_NAMES = words(
    """
Ada Adam Aisha Alan Alba Alice Amara Amir Ana Andre Anika Arjun Astrid Bela Bianca Boris Bruno Carla Cedric Chen Clara
Cora Daniel Daria David Diego Dina Edgar Elena Elias Elif Emil Emma Erik Esther Eva Fatima Felix Fiona Freya Gabriel
Gina Goran Greta Hana Hassan Helen Henry Hugo Ibrahim Ida Igor Ines Ingrid Iris Isaac Ivan Jana Jasper Joan Jonas
Julia Kai Karim Kira Klaus Lara Layla Leo Lena Liam Linda Luca Lucia Magda Malik Mara Marco Maria Marta Max Mei Mila
Milo Mina Nadia Nils Nina Noah Nora Olga Oliver Omar Oscar Paula Pedro Petra Priya Rafael Ravi Rosa Ruben Ruth Samir
Sara Selma Simon Sofia Stefan Tamar Tara Theo Tomas Uma Vera Victor Wanda Yara Yusuf Zara Zoe
"""
)
NAME_STARTS = words(
    """
Al An Bar Ber Bol Bran Cal Car Col Cor Dal Del Dor Dun El Fal Fen Fer Gar Gil Gor Hal Har Hol Jan Jor Kal Kar Kel Kin
Lan Lar Lin Lor Mal Mar Mel Mon Nar Nor Ol Or Pal Par Pel Ram Ren Ros Sal San Sel Sor Tal Tar Tol Tor Val Var Ver Vol
Wal Wel Win Zel
"""
)
NAME_ENDS = words(
    """
ano aro bert by cott dale den der don dova eki ell en enko er eron escu ett ford ger ham hart ia ic in ina ini ino is
ka ley lin lo lock man mann mark mer mond mont nell ner nik no olo on os ova ova ram rick ridge rin ro sen ski son
ston ta ter ti ton va vik way well wick win zek
"""
)
CITY_ENDS = words(
    """
borough bourne bridge brook burg bury by chester cliff combe dale den field fjord ford gate grad haven heim holm hurst
land ley mere mont mouth pool port stad stead stow ton vale ville wick wood worth
"""
)
CITY_PREFIXES = words(
    """
New North South East West Port Lake Fort Mount Saint Upper Lower Old Great Little Santa San Bad El La
"""
)
REAL_CITIES = words(
    """
Oslo Rome Paris Madrid Lisbon Berlin Vienna Prague Dublin Athens Warsaw Helsinki Cairo Nairobi Lagos Accra Tunis Delhi
Mumbai Tokyo Osaka Kyoto Seoul Hanoi Manila Jakarta Sydney Perth Auckland Toronto Montreal Boston Chicago Denver
Seattle Austin Lima Quito Bogota Havana Geneva Zurich Milan Turin Naples Porto Seville Valencia Lyon Nantes Bergen
Malmo Aarhus Riga Tallinn Vilnius Krakow Gdansk Sofia Ankara Izmir Dakar Rabat
"""
)
ADJECTIVES = words(
    """
Amber Ancient Bitter Black Blue Brave Bright Broken Bronze Calm Clear Cold Copper Crimson Dark Deep Distant Early
Electric Empty Endless Fading Faithful Fallen Final First Foreign Forgotten Frozen Gentle Golden Good Grand Gray Green
Hidden Hollow Honest Humble Iron Ivory Jade Kind Last Late Lonely Long Lost Loud Lucky Marble Midnight Misty Modern
Narrow Noble Open Orange Pale Patient Perfect Plain Proud Purple Quick Quiet Rapid Red Restless Royal Rusty Sacred
Scarlet Second Secret Sharp Silent Silver Simple Sleepy Slow Small Soft Stormy Strange Sweet Tall Tender Tiny True
Twisted Velvet Violet Wandering Warm White Wild Winter Wise Wooden Yellow Young
"""
)
THINGS = words(
    """
Anchor Apple Arrow Autumn Avenue Bell Bird Boat Bottle Branch Brother Candle Canyon Castle Cedar Circle Cloud Compass
Coral Corner Crow Crown Dancer Desert Diamond Dragon Dream Eagle Echo Ember Engine Falcon Feather Fire Flame Flower
Forest Fountain Fox Garden Ghost Giant Glass Harbor Hawk Heart Heron Hill Honey Horizon Horse Island Journey Kingdom
Kite Lantern Leaf Lemon Letter Lily Lion Machine Maple Meadow Mirror Moon Morning Mountain Ocean Olive Orchard Owl
Palace Paper Parade Pearl Penguin Piano Pilot Planet Poet Prairie Promise Rabbit Rain Raven River Road Rose Sailor
Shadow Ship Shore Sister Sky Smoke Snow Sparrow Spring Star Stone Storm Stranger Summer Sun Swan Thunder Tiger Tower
Traveler Valley Voyage Wave Whale Willow Wind Wolf
"""
)
MATERIALS = words(
    """
bamboo brass canvas ceramic cotton copper cork denim fleece foam glass granite leather linen marble metal nylon oak
paper pine plastic rubber silk steel stone suede velvet wicker wool wooden
"""
)
COLORS = words(
    """
amber beige black blue bronze brown coral cream gold gray green indigo ivory lilac navy olive orange pink purple red
silver teal white yellow
"""
)
PRODUCTS = words(
    """
apron armchair backpack basket belt bench blanket bookcase bowl bracelet bucket cabinet candle cap chair clock coat
cushion desk drill fan glove hammer hat headband jacket jug kettle kite ladder lamp mat mirror mug necklace pan pillow
pot purse puzzle rack rug saddle sandal scarf shirt shovel sofa stool suitcase table teapot tent towel tray umbrella
vase wallet whistle
"""
)
FOODS = words(
    """
apple apricot asparagus avocado banana barley basil bean beet bread broccoli butter cabbage carrot cashew celery
cheese cherry chicken chili chocolate cinnamon clam coconut cod corn crab cranberry cucumber date duck egg fennel fig
garlic ginger grape ham hazelnut honey kale lamb leek lemon lentil lime lobster mango melon millet mint mushroom
mussel noodle nutmeg oat olive onion orange oyster papaya parsley pasta peach peanut pear pepper pineapple plum potato
pumpkin quinoa radish raisin raspberry rice saffron salmon sesame shrimp spinach squash strawberry tofu tomato trout
tuna turkey turnip vanilla walnut yogurt zucchini
"""
)
DISH_ENDS = words(
    """
soup stew salad curry pie tart risotto pasta burger tacos omelette casserole dumplings pancakes sandwich lasagna
chowder skewers noodles gratin
"""
)
TOPICS = words(
    """
agenda archive balance banner battery board boiler bottle box branch budget bus camera canal carpet chapter charger
client closet coffee college contract copy court courier crew cupboard curtain customer deadline dealer delivery
design dinner draft driver elevator engine exam factory fence filter garage garden gate glue guest hallway heater
hotel invoice jacket journal kitchen ladder laptop lecture letter library lobby locker luggage lunch machine manager
market mechanic menu microphone mirror monitor neighbor notebook office orchestra oven package painter paper parcel
party pharmacy photo picture piano pipeline plumber poster printer professor program project radio receipt refund roof
schedule school screen shelf ship signal speaker sponsor stage statue student studio tailor taxi teacher team tenant
theater ticket trailer tutor vendor video visitor waiter wallet warehouse website window workshop
"""
)
STATES = words(
    """
ready late broken empty full missing closed open cheap heavy quiet cold warm clean dirty early safe sold new old wrong
fixed lost free busy
"""
)
PLACES = words(
    """
station bakery museum harbor library bridge fountain market cinema airport stadium cafe garden school tower corner
office bank hotel park
"""
)
TIMES = words("today tomorrow tonight soon now later again already")
ACTIONS = words(
    """
call bring check move clean sell fix visit paint sign return collect print measure wash order carry open close review
send buy store share
"""
)
SYLLABLES = words(
    """
ba be bi bo bra bu ca ce ci co cra da de di do dra du fa fe fi fo fra ga ge gi go gra ha he hi ho ja jo ka ke ki ko
kra la le li lo lu ma me mi mo mu na ne ni no nu pa pe pi po pra qua ra re ri ro ru sa se si so sta sto ta te ti to
tra tu va ve vi vo wa we wi xa ya yo za ze zi zo
"""
)
STREET_ENDS = words("Street Avenue Road Lane Square Court Drive Row")
FILE_ENDS = words("txt pdf csv docx png jpg md json xlsx zip")
COMPANY_ENDS = words("Foods Motors Systems Energy Labs Partners Trading Media")
MEETINGS = words("Review Lunch Workshop Interview Briefing Party Training")
COMMON = frozenset(
    words(
        """
a about add all also am an and any are as at available be been best bother by can check could did do does each
either first for from get give go good has have hello help her here hey hi his how i if in into is it its let like
list look me more morning my need no not now of off on one or other our out over please put quick request right same
set she should show so some sorry tell than thank thanks that the their them then there these they thing this to
today tool up us use used user using very want was we were what when where which while who will with work would you
your find
"""
    )
)
