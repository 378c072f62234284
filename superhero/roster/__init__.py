"""Heroes: those shipped with the package, a file of them, and Super Hero API's; and how Redis gets them."""

from superhero.roster.hero import Hero
from superhero.roster.listing import listing
from superhero.roster.shelf import read_file, shipped, store, store_if_empty, stored

__all__ = ["Hero", "listing", "read_file", "shipped", "store", "store_if_empty", "stored"]
