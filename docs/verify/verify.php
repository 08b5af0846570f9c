<?php
// Checks X-Auth-Assertion in a PHP app. Needs firebase/php-jwt (`composer require firebase/php-jwt`, or Debian's
// php-firebase-php-jwt) and, for a cache between requests, APCu.
//
//   $user = auth_gateway_user('https://login.example.com', 'app.example.com', $_SERVER['HTTP_X_AUTH_ASSERTION'] ?? '');
//   if ($user === null) { http_response_code(401); exit('not signed in'); }
//
// The second argument is the app's own host as its users know it.

use Firebase\JWT\JWK;
use Firebase\JWT\JWT;

function auth_gateway_user(string $issuer, string $audience, string $assertion): ?array
{
    try {
        JWT::$leeway = 10;
        // The algorithm is that of the keys (ES256), never what the token itself says.
        $claims = (array) JWT::decode($assertion, JWK::parseKeySet(auth_gateway_keys($issuer), 'ES256'));
    } catch (\Throwable) {
        return null;
    }
    $sound = ($claims['iss'] ?? '') === $issuer && ($claims['aud'] ?? '') === $audience
        && isset($claims['exp'], $claims['iat'], $claims['sub']);
    return $sound ? $claims : null;
}

function auth_gateway_keys(string $issuer): array
{
    $known = function_exists('apcu_fetch') ? apcu_fetch("auth-gateway:$issuer") : false;
    if ($known === false) {
        $known = file_get_contents(rtrim($issuer, '/') . '/_auth/jwks.json');
        if (function_exists('apcu_store')) {
            apcu_store("auth-gateway:$issuer", $known, 300);
        }
    }
    return json_decode($known, true, 8, JSON_THROW_ON_ERROR);
}
