"""The words heroes are forged from: syllables that mean nothing, and trades, towns and peoples of our own."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAME_HEADS = _words(
    "Ab Ad Bel Bram Cal Cor Dal Del Dor Esk Fal Fen Fer Gar Gol Hal Har Ib Jun Kel "
    "Lan Lim Mar Mel Mor Nal Ner Ol Or Pel Per Quil Ral Ros Sar Sel Tam Tol Ul Val Ver Wil Yar Zel"
)
NAME_HEARTS = _words("a an ar el en er i il in or u um ad ev ob und ast emb ond ist")
NAME_TAILS = _words(
    "bek brin dan dra fen gan goth kar kin lan lim lin mar mek min mond nak nel nor pell "
    "quen rak ric rin sel sin tak tan tel ven vik wen yn zan"
)

EPITHETS = (
    "the Patient",
    "the Unhurried",
    "the Second",
    "the Stonecutter",
    "the Bellringer",
    "the Glassblower",
    "the Cartographer",
    "the Tidewatcher",
    "the Ropewalker",
    "the Clockmender",
    "the Saltwright",
    "the Kitemaker",
    "the Ninth Oar",
    "of the Low Tide",
    "of the Long Bridge",
    "of Three Chimneys",
    "of the Quiet Mill",
    "of the Red Orchard",
    "of Ladder Street",
    "of the Upper Lock",
    "Copperhand",
    "Emberquill",
    "Frostladle",
    "Gravelvoice",
    "Millstone",
    "Nettlecoat",
    "Oakenshin",
    "Rainbucket",
    "Slatefoot",
    "Threadneedle",
    "Windlass",
)

TOWN_HEADS = _words(
    "Alder Barrow Cinder Dun Elm Ferry Gannet Hollow Kettle Lark Mossy Otter Plum Reed Sedge Thistle"
)
TOWN_TAILS = _words("bridge combe dale field ford gate haven lock mere mouth reach stead wick worth")

PEOPLES = ("Human", "Tidefolk", "Mosskin", "Dustborn", "Clockwork", "Hillkin", "Cloudherd", "-")
GENDERS = ("Female", "Male", "-")
ALIGNMENTS = ("good", "good", "good", "neutral", "bad", "-")
EYE_COLORS = ("Amber", "Black", "Blue", "Brown", "Copper", "Green", "Grey", "Violet", "White", "-")
HAIR_COLORS = ("Auburn", "Black", "Blond", "Brown", "Grey", "No Hair", "Red", "Teal", "White", "-")

TRADES = (
    "Baker",
    "Beekeeper",
    "Bookbinder",
    "Bridge warden",
    "Carpenter",
    "Clerk of weights and measures",
    "Dyer",
    "Gardener",
    "Harbour pilot",
    "Letter carrier",
    "Locksmith",
    "Midwife",
    "Organ tuner",
    "Potter",
    "Schoolteacher",
    "Signal operator",
    "Surveyor",
    "Well digger",
    "-",
)
PLACES = (
    "a disused waterworks",
    "a houseboat",
    "the attic of a bakery",
    "a lighthouse without a lamp",
    "the back room of a print shop",
    "a tram depot",
    "an orchard wall",
    "a bell tower",
    "nowhere for long",
)
GUILDS = (
    "The Night Ferry",
    "The Society of Level Ground",
    "The Eleventh Hour Club",
    "The Orchard Watch",
    "The Brass Thimble",
    "The Winter Rota",
    "The Spare Keys",
    "-",
)
KIN = ("sister", "brother", "mother", "father", "daughter", "son", "aunt", "uncle", "cousin")
