"""Sessions of the International Brain Laboratory (IBL) through ONE-api."""
