"""Amazon SNS: its attributes, its errors, and the envelopes that subscribers are sent."""
