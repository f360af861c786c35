"""The server's face: app, authentication, errors and the native API."""
