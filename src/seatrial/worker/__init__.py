"""The child side: standard library only, runs in any Python from 3.9 on."""
