"""The job store on SQL databases."""
