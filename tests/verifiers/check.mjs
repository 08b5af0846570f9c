// Reads assertions, one a line; says the user's name of those that are sound, and "-" of others.
import { createInterface } from "node:readline";
import { guard, verifier } from "./verify.mjs";

const claims = verifier(process.argv[2], process.argv[3]);
for await (const line of createInterface({ input: process.stdin })) {
  const req = { headers: line ? { "x-auth-assertion": line } : {} };
  await guard(claims)(req, { end: () => console.log("-") }, () => console.log(req.user.sub));
}
