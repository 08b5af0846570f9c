"""What apps call users by where the configuration wants their names there."""


class Usernames:
    """Subjects for apps that want the username there, which somebody else may have one day (`oidc.subject`)."""

    async def of(self, username: str, directory_id: str) -> str:
        return username
