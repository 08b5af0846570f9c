"""Where users live (database, YAML file, LDAP), and how their passwords are hashed."""
