"""The admin console and its JSON API, below `/_auth/admin`: for members of `admin.groups`, with two recent factors."""
