"""What makes a headless run lifelike: who is there and how good they are, how busy it is, what goes wrong.

Pure, and the same on every machine: whole numbers and the four basic operations on floats, no libm.
"""
