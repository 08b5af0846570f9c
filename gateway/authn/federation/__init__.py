"""Sign-in through accounts elsewhere, as a first factor beside passwords. The second factor stays ours."""
