<?php
// Reads assertions, one a line; says the user's name of those that are sound, and "-" of others.
spl_autoload_register(fn (string $name) => require $argv[3] . '/' . basename(strtr($name, '\\', '/')) . '.php');
require $argv[4];
while (($line = fgets(STDIN)) !== false) {
    echo auth_gateway_user($argv[1], $argv[2], rtrim($line, "\n"))['sub'] ?? '-', "\n";
}
