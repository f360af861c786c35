"""Find rooms in a picture of a floor plan with classical image processing (OpenCV, no weights)."""
