"""Let `python -m superhero` be the same as `superhero`."""

from superhero.cli import main

if __name__ == "__main__":
    main(prog_name="superhero")
