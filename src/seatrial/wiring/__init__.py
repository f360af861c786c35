"""Put the parts together: the one room that knows every adapter.

`parts.py` makes a server of them, `server.py` lets it serve, `alone.py` runs one trial with it.
"""
