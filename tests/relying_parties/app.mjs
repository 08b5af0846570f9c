// A web app as people write them on openid-client: sign in, show who it is, refresh, revoke, sign out, and hear of the
// session's end. Usage: node app.mjs ISSUER PORT CLIENT_ID CLIENT_SECRET. Prints a line when it listens.
import http from "node:http";
import * as oidc from "openid-client";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [issuer, port, id, secret] = process.argv.slice(2);
const home = `http://127.0.0.1:${port}`;
const insecure = { execute: [oidc.allowInsecureRequests] };
const config = await oidc.discovery(new URL(issuer), id, secret, oidc.ClientSecretBasic(secret), insecure);
const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
let pending = null;
let tokens = null;
let ended = null;

async function begin() {
  const verifier = oidc.randomPKCECodeVerifier();
  pending = { verifier, state: oidc.randomState(), nonce: oidc.randomNonce() };
  return oidc.buildAuthorizationUrl(config, {
    redirect_uri: `${home}/callback`,
    scope: "openid profile email",
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state: pending.state,
    nonce: pending.nonce,
  });
}

async function finish(url) {
  tokens = await oidc.authorizationCodeGrant(config, url, {
    pkceCodeVerifier: pending.verifier,
    expectedState: pending.state,
    expectedNonce: pending.nonce,
    idTokenExpected: true,
  });
}

const pages = {
  "/": async () => {
    if (!tokens) return [302, "", { Location: (await begin()).href }];
    const claims = tokens.claims();
    const info = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
    return [200, `<h1>Hello ${info.preferred_username}</h1><p id=acr>${claims.acr}</p><a href=/bye>Bye</a>`];
  },
  "/callback": async (url) => {
    await finish(url);
    return [302, "", { Location: "/" }];
  },
  "/refresh": async () => {
    const before = tokens.refresh_token;
    tokens = { ...tokens, ...(await oidc.refreshTokenGrant(config, before)) , claims: tokens.claims };
    const facts = await oidc.tokenIntrospection(config, tokens.access_token);
    return [200, JSON.stringify({ rotated: before !== tokens.refresh_token, active: facts.active })];
  },
  "/revoke": async () => {
    await oidc.tokenRevocation(config, tokens.refresh_token);
    const facts = await oidc.tokenIntrospection(config, tokens.access_token);
    return [200, JSON.stringify({ active: facts.active })];
  },
  "/bye": async () => {
    const url = oidc.buildEndSessionUrl(config, {
      post_logout_redirect_uri: `${home}/gone`,
      id_token_hint: tokens.id_token,
      state: "s",
    });
    return [302, "", { Location: url.href }];
  },
  "/gone": async (url) => [200, `<h1>Goodbye</h1><p id=state>${url.searchParams.get("state")}</p>`],
  "/ended": async () => [200, JSON.stringify(ended)],
  "/backchannel": async (url, body) => {
    const token = new URLSearchParams(body).get("logout_token");
    const { payload } = await jwtVerify(token, keys, { issuer, audience: id, typ: "logout+jwt" });
    ended = payload;
    return [200, ""];
  },
};

http
  .createServer(async (request, response) => {
    const url = new URL(request.url, home);
    let body = "";
    for await (const chunk of request) body += chunk;
    try {
      const [status, text, headers] = await (pages[url.pathname] ?? (async () => [404, ""]))(url, body);
      response.writeHead(status, { "Content-Type": "text/html; charset=utf-8", ...headers }).end(text);
    } catch (error) {
      response.writeHead(500, { "Content-Type": "text/plain" }).end(String(error.stack ?? error) + (error.cause ?? ""));
    }
  })
  .listen(Number(port), "127.0.0.1", () => console.log("listening"));
