"""Foreign wire protocols, one file each: they translate, they do not act."""
