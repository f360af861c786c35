"""A picture and its mask to a 3-D object; a picture to an embedding."""
