// A real OpenID provider (panva's certified oidc-provider) on loopback, for the tests of sign-in through other accounts.
// argv: port, redirect URI; its siblings are where we hear of logouts. Whoever signs in as NAME gets the claims of
// ACCOUNTS[NAME].
import { Provider } from "oidc-provider";

const [port, redirectUri] = process.argv.slice(2);
const ACCOUNTS = JSON.parse(process.env.ACCOUNTS ?? "{}");

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "gateway",
      client_secret: "s:e c/r+et",
      redirect_uris: [redirectUri],
      id_token_signed_response_alg: "RS256",
      backchannel_logout_uri: redirectUri.replace(/callback$/, "backchannel-logout"),
      backchannel_logout_session_required: true,
      post_logout_redirect_uris: [redirectUri.replace(/federated\/.*$/, "logout")],
    },
  ],
  features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
  findAccount: async (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, ...ACCOUNTS[id] }),
  }),
  cookies: { keys: ["test"] },
  // It calls no special addresses otherwise, and we are on loopback.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
});
provider.listen(Number(port), "127.0.0.1");
