"""Side-by-side measurements against peers. Figures are ratios from one run on one machine."""
