"""AWS Lambda's wires: invocations of functions, what functions look like, and the Runtime API."""
