"""The fault laboratory: breaks a real server by seed, and holds what its clients saw against the guarantee.

`scenario` runs one seed; `checker` judges the logs; everything else is a part of the bench: the server, the
proxy, the devices (each a process of its own), and the nemesis that breaks them.
"""
