"""A stranger with a URL: checks a server from outside, importing nothing of ours."""
