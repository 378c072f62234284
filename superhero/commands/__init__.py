"""The commands of the command line: one module each, whose `command` superhero.cli imports when asked."""
