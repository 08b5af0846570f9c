"""Settings for all tests."""

from hypothesis import settings

# Never assert a time: on a busy machine an example may take as long as it likes.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
