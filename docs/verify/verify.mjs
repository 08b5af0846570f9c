// Checks X-Auth-Assertion in a Node app. Needs `npm install jose`.
//
//   const claims = verifier("https://login.example.com", "app.example.com");
//   http.createServer(async (req, res) => { const user = await claims(req.headers["x-auth-assertion"]); ... })
//   app.use(guard(claims));          // Express, Connect, Polka: req.user, or 401
//
// The second argument is the app's own host as its users know it.
import { createRemoteJWKSet, jwtVerify } from "jose";

export function verifier(issuer, audience, jwksUrl = `${issuer.replace(/\/$/, "")}/_auth/jwks.json`) {
  const keys = createRemoteJWKSet(new URL(jwksUrl), { cacheMaxAge: 300_000 });
  // Rejects for anything but an assertion that is good here and now.
  return async (assertion) => {
    const { payload } = await jwtVerify(assertion ?? "", keys, {
      algorithms: ["ES256"], // never what the token itself says
      issuer,
      audience,
      clockTolerance: 10,
      requiredClaims: ["exp", "iat", "sub"],
    });
    return payload;
  };
}

export const guard = (claims) => async (req, res, next) => {
  try {
    req.user = await claims(req.headers["x-auth-assertion"]);
  } catch {
    res.statusCode = 401;
    return res.end("not signed in");
  }
  next();
};
