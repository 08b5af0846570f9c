"""How a page of ours is made: templates, looks, words, and who reads it."""
