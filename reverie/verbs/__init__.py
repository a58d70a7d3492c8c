"""A module for each verb of the command ``reverie``: ``make_parser(program)``, and ``main(arguments, program)``.

Nothing is imported for a verb but by that verb, so that each starts fast.
"""
