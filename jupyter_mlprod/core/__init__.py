"""The nouns, the requests, the ports and the one `judge`.

Imports nothing but the standard library, msgspec and, in statistics, numpy and scipy.
"""
