"""The image-generation callback protocol ("studio"): what its clients send, are answered and are told."""
