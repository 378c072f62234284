"""Break the whole pipeline in every way it must bear, and count what came of it; see `superhero chaos`."""
