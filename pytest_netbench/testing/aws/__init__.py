"""How is everything that uses AWS run without AWS? An emulated cloud whose instances really run what they are told.

``Emulation`` starts it, ``guard`` keeps every process of a test from the real one. It needs the extra ``aws-emulate``.
"""
